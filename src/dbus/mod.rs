//! TALKS: the system bus service and the client half.
//!
//! Comes in: method calls from the bus and [`link::News`] from the loop. Goes out: [`link::Request`]s
//! to the loop, replies and signals to the bus. It knows nothing of the engine's state but what the
//! loop answers, and the loop never waits for it.

pub mod link;

pub mod names;
pub mod wire;

pub mod error;

pub mod caller;
pub mod polkit;

pub mod api;
pub mod ask;

pub mod jail;
pub mod log_control;
pub mod manager;

pub mod outbox;
pub mod service;
pub mod session;
pub mod shown;

pub mod proxy;

pub(crate) mod stream;
