//! Sets a database aside that cannot be used. Comes in: its path. Goes out: where it is now. Never
//! deletes and never overwrites: its bytes, and its log beside it, stay as they were found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a database is of no use to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is damaged, or no database.
    Corrupt,
    /// Another program's tables are in it.
    Foreign,
    /// A later banishd wrote it, in this version.
    Later(i64),
}

impl Reason {
    /// For the log, once it is at `kept`.
    pub(crate) fn warning(self, path: &Path, kept: &Path) -> String {
        let (path, kept) = (path.display(), kept.display());
        match self {
            Self::Corrupt => format!(
                "'{path}' is damaged, beginning a new one without its bans; the old one is \
                 '{kept}': save what can be saved with sqlite3 '{kept}' .recover, then delete it"
            ),
            Self::Foreign => format!(
                "'{path}' is not a database of banishd, beginning a new one; the old one is \
                 '{kept}': move it to where it belongs"
            ),
            Self::Later(version) => format!(
                "'{path}' was written by a later banishd (version {version} of its tables), \
                 beginning a new one without its bans; the old one is '{kept}': to use it again, \
                 stop banishd, install the later one, and move '{kept}' back to '{path}'"
            ),
        }
    }

    fn suffix(self) -> String {
        match self {
            Self::Corrupt => "corrupt".to_owned(),
            Self::Foreign => "foreign".to_owned(),
            Self::Later(version) => format!("version-{version}"),
        }
    }
}

/// Renames the database and its logs to the first free number, so that they still belong together.
pub(crate) fn set_aside(path: &Path, reason: Reason) -> io::Result<PathBuf> {
    for number in 1..=MOST {
        let kept = with_suffix(path, &format!(".{}-{number}", reason.suffix()));
        if ["", "-wal", "-shm"]
            .iter()
            .any(|part| with_suffix(&kept, part).symlink_metadata().is_ok())
        {
            continue;
        }
        // The database goes last: as long as it is in its place, SQLite does not take its log for the
        // rest of some other file and delete it.
        for part in PARTS {
            match fs::rename(with_suffix(path, part), with_suffix(&kept, part)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_empty() => {}
                done => done?,
            }
        }
        return Ok(kept);
    }
    Err(io::Error::other(
        "too many files were set aside already; delete some",
    ))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The files of a database, itself last.
const PARTS: [&str; 4] = ["-journal", "-wal", "-shm", ""];

/// So many files of one kind, and no more: a disk that damages everything must not be filled up.
const MOST: u32 = 100;
