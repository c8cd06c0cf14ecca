//! banishd, a systemd-native ban daemon.
//!
//! ```text
//!             ┌──────────────────── engine (pure) ────────────────────┐
//!  journal ──▶│ Record ─filter▶ Failure ─jail▶ Verdict ─ledger▶ Ban   │──Effect──▶ store ──▶ firewall
//!  clock ────▶│ now                              next_deadline ────────│──▶ timer       └──▶ bus (signal)
//!  bus ──────▶│ Command                                   Reply ───────│──▶ bus
//!  firewall ─▶│ Outcome (done / failed) → retry, announce              │
//!             └────────────────────────────────────────────────────────┘
//! ```
//!
//! The engine decides and touches nothing; the edges touch the world and decide nothing; the daemon
//! wires them. `docs/architecture.md` tells the rest.

pub mod engine;

pub mod config;
pub mod firewall;
pub mod host;
pub mod journal;
pub mod logfile;
pub mod reader;
pub mod store;
pub mod sys;

pub mod ask;
pub mod dbus;
pub mod helper;

pub mod action;
pub mod cli;
pub mod daemon;
pub mod resolve;
