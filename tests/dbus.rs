//! Client and service over a socket pair and a real bus.

/// A private system bus.
pub(crate) mod bus;
/// The interface against the files in `dbus/` and the man page.
mod interface;
/// Client and service without a bus between.
pub(crate) mod peer;
/// Who may do what, on a real bus.
mod policy;
/// The real polkitd.
mod polkit;
/// A stand-in for the daemon's loop.
pub(crate) mod script;
