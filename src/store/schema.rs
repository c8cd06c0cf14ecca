//! The tables, their version, and the way from older ones. Comes in: a connection. Goes out: a
//! database of the current version. Never touches one that is not ours or is of a later version.
//!
//! Times are microseconds since 1970. They and the totals are unsigned in the engine and signed here,
//! bit for bit. Offenders are text in canonical form. A jail is a number everywhere but in its own
//! table; it keeps its row after its record is forgotten, with a NULL protocol. Lines of a log are one
//! text, a line each.

use rusqlite::{Connection, TransactionBehavior};

/// What kind of database a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Ours, of this version; 0 for an empty file.
    Version(u16),
    /// Ours, of a version that this banishd does not know.
    Later(i64),
    /// Not ours.
    Foreign,
}

/// Looks at the marks in the header, without changing anything.
pub fn shape(connection: &Connection) -> rusqlite::Result<Shape> {
    let number = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && version == 0 && objects == 0 {
        return Ok(Shape::Version(0));
    }
    Ok(match u16::try_from(version) {
        _ if application != APPLICATION => Shape::Foreign,
        Ok(known @ 1..=CURRENT) => Shape::Version(known),
        _ => Shape::Later(version),
    })
}

/// Brings a database of an older version to the current one, all steps or none.
pub fn migrate(connection: &mut Connection, from: u16) -> rusqlite::Result<()> {
    if from == CURRENT {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(from.into()) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", CURRENT)?;
    transaction.commit()
}

/// Every statement that a commit uses. What cannot be prepared is not our database.
pub(crate) const STATEMENTS: [&str; 14] = [
    PUT_BAN,
    DELETE_BAN,
    PUT_WINDOW,
    DELETE_WINDOW,
    PUT_HISTORY,
    DELETE_HISTORY,
    NUMBER_JAIL,
    PUT_JAIL,
    FORGET_JAIL,
    PUT_POSITION,
    DELETE_POSITION,
    PUT_UNRESOLVED,
    DELETE_UNRESOLVED,
    LINES_OF_BAN,
];

/// The version that this banishd writes.
pub const CURRENT: u16 = 3;

/// `Bnsh`, in the header of every database of ours.
const APPLICATION: i64 = 0x426e_7368;

/// Step n leads from version n to n + 1. A step that was released is never edited.
const STEPS: [&str; CURRENT as usize] = [
    "
CREATE TABLE jail (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    protocol TEXT,
    ports TEXT,
    bans_total INTEGER,
    failures_total INTEGER
) STRICT;
CREATE TABLE ban (
    jail INTEGER NOT NULL REFERENCES jail,
    offender TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    failures INTEGER NOT NULL,
    earlier INTEGER NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (jail, offender)
) STRICT, WITHOUT ROWID;
CREATE TABLE failing (
    jail INTEGER NOT NULL REFERENCES jail,
    offender TEXT NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (jail, offender)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    jail INTEGER NOT NULL REFERENCES jail,
    offender TEXT NOT NULL,
    bans INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (jail, offender)
) STRICT, WITHOUT ROWID;
CREATE TABLE position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    cursor TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT;
",
    "
ALTER TABLE position RENAME TO only_position;
CREATE TABLE position (
    log TEXT PRIMARY KEY,
    cursor TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO position SELECT 'journal', cursor, time FROM only_position;
DROP TABLE only_position;
ALTER TABLE ban ADD COLUMN lines TEXT;
ALTER TABLE failing ADD COLUMN lines TEXT;
ALTER TABLE failing ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
CREATE TABLE unresolved (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    jail INTEGER NOT NULL REFERENCES jail,
    time INTEGER NOT NULL,
    pid INTEGER,
    advance INTEGER NOT NULL,
    lines TEXT,
    PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
",
    "
ALTER TABLE unresolved ADD COLUMN captures BLOB;
",
];

pub(crate) const PUT_BAN: &str = "INSERT INTO ban \
    (jail, offender, since, until, failures, earlier, origin, lines) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
    ON CONFLICT (jail, offender) DO UPDATE SET since = excluded.since, until = excluded.until, \
    failures = excluded.failures, earlier = excluded.earlier, origin = excluded.origin, \
    lines = coalesce(excluded.lines, lines)";
pub(crate) const DELETE_BAN: &str = "DELETE FROM ban WHERE jail = ?1 AND offender = ?2";
pub(crate) const PUT_WINDOW: &str = "INSERT OR REPLACE INTO failing (jail, offender, entries, lines, due) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(crate) const DELETE_WINDOW: &str = "DELETE FROM failing WHERE jail = ?1 AND offender = ?2";
pub(crate) const PUT_HISTORY: &str =
    "INSERT OR REPLACE INTO history (jail, offender, bans, last) VALUES (?1, ?2, ?3, ?4)";
pub(crate) const DELETE_HISTORY: &str = "DELETE FROM history WHERE jail = ?1 AND offender = ?2";
pub(crate) const NUMBER_JAIL: &str = "INSERT INTO jail (name) VALUES (?1) \
    ON CONFLICT (name) DO UPDATE SET name = name RETURNING id";
pub(crate) const PUT_JAIL: &str = "UPDATE jail \
    SET protocol = ?2, ports = ?3, bans_total = ?4, failures_total = ?5 WHERE id = ?1";
pub(crate) const FORGET_JAIL: &str = "UPDATE jail \
    SET protocol = NULL, ports = NULL, bans_total = NULL, failures_total = NULL WHERE id = ?1";
pub(crate) const PUT_POSITION: &str =
    "INSERT OR REPLACE INTO position (log, cursor, time) VALUES (?1, ?2, ?3)";
pub(crate) const DELETE_POSITION: &str = "DELETE FROM position WHERE log = ?1";
pub(crate) const PUT_UNRESOLVED: &str = "INSERT INTO unresolved \
    (name, number, jail, time, pid, advance, lines, captures) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(crate) const DELETE_UNRESOLVED: &str = "DELETE FROM unresolved WHERE name = ?1";
pub(crate) const LINES_OF_BAN: &str = "SELECT lines FROM ban \
    WHERE jail = (SELECT id FROM jail WHERE name = ?1) AND offender = ?2";

// The reader of each counts its columns as they stand here.
pub(crate) const ALL_JAILS: &str =
    "SELECT id, name, protocol, ports, bans_total, failures_total FROM jail ORDER BY name";
pub(crate) const ALL_BANS: &str =
    "SELECT jail, offender, since, until, failures, earlier, origin FROM ban";
pub(crate) const ALL_WINDOWS: &str = "SELECT jail, offender, entries, lines, due FROM failing";
pub(crate) const ALL_HISTORIES: &str = "SELECT jail, offender, bans, last FROM history";
pub(crate) const ALL_POSITIONS: &str = "SELECT log, cursor, time FROM position";
pub(crate) const ALL_UNRESOLVED: &str =
    "SELECT jail, name, time, pid, advance, lines, captures FROM unresolved ORDER BY name, number";
