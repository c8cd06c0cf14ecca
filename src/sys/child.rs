//! Children in sessions of their own, so that they can be waited for with a limit and ended with all
//! that they started. Comes in: a command to be started, or a child. Goes out: whether it has ended. It
//! signals no process that is not the child's, whose number is its own until somebody waits for it.

#![expect(
    unsafe_code,
    reason = "what runs between fork and exec must be safe there; pidfd_open and kill take numbers"
)]

use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// Has the child lead a session and a process group of its own.
pub fn in_own_session(command: &mut Command) {
    // SAFETY: setsid(2) is async-signal-safe, and last_os_error allocates nothing.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// Waits until the child has ended or something can be read from `output`, but not longer than `limit`;
/// says whether the one and the other. The child stays to be waited for.
///
/// # Errors
/// The kernel has no pidfd, or none left.
pub fn wait(
    child: &Child,
    output: Option<&PipeReader>,
    limit: Duration,
) -> io::Result<(bool, bool)> {
    let none: libc::c_uint = 0;
    // SAFETY: pidfd_open(2) takes two numbers, and the child is ours and not yet waited for.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, number(child)?, none) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // poll(2) skips negative descriptors.
    let fds = [fd.as_raw_fd(), output.map_or(-1, AsRawFd::as_raw_fd)];
    let mut fds = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the pointer is to two pollfds that outlive the call.
    if unsafe { libc::poll(fds.as_mut_ptr(), 2, limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let [ended, readable] = fds.map(|fd| fd.revents != 0);
    Ok((ended, readable))
}

/// Asks the child's whole group to end. It must not have been waited for: then its number may be
/// another's.
pub fn terminate(child: &Child) {
    signal(child, libc::SIGTERM);
}

/// Ends the child's whole group, which is under the same law.
pub fn kill(child: &Child) {
    signal(child, libc::SIGKILL);
}

fn signal(child: &Child, signal: libc::c_int) {
    if let Ok(pid) = number(child) {
        // SAFETY: kill(2) takes numbers only. A group that has gone is no error of ours.
        unsafe { libc::kill(-pid, signal) };
    }
}

fn number(child: &Child) -> io::Result<libc::pid_t> {
    libc::pid_t::try_from(child.id()).map_err(io::Error::other)
}
