//! Entries from a file in `journalctl -o export` form, as a [`LogSource`]: for tests, benchmarks and
//! `banishctl filter test`.
//!
//! Comes in: bytes of any kind. Goes out: the same entries, to the same selector, as from the journal.
//! It must never hold more than one field's bytes and never trust a length it reads.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use crate::engine::record::{Cursor, Record};
use crate::engine::time::Timestamp;
use crate::journal::matches::Selector;
use crate::journal::terms::Terms;
use crate::journal::{JournalError, LogSource, Start, Wake};

/// Shows every entry that concerns some jail to `each`, to the end; returns how many entries there
/// were in all. For any source, open already.
///
/// # Errors
/// As [`LogSource::next`].
pub fn replay<S: LogSource>(
    source: &mut S,
    selector: &mut Selector,
    mut each: impl FnMut(&Record<'_>, &[usize]),
) -> Result<u64, JournalError> {
    let mut entries = 0_u64;
    while let Some(time) = source.next(selector)? {
        entries = entries.saturating_add(1);
        let (record, jails) = selector.record(time);
        if !jails.is_empty() {
            each(&record, jails);
        }
    }
    Ok(entries)
}

/// An export file, or its bytes.
#[derive(Debug)]
pub struct Script<R> {
    input: R,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are done with.
    done: usize,
    /// Where `buffer` begins in the file.
    offset: u64,
    is_whole: bool,
    since: Timestamp,
    /// Of the last entry.
    cursor: String,
    time: Timestamp,
}

impl<R: Read + Seek> Script<R> {
    /// Reads nothing yet.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            done: 0,
            offset: 0,
            is_whole: false,
            since: Timestamp::default(),
            cursor: String::new(),
            time: Timestamp::default(),
        }
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(0))?;
        self.buffer.clear();
        (self.done, self.offset, self.is_whole) = (0, 0, false);
        Ok(())
    }

    /// Reads one entry whatever its time; false at the end.
    fn entry(&mut self, selector: &mut Selector) -> Result<bool, JournalError> {
        selector.begin();
        let begin = self.place();
        self.cursor = format!("offset={begin}");
        self.time = Timestamp::default();
        let mut is_empty = true;
        loop {
            match self.step(selector) {
                Step::Field => is_empty = false,
                Step::End if is_empty => {}
                Step::End => return Ok(true),
                Step::Incomplete if self.fill()? => {}
                // The last entry need not be followed by an empty line.
                Step::Incomplete if self.done == self.buffer.len() => return Ok(!is_empty),
                Step::Incomplete | Step::Invalid => {
                    return Err(JournalError::Export {
                        offset: self.place(),
                    });
                }
            }
        }
    }

    /// Takes one token from the buffer.
    fn step(&mut self, selector: &mut Selector) -> Step {
        let (step, length) = match token(self.buffer.get(self.done..).unwrap_or_default()) {
            Token::Field {
                name,
                value,
                length,
            } => {
                let text = || std::str::from_utf8(value).unwrap_or_default();
                match name {
                    b"__CURSOR" => text().clone_into(&mut self.cursor),
                    b"__REALTIME_TIMESTAMP" => {
                        self.time = Timestamp::from_usec(text().parse().unwrap_or_default());
                    }
                    _ => {
                        let _ = selector.take(name, value);
                    }
                }
                (Step::Field, length)
            }
            Token::End => (Step::End, 1),
            Token::Incomplete => (Step::Incomplete, 0),
            Token::Invalid => (Step::Invalid, 0),
        };
        self.done = self.done.saturating_add(length);
        step
    }

    /// Reads on; false at the end of the file, and when one field is too long.
    fn fill(&mut self) -> Result<bool, JournalError> {
        if self.is_whole {
            return Ok(false);
        }
        let done = self.done.min(self.buffer.len());
        if self.buffer.len().saturating_sub(done) > FIELD_MAX {
            return Ok(false);
        }
        self.offset = self.place();
        self.buffer.drain(..done);
        self.done = 0;
        let more = u64::try_from(self.buffer.len().max(CHUNK)).unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(more).read_to_end(&mut self.buffer);
        self.is_whole = read.map_err(JournalError::Read)? == 0;
        Ok(!self.is_whole)
    }

    fn place(&self) -> u64 {
        self.offset
            .saturating_add(u64::try_from(self.done).unwrap_or(u64::MAX))
    }
}

