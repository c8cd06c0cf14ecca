//! REMEMBERS: bans, failure windows and the journal position, in one SQLite file.
//!
//! Comes in: a [`Commit`] at a time. Goes out, at start: the sum of all commits, or an error that says
//! what to mend. A commit is all or nothing, whatever happens in its middle. Nothing of an
//! administrator's is ever deleted: a damaged or foreign file is set aside under a new name.
//!
//! How durable: the file is in WAL mode. A commit survives the death of the process as soon as it
//! returns (the kernel has it); it survives a power cut once the log is synced, which a `durable`
//! commit does before it returns, for itself and everything before it. The others leave that to the
//! next checkpoint, because the journal can repeat what they say.
//!
//! Other programs may read along (`sqlite3 -readonly /var/lib/banishd/banishd.db`): the file is not
//! locked for good. A writer that holds its lock makes one commit fail after 50 ms, and the
//! engine commits again. The database is never mapped; the `-shm` file is, as WAL demands.

pub mod claim;
pub mod row;
pub mod schema;

mod aside;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use crate::engine::address::Offender;
use crate::engine::effect::{Commit, JailRecord, Remembered};
use crate::engine::record::Position;
use crate::engine::settings::JailName;
use crate::store::aside::Reason;
use crate::store::schema::Shape;

/// An open store.
#[derive(Debug)]
pub struct Store(Option<File>);

/// What [`Store::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The store, ready for commits.
    pub store: Store,
    /// The sum of all commits so far; empty when the file is new or was set aside.
    pub remembered: Remembered,
    /// For the log: what was lost, where it is now, and what to do about it. One sentence each.
    pub warnings: Vec<String>,
}

impl Store {
    /// Opens `banishd.db` in `dir`, which must exist, and reads it whole.
    ///
    /// A file that is damaged, is no database of ours, or was written by a later banishd is renamed
    /// (`banishd.db.corrupt-1`, `.foreign-1`, `.version-2-1`), and a new one begins. Rows that make no
    /// sense stay where they are, are left out, and are counted in a warning.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        let dir = fs::canonicalize(dir).map_err(|source| StoreError::of_dir(dir, source))?;
        let path = dir.join(FILE);
        let mut warnings = Vec::new();
        loop {
            let (reason, error) = match File::open(&path) {
                Ok((file, Found::Ours(remembered, skipped))) => {
                    warnings.extend(skipped.map(|count| skipped_rows(&path, count)));
                    let store = Self(Some(file));
                    return Ok(Opened {
                        store,
                        remembered,
                        warnings,
                    });
                }
                Ok((_, Found::Foreign)) => (Reason::Foreign, None),
                Ok((_, Found::Later(version))) => (Reason::Later(version), None),
                Err(error @ StoreError::Corrupt { .. }) => (Reason::Corrupt, Some(error)),
                Err(error) => return Err(error),
            };
            // A second round works on a new file. If that is damaged too, the disk is.
            if !warnings.is_empty() {
                return Err(error.unwrap_or(StoreError::Unusable { path }));
            }
            let kept = aside::set_aside(&path, reason).map_err(|source| StoreError::SetAside {
                path: path.clone(),
                source,
            })?;
            warnings.push(reason.warning(&path, &kept));
        }
    }

    /// A store for when there is no place to write: takes every commit and remembers none. What is in
    /// force is in the engine's memory and ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(None)
    }

    /// Whether a commit outlives the process.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.0.is_some()
    }

    /// Writes all of `commit` or nothing, field by field in the order they are declared. After an
    /// error the file says what it said before, and the store can be used on.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        match &mut self.0 {
            Some(file) => file.commit(commit),
            None => Ok(()),
        }
    }

    /// The lines that led to a ban, as far as they were committed; none where there is no such ban.
    pub fn lines(&self, jail: &JailName, offender: &Offender) -> Result<Vec<Box<str>>, StoreError> {
        match &self.0 {
            Some(file) => file
                .lines(jail, offender)
                .map_err(|source| StoreError::of_sqlite(&file.path, source)),
            None => Ok(Vec::new()),
        }
    }
}

