//! Rows to engine types and back. Comes in: rows, which anything may have written. Goes out: values
//! that keep every promise of their types. A row that cannot is counted and left out, never fatal.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use crate::engine::address::Offender;
use crate::engine::effect::{JailRecord, Remembered};
use crate::engine::filter::failure::{Captures, Failure, Who};
use crate::engine::jail::window::{Entry, Window};
use crate::engine::ledger::ban::{Ban, History, Origin};
use crate::engine::record::{Cursor, LogName, Position};
use crate::engine::settings::{JailName, JailRules, Ports, Protocol};
use crate::engine::time::Timestamp;
use crate::store::schema;

/// Reads everything, ordered by jail and address, and how many rows made no sense.
pub fn load(connection: &Connection) -> rusqlite::Result<(Remembered, usize)> {
    let mut loader = Loader {
        connection,
        jails: BTreeMap::new(),
        skipped: 0,
    };
    let jails = loader.rows(schema::ALL_JAILS, |_, row| jail(row))?;
    let mut remembered = Remembered::default();
    for (id, name, record) in jails {
        loader.jails.insert(id, name.clone());
        remembered.jails.extend(record.map(|record| (name, record)));
    }
    remembered.bans = loader.rows(schema::ALL_BANS, ban)?;
    remembered.windows = loader.rows(schema::ALL_WINDOWS, window)?;
    remembered.histories = loader.rows(schema::ALL_HISTORIES, history)?;
    let positions = loader.rows(schema::ALL_POSITIONS, |_, row| position(row))?;
    remembered.positions = positions.into_iter().collect();
    remembered.unresolved = loader.rows(schema::ALL_UNRESOLVED, unresolved)?;
    Ok((remembered, loader.skipped))
}

/// A window as a blob: per failure, oldest first, its time (8 bytes), then a byte of marks; with
/// `ADVANCE` the connection that it was counted in advance of (4 bytes); with `CAPTURED` how long that
/// is (2 bytes) and what was captured. Numbers are little endian.
#[must_use]
pub fn from_window(window: &Window) -> Vec<u8> {
    let mut blob = Vec::with_capacity(window.entries.len() * 13);
    for entry in &window.entries {
        blob.extend(entry.time.usec().to_le_bytes());
        let captured = from_captures(&entry.captures);
        let length = u16::try_from(captured.len()).unwrap_or(0);
        let advance = u8::from(entry.advance_of.is_some()) * ADVANCE;
        blob.push(advance | (u8::from(length > 0) * CAPTURED));
        blob.extend(entry.advance_of.map(u32::to_le_bytes).iter().flatten());
        if length > 0 {
            blob.extend(length.to_le_bytes());
            blob.extend(captured);
        }
    }
    blob
}

const ADVANCE: u8 = 1;
const CAPTURED: u8 = 2;

/// The failures in such a blob; `None` if it is none.
#[must_use]
pub fn to_entries(mut blob: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !blob.is_empty() {
        let (time, rest) = blob.split_first_chunk()?;
        let (marks, mut rest) = rest.split_first()?;
        if *marks > ADVANCE | CAPTURED {
            return None;
        }
        let mut entry = Entry {
            time: Timestamp::from_usec(u64::from_le_bytes(*time)),
            advance_of: None,
            captures: Captures::default(),
        };
        if marks & ADVANCE != 0 {
            let (connection, behind) = rest.split_first_chunk()?;
            entry.advance_of = Some(u32::from_le_bytes(*connection));
            rest = behind;
        }
        if marks & CAPTURED != 0 {
            let (length, behind) = rest.split_first_chunk()?;
            let (captured, behind) = behind.split_at_checked(u16::from_le_bytes(*length).into())?;
            entry.captures = to_captures(captured)?;
            rest = behind;
        }
        entries.push(entry);
        blob = rest;
    }
    Some(entries)
}

/// What was captured as a blob: group and text in turn, a zero byte behind each, which neither holds.
#[must_use]
pub fn from_captures(captures: &Captures) -> Vec<u8> {
    let parts = captures.iter().flat_map(|(group, text)| [group, text]);
    parts.flat_map(|part| part.bytes().chain([0])).collect()
}

/// What is in such a blob; `None` if it is none.
#[must_use]
pub fn to_captures(blob: &[u8]) -> Option<Captures> {
    if blob.is_empty() {
        return Some(Captures::default());
    }
    let text = str::from_utf8(blob.strip_suffix(&[0])?).ok()?;
    let parts: Vec<&str> = text.split('\0').collect();
    let pairs = parts.as_chunks::<2>();
    pairs
        .1
        .is_empty()
        .then(|| Captures::of(pairs.0.iter().map(|[group, text]| (*group, *text))))
}

/// Lines as one text; a line holds no newline.
#[must_use]
pub fn from_lines(lines: &[Box<str>]) -> String {
    lines.join("\n")
}

/// The lines in such a text.
#[must_use]
pub fn to_lines(text: Option<&str>) -> Vec<Box<str>> {
    let text = text.filter(|text| !text.is_empty());
    text.map_or_else(Vec::new, |text| text.split('\n').map(Box::from).collect())
}

/// The word for a protocol.
#[must_use]
pub fn from_protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::All => "all",
    }
}

struct Loader<'a> {
    connection: &'a Connection,
    jails: BTreeMap<i64, JailName>,
    skipped: usize,
}

