//! One journal entry, as much of it as records need, and the line that a syslog daemon would make of it.
//!
//! Comes in: fields. Goes out: texts, cut where they are long. The buffers are kept from entry to entry.

use std::io::Write;

use crate::engine::record::MESSAGE_MAX;

/// What was seen of the current entry.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// All `MESSAGE`s, a space between two.
    messages: Vec<u8>,
    /// So much of `messages` is the first.
    first: usize,
    pub(crate) pid: Option<u32>,
    pub(crate) dropped: u64,
    pub(crate) unit: Vec<u8>,
    host: Vec<u8>,
    identifier: Vec<u8>,
    command: Vec<u8>,
    syslog_pid: Vec<u8>,
    uptime: Option<u64>,
    line: Vec<u8>,
}

impl Entry {
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.first = 0;
        self.pid = None;
        self.dropped = 0;
        self.unit.clear();
        self.host.clear();
        self.identifier.clear();
        self.command.clear();
        self.syslog_pid.clear();
        self.uptime = None;
        self.line.clear();
    }

    /// Keeps one of [`KEPT`] or [`OF_LINES`], the first of its name.
    pub(crate) fn keep(&mut self, name: &[u8], value: &[u8]) {
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        let short = value.get(..SHORT_MAX).unwrap_or(value);
        match std::str::from_utf8(name).unwrap_or_default() {
            MESSAGE => {
                self.keep_more(value);
                self.first = self.messages.len();
            }
            PID => self.pid = number().and_then(|n| u32::try_from(n).ok()),
            DROPPED => self.dropped = number().unwrap_or(0),
            OF_UNIT => self.unit.extend(short),
            HOST => self.host.extend(short),
            IDENTIFIER => self.identifier.extend(short),
            COMMAND => self.command.extend(short),
            SYSLOG_PID => self.syslog_pid.extend(short),
            SOURCE_UPTIME => self.uptime = number(),
            UPTIME => self.uptime = self.uptime.or_else(number),
            _ => {}
        }
    }

    /// Keeps a further `MESSAGE`.
    pub(crate) fn keep_more(&mut self, value: &[u8]) {
        if self.first > 0 {
            self.messages.push(b' ');
        }
        let room = MESSAGE_MAX.saturating_sub(self.messages.len());
        self.messages.extend(value.get(..room).unwrap_or(value));
    }

    /// The first `MESSAGE`.
    pub(crate) fn message(&self) -> &[u8] {
        self.messages.get(..self.first).unwrap_or_default()
    }

    /// What [`Entry::render`] made.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Makes the line: `HOST IDENT[PID]: MESSAGE`, parts that are not there left out; the kernel's entries
    /// also have their `[   12.345678]`. A newline becomes the two characters `\n`.
    pub(crate) fn render(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        line.extend(&self.host);
        if !self.name().is_empty() {
            space(&mut line);
            line.extend(self.name());
            self.write_pid(&mut line);
            line.push(b':');
        }
        if let Some(uptime) = self.uptime.filter(|_| self.is_kernel()) {
            space(&mut line);
            // Writing to memory cannot fail.
            let _ = write!(line, "[{:5}.{:06}]", uptime / 1_000_000, uptime % 1_000_000);
        }
        space(&mut line);
        line.extend(&self.messages);
        if line.contains(&b'\n') {
            let parts: Vec<&[u8]> = line.split(|byte| *byte == b'\n').collect();
            line = parts.join(&b"\\n"[..]);
        }
        self.line = line;
    }

    /// Whether the line says when the kernel wrote it, and that is not known yet.
    pub(crate) fn lacks_uptime(&self) -> bool {
        self.is_kernel() && self.uptime.is_none()
    }

    fn name(&self) -> &[u8] {
        match self.identifier.is_empty() {
            true => &self.command,
            false => &self.identifier,
        }
    }

    fn is_kernel(&self) -> bool {
        self.name() == b"kernel" && self.pid.is_none() && self.syslog_pid.is_empty()
    }

    fn write_pid(&self, line: &mut Vec<u8>) {
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse::<u64>().ok();
        // Writing to memory cannot fail.
        let _ = match (&*self.syslog_pid, self.pid) {
            (b"", None) => Ok(()),
            (b"", Some(pid)) => write!(line, "[{pid}]"),
            (text, _) => match number(text) {
                Some(pid) => write!(line, "[{pid}]"),
                None => line
                    .write_all(b"[")
                    .and_then(|()| line.write_all(text))
                    .and_then(|()| line.write_all(b"]")),
            },
        };
    }
}

