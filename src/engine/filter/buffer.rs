//! The latest lines of a log, for patterns that want several of them (`maxlines`).
//!
//! Comes in: one line after the other. Goes out: all of them as one text, and, after a match, the lines
//! that took part in it, which are then gone. It never holds more than [`BYTES_MAX`], whatever the log's
//! writers send.

use std::collections::VecDeque;
use std::mem::take;
use std::ops::Range;

use crate::engine::time::Timestamp;

/// The latest lines, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    lines: VecDeque<Line>,
    bytes: usize,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// As it stands in the log, without a newline.
    pub(crate) whole: Box<[u8]>,
    /// What the patterns see of it, with a newline.
    pub(crate) text: Box<[u8]>,
    pub(crate) time: Timestamp,
}

impl Buffer {
    /// Adds a line and lets go of those that are too many.
    pub(crate) fn push(&mut self, max: usize, line: Line) {
        self.bytes = self.bytes.saturating_add(line.text.len());
        self.lines.push_back(line);
        while self.lines.len() > max || self.bytes > BYTES_MAX && self.lines.len() > 1 {
            let gone = self.lines.pop_front();
            let gone = gone.map_or(0, |line| line.text.len());
            self.bytes = self.bytes.saturating_sub(gone);
        }
    }

    /// All lines as one text.
    pub(crate) fn join(&self, text: &mut Vec<u8>) {
        text.clear();
        for line in &self.lines {
            text.extend(&line.text);
        }
    }

    /// Takes out the lines of which some part was `matched`, but none that was `skipped` whole. Both are
    /// places in the joined text.
    pub(crate) fn take(&mut self, matched: &Range<usize>, skipped: &[Range<usize>]) -> Vec<Line> {
        let mut end = 0_usize;
        let mut taken = Vec::new();
        for line in take(&mut self.lines) {
            let start = end;
            end = end.saturating_add(line.text.len());
            let is_skipped = skipped.iter().any(|s| s.start <= start && end <= s.end);
            if start < matched.end && matched.start < end && !is_skipped {
                self.bytes = self.bytes.saturating_sub(line.text.len());
                taken.push(line);
            } else {
                self.lines.push_back(line);
            }
        }
        taken
    }
}

/// Lines are at most 16 KiB each, and of interest are short ones.
const BYTES_MAX: usize = 128 * 1024;