/// Why the store did not do as asked, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such directory.
    #[error(
        "there is no directory '{}'; banishd.service makes it (StateDirectory=), by hand: \
         install -d -m 700 -o banishd {}", .dir.display(), .dir.display()
    )]
    NoDirectory {
        /// The state directory.
        dir: PathBuf,
        /// As the system says it.
        #[source]
        source: io::Error,
    },
    /// The directory or the file is somebody else's, or read-only.
    #[error(
        "'{}' cannot be read and written; give it and its directory to the daemon's user \
         (chown -R banishd: {}) and mount it writable", .path.display(), parent(.path).display()
    )]
    Denied {
        /// The file or the directory.
        path: PathBuf,
        /// As the system says it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system is full, or over quota.
    #[error("no space left for '{}'; make room in its file system", .path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// As SQLite says it.
        #[source]
        source: rusqlite::Error,
    },
    /// Another program holds a lock.
    #[error("another program has locked '{}'; close it (fuser -v {})", .path.display(), .path.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// As SQLite says it.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is damaged. The next [`Store::open`] sets it aside.
    #[error("'{}' is damaged; a restart of banishd sets it aside and begins a new one", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// As SQLite says it; `None` where the check found it.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// A damaged or foreign file could not be renamed.
    #[error("'{}' is no usable database and cannot be set aside; move it away by hand", .path.display())]
    SetAside {
        /// The database.
        path: PathBuf,
        /// As the system says it.
        #[source]
        source: io::Error,
    },
    /// The new file is unusable too.
    #[error("a new '{}' is unusable as well; is something else writing it?", .path.display())]
    Unusable {
        /// The database.
        path: PathBuf,
    },
    /// The disk, or SQLite, did something else.
    #[error("cannot use '{}'", .path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// As SQLite says it.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    fn of_dir(dir: &Path, source: io::Error) -> Self {
        let dir = dir.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoDirectory { dir, source },
            _ => Self::Denied {
                path: dir,
                source: source.into(),
            },
        }
    }

    fn of_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                path,
                source: Some(source),
            },
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Locked { path, source }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Denied {
                    path,
                    source: source.into(),
                }
            }
            _ => Self::Sqlite { path, source },
        }
    }
}

/// The database file in use.
#[derive(Debug)]
struct File {
    path: PathBuf,
    connection: Connection,
    /// Row numbers of jails, as committed.
    jails: BTreeMap<JailName, i64>,
    /// Whether commits sync the log at the moment.
    syncing: bool,
}

/// What an intact database is.
enum Found {
    /// Ours, with what it remembers and how many rows made no sense.
    Ours(Remembered, Option<usize>),
    /// Some other program's.
    Foreign,
    /// Ours, of a later version.
    Later(i64),
}

