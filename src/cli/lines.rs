//! Lines as records, for trying filters on them.
//!
//! Comes in: lines of any bytes, of a file or typed by hand. Goes out: records, as the daemon would make
//! them of the same lines. For a filter that wants bare messages, what syslog puts before a message is
//! taken off.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::ops::Range;

use encoding_rs::Encoding;

use crate::engine::filter::date::{DateMemory, Dated, Dates};
use crate::engine::filter::{Filter, Text};
use crate::engine::record::Record;
use crate::engine::time::Timestamp;

/// Makes records of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    encoding: Option<&'static Encoding>,
    /// The filter wants messages: these find the date before one.
    dates: Option<(Dates, DateMemory)>,
    decoded: Vec<u8>,
}

/// What is longer is cut.
const LINE_MAX: u64 = 1024 * 1024;

impl Lines {
    /// For `filter`.
    pub(crate) fn new(filter: &Filter, encoding: Option<&'static Encoding>) -> Self {
        let spec = filter.spec();
        let dates = match spec.text {
            Text::Line => None,
            Text::Message => Dates::compile(&[], &spec.zone).ok(),
        };
        Self {
            encoding,
            dates: dates.map(|dates| (dates, DateMemory::default())),
            decoded: Vec::new(),
        }
    }

    /// The record that a line is; one without a date was written `now`.
    pub(crate) fn record<'a>(&'a mut self, line: &'a [u8], now: Timestamp) -> Record<'a> {
        let mut line = line;
        if let Some(encoding) = self.encoding {
            let (text, _) = encoding.decode_without_bom_handling(line);
            self.decoded.clear();
            self.decoded.extend_from_slice(text.as_bytes());
            line = &self.decoded;
        }
        let Some((dates, memory)) = &mut self.dates else {
            return dated(line, now);
        };
        let found = dates.find(memory, line, now).unwrap_or_default();
        let Some((message, pid)) = message(line, &found) else {
            return dated(line, now);
        };
        let message = line.get(message).unwrap_or(line);
        Record {
            time: found.time.unwrap_or(now),
            pid,
            message,
            line: message,
            is_dated: false,
        }
    }

    /// Hands `visit` a record of every line of `reader`.
    pub(crate) fn each<E>(
        &mut self,
        mut reader: impl BufRead,
        now: Timestamp,
        failed: impl Fn(io::Error) -> E,
        visit: &mut impl FnMut(&Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut part = reader.by_ref().take(LINE_MAX);
            part.read_until(b'\n', &mut line).map_err(&failed)?;
            if line.is_empty() {
                return Ok(());
            }
            match line.pop_if(|last| *last == b'\n') {
                Some(_) => drop(line.pop_if(|last| *last == b'\r')),
                None => drop(reader.skip_until(b'\n').map_err(&failed)?),
            }
            visit(&self.record(&line, now))?;
        }
    }
}

fn dated(line: &[u8], now: Timestamp) -> Record<'_> {
    Record {
        time: now,
        pid: None,
        message: line,
        line,
        is_dated: true,
    }
}

/// Where the message stands behind `DATE HOST IDENT[PID]: `, and the process; without a date only where
/// there is one.
fn message(line: &[u8], date: &Dated) -> Option<(Range<usize>, Option<u32>)> {
    let text = String::from_utf8_lossy(line.get(date.cut.end..)?);
    let Cow::Borrowed(text) = text else {
        return None;
    };
    let (_, rest) = text.trim_start().split_once(' ')?;
    let (ident, message) = rest.split_once(": ")?;
    let (name, process) = match ident.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((name, process)) => (name, Some(process.parse().ok()?)),
        None => (ident, None),
    };
    let has_header = !name.contains(' ') && (process.is_some() || date.time.is_some());
    has_header.then(|| (line.len() - message.len()..line.len(), process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::filter::FilterSpec;

    #[test]
    fn what_syslog_puts_before_a_message_is_taken_off() {
        let filter = Filter::compile(FilterSpec {
            text: Text::Message,
            ..FilterSpec::default()
        });
        let mut lines = Lines::new(&filter.unwrap(), None);
        for (line, message, pid) in [
            ("Nov 21 10:11:12 h sshd[7]: Failed: x", "Failed: x", Some(7)),
            ("2026-11-21T10:11:12Z h kernel: x", "x", None),
            ("h sshd[7]: Failed: x", "Failed: x", Some(7)),
            (
                "Failed password for root: x",
                "Failed password for root: x",
                None,
            ),
            ("User root: x", "User root: x", None),
        ] {
            let record = lines.record(line.as_bytes(), Timestamp::default());
            assert_eq!(record.message, message.as_bytes(), "{line}");
            assert_eq!(record.pid, pid, "{line}");
        }
    }

    #[test]
    fn lines_are_read_whatever_ends_them() {
        let filter = Filter::compile(FilterSpec::default()).unwrap();
        let mut lines = Lines::new(&filter, Some(encoding_rs::WINDOWS_1252));
        let mut seen = Vec::new();

        let read = lines.each(
            &b"a\r\n\n\xe4"[..],
            Timestamp::default(),
            |e| e,
            &mut |record| {
                seen.push(String::from_utf8_lossy(record.line).into_owned());
                Ok(())
            },
        );

        read.unwrap();
        assert_eq!(seen, ["a", "", "ä"]);
    }
}