impl Loader<'_> {
    /// The rows of `query` that `read` makes sense of. An error of its own means it does not: what is
    /// wrong with the file shows in the step to the row.
    fn rows<T>(
        &mut self,
        query: &str,
        read: impl Fn(&Self, &Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            match read(self, row) {
                Ok(Some(value)) => values.push(value),
                Ok(None) | Err(_) => self.skipped += 1,
            }
        }
        Ok(values)
    }

    /// Whose row this is.
    fn key(&self, row: &Row<'_>) -> rusqlite::Result<Option<(JailName, Offender)>> {
        let Some(jail) = self.jails.get(&row.get(0)?) else {
            return Ok(None);
        };
        let text = row.get_ref(1)?.as_str()?;
        // Another spelling would be a second row of the same offender, which no unban removes.
        let canonical = |offender: &Offender| offender.to_string() == text;
        let offender = text.parse().ok().filter(canonical);
        Ok(offender.map(|offender| (jail.clone(), offender)))
    }
}

fn jail(row: &Row<'_>) -> rusqlite::Result<Option<(i64, JailName, Option<JailRecord>)>> {
    let Some(name) = JailName::new(row.get_ref(1)?.as_str()?) else {
        return Ok(None);
    };
    // A jail without a record that makes sense is still the jail of its bans.
    let record = jail_record(row).ok().flatten();
    Ok(Some((row.get(0)?, name, record)))
}

fn jail_record(row: &Row<'_>) -> rusqlite::Result<Option<JailRecord>> {
    let protocol = match row.get_ref(2)?.as_str()? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "all" => Protocol::All,
        _ => return Ok(None),
    };
    let Some(ports) = to_ports(row.get_ref(3)?.as_str()?) else {
        return Ok(None);
    };
    Ok(Some(JailRecord {
        rules: JailRules { protocol, ports },
        bans_total: row.get::<_, i64>(4)?.cast_unsigned(),
        failures_total: row.get::<_, i64>(5)?.cast_unsigned(),
    }))
}

fn ban(loader: &Loader<'_>, row: &Row<'_>) -> rusqlite::Result<Option<Ban>> {
    let Some((jail, offender)) = loader.key(row)? else {
        return Ok(None);
    };
    let origin = match row.get_ref(6)?.as_str()? {
        "jail" => Origin::Jail,
        "manual" => Origin::Manual,
        _ => return Ok(None),
    };
    Ok(Some(Ban {
        jail,
        offender,
        since: timestamp(row.get(2)?),
        until: row.get::<_, Option<i64>>(3)?.map(timestamp),
        failures: row.get(4)?,
        earlier: row.get(5)?,
        origin,
    }))
}

fn window(
    loader: &Loader<'_>,
    row: &Row<'_>,
) -> rusqlite::Result<Option<(JailName, Offender, Window)>> {
    let Some(entries) = to_entries(row.get_ref(2)?.as_blob()?) else {
        return Ok(None);
    };
    let window = Window {
        entries,
        lines: to_lines(row.get_ref(3)?.as_str_or_null()?),
        is_due: row.get(4)?,
    };
    Ok(loader
        .key(row)?
        .map(|(jail, offender)| (jail, offender, window)))
}

fn unresolved(loader: &Loader<'_>, row: &Row<'_>) -> rusqlite::Result<Option<Failure>> {
    let Some(jail) = loader.jails.get(&row.get(0)?) else {
        return Ok(None);
    };
    let captured = row.get_ref(6)?.as_blob_or_null()?.unwrap_or_default();
    let Some(captures) = to_captures(captured) else {
        return Ok(None);
    };
    Ok(Some(Failure {
        jail: jail.clone(),
        who: Who::Name(row.get_ref(1)?.as_str()?.into()),
        time: timestamp(row.get(2)?),
        pid: row.get(3)?,
        advance: row.get(4)?,
        lines: to_lines(row.get_ref(5)?.as_str_or_null()?),
        captures,
    }))
}

fn history(
    loader: &Loader<'_>,
    row: &Row<'_>,
) -> rusqlite::Result<Option<(JailName, Offender, History)>> {
    let history = History {
        bans: row.get(2)?,
        last: timestamp(row.get(3)?),
    };
    Ok(loader
        .key(row)?
        .map(|(jail, offender)| (jail, offender, history)))
}

fn position(row: &Row<'_>) -> rusqlite::Result<Option<(LogName, Position)>> {
    let position = Position {
        cursor: Cursor(row.get_ref(1)?.as_str()?.into()),
        time: timestamp(row.get(2)?),
    };
    Ok(Some((LogName::named(row.get_ref(0)?.as_str()?), position)))
}

fn timestamp(usec: i64) -> Timestamp {
    Timestamp::from_usec(usec.cast_unsigned())
}

/// Ports as they print; `None` unless they are sorted and disjoint.
fn to_ports(text: &str) -> Option<Ports> {
    if text == "all" {
        return Some(Ports::All);
    }
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let behind = ranges.last().is_none_or(|(_, before)| *before < first);
        if first > last || !behind {
            return None;
        }
        ranges.push((first, last));
    }
    Some(Ports::Ranges(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_print_or_not_at_all() {
        for good in ["all", "22", "80,443", "6000-6010", "0-1,3-65535"] {
            assert_eq!(to_ports(good).unwrap().to_string(), good);
        }
        for bad in [
            "", "ALL", "22,", "443,80", "10-9", "1-5,5", "65536", "-1", "a",
        ] {
            assert_eq!(to_ports(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_torn_window_is_none() {
        let entries = vec![Entry {
            time: Timestamp::from_usec(7),
            advance_of: Some(9),
            captures: Captures::of([("user", "é"), ("x", "y")]),
        }];
        let window = Window {
            entries: entries.clone(),
            ..Window::default()
        };
        let blob = from_window(&window);

        assert_eq!(to_entries(&blob), Some(entries));
        for length in 1..blob.len() {
            assert_eq!(to_entries(&blob[..length]), None, "{length}");
        }
    }
}
