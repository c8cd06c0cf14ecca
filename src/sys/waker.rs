//! Wakes a thread that sleeps until a descriptor can be read. Comes in: a descriptor to watch, for how
//! long. Goes out: whether it can be read. Never reads it.

#![expect(unsafe_code, reason = "poll and eventfd")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Ends a thread's [`Waker::sleep`], from any thread and however often.
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

    /// Sleeps until `fd` can be read, somebody wakes the thread, or `pause` is over. True where `fd` can
    /// be read. Without `fd` only the last two count.
    ///
    /// # Errors
    /// As poll(2); an interruption is no error.
    pub fn sleep(&self, fd: Option<RawFd>, pause: Option<Duration>) -> io::Result<bool> {
        let [readable, _] = self.sleep_beside(fd, None, pause)?;
        Ok(readable)
    }

    /// The same, and an error of `other`, of which it is the second word, ends the sleep too.
    ///
    /// # Errors
    /// As [`Waker::sleep`].
    pub fn sleep_beside(
        &self,
        fd: Option<RawFd>,
        other: Option<RawFd>,
        pause: Option<Duration>,
    ) -> io::Result<[bool; 2]> {
        // poll(2) skips negative descriptors, and tells of errors unasked.
        let entry = |fd: Option<RawFd>, events| libc::pollfd {
            fd: fd.unwrap_or(-1),
            events,
            revents: 0,
        };
        let own = entry(Some(self.0.as_raw_fd()), libc::POLLIN);
        let mut fds = [entry(fd, libc::POLLIN), own, entry(other, 0)];
        let millis = pause.map_or(-1, |p| i32::try_from(p.as_millis()).unwrap_or(i32::MAX));
        // SAFETY: the pointer is to three pollfds that outlive the call.
        if unsafe { libc::poll(fds.as_mut_ptr(), 3, millis) } < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok([false; 2]),
                _ => Err(error),
            };
        }
        let [readable, woken, failed] = fds.map(|f| f.revents != 0);
        if woken {
            // The only possible failure is an empty counter, which is what we want.
            let _ = (&*self.0).read(&mut [0; 8]);
        }
        Ok([readable, failed])
    }
}
