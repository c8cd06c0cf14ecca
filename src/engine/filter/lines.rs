//! The lines that tell of a failure, for people.
//!
//! Comes in: one line after the other. Goes out: the latest of them as text. It never holds more of them
//! than the jail wants to see, nor long ones whole.

use std::borrow::Cow;
use std::collections::VecDeque;

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::engine::time::Timestamp;

/// The latest lines, and how many there were in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    kept: VecDeque<Box<str>>,
    pub(crate) count: usize,
}

impl Lines {
    /// Adds a line.
    pub(crate) fn push(&mut self, max: usize, line: impl FnOnce() -> String) {
        self.count = self.count.saturating_add(1);
        if max > 0 {
            self.kept.push_back(line().into());
            self.limit(max);
        }
    }

    /// Puts `later` behind these.
    pub(crate) fn append(&mut self, max: usize, mut later: Self) {
        self.count = self.count.saturating_add(later.count);
        match self.kept.is_empty() {
            true => self.kept = later.kept,
            false => self.kept.append(&mut later.kept),
        }
        self.limit(max);
    }

    /// Oldest first.
    pub(crate) fn into_vec(self) -> Vec<Box<str>> {
        self.kept.into()
    }

    fn limit(&mut self, max: usize) {
        self.kept.drain(..self.kept.len().saturating_sub(max));
    }
}

/// A line as text. One that has no date of its own gets one, in the local time that people expect:
/// `2026-11-22T09:05:54.073000 host sshd[7]: …`.
pub(crate) fn render(line: &[u8], undated: Option<(Timestamp, &TimeZone)>) -> String {
    let line = line.get(..LINE_MAX).unwrap_or(line);
    // The check is faster than the replacement, and nearly every line passes it.
    let line = str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    match undated.and_then(|(time, zone)| local(time, zone)) {
        Some(time) => format!("{} {line}", time.strftime("%Y-%m-%dT%H:%M:%S.%6f")),
        None => line.into_owned(),
    }
}

/// A time as the clocks of a zone show it.
pub(crate) fn local(time: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let time = i64::try_from(time.usec()).ok()?;
    let time = jiff::Timestamp::from_microsecond(time).ok()?;
    Some(time.to_zoned(zone.clone()))
}

/// Enough for any line that somebody wants to read in a mail.
const LINE_MAX: usize = 1024;