impl<R: Read + Seek> LogSource for Script<R> {
    fn open(&mut self, start: &Start, _terms: &Terms) -> Result<(), JournalError> {
        self.rewind().map_err(JournalError::Open)?;
        self.since = match start {
            Start::Since(time) => *time,
            Start::After(position) => {
                let mut nobody = Selector::default();
                while self.entry(&mut nobody)? {
                    if *self.cursor == *position.cursor.0 {
                        self.since = Timestamp::default();
                        return Ok(());
                    }
                }
                self.rewind().map_err(JournalError::Open)?;
                position.time
            }
        };
        Ok(())
    }

    fn next(&mut self, selector: &mut Selector) -> Result<Option<Timestamp>, JournalError> {
        while self.entry(selector)? {
            if self.time >= self.since {
                return Ok(Some(self.time));
            }
        }
        Ok(None)
    }

    fn cursor(&mut self) -> Result<Cursor, JournalError> {
        Ok(Cursor(self.cursor.as_str().into()))
    }

    fn wait(&mut self, _pause: Option<Duration>) -> Result<Wake, JournalError> {
        Ok(Wake::Ended)
    }

    fn close(&mut self) {}
}

/// A token that has been taken.
enum Step {
    Field,
    End,
    Incomplete,
    Invalid,
}

/// What an export begins with.
#[derive(Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A field, in the first `length` bytes.
    Field {
        /// Its name, never empty.
        name: &'a [u8],
        /// Its value, any bytes.
        value: &'a [u8],
        /// Of both, with what is around them.
        length: usize,
    },
    /// An empty line: the end of an entry.
    End,
    /// The beginning of a field, or nothing.
    Incomplete,
    /// Nothing that an export could hold.
    Invalid,
}

/// The first token of `input`: `NAME=value` and a newline; or `NAME`, a newline, the value's length in
/// eight bytes, the value and a newline; or an empty line.
#[must_use]
pub fn token(input: &[u8]) -> Token<'_> {
    // A name is short, so what has no end soon is no field.
    let head = input.iter().position(|b| matches!(b, b'=' | b'\n'));
    let Some(head) = head else {
        return match input.len() > NAME_MAX {
            true => Token::Invalid,
            false => Token::Incomplete,
        };
    };
    let (name, rest) = input.split_at(head);
    match (name.len(), rest.split_first()) {
        (0, Some((b'\n', _))) => Token::End,
        (1..=NAME_MAX, Some((b'=', rest))) => text(name, rest),
        (1..=NAME_MAX, Some((b'\n', rest))) => binary(name, rest),
        _ => Token::Invalid,
    }
}

fn text<'a>(name: &'a [u8], rest: &'a [u8]) -> Token<'a> {
    let Some(end) = rest.iter().position(|b| *b == b'\n') else {
        return Token::Incomplete;
    };
    Token::Field {
        name,
        value: rest.get(..end).unwrap_or_default(),
        length: name.len().saturating_add(end).saturating_add(2),
    }
}

fn binary<'a>(name: &'a [u8], rest: &'a [u8]) -> Token<'a> {
    let Some((size, rest)) = rest.split_first_chunk() else {
        return Token::Incomplete;
    };
    let size = match usize::try_from(u64::from_le_bytes(*size)) {
        Ok(size) if size <= FIELD_MAX => size,
        _ => return Token::Invalid,
    };
    match (rest.get(..size), rest.get(size)) {
        (Some(value), Some(b'\n')) => Token::Field {
            name,
            value,
            length: name.len().saturating_add(size).saturating_add(10),
        },
        (Some(_), Some(_)) => Token::Invalid,
        _ => Token::Incomplete,
    }
}

