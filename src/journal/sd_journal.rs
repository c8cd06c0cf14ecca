//! LISTENS, innermost: libsystemd's journal reader as a safe type, and the poll it sleeps in.
//!
//! Comes in: calls from the one thread that owns the [`Journal`]. Goes out: entries, field by field,
//! borrowed until the next call. It must never hand a pointer out or move to another thread.

#![expect(
    unsafe_code,
    reason = "poll, eventfd and one call that the systemd crate leaves out"
)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use foreign_types::ForeignTypeRef;
use libsystemd_sys::journal::sd_journal_reliable_fd;
use systemd::JournalWaitResult;
use systemd::journal::{JournalEntryField, OpenDirectoryOptions, OpenOptions};

use crate::engine::record::MESSAGE_MAX;

/// A journal opened for reading. It watches for changes from the moment it is open.
pub struct Journal {
    inner: systemd::Journal,
    fd: RawFd,
}

impl Journal {
    /// The system's own journal: no user's, no other host's, no container's. Entries that came over
    /// the network may claim any unit and any uid.
    ///
    /// # Errors
    /// As `sd_journal_open`, `sd_journal_get_fd`.
    pub fn system() -> io::Result<Self> {
        Self::new(
            OpenOptions::default()
                .system(true)
                .local_only(true)
                .open()?,
        )
    }

    /// The files of one directory.
    ///
    /// # Errors
    /// As `sd_journal_open_directory`, `sd_journal_get_fd`.
    pub fn directory(path: &CStr) -> io::Result<Self> {
        Self::new(OpenDirectoryOptions::default().open_directory(path)?)
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

    /// Whether changes wake [`poll`]. Not on network file systems: look every two seconds there, as
    /// `sd_journal_get_timeout` would say.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        // SAFETY: the pointer is the open journal that `self.inner` owns, and this is its thread,
        // because neither type is Send. The call reads a flag.
        unsafe { sd_journal_reliable_fd(self.inner.as_ptr()) > 0 }
    }
}

/// Wakes a thread that sleeps in [`poll`], from any thread and however often.
#[derive(Clone, Debug)]
pub struct Waker(Arc<File>);

impl Waker {
    /// An eventfd.
    ///
    /// # Errors
    /// Out of file descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(Arc::new(File::from(fd))))
    }

    /// Wakes the thread now, or keeps it from its next sleep.
    pub fn wake(&self) {
        // The only possible failure is a full counter, and a full counter wakes too.
        let _ = (&*self.0).write(&1_u64.to_ne_bytes());
    }

    fn clear(&self) {
        // The only possible failure is an empty counter, which is what we want.
        let _ = (&*self.0).read(&mut [0; 8]);
    }
}

/// Sleeps until the journal changes, the waker wakes, or `pause` is over. True where the journal
/// changed: [`Journal::process`] must follow.
///
/// # Errors
/// As poll(2); an interruption is no error.
pub fn poll(journal: Option<&Journal>, waker: &Waker, pause: Option<Duration>) -> io::Result<bool> {
    let entry = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // poll(2) skips negative descriptors.
    let mut fds = [
        entry(journal.map_or(-1, |j| j.fd)),
        entry(waker.0.as_raw_fd()),
    ];
    let millis = pause.map_or(-1, |p| i32::try_from(p.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: the pointer is to two pollfds that outlive the call.
    if unsafe { libc::poll(fds.as_mut_ptr(), 2, millis) } < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(false),
            _ => Err(error),
        };
    }
    let [changed, woken] = fds.map(|f| f.revents != 0);
    if woken {
        waker.clear();
    }
    Ok(changed)
}
