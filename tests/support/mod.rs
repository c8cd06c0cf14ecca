//! What several test modules share.

/// An engine in a simulated world.
pub(crate) mod sim;
