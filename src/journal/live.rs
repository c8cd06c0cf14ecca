//! The journal as a [`LogSource`]: finding the place, going on from it, sleeping until there is more.
//!
//! Comes in: a [`Start`] and the terms. Goes out: entries in journal order, each once. It must never skip
//! an entry that is new: the place is always found by cursor, because seeking by the tail loses entries
//! when a term has never matched before, and seeking by time loses them when the clock steps.

use std::io;
use std::time::Duration;

use crate::engine::record::Cursor;
use crate::engine::settings;
use crate::engine::time::Timestamp;
use crate::journal::entry::UPTIME;
use crate::journal::matches::Selector;
use crate::journal::sd_journal::Journal;
use crate::journal::terms::Terms;
use crate::journal::{JournalError, LogSource, Start, Wake};
use crate::sys::waker::Waker;

/// One journal, open or not. Stays on the thread that made it.
pub struct LiveJournal {
    which: settings::Journal,
    waker: Waker,
    journal: Option<Journal>,
    /// Where to go on when the journal must be searched again.
    anchor: Anchor,
    /// An entry has been read since `anchor`.
    has_moved: bool,
    /// The next entry may be that of `anchor`, which has been read before.
    may_repeat: bool,
    /// Looks in a row without news of the files.
    looks: u32,
}

impl LiveJournal {
    /// Opens nothing yet. `waker` wakes [`LogSource::wait`].
    #[must_use]
    pub fn new(which: settings::Journal, waker: Waker) -> Self {
        Self {
            which,
            waker,
            journal: None,
            anchor: Anchor::Head,
            has_moved: false,
            may_repeat: false,
            looks: 0,
        }
    }

    fn advance(&mut self) -> io::Result<bool> {
        let journal = self.journal.as_mut().ok_or_else(closed)?;
        if !journal.forward()? {
            return Ok(false);
        }
        if self.may_repeat
            && let Anchor::After(cursor) = &self.anchor
        {
            self.may_repeat = false;
            if journal.is_at(cursor)? && !journal.forward()? {
                return Ok(false);
            }
        }
        self.has_moved = true;
        Ok(true)
    }

    /// Stands before the first entry that has not been read.
    fn seek(&mut self) -> io::Result<()> {
        let journal = self.journal.as_mut().ok_or_else(closed)?;
        self.may_repeat = matches!(self.anchor, Anchor::After(_));
        match &self.anchor {
            Anchor::Head => journal.seek_head(),
            Anchor::At(cursor) | Anchor::After(cursor) => journal.seek_cursor(cursor),
        }
    }

    /// Searches afresh for what follows the last entry. journald counts an entry first and then adds
    /// it to the lists that matches go by; who looks in between finds nothing, and libsystemd does not
    /// look again before the count changes.
    fn search(&mut self) -> Result<(), JournalError> {
        if self.has_moved {
            self.cursor()?;
        }
        self.seek().map_err(JournalError::Watch)
    }

    /// Takes note of changed files. By the time these wake us the lists are complete.
    fn refresh(&mut self) -> Result<Wake, JournalError> {
        if self.has_moved {
            // Now, because processing may close the file that we stand in.
            self.cursor()?;
        }
        let Some(journal) = &mut self.journal else {
            return Ok(Wake::Look);
        };
        let has_other_files = journal.process().map_err(JournalError::Watch)?;
        self.search()?;
        Ok(match has_other_files {
            true => Wake::Reopen,
            false => Wake::Look,
        })
    }
}

impl LogSource for LiveJournal {
    fn open(&mut self, start: &Start, terms: &Terms) -> Result<(), JournalError> {
        self.close();
        let mut journal = Journal::open(&self.which).map_err(JournalError::Open)?;
        self.anchor = anchor(&mut journal, start).map_err(JournalError::Open)?;
        // A new match resets the place, so they come first.
        select(&mut journal, terms)?;
        self.journal = Some(journal);
        self.seek().map_err(JournalError::Open)
    }