fn space(line: &mut Vec<u8>) {
    if !line.is_empty() {
        line.push(b' ');
    }
}

pub(crate) const MESSAGE: &str = "MESSAGE";
const PID: &str = "_PID";
const DROPPED: &str = "N_DROPPED";
const OF_UNIT: &str = "OBJECT_SYSTEMD_UNIT";
const HOST: &str = "_HOSTNAME";
const IDENTIFIER: &str = "SYSLOG_IDENTIFIER";
const COMMAND: &str = "_COMM";
const SYSLOG_PID: &str = "SYSLOG_PID";
const SOURCE_UPTIME: &str = "_SOURCE_MONOTONIC_TIMESTAMP";
/// When the entry was received, in microseconds since boot: not a field, but given like one.
pub(crate) const UPTIME: &str = "__MONOTONIC_TIMESTAMP";

/// The fields that are kept of every entry.
pub(crate) const KEPT: [&str; 4] = [MESSAGE, PID, DROPPED, OF_UNIT];
/// Those of them that only notices of dropped entries have.
pub(crate) const OF_NOTICES: [&str; 2] = [DROPPED, OF_UNIT];
/// The fields that only lines need.
pub(crate) const OF_LINES: [&str; 6] =
    [HOST, IDENTIFIER, COMMAND, SYSLOG_PID, SOURCE_UPTIME, UPTIME];
/// Longer than any host's, unit's or program's name (UNIT_NAME_MAX is 256).
const SHORT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields, and the line.
    const CASES: [(&str, &str); 10] = [
        (
            "_HOSTNAME=h|SYSLOG_IDENTIFIER=sshd|_COMM=x|SYSLOG_PID=0012|_PID=7|MESSAGE=hi",
            "h sshd[12]: hi",
        ),
        (
            "_HOSTNAME=h|_COMM=cron|_PID=7|MESSAGE=a\nb",
            r"h cron[7]: a\nb",
        ),
        ("SYSLOG_IDENTIFIER=a|SYSLOG_PID=x1|MESSAGE=m", "a[x1]: m"),
        ("SYSLOG_IDENTIFIER=a|MESSAGE=m|MESSAGE=n", "a: m n"),
        ("_HOSTNAME=h|MESSAGE=m", "h m"),
        ("_HOSTNAME=h|_COMM=c", "h c: "),
        (
            "_HOSTNAME=h|_COMM=kernel|_SOURCE_MONOTONIC_TIMESTAMP=12345678|__MONOTONIC_TIMESTAMP=9|MESSAGE=m",
            "h kernel: [   12.345678] m",
        ),
        (
            "SYSLOG_IDENTIFIER=kernel|__MONOTONIC_TIMESTAMP=9|MESSAGE=m",
            "kernel: [    0.000009] m",
        ),
        (
            "SYSLOG_IDENTIFIER=kernel|_PID=3|_SOURCE_MONOTONIC_TIMESTAMP=1|MESSAGE=m",
            "kernel[3]: m",
        ),
        ("MESSAGE=", ""),
    ];

    #[test]
    fn an_entry_becomes_the_line_that_syslog_would_have_written() {
        for (fields, expected) in CASES {
            let mut entry = Entry::default();
            let mut texts = 0;
            for (name, value) in fields.split('|').map(|f| f.split_once('=').unwrap()) {
                match (name, texts) {
                    (MESSAGE, 1..) => entry.keep_more(value.as_bytes()),
                    _ => entry.keep(name.as_bytes(), value.as_bytes()),
                }
                texts += i32::from(name == MESSAGE);
            }

            entry.render();

            assert_eq!(entry.line(), expected.as_bytes(), "{fields}");
        }
    }
}
