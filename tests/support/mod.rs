//! What several test modules share.

/// The real one, beside ours.
pub(crate) mod fail2ban;
/// An engine in a simulated world.
pub(crate) mod sim;
/// A thread as the kernel sees it.
pub(crate) mod thread;
