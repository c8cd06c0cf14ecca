//! The failures of one offender in one jail: the times of the last `maxretry` ones, in a true sliding
//! window. Comes in: failures. Goes out: how many count. It never holds more than `maxretry` entries.

use crate::engine::time::Timestamp;

/// The latest failures of one offender.
///
/// Invariant: oldest first, never empty once something was pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window(pub Vec<Entry>);

/// One counted failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it happened.
    pub time: Timestamp,
    /// Set while it was counted in advance: the connection whose next failure is the same attempt.
    pub advance_of: Option<u32>,
}
