//! LISTENS: reads log entries, filters them on its own thread, and tells the daemon of failures and of
//! how far it has read.
//!
//! Comes in: the journal and a [`FilterSet`]. Goes out: [`Heard`], in journal order through a bounded
//! channel, so that under load reading merely happens later. It never counts, never bans, and trusts
//! only the fields that journald itself sets.

pub mod reader;

pub mod listener;
pub mod matches;
pub mod terms;

pub mod live;
pub mod script;
pub mod sd_journal;

use std::io;
use std::time::Duration;

use crate::engine::filter::Filter;
use crate::engine::filter::failure::Failure;
use crate::engine::record::{Cursor, Position};
use crate::engine::settings::{JailName, Matches};
use crate::engine::time::Timestamp;
use crate::journal::matches::Selector;
use crate::journal::terms::Terms;

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
    /// Reading has gone well for a while since the last [`Heard::Trouble`].
    Recovered,
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first entry after this one; where it is gone, with the closest later one.
    After(Position),
    /// With the first entry of this time or later; at the end of the journal if there is none.
    Since(Timestamp),
}

impl Start {
    /// After `position`, but not with entries older than `not_before`.
    #[must_use]
    pub fn after(position: Position, not_before: Timestamp) -> Self {
        match position.time < not_before {
            true => Self::Since(not_before),
            false => Self::After(position),
        }
    }
}

/// Where entries come from: the journal, or a file of entries, or a test's script. Blocking, and used
/// by one thread.
pub trait LogSource {
    /// Goes to `start` and reads only entries that `terms` want from there on; what was open before is
    /// closed first. The source may offer entries that no term wants; the selector looks again.
    ///
    /// # Errors
    /// Nothing is open then; try again later.
    fn open(&mut self, start: &Start, terms: &Terms) -> Result<(), JournalError>;

    /// Moves to the next entry, shows its fields to `selector` and says when it was received; `None`
    /// at the end, for now.
    ///
    /// # Errors
    /// The source is at an unknown place then: open it again.
    fn next(&mut self, selector: &mut Selector) -> Result<Option<Timestamp>, JournalError>;

    /// The place of the entry that [`LogSource::next`] gave last.
    ///
    /// # Errors
    /// The entry is gone, or none has been read yet.
    fn cursor(&mut self) -> Result<Cursor, JournalError>;

    /// Sleeps until there may be more to read, until somebody wakes the thread, or for `pause`.
    /// Without an open journal only the last two count.
    ///
    /// # Errors
    /// There is nothing to wait on.
    fn wait(&mut self, pause: Option<Duration>) -> Result<Wake, JournalError>;

    /// Lets go of everything.
    fn close(&mut self);
}

/// Why [`LogSource::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There may be more to read.
    Look,
    /// Files came or went: read what is left, then open the source again.
    Reopen,
    /// There will never be more.
    Ended,
}

/// What can go wrong with a log source.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Opening, or finding the place to begin.
    #[error("cannot open the journal")]
    Open(#[source] io::Error),
    /// A match was refused.
    #[error("cannot select '{field}={value}' in the journal")]
    Select {
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Moving on or reading an entry.
    #[error("cannot read the journal")]
    Read(#[source] io::Error),
    /// Waiting for changes.
    #[error("cannot watch the journal")]
    Watch(#[source] io::Error),
    /// An export file is not in `journalctl -o export` form.
    #[error("byte {offset} of the export is not a field")]
    Export {
        /// Where the bad line begins.
        offset: u64,
    },
    /// The reader's thread could not be started.
    #[error("cannot start the journal reader")]
    Spawn(#[source] io::Error),
}
