//! LISTENS to journals: reads entries, filters them on its own thread, and tells the daemon of failures
//! and of how far it has read.
//!
//! Comes in: a journal and the [`Task`]s of the jails that read it. Goes out:
//! [`Heard`], in journal order. It never counts, never bans, and trusts only the
//! fields that journald itself sets.

pub mod listener;
pub mod matches;
pub mod terms;

mod entry;
mod group;

pub mod live;
pub mod once;
pub mod script;
pub mod sd_journal;

use std::io;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::engine::record::{Cursor, LogName, Position};
use crate::engine::settings::Journal;
use crate::engine::time::Timestamp;
use crate::journal::listener::Listener;
use crate::journal::live::LiveJournal;
use crate::journal::matches::Selector;
use crate::journal::terms::Terms;
use crate::reader::Heard;
use crate::reader::task::Task;
use crate::reader::worker::Reader;
use crate::sys::waker::Waker;

/// Reads `journal`, which the daemon knows as `log`, from `start` on.
///
/// # Errors
/// No thread or no descriptor is left. Trouble with the journal is told by [`Heard::Trouble`].
pub fn listen(
    journal: Journal,
    log: LogName,
    start: Start,
    tasks: Vec<Task>,
) -> io::Result<(Reader, Receiver<Heard>)> {
    listen_on(|waker| LiveJournal::new(journal, waker), log, start, tasks)
}

/// Reads the source that `make` makes, on the new thread, from a waker that must end its waiting.
///
/// # Errors
/// No thread or no descriptor is left.
pub fn listen_on<S: LogSource>(
    make: impl FnOnce(Waker) -> S + Send + 'static,
    log: LogName,
    start: Start,
    tasks: Vec<Task>,
) -> io::Result<(Reader, Receiver<Heard>)> {
    Reader::spawn("journal", |waker, valve| {
        Listener::new(make(waker), valve, log, start).with(tasks)
    })
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

    /// The time that it names, whether or not there is an entry of it.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::After(position) => position.time,
            Self::Since(time) => *time,
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
}
