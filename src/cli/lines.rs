//! Lines as records, for trying filters on them.
//!
//! Comes in: a line of a file, or what stands for an entry of the journal. Goes out: a record, as the
//! daemon would make it of the line.

use crate::engine::record::Record;
use crate::engine::time::Timestamp;

/// A line.
#[derive(Debug)]
pub(crate) struct Lines {
    line: Vec<u8>,
    is_dated: bool,
}

impl Lines {
    /// Of a file, with a date.
    pub(crate) fn file(line: &[u8]) -> Self {
        Self {
            line: line.to_vec(),
            is_dated: true,
        }
    }

    /// Of the journal: `HOST IDENT[PID]: MESSAGE`, perhaps without all that.
    pub(crate) fn journal(prefix: &str, line: &[u8]) -> Self {
        Self {
            line: [prefix.as_bytes(), line].concat(),
            is_dated: false,
        }
    }

    /// The record that it is.
    pub(crate) fn record(&mut self, time: Timestamp) -> Record<'_> {
        Record {
            time,
            pid: None,
            message: &self.line,
            line: &self.line,
            is_dated: self.is_dated,
        }
    }
}
