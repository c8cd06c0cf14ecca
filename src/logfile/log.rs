//! One log: a path, the file that has it, and files that had it.
//!
//! Comes in: that something may have changed. Goes out: pieces, in the order in which they were written. The
//! rest of a file that was put away is read to its end before the next one begins; what is written to it
//! even later, by a service that has not been told yet, is read as it comes.

use std::fs;
use std::io;
use std::mem::take;
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;

use crate::engine::filter::Memory;
use crate::engine::record::{LogName, Position};
use crate::engine::time::Timestamp;
use crate::logfile::place::{FileId, Place, from_cursor, to_cursor};
use crate::logfile::rotation::{follow, packed_otherwise};
use crate::logfile::tail::{Piece, Tail};
use crate::logfile::trouble;
use crate::sys::clock;
use crate::sys::filesystem::refresh;
use crate::sys::inotify::Watch;

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    /// Where that leads.
    pub(crate) real: PathBuf,
    pub(crate) name: LogName,
    /// Who reads it, by their places among the tasks, and what their filters remember of it.
    pub(crate) readers: Vec<(usize, Memory)>,
    pub(crate) encoding: Option<&'static Encoding>,
    /// It is looked at every second because a jail wants that …
    pub(crate) polls: bool,
    /// … or because the kernel does not tell of its changes.
    pub(crate) is_mute: bool,
    /// It is among those to look at.
    pub(crate) is_due: bool,
    /// It was read to its end once: what comes now has just been written.
    pub(crate) is_live: bool,
    /// Nothing was known of it when it was opened: what is older than its jails look back is skipped.
    pub(crate) is_new: bool,
    /// The time that reading has reached.
    pub(crate) reached: Timestamp,
    /// Bytes read since the last report, and when that was.
    pub(crate) unreported: u64,
    pub(crate) reported: Timestamp,
    pub(crate) watches: Vec<(FileId, Watch)>,
    /// The file that had the path before, and since when it has it no more.
    old: Option<(Tail, u64)>,
    current: Option<Tail>,
    /// Where to go on when nothing is open, after an error.
    lost: Option<Place>,
    /// What nobody will read.
    missed: Vec<String>,
}

/// What a look at a log brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// So many bytes are in the buffer, of this file.
    Piece(Which, usize),
    /// Other files are open now; look again.
    Moved,
    /// Nothing more for now.
    End,
}

/// One of a log's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that had the path before.
    Old,
    /// The one that is being read.
    Current,
}

/// Where reading begins in a log of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At the first line.
    Head,
    /// After the last one.
    Tail,
}

