//! One test binary. Names that begin with `root_` need root and make network namespaces of their own.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

/// The import rules, the purity of the engine, the top of every file.
mod architecture;
/// Output and exit codes of banishctl.
mod cli;
/// Completions for shells, and the manual, beside the command line.
mod completions;
/// Configuration trees to settings or diagnostics.
mod config;
/// The whole daemon on scripted edges.
mod daemon;
/// Dates in log lines.
mod dates;
/// Client and service over a socket pair and a real bus.
mod dbus;
/// Filters tried by hand and put to annotated samples.
mod filter_verbs;
/// Every shipped filter against sample records.
mod filters;
/// The firewall backends in a network namespace of their own.
mod firewall;
/// The two programs over real sockets, and the daemon's side of them.
mod helpers;
/// The protected set against a real kernel.
mod host;
/// fail2ban's databases to bans on the bus.
mod import;
/// The reader against a real journald.
mod journal;
/// The reader of files on real files.
mod logfile;
/// Units, policies, man pages and the interface agree.
mod packaging;
/// The pattern engine, beside Python's.
mod patterns;
/// Scenarios and laws of the engine on a simulated clock.
mod simulation;
/// The store: commits, crashes, corrupt files.
mod store;
/// What several test modules share.
mod support;
