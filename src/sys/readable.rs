//! Waits in tokio until a descriptor can be read. Comes in: a descriptor that we own. Must be made
//! inside a tokio runtime with I/O enabled. Never reads by itself.

#![expect(unsafe_code, reason = "AsyncFd trusts us to keep the descriptor open")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A non-blocking descriptor that can be waited for.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Takes the descriptor over and closes it in the end.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an OwnedFd is open until it is dropped, always the same, and only AsyncFd has it.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Calls `read` each time there may be something to read, until it returns anything but
    /// [`io::ErrorKind::WouldBlock`]. May be dropped and called again.
    pub async fn read<T>(&self, mut read: impl FnMut(RawFd) -> io::Result<T>) -> io::Result<T> {
        self.0
            .async_io(Interest::READABLE, |fd| read(fd.as_raw_fd()))
            .await
    }
}

impl AsRawFd for Readable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
