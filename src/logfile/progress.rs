//! How a log gets on: where it begins, what its filters remember from before, what is reported when.
//!
//! Comes in: a log that was just opened, or of which something was read. Goes out: a place, memories, words
//! for the daemon. It never reads backwards beyond a bound.

use std::os::unix::fs::FileExt;

use crate::engine::filter::Look;
use crate::engine::filter::failure::Failure;
use crate::engine::record::Record;
use crate::engine::time::{Span, Timestamp};
use crate::logfile::lines::{Decoder, Lines, Unit};
use crate::logfile::log::{Log, Which};
use crate::logfile::tail::Tail;
use crate::reader::task::{DAY, Task};
use crate::reader::{Hangup, Heard, Outlet};

impl Log {
    /// Skips most of what is older than any of its jails looks back, by the dates in the lines.
    pub(crate) fn seek(&mut self, tasks: &[Task], now: Timestamp) {
        let readers = self.readers.iter().filter_map(|(i, _)| tasks.get(*i));
        let readers: Vec<&Task> = readers.collect();
        let (encoding, since) = (self.encoding, self.reached);
        let Some(tail) = self.tail(Which::Current) else {
            return;
        };
        if Unit::of(tail.encoding(encoding)) != Unit::Byte {
            return;
        }
        let date = |line: &[u8]| readers.iter().find_map(|task| task.filter.date(line, now));
        let offset = first_since(tail, since, date);
        if offset > 0 {
            // Where that cannot be read nothing can; the next look tells.
            let _ = tail.seek_to(offset);
        }
    }

    /// Reads what led up to the place once more, for the filters that remember something of it: a
    /// failure may take several lines, and only some of them lie ahead.
    pub(crate) fn warm_up(&mut self, tasks: &[Task], now: Timestamp) {
        let has_memory = |(index, _): &(usize, _)| {
            let task: Option<&Task> = tasks.get(*index);
            task.is_some_and(|task| task.filter.has_memory())
        };
        let is_cold = self.readers.iter().any(has_memory);
        let wanted = self.encoding;
        let Some(tail) = self.tail(Which::Current).filter(|_| is_cold) else {
            return;
        };
        if tail.is_packed() {
            // To unpack all of it for that is not worth the while.
            return;
        }
        let end = tail.place().offset;
        let begin = end.saturating_sub(WARM);
        let encoding = tail.encoding(wanted);
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or(0)];
        if tail.file.read_exact_at(&mut bytes, begin).is_err() {
            // To remember nothing is better than to be deaf.
            return;
        }
        let mut decoder = Decoder::default();
        for line in Lines::new(&bytes, Unit::of(encoding), begin > 0) {
            let text = decoder.decode(line, encoding);
            for (index, memory) in &mut self.readers {
                if let Some(task) = tasks.get(*index).filter(|task| task.filter.has_memory()) {
                    let _ = task.judge(memory, &record(now, text), look(now, false, DAY));
                }
            }
        }
    }

    pub(crate) fn advance(&mut self, which: Which, bytes: Option<&[u8]>, is_within: bool) {
        let bytes = bytes.unwrap_or_default();
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.unreported = self.unreported.saturating_add(count);
        if let Some(tail) = self.tail(which) {
            tail.advance(bytes, is_within);
        }
    }

    /// Chatter without failures is reported now and then, only to move the position on.
    pub(crate) fn is_worth_telling(&self, now: Timestamp) -> bool {
        let is_late = now.since(self.reported) >= CHATTER_TIME;
        self.unreported >= CHATTER || (self.unreported > 0 && is_late)
    }

    pub(crate) fn report(
        &mut self,
        now: Timestamp,
        failures: Vec<Failure>,
        outlet: &mut impl Outlet,
    ) -> Result<(), Hangup> {
        let latest = failures.iter().map(|failure| failure.time.min(now)).max();
        self.reached = match self.is_live {
            true => now,
            false => self.reached.max(latest.unwrap_or_default()),
        };
        self.unreported = 0;
        self.reported = now;
        let Some(position) = self.position() else {
            return Ok(());
        };
        outlet.send(Heard::Progress {
            log: self.name.clone(),
            failures,
            position,
        })
    }
}

/// A line as a record.
pub(crate) fn record(now: Timestamp, text: &[u8]) -> Record<'_> {
    Record {
        time: now,
        pid: None,
        message: text,
        line: text,
        is_dated: true,
    }
}

/// How a line is looked at.
pub(crate) fn look(now: Timestamp, is_live: bool, find_time: Span) -> Look {
    Look {
        now,
        is_live,
        find_time,
        ..Look::default()
    }
}

/// The beginning of a line before which no line is as late as `since`, as close to the first that is as is
/// worth the reading. Lines stand in the order of their dates; those without one tell nothing.
fn first_since(tail: &Tail, since: Timestamp, date: impl Fn(&[u8]) -> Option<Timestamp>) -> u64 {
    let mut buffer = vec![0; WINDOW];
    let (mut from, mut to) = (0, tail.file.metadata().map_or(0, |metadata| metadata.len()));
    while to.saturating_sub(from) > NEAR {
        let middle = from.midpoint(to);
        let count = tail.file.read_at(&mut buffer, middle).unwrap_or(0);
        let bytes = buffer.get(..count).unwrap_or_default();
        // The first line begins after the rest of another.
        let mut lines = Lines::new(bytes, Unit::Byte, true);
        match lines.by_ref().find_map(&date) {
            Some(time) if time < since => {
                let done = u64::try_from(lines.done).unwrap_or(0);
                from = middle.saturating_add(done);
            }
            Some(_) => to = middle,
            None => return from,
        }
    }
    from
}

/// So much is read again for the memory of filters.
const WARM: u64 = 1024 * 1024;
const CHATTER: u64 = 4 * 1024 * 1024;
const CHATTER_TIME: Span = Span::from_secs(5);
/// So much is looked through for a date.
const WINDOW: usize = 64 * 1024;
/// So much is read rather than searched.
const NEAR: u64 = 256 * 1024;