impl File {
    fn open(path: &Path) -> Result<(Self, Found), StoreError> {
        create_private(path).map_err(|source| StoreError::Denied {
            path: path.to_owned(),
            source: source.into(),
        })?;
        let error = |source| StoreError::of_sqlite(path, source);
        let mut connection = connect(path).map_err(error)?;
        if !is_intact(&connection).map_err(error)? {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
                source: None,
            });
        }
        let found = match schema::shape(&connection).map_err(error)? {
            Shape::Foreign => Found::Foreign,
            Shape::Later(version) => Found::Later(version),
            Shape::Version(version) => {
                // Tables of our name but another make are damage too.
                let misfit = |source: rusqlite::Error| match source {
                    _ if is_misfit(&source) => StoreError::Corrupt {
                        path: path.to_owned(),
                        source: Some(source),
                    },
                    _ => error(source),
                };
                tune(&connection).map_err(error)?;
                schema::migrate(&mut connection, version).map_err(misfit)?;
                for statement in schema::STATEMENTS {
                    connection.prepare_cached(statement).map_err(misfit)?;
                }
                let (remembered, skipped) = row::load(&connection).map_err(misfit)?;
                connection
                    .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
                    .map_err(error)?;
                Found::Ours(remembered, (skipped > 0).then_some(skipped))
            }
        };
        connection.busy_timeout(PATIENCE).map_err(error)?;
        let file = Self {
            path: path.to_owned(),
            connection,
            jails: BTreeMap::new(),
            syncing: false,
        };
        Ok((file, found))
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let done = self
            .sync_next(commit.durable)
            .and_then(|()| self.write(commit));
        done.map_err(|source| {
            // Jails that were numbered in the transaction have no number any more.
            self.jails.clear();
            StoreError::of_sqlite(&self.path, source)
        })
    }

    fn lines(&self, jail: &JailName, offender: &Offender) -> rusqlite::Result<Vec<Box<str>>> {
        let mut query = self.connection.prepare_cached(schema::LINES_OF_BAN)?;
        let mut rows = query.query(params![&**jail, offender.to_string()])?;
        match rows.next()? {
            Some(row) => Ok(row::to_lines(row.get_ref(0)?.as_str_or_null()?)),
            None => Ok(Vec::new()),
        }
    }

    /// Chooses whether the next transaction syncs the log: `FULL` does, and so makes everything before
    /// it durable too; `NORMAL` syncs at checkpoints only.
    fn sync_next(&mut self, durable: bool) -> rusqlite::Result<()> {
        if self.syncing != durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.syncing = durable;
        }
        Ok(())
    }

    fn write(&mut self, commit: &Commit) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer {
            transaction: &transaction,
            jails: &mut self.jails,
        };
        writer.bans(commit)?;
        writer.windows(commit)?;
        writer.histories(commit)?;
        writer.jails_and_positions(commit)?;
        writer.unresolved(commit)?;
        transaction.commit()
    }
}

/// One transaction under way.
struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    jails: &'a mut BTreeMap<JailName, i64>,
}

