//! Taking over from fail2ban: its bans and how often it banned whom.
//!
//! Comes in: its database, of any schema there has been. Goes out: bans for the bus, and what was
//! skipped. The file is never written to, not even to mend it: where its last writer left work undone,
//! a private copy is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use serde::Serialize;
use tempfile::TempDir;

use crate::cli::client::{Client, ClientError};
use crate::cli::render::{plain, plural};
use crate::dbus::wire::{FOREVER, ImportInfo, ImportSums, PAGE_DEFAULT};
use crate::engine::address::Offender;
use crate::engine::time::Timestamp;

/// What a database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// The number of its schema.
    pub schema: i64,
    /// The latest ban of each address in each jail.
    pub bans: Vec<OldBan>,
}

/// A ban of fail2ban's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldBan {
    /// The jail.
    pub jail: String,
    /// Whom or what: an address, a prefix, or any other text.
    pub id: String,
    /// When it began, seconds since 1970.
    pub since: u64,
    /// How long it lasts.
    pub lasts: Lasts,
    /// How often that was banned in the jail.
    pub bans: u32,
    /// The failures that led to it.
    pub failures: u32,
}

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// So many seconds.
    For(u64),
    /// For ever.
    Forever,
    /// As long as the jail says now; older schemas do not know.
    AsTheJail,
}

/// What is done with the bans of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    file: String,
    schema: i64,
    dry_run: bool,
    read: usize,
    #[serde(flatten)]
    sums: ImportSums,
    skipped: Vec<Skipped>,
}

/// Bans that are not handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Skipped {
    reason: &'static str,
    jail: String,
    count: usize,
    example: String,
}

/// Hands the bans in `file` over, unless `dry_run`.
pub(crate) async fn import(
    client: &Client,
    file: &Path,
    dry_run: bool,
    now: Timestamp,
) -> Result<Outcome, ClientError> {
    let database = read(file).map_err(|error| explain(file, error))?;
    let jails = client.ban_times().await?;
    let mut outcome = Outcome {
        file: file.display().to_string(),
        schema: database.schema,
        dry_run,
        read: database.bans.len(),
        ..Outcome::default()
    };
    let (bans, skipped) = sort_out(&database.bans, &jails);
    outcome.skipped = skipped;
    let page = usize::try_from(PAGE_DEFAULT).unwrap_or(1);
    for page in bans.chunks(page) {
        let sums = match dry_run {
            true => guess(page, now),
            false => client.import(page).await?,
        };
        outcome.sums.add(&sums);
    }
    Ok(outcome)
}

impl Outcome {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let Self { file, schema, .. } = self;
        let sums = &self.sums;
        let bans = |count: u32| plural(count, "ban");
        let mut text = format!(
            "Read {} from {file} (schema {schema}).\n",
            plural(self.read, "ban")
        );
        text.push_str(&match self.dry_run {
            true => format!(
                "Would hand over {} in force and {} that are over and count as earlier ones.\n",
                bans(sums.banned),
                bans(sums.expired)
            ),
            false => format!(
                "Took over {} in force; {} stood already; {} that are over count as earlier ones.\n",
                bans(sums.banned),
                bans(sums.known),
                bans(sums.expired)
            ),
        });
        let mut line = |count: usize, why: &str| {
            if count > 0 {
                text.push_str(&format!("Skipped {} {why}.\n", plural(count, "ban")));
            }
        };
        for Skipped {
            reason,
            jail,
            count,
            example,
        } in &self.skipped
        {
            match jail.as_str() {
                "" => line(*count, &format!("{reason}, such as '{}'", plain(example))),
                jail => line(*count, &format!("of '{}', {reason}", plain(jail))),
            }
        }
        for (count, why) in [
            (
                sums.spared,
                "of addresses that are not to be banned ('ignoreip', this host's own, …)",
            ),
            (sums.no_jail, "of jails that are stopped or failed"),
            (
                sums.too_many,
                "that are too many ('maxbans' in banishd.conf)",
            ),
        ] {
            line(usize::try_from(count).unwrap_or(usize::MAX), why);
        }
        text
    }
}

