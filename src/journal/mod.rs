//! LISTENS: reads log entries, filters them on its own thread, and tells the daemon of failures and of
//! how far it has read.
//!
//! Comes in: the journal and a [`FilterSet`]. Goes out: [`Heard`], in journal order through a bounded
//! channel, so that under load reading merely happens later. It never counts, never bans, and trusts
//! only the fields that journald itself sets.

use crate::engine::filter::Filter;
use crate::engine::filter::failure::Failure;
use crate::engine::record::Position;
use crate::engine::settings::{JailName, Matches};

/// What to read and what to look for in it: one row per active jail.
pub type FilterSet = Vec<(JailName, Matches, Filter)>;

/// What the reader tells the daemon.
#[derive(Debug)]
pub enum Heard {
    /// Failures, oldest first, and the last entry read; both may be all there is to say.
    Progress {
        /// Failures since the last message.
        failures: Vec<Failure>,
        /// Everything up to here has been handed over.
        position: Position,
    },
    /// The filters of this generation took effect: everything heard before came from older ones.
    Switched(u64),
    /// Reading has reached the end of the journal for the first time.
    CaughtUp,
    /// journald dropped entries before anybody could read them (rate limit).
    Suppressed {
        /// Of this unit.
        unit: String,
        /// So many.
        messages: u64,
    },
    /// Reading failed; it is being tried again.
    Trouble(String),
}