    fn next(&mut self, selector: &mut Selector) -> Result<Option<Timestamp>, JournalError> {
        if !self.advance().map_err(JournalError::Read)? {
            return Ok(None);
        }
        let journal = self.journal.as_mut().ok_or_else(closed);
        let journal = journal.map_err(JournalError::Read)?;
        selector.begin();
        journal.restart_fields();
        // A field that cannot be decoded ends the entry: what was seen of it is judged as it is.
        while let Ok(Some(field)) = journal.next_field() {
            let done = selector.take(field.name(), field.value().unwrap_or_default());
            if done.is_break() {
                break;
            }
        }
        if selector.lacks_uptime() {
            let usec = journal.uptime().map_err(JournalError::Read)?;
            let _ = selector.take(UPTIME.as_bytes(), usec.to_string().as_bytes());
        }
        let usec = journal.realtime().map_err(JournalError::Read)?;
        Ok(Some(Timestamp::from_usec(usec)))
    }

    fn cursor(&mut self) -> Result<Cursor, JournalError> {
        let journal = self.journal.as_ref().ok_or_else(closed);
        let cursor = journal.and_then(Journal::cursor);
        let cursor = cursor.map_err(JournalError::Read)?;
        self.anchor = Anchor::After(cursor.clone());
        self.has_moved = false;
        Ok(Cursor(cursor.into()))
    }

    fn wait(&mut self, pause: Option<Duration>) -> Result<Wake, JournalError> {
        let blind = self.journal.as_ref().is_some_and(|j| !j.is_reliable());
        let pause = match pause {
            None if blind => Some(BLIND_PAUSE),
            pause => pause,
        };
        let files = self.journal.as_ref().map(Journal::descriptor);
        let changed = self
            .waker
            .sleep(files, pause)
            .map_err(JournalError::Watch)?;
        if changed || blind {
            self.looks = 0;
            return self.refresh();
        }
        self.looks = self.looks.saturating_add(1);
        if self.looks.is_multiple_of(SEARCH_EVERY) && self.journal.is_some() {
            self.search()?;
        }
        Ok(Wake::Look)
    }

    fn close(&mut self) {
        self.journal = None;
        self.has_moved = false;
        self.may_repeat = false;
    }
}

/// Where to seek once the matches are set.
enum Anchor {
    Head,
    At(String),
    After(String),
}

/// Turns a start into a place, without matches, so that neither what comes in meanwhile nor a later
/// step of the clock can shift it.
fn anchor(journal: &mut Journal, start: &Start) -> io::Result<Anchor> {
    let since = match start {
        Start::After(position) => {
            let cursor = position.cursor.0.to_string();
            match journal.seek_cursor(&cursor) {
                Ok(()) => return Ok(Anchor::After(cursor)),
                // Not a cursor at all: a store of another version, or damaged.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => position.time,
                Err(error) => return Err(error),
            }
        }
        Start::Since(time) => *time,
    };
    journal.seek_realtime(since.usec())?;
    if journal.forward()? {
        return Ok(Anchor::At(journal.cursor()?));
    }
    journal.seek_tail()?;
    match journal.back()? {
        true => Ok(Anchor::After(journal.cursor()?)),
        false => Ok(Anchor::Head),
    }
}

fn closed() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOTCONN)
}

fn select(journal: &mut Journal, terms: &Terms) -> Result<(), JournalError> {
    for (index, group) in terms.iter().enumerate() {
        if index > 0 {
            journal.add_or().map_err(JournalError::Open)?;
        }
        for (field, value) in group {
            journal
                .add_match(field, value)
                .map_err(|source| JournalError::Select {
                    field: field.clone(),
                    value: value.clone(),
                    source,
                })?;
        }
    }
    Ok(())
}

/// Looks between two fresh searches: 32 ms under attack. A search takes some 80 µs, a look less than 1.
const SEARCH_EVERY: u32 = 8;
/// What libsystemd itself uses where inotify does not work.
const BLIND_PAUSE: Duration = Duration::from_secs(2);