const CHUNK: usize = 64 * 1024;
/// Far beyond any log line; an attached core dump is refused.
const FIELD_MAX: usize = 64 * 1024 * 1024;
/// journald's own limit.
const NAME_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::io::Cursor as Bytes;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::record::Position;

    fn script(text: impl AsRef<[u8]>) -> Script<Bytes<Vec<u8>>> {
        Script::new(Bytes::new(text.as_ref().to_vec()))
    }

    fn times(script: &mut Script<Bytes<Vec<u8>>>, start: &Start) -> Vec<u64> {
        let mut selector = Selector::default();
        script.open(start, &Terms::new()).unwrap();
        std::iter::from_fn(|| script.next(&mut selector).unwrap())
            .map(Timestamp::usec)
            .collect()
    }

    #[test]
    fn tokens_are_told_apart() {
        let field = |name: &'static [u8], value: &'static [u8], length| Token::Field {
            name,
            value,
            length,
        };
        for (input, expected) in [
            (&b"A=b=c\nX"[..], field(b"A", b"b=c", 6)),
            (b"A=\n", field(b"A", b"", 3)),
            (
                b"A\n\x02\0\0\0\0\0\0\0\n\xff\nX",
                field(b"A", b"\n\xff", 13),
            ),
            (b"\nX", Token::End),
            (b"", Token::Incomplete),
            (b"A=b", Token::Incomplete),
            (b"A\n\x02\0\0\0\0\0\0\0ab", Token::Incomplete),
            (b"A\n\x02\0\0", Token::Incomplete),
            (b"=b\n", Token::Invalid),
            (b"A\n\x01\0\0\0\0\0\0\0ab", Token::Invalid),
            (b"A\n\xff\xff\xff\xff\xff\xff\xff\xffab", Token::Invalid),
            (&[b'A'; NAME_MAX + 1], Token::Invalid),
        ] {
            assert_eq!(token(input), expected, "{input:?}");
        }
    }

    #[test]
    fn reading_begins_where_it_is_told() {
        let text = "\n__CURSOR=a\n__REALTIME_TIMESTAMP=10\n\n\n\
                    __CURSOR=b\n__REALTIME_TIMESTAMP=20\n\n\
                    __CURSOR=c\n__REALTIME_TIMESTAMP=20\n\n\
                    __REALTIME_TIMESTAMP=30\n";
        let after = |cursor: &str, time| {
            Start::After(Position {
                cursor: Cursor(cursor.into()),
                time: Timestamp::from_usec(time),
            })
        };
        let mut script = script(text);

        for (start, expected) in [
            (Start::Since(Timestamp::default()), &[10, 20, 20, 30][..]),
            (Start::Since(Timestamp::from_usec(11)), &[20, 20, 30]),
            (after("b", 20), &[20, 30]),
            (after("vanished", 15), &[20, 20, 30]),
        ] {
            assert_eq!(times(&mut script, &start), expected, "{start:?}");
        }
    }

    #[test]
    fn what_is_no_export_is_refused_at_its_place() {
        let mut script = script("A=b\n\nnonsense");
        script
            .open(&Start::Since(Timestamp::default()), &Terms::new())
            .unwrap();
        let mut selector = Selector::default();

        assert!(script.next(&mut selector).unwrap().is_some());
        assert!(matches!(
            script.next(&mut selector),
            Err(JournalError::Export { offset: 5 })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Token::Field { name, value, length } = token(&bytes) {
                prop_assert!(!name.is_empty() && name.len() + value.len() < length);
                prop_assert!(length <= bytes.len());
            }
            let mut script = script(&bytes);
            let mut selector = Selector::default();
            let _ = script.open(&Start::Since(Timestamp::default()), &Terms::new());
            let mut entries = 0;
            while let Ok(Some(_)) = script.next(&mut selector) {
                entries += 1;
                prop_assert!(entries <= bytes.len());
            }
        }

        #[test]
        fn any_value_survives_an_export(value in proptest::collection::vec(any::<u8>(), 0..200_000)) {
            let mut text = b"MESSAGE\n".to_vec();
            text.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
            text.extend(&value);
            text.extend(b"\n\n");
            let mut script = script(text);
            let mut selector = Selector::new([]);

            prop_assert!(script.next(&mut selector).unwrap().is_some());

            let (record, _) = selector.record(Timestamp::default());
            let kept = value.len().min(crate::engine::record::MESSAGE_MAX);
            prop_assert_eq!(record.message, &value[..kept]);
            prop_assert!(script.next(&mut selector).unwrap().is_none());
        }
    }
}