/// What can be handed over, given how long each jail bans, and what cannot.
fn sort_out(bans: &[OldBan], jails: &BTreeMap<String, u64>) -> (Vec<ImportInfo>, Vec<Skipped>) {
    let mut wanted = Vec::new();
    let mut skipped: BTreeMap<(&'static str, String), Skipped> = BTreeMap::new();
    for ban in bans {
        let offender = ban.id.parse::<Offender>();
        let (reason, jail) = match (jails.get(&ban.jail), offender) {
            (Some(usec), Ok(offender)) => {
                wanted.push(ban.info(&offender, *usec));
                continue;
            }
            (Some(_), Err(_)) => ("that are of no addresses", String::new()),
            (None, _) => ("a jail that banishd does not have", ban.jail.clone()),
        };
        let entry = skipped.entry((reason, jail.clone()));
        let entry = entry.or_insert_with(|| Skipped {
            reason,
            jail,
            count: 0,
            example: ban.id.clone(),
        });
        entry.count += 1;
    }
    (wanted, skipped.into_values().collect())
}

/// What the daemon would make of it, as far as can be said from outside.
fn guess(bans: &[ImportInfo], now: Timestamp) -> ImportSums {
    let stands = bans.iter().filter(|ban| ban.until_usec > now.usec());
    let banned = u32::try_from(stands.count()).unwrap_or(u32::MAX);
    let all = u32::try_from(bans.len()).unwrap_or(u32::MAX);
    ImportSums {
        banned,
        expired: all.saturating_sub(banned),
        ..ImportSums::default()
    }
}

impl OldBan {
    /// As the bus wants it, in a jail that bans for `usec`.
    fn info(&self, offender: &Offender, usec: u64) -> ImportInfo {
        let since_usec = self.since.saturating_mul(1_000_000);
        let lasts = match self.lasts {
            Lasts::For(seconds) => seconds.saturating_mul(1_000_000),
            Lasts::Forever => FOREVER,
            Lasts::AsTheJail => usec,
        };
        ImportInfo {
            jail: self.jail.clone(),
            address: offender.to_string(),
            since_usec,
            until_usec: since_usec.saturating_add(lasts),
            failures: self.failures,
            bans: self.bans,
        }
    }
}

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// There is no file, or it cannot be opened.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is broken, or none.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It is somebody else's.
    #[error("it has no tables of fail2ban's")]
    Foreign,
}

fn explain(file: &Path, error: DatabaseError) -> ClientError {
    let text = format!("Cannot read '{}': {error}", file.display());
    match error {
        DatabaseError::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
            ClientError::Denied(text + ".")
        }
        DatabaseError::Io(error) if error.kind() == ErrorKind::NotFound => ClientError::Refused(
            text + ". If fail2ban keeps it elsewhere ('dbfile' in fail2ban.conf), name the file.",
        ),
        _ => ClientError::Refused(text + "."),
    }
}

