//! The failures of one offender in one jail, as a true sliding window.
//!
//! Comes in: failures. Goes out: how many count. A window never holds more than `maxretry` entries,
//! and its content is a function of the failures alone, never of when they were looked at.

use crate::engine::time::{Span, Timestamp};

/// The latest failures of one offender, in the order they were logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The failures.
    pub entries: Vec<Entry>,
    /// The latest lines that tell of them, at most `maxmatches`, each as [`cut`] leaves it.
    pub lines: Vec<Box<str>>,
    /// There were enough, and the verdict waits for answers. Such a window is never forgotten.
    pub is_due: bool,
}

/// One counted failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it happened.
    pub time: Timestamp,
    /// Set while it was counted in advance: the connection whose next failure is the same attempt.
    pub advance_of: Option<u32>,
}

impl Window {
    /// Counts `entry` and tells so, unless it was counted in advance on connection `pid`. Forgets
    /// what is older than `find_time` before it, unless there were enough already, and what exceeds the
    /// latest `max_retry`. An entry stamped later than the new one (the clock went back) stays: it did
    /// happen before.
    pub fn push(
        &mut self,
        entry: Entry,
        pid: Option<u32>,
        find_time: Span,
        max_retry: usize,
    ) -> bool {
        let oldest = entry.time.minus(find_time);
        self.entries.retain(|old| self.is_due || old.time > oldest);
        if self.entries.is_empty() {
            self.lines.clear();
        }
        let settled = |old: &&mut Entry| pid.is_some() && old.advance_of == pid;
        if entry.advance_of.is_none()
            && let Some(old) = self.entries.iter_mut().rev().find(settled)
        {
            old.advance_of = None;
            return false;
        }
        self.add(entry, max_retry);
        true
    }

    /// Counts `entry` once more.
    pub fn add(&mut self, entry: Entry, max_retry: usize) {
        self.entries.push(entry);
        let excess = self.entries.len().saturating_sub(max_retry);
        self.entries.drain(..excess);
    }

    /// Keeps `lines`, cut, and forgets what exceeds the latest `most`.
    pub fn note(&mut self, lines: &[Box<str>], most: usize) {
        let excess = lines.len().saturating_sub(most);
        self.lines
            .extend(lines.iter().skip(excess).map(|line| cut(line)));
        let excess = self.lines.len().saturating_sub(most);
        self.lines.drain(..excess);
    }

    /// How many bytes its lines take.
    #[must_use]
    pub fn line_bytes(&self) -> usize {
        self.lines.iter().map(|line| line.len()).sum()
    }

    /// How many failures are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// The earliest failure in it.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.time).min()
    }

    /// The latest failure in it.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.time).max()
    }

    /// The same failures after the wall clock was set by `step` microseconds.
    pub fn shift(&mut self, step: i64) {
        for entry in &mut self.entries {
            entry.time = entry.time.shifted(step);
        }
    }
}

/// A line as it is remembered: its first [`LINE_MAX`] bytes, every control character a blank, so that it
/// is one line on every screen.
#[must_use]
pub fn cut(line: &str) -> Box<str> {
    let mut kept = String::new();
    for letter in line.chars() {
        if kept.len() + letter.len_utf8() > LINE_MAX {
            break;
        }
        kept.push(if letter.is_control() { ' ' } else { letter });
    }
    kept.into()
}

/// So much is remembered of a line.
pub const LINE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes failures at these seconds and returns the counts; a find time of 600 s, 3 retries.
    fn counts(seconds: &[u64]) -> Vec<u32> {
        let mut window = Window::default();
        let push = |&second: &u64| {
            window.push(plain(second), None, Span::from_secs(600), 3);
            window.count()
        };
        seconds.iter().map(push).collect()
    }

    fn plain(second: u64) -> Entry {
        Entry {
            time: Timestamp::from_usec(second * 1_000_000),
            advance_of: None,
        }
    }

    #[test]
    fn only_failures_within_findtime_count() {
        for (seconds, expected) in [
            (vec![1000, 1001, 1002], vec![1, 2, 3]),
            (vec![1000, 1599, 1600], vec![1, 2, 2]),
            (vec![1000, 1300, 1700, 1800], vec![1, 2, 2, 3]),
            (vec![1000, 1001, 1002, 1003], vec![1, 2, 3, 3]),
        ] {
            assert_eq!(counts(&seconds), expected, "{seconds:?}");
        }
    }

    #[test]
    fn failures_before_a_clock_step_back_still_count() {
        assert_eq!(counts(&[100_000, 100_001, 13_600]), [1, 2, 3]);
    }

    #[test]
    fn the_latest_lines_are_kept_cut_and_harmless() {
        let mut window = Window::default();
        let long = format!("{}é", "x".repeat(LINE_MAX - 1));
        for lines in [&["one", "two\x1b[2J"][..], &[&long], &[]] {
            let lines: Vec<Box<str>> = lines.iter().map(|line| (*line).into()).collect();
            window.note(&lines, 2);
        }

        assert_eq!(
            window.lines,
            ["two [2J".into(), "x".repeat(LINE_MAX - 1).into()]
        );
        assert_eq!(window.line_bytes(), 7 + LINE_MAX - 1);
        window.note(&["three".into(), "four".into()], 0);
        assert!(window.lines.is_empty());
    }

    #[test]
    fn an_attempt_counted_in_advance_counts_once() {
        let mut window = Window::default();
        let mut push = |second, advance_of, pid| {
            let entry = Entry {
                advance_of,
                ..plain(second)
            };
            window.push(entry, pid, Span::from_secs(600), 9);
            window.count()
        };

        assert_eq!(push(1000, Some(7), Some(7)), 1, "unknown user");
        assert_eq!(
            push(1002, None, Some(7)),
            1,
            "the wrong password of that attempt"
        );
        assert_eq!(push(1004, None, Some(7)), 2, "a second wrong password");
        assert_eq!(
            push(1005, Some(8), Some(8)),
            3,
            "unknown user on another connection"
        );
        assert_eq!(push(1006, None, Some(9)), 4, "a third connection");
        assert_eq!(push(1007, None, None), 5, "a source that knows no process");
    }
}