impl Writer<'_> {
    fn bans(&mut self, commit: &Commit) -> rusqlite::Result<()> {
        let mut put = self.transaction.prepare_cached(schema::PUT_BAN)?;
        for (ban, lines) in &commit.bans {
            put.execute(params![
                self.jail(&ban.jail)?,
                ban.offender.to_string(),
                ban.since.usec().cast_signed(),
                ban.until.map(|until| until.usec().cast_signed()),
                ban.failures,
                ban.earlier,
                ban.origin.as_str(),
                lines.as_deref().map(row::from_lines),
            ])?;
        }
        let mut delete = self.transaction.prepare_cached(schema::DELETE_BAN)?;
        for (jail, offender) in &commit.unbans {
            delete.execute(params![self.jail(jail)?, offender.to_string()])?;
        }
        Ok(())
    }

    fn windows(&mut self, commit: &Commit) -> rusqlite::Result<()> {
        let mut put = self.transaction.prepare_cached(schema::PUT_WINDOW)?;
        let mut delete = self.transaction.prepare_cached(schema::DELETE_WINDOW)?;
        for (jail, offender, window) in &commit.windows {
            let (jail, offender) = (self.jail(jail)?, offender.to_string());
            match window {
                Some(window) => put.execute(params![
                    jail,
                    offender,
                    row::from_window(window),
                    lines_or_null(&window.lines),
                    window.is_due,
                ])?,
                None => delete.execute(params![jail, offender])?,
            };
        }
        Ok(())
    }

    fn histories(&mut self, commit: &Commit) -> rusqlite::Result<()> {
        let mut put = self.transaction.prepare_cached(schema::PUT_HISTORY)?;
        let mut delete = self.transaction.prepare_cached(schema::DELETE_HISTORY)?;
        for (jail, offender, history) in &commit.histories {
            let (jail, offender) = (self.jail(jail)?, offender.to_string());
            match history {
                Some(history) => {
                    let last = history.last.usec().cast_signed();
                    put.execute(params![jail, offender, history.bans, last])?
                }
                None => delete.execute(params![jail, offender])?,
            };
        }
        Ok(())
    }

    fn jails_and_positions(&mut self, commit: &Commit) -> rusqlite::Result<()> {
        let mut put = self.transaction.prepare_cached(schema::PUT_JAIL)?;
        let mut forget = self.transaction.prepare_cached(schema::FORGET_JAIL)?;
        for (jail, record) in &commit.jails {
            let id = self.jail(jail)?;
            match record {
                Some(JailRecord {
                    rules,
                    bans_total,
                    failures_total,
                }) => put.execute(params![
                    id,
                    row::from_protocol(rules.protocol),
                    rules.ports.to_string(),
                    bans_total.cast_signed(),
                    failures_total.cast_signed(),
                ])?,
                None => forget.execute(params![id])?,
            };
        }
        let mut put = self.transaction.prepare_cached(schema::PUT_POSITION)?;
        let mut delete = self.transaction.prepare_cached(schema::DELETE_POSITION)?;
        for (log, position) in &commit.positions {
            match position {
                Some(Position { cursor, time }) => {
                    put.execute(params![log.as_str(), cursor.0, time.usec().cast_signed()])?
                }
                None => delete.execute(params![log.as_str()])?,
            };
        }
        Ok(())
    }

    fn unresolved(&mut self, commit: &Commit) -> rusqlite::Result<()> {
        let mut put = self.transaction.prepare_cached(schema::PUT_UNRESOLVED)?;
        let mut delete = self.transaction.prepare_cached(schema::DELETE_UNRESOLVED)?;
        for (name, failures) in &commit.unresolved {
            delete.execute(params![name])?;
            for (failure, number) in failures.iter().zip(0_u32..) {
                put.execute(params![
                    name,
                    number,
                    self.jail(&failure.jail)?,
                    failure.time.usec().cast_signed(),
                    failure.pid,
                    failure.advance,
                    lines_or_null(&failure.lines),
                    Some(row::from_captures(&failure.captures)).filter(|blob| !blob.is_empty()),
                ])?;
            }
        }
        Ok(())
    }

    /// The row number of `jail`, which gets one if it has none.
    fn jail(&mut self, jail: &JailName) -> rusqlite::Result<i64> {
        if let Some(id) = self.jails.get(jail) {
            return Ok(*id);
        }
        let id = self
            .transaction
            .prepare_cached(schema::NUMBER_JAIL)?
            .query_row([&**jail], |row| row.get(0))?;
        self.jails.insert(jail.clone(), id);
        Ok(id)
    }
}

/// Lines as a text, and none as NULL.
fn lines_or_null(lines: &[Box<str>]) -> Option<String> {
    (!lines.is_empty()).then(|| row::from_lines(lines))
}

/// Makes sure the file exists and that its owner alone may read it: SQLite would give it 0644, and its
/// companions copy its mode.
fn create_private(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if status.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Opens the file such that nothing in it can run code, and that closing changes nothing in a file
/// which turns out to be damaged.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE_AT_START)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Reads every page once. Besides finding damage before it can spread, this makes sure that the
/// queries after it end: a tree whose pages point in circles is damaged.
fn is_intact(connection: &Connection) -> rusqlite::Result<bool> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(verdict == "ok")
}

/// Whether a statement does not fit the tables.
fn is_misfit(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// Chooses WAL and bounds it.
fn tune(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    debug_assert_eq!(mode, "wal");
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.query_row("PRAGMA wal_autocheckpoint = 1000", [], |_| Ok(()))?;
    connection.query_row("PRAGMA journal_size_limit = 4194304", [], |_| Ok(()))?;
    Ok(())
}

fn skipped_rows(path: &Path, count: usize) -> String {
    let path = path.display();
    format!("{count} rows of '{path}' make no sense, ignoring them; look at them with sqlite3")
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// The database's name in the state directory.
pub const FILE: &str = "banishd.db";

/// Negative: KiB, of which only what is in use is taken. Enough for every page of 100,000 bans: with
/// less, a commit of many bans writes its pages more than once.
const CACHE: i64 = -16_384;

/// How long a commit waits for another program's lock.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long opening waits for it.
const PATIENCE_AT_START: Duration = Duration::from_secs(2);