impl Log {
    /// Opens the file at `path`, or what had the path when reading had come to `known`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(path: &Path, known: Option<&Position>, begin: Begin) -> io::Result<Self> {
        let mut places = known.map(|p| from_cursor(&p.cursor)).unwrap_or_default();
        let mut log = Self {
            path: path.to_owned(),
            real: path.to_owned(),
            name: LogName::of_file(path),
            readers: Vec::new(),
            encoding: None,
            polls: false,
            is_mute: false,
            is_due: false,
            is_live: false,
            is_new: places.is_empty(),
            reached: known.map(|position| position.time).unwrap_or_default(),
            unreported: 0,
            reported: Timestamp::default(),
            watches: Vec::new(),
            old: None,
            current: None,
            lost: None,
            missed: Vec::new(),
        };
        match places.pop() {
            Some(place) => {
                log.current = follow(path, &place)?.into_iter().next();
                log.note_what_is_missed(&place);
                let since = clock::monotonic();
                let old = places
                    .pop()
                    .and_then(|old| Some((old, follow(path, &old).ok()?)));
                log.old = old.and_then(|(place, tails)| {
                    let tail = tails.into_iter().next()?;
                    let is_another = log.current.as_ref().is_none_or(|t| t.id != tail.id);
                    (tail.id.inode == place.id.inode && is_another).then_some((tail, since))
                });
            }
            None => {
                let mut tail = Tail::open(path)?;
                if begin == Begin::Tail {
                    tail.seek_end()?;
                }
                log.current = Some(tail);
            }
        }
        Ok(log)
    }

    /// What there is to read now, of one file. `buffer` takes it.
    ///
    /// # Errors
    /// The log cannot be read; the next look tries again.
    pub(crate) fn look(&mut self, buffer: &mut [u8]) -> io::Result<Look> {
        if let Some(place) = self.lost {
            self.current = follow(&self.path, &place)?.into_iter().next();
            self.lost = None;
            self.note_what_is_missed(&place);
            return Ok(Look::Moved);
        }
        if let Some(look) = self.look_at_old(buffer) {
            return Ok(look);
        }
        if self.polls() {
            self.tails().for_each(|tail| refresh(&tail.file));
        }
        let Some(tail) = &mut self.current else {
            // Nothing had the path a moment ago.
            return match Tail::open(&self.path) {
                Ok(tail) => {
                    self.current = Some(tail);
                    Ok(Look::Moved)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Look::End),
                Err(error) => Err(error),
            };
        };
        match tail.read(buffer, self.encoding)? {
            Piece::Some(count) => {
                let is_next = match &self.old {
                    Some((old, _)) if !tail.has_moved() => next(&self.path, old)?,
                    _ => None,
                };
                match is_next.filter(|next| next.id != tail.id) {
                    // It was copied and truncated before any of it was read.
                    Some(next) => self.current = Some(next),
                    None => return Ok(Look::Piece(Which::Current, count)),
                }
                return Ok(Look::Moved);
            }
            Piece::End => {}
            Piece::Far => return Ok(Look::Moved),
            Piece::Truncated => {
                let place = tail.place();
                self.current = follow(&self.path, &place)?.into_iter().next();
                self.old = None;
                return Ok(Look::Moved);
            }
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if FileId::of(&metadata) != tail.id => {}
            Ok(_) => return Ok(Look::End),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::End),
            Err(error) => return Err(error),
        }
        let Some(next) = next(&self.path, tail)? else {
            return Ok(Look::End);
        };
        // To what is a copy, or has been packed, nobody writes.
        let is_done = next.has_moved() || tail.is_packed();
        if let Some(why) = tail.take_broken() {
            self.missed.push(trouble::broken(&self.path, &why));
        }
        let since = clock::monotonic();
        self.old = self.current.replace(next).map(|tail| (tail, since));
        self.old.take_if(|_| is_done);
        Ok(Look::Moved)
    }

    /// What nobody will read, each once.
    pub(crate) fn take_missed(&mut self) -> Vec<String> {
        take(&mut self.missed)
    }

    /// Whether what was being read at `place` is still there, in whatever form, is known now.
    fn note_what_is_missed(&mut self, place: &Place) {
        let is_there = |tail: &Tail| tail.place().offset == place.offset;
        if place.offset > 0 && !self.current.as_ref().is_some_and(is_there) {
            let packed = packed_otherwise(&self.path, self.reached);
            let text = trouble::missed(&self.path, place.offset, packed.as_deref());
            self.missed.push(text);
        }
    }

    /// After an error: everything is opened anew at the next look.
    pub(crate) fn lose(&mut self) {
        if let Some(tail) = self.current.take() {
            self.lost = Some(tail.place());
        }
        self.old = None;
    }

    pub(crate) fn tail(&mut self, which: Which) -> Option<&mut Tail> {
        match which {
            Which::Old => self.old.as_mut().map(|(tail, _)| tail),
            Which::Current => self.current.as_mut(),
        }
    }

    /// The files that are open.
    pub(crate) fn tails(&self) -> impl Iterator<Item = &Tail> {
        let old = self.old.iter().map(|(tail, _)| tail);
        old.chain(&self.current)
    }

    /// Where reading goes on; `None` where that is not known.
    pub(crate) fn position(&self) -> Option<Position> {
        let old = self.old.iter().map(|(tail, _)| tail.place());
        let current = self.current.as_ref().map(Tail::place).or(self.lost);
        let mut places = old.chain(current).peekable();
        places.peek()?;
        Some(Position {
            cursor: to_cursor(places),
            time: self.reached,
        })
    }

    /// Whether it is looked at every second.
    pub(crate) fn polls(&self) -> bool {
        self.polls || self.is_mute
    }

    /// Whether what is being read has no name any more.
    pub(crate) fn is_deleted(&self) -> bool {
        self.current.as_ref().is_none_or(Tail::is_deleted)
    }

    fn look_at_old(&mut self, buffer: &mut [u8]) -> Option<Look> {
        let (tail, since) = self.old.as_mut()?;
        match tail.read(buffer, self.encoding) {
            Ok(Piece::Some(count)) => Some(Look::Piece(Which::Old, count)),
            Ok(Piece::Far) => Some(Look::Moved),
            Ok(Piece::End)
                if !tail.is_deleted() && clock::monotonic().saturating_sub(*since) < LINGER =>
            {
                None
            }
            _ => {
                self.old = None;
                Some(Look::Moved)
            }
        }
    }
}

/// What is to be read after `tail`. Only the next one: by the time it is read there may be others behind it.
fn next(path: &Path, tail: &Tail) -> io::Result<Option<Tail>> {
    let tails = follow(path, &tail.place())?;
    // What was packed was whole.
    let is_same = |next: &Tail| next.is_packed() && next.place().head == tail.place().head;
    let mut others = tails.into_iter();
    Ok(others.find(|next| next.id != tail.id && !is_same(next)))
}

/// How long a service may go on writing to a file that was put away, in microseconds. It is looked at only
/// when the log is, so nothing wakes for it.
const LINGER: u64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_not_there_is_read_from_its_head_once_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let known = Log::open(&path, None, Begin::Tail).unwrap().position();
        fs::remove_file(&path).unwrap();
        let mut log = Log::open(&path, known.as_ref(), Begin::Head).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(log.look(&mut buffer).unwrap(), Look::End);

        fs::write(&path, "after\n").unwrap();

        assert_eq!(log.look(&mut buffer).unwrap(), Look::Moved);
        let piece = Look::Piece(Which::Current, 6);
        assert_eq!(log.look(&mut buffer).unwrap(), piece);
    }
}