/// Reads a database of fail2ban's, whichever tables and columns it has.
///
/// # Errors
/// It cannot be read, or is no such database.
pub fn read(file: &Path) -> Result<Database, DatabaseError> {
    if is_settled(file)? {
        return take(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    }
    // To mend it, it must be written to.
    let copy = copied(file)?;
    take(&copy.path().join("db"), OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn take(file: &Path, flags: OpenFlags) -> Result<Database, DatabaseError> {
    let db = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // A server that runs may be writing.
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    // Root reads what others may have made: no code of theirs, no pages that make no sense.
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    let version = "SELECT max(version) FROM fail2banDb";
    let schema = match columns(&db, "fail2banDb")?.is_empty() {
        true => 0,
        false => db.query_row(version, [], |row| row.get(0)).unwrap_or(0),
    };
    let mut bans: BTreeMap<(String, String), OldBan> = BTreeMap::new();
    let mut any = false;
    // `bans` has a row for each ban, and SQLite takes the other columns from the row with the maximum;
    // `bips` has the latest state, and whom `bans` has forgotten.
    for (table, count) in [("bans", "count(*)"), ("bips", "1")] {
        let columns = columns(&db, table)?;
        if columns.is_empty() {
            continue;
        }
        any = true;
        let column = |name, absent| if columns.contains(name) { name } else { absent };
        let sql = format!(
            "SELECT jail, ip, max(timeofban), {}, max({}, {count}), {} FROM {table} \
             GROUP BY jail, ip",
            column("bantime", "-2"),
            column("bancount", "1"),
            column("data", "NULL"),
        );
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let ban = old_ban(row)?;
            let known = bans.entry((ban.jail.clone(), ban.id.clone()));
            let merged = known.or_insert_with(|| ban.clone());
            let count = merged.bans.max(ban.bans);
            if ban.since >= merged.since {
                *merged = ban;
            }
            merged.bans = count;
        }
    }
    let bans = bans.into_values().collect();
    any.then_some(Database { schema, bans })
        .ok_or(DatabaseError::Foreign)
}

/// None where it is no table: a view may never end.
fn columns(db: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = db.prepare(
        "SELECT name FROM pragma_table_info(?1) WHERE EXISTS \
         (SELECT * FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE)",
    )?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn old_ban(row: &Row<'_>) -> rusqlite::Result<OldBan> {
    let text = |index| row.get_ref(index).map(text_of);
    let whole = |index| row.get_ref(index).map(whole_of);
    let lasts = match whole(3)? {
        -2 => Lasts::AsTheJail,
        seconds => u64::try_from(seconds).map_or(Lasts::Forever, Lasts::For),
    };
    let data: serde_json::Value = serde_json::from_str(&text(5)?).unwrap_or_default();
    let failures = data.get("failures").and_then(serde_json::Value::as_u64);
    Ok(OldBan {
        jail: text(0)?,
        id: text(1)?,
        since: u64::try_from(whole(2)?).unwrap_or(0),
        lasts,
        bans: u32::try_from(whole(4)?).unwrap_or(1).max(1),
        failures: u32::try_from(failures.unwrap_or(0)).unwrap_or(u32::MAX),
    })
}

/// Columns have no types that anybody keeps to.
fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    }
}

fn whole_of(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(number) => number,
        // Beyond what is exact no time is meant; `as` keeps to the nearest there is.
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        ValueRef::Real(number) => number as i64,
        value => text_of(value).trim().parse().unwrap_or(0),
    }
}

/// Whether the file can be read as it is: no journal beside it, and none that would be made by reading.
fn is_settled(file: &Path) -> io::Result<bool> {
    const WAL: u8 = 2;
    let mut header = [0; 20];
    let length = open(file)?.read(&mut header)?;
    let is_wal = length == header.len() && header.get(18..) == Some(&[WAL, WAL]);
    Ok(!is_wal && !SIDECARS.iter().any(|suffix| beside(file, suffix).exists()))
}

/// A private copy, as `db`, in a directory that nobody could have made before; it is removed in the end.
fn copied(file: &Path) -> io::Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("banishctl-import-")
        .tempdir()?;
    let copy = |from: &Path, name: &str| -> io::Result<PathBuf> {
        let to = directory.path().join(name);
        io::copy(&mut open(from)?, &mut File::create_new(&to)?)?;
        Ok(to)
    };
    copy(file, "db")?;
    for suffix in SIDECARS {
        let sidecar = beside(file, suffix);
        if sidecar.exists() {
            let to = copy(&sidecar, &format!("db{suffix}"))?;
            if std::fs::read(to)?.ends_with(&NAMES_ANOTHER) {
                return Err(io::Error::other("its journal is of several databases"));
            }
        }
    }
    Ok(directory)
}

/// Opens a file, and nothing that could be waited for in vain.
fn open(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let opened = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)?;
    match opened.metadata()?.is_file() {
        true => Ok(opened),
        false => Err(io::Error::other("it is no regular file")),
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The end of a journal that names a further file, which SQLite would remove after mending the database
/// (sqlite.org/fileformat.html, "super-journal"): any file, and we are root. fail2ban has one database.
const NAMES_ANOTHER: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// What SQLite keeps beside a database, but for the index of the second, which it makes anew.
const SIDECARS: [&str; 2] = ["-journal", "-wal"];
