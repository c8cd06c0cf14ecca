//! Descriptors that a service manager left open for this process.

#![expect(
    unsafe_code,
    reason = "a descriptor number says nothing about who owns it"
)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over a descriptor that was passed by number (sd_listen_fds(3)); `None` for one below 3, which
/// is never passed so. To be called once for each number.
#[must_use]
pub fn take(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: the manager opened it for this process and told its number to nobody else, and the
    // caller takes each number once.
    (fd >= 3).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
