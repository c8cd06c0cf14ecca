//! LISTENS, innermost: libsystemd's journal reader as a safe type.
//!
//! Comes in: calls from the one thread that owns the [`Journal`]. Goes out: entries, field by field,
//! borrowed until the next call. It must never hand a pointer out or move to another thread.

#![expect(unsafe_code, reason = "one call that the systemd crate leaves out")]

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use foreign_types::ForeignTypeRef;
use libsystemd_sys::journal::sd_journal_reliable_fd;
use systemd::JournalWaitResult;
use systemd::journal::{JournalEntryField, OpenDirectoryOptions, OpenFilesOptions, OpenOptions};

use crate::engine::record::MESSAGE_MAX;
use crate::engine::settings;

/// A journal opened for reading. It watches for changes from the moment it is open.
pub struct Journal {
    inner: systemd::Journal,
    fd: RawFd,
}

impl Journal {
    /// Opens what the settings name. Of the system's journal, and of a namespace's, no user's, no other
    /// host's, no container's: entries that came over the network may claim any unit and any uid.
    ///
    /// # Errors
    /// As `sd_journal_open` and its kin, `sd_journal_get_fd`; a namespace without files is not found.
    pub fn open(which: &settings::Journal) -> io::Result<Self> {
        let mut safe = OpenOptions::default();
        safe.system(true).local_only(true);
        let inner = match which {
            settings::Journal::System => safe.open()?,
            settings::Journal::Flags(flags) => {
                OpenOptions::default().extra_raw_flags(*flags).open()?
            }
            settings::Journal::Directory(path) => {
                OpenDirectoryOptions::default().open_directory(&*text(path)?)?
            }
            settings::Journal::Files(paths) => {
                let paths = paths.iter().map(|path| text(path));
                let paths = paths.collect::<io::Result<Vec<_>>>()?;
                let paths = paths.iter().map(|path| &**path);
                OpenFilesOptions::default().open_files(paths)?
            }
            settings::Journal::Namespace(name) => {
                let inner = safe.open_namespace(&*text(Path::new(name))?)?;
                if !inner.has_persistent_files()? && !inner.has_runtime_files()? {
                    return Err(io::ErrorKind::NotFound.into());
                }
                inner
            }
        };
        Self::new(inner)
    }

    fn new(mut inner: systemd::Journal) -> io::Result<Self> {
        // First of all: this call creates the watches, and what changes before it goes unnoticed.
        let fd = inner.fd()?;
        inner.set_data_threshold(MESSAGE_MAX + "MESSAGE=".len())?;
        Ok(Self { inner, fd })
    }

    /// Adds a term to the current group: same field, or; other field, and. Resets the place.
    ///
    /// # Errors
    /// EINVAL for what is no field name.
    pub fn add_match(&mut self, field: &str, value: &str) -> io::Result<()> {
        self.inner.match_add(field, value)?;
        Ok(())
    }

    /// Begins the next group: an entry must match one of them.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn add_or(&mut self) -> io::Result<()> {
        self.inner.match_or()?;
        Ok(())
    }

    /// Goes to before the first entry.
    ///
    /// # Errors
    /// As `sd_journal_seek_head`.
    pub fn seek_head(&mut self) -> io::Result<()> {
        Ok(self.inner.seek_head()?)
    }

    /// Goes to after the last entry. Only [`Journal::back`] is sound from here: `forward` may return
    /// an old entry.
    ///
    /// # Errors
    /// As `sd_journal_seek_tail`.
    pub fn seek_tail(&mut self) -> io::Result<()> {
        Ok(self.inner.seek_tail()?)
    }

    /// Goes to before the first entry received at `usec` or later.
    ///
    /// # Errors
    /// As `sd_journal_seek_realtime_usec`.
    pub fn seek_realtime(&mut self, usec: u64) -> io::Result<()> {
        Ok(self.inner.seek_realtime_usec(usec)?)
    }

    /// Goes to before the entry, or where it is gone or not selected, before the closest later one.
    ///
    /// # Errors
    /// EINVAL for what is no cursor.
    pub fn seek_cursor(&mut self, cursor: &str) -> io::Result<()> {
        Ok(self.inner.seek_cursor(cursor)?)
    }

    /// Moves to the next entry; false at the end.
    ///
    /// # Errors
    /// As `sd_journal_next`.
    pub fn forward(&mut self) -> io::Result<bool> {
        Ok(self.inner.next()? > 0)
    }

    /// Moves to the entry before; false at the beginning.
    ///
    /// # Errors
    /// As `sd_journal_previous`.
    pub fn back(&mut self) -> io::Result<bool> {
        Ok(self.inner.previous()? > 0)
    }

    /// Goes back to the first field of the current entry.
    pub fn restart_fields(&mut self) {
        self.inner.restart_data();
    }

    /// The next field of the current entry as name and value.
    ///
    /// # Errors
    /// The field cannot be decoded; the ones after it are not reached either.
    pub fn next_field(&mut self) -> io::Result<Option<JournalEntryField<'_>>> {
        Ok(self.inner.enumerate_data()?)
    }

    /// When the current entry was received, in microseconds since 1970.
    ///
    /// # Errors
    /// There is no current entry.
    pub fn realtime(&self) -> io::Result<u64> {
        Ok(self.inner.timestamp_usec()?)
    }

    /// When the current entry was received, in microseconds since the boot it is from.
    ///
    /// # Errors
    /// There is no current entry.
    pub fn uptime(&self) -> io::Result<u64> {
        Ok(self.inner.monotonic_timestamp()?.0)
    }

    /// The place of the current entry.
    ///
    /// # Errors
    /// There is no current entry.
    pub fn cursor(&self) -> io::Result<String> {
        Ok(self.inner.cursor()?)
    }

    /// Whether the current entry is the one that `cursor` names.
    ///
    /// # Errors
    /// There is no current entry, or `cursor` is none.
    pub fn is_at(&self, cursor: &str) -> io::Result<bool> {
        Ok(self.inner.test_cursor(cursor)?)
    }

    /// What can be read when files change: [`Journal::process`] must follow.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.fd
    }

    /// Takes note of changed files; true where files came or went.
    ///
    /// # Errors
    /// As `sd_journal_process`.
    pub fn process(&mut self) -> io::Result<bool> {
        Ok(matches!(
            self.inner.process()?,
            JournalWaitResult::Invalidate
        ))
    }

    /// Whether changes make the descriptor readable. Not on network file systems: look every two seconds there, as
    /// `sd_journal_get_timeout` would say.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        // SAFETY: the pointer is the open journal that `self.inner` owns, and this is its thread,
        // because neither type is Send. The call reads a flag.
        unsafe { sd_journal_reliable_fd(self.inner.as_ptr()) > 0 }
    }
}

fn text(path: &Path) -> io::Result<CString> {
    // A NUL within is no path of anything.
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}
