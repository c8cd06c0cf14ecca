//! What systemd is told (sd_notify(3)) and what it kept for us. Without systemd all of it is silence.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::sys::kept;

/// The name of the firewall's socket in the file descriptor store.
const SOCKET: &str = "nftables";

/// Start-up is over.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The end has begun.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// We are alive.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// How often to be ready for [`watchdog`]; `None` if nobody watches. One call may be left out without
/// the process being ended: a reader that sleeps on a slow disk gets a second chance.
#[must_use]
pub fn watchdog_pace() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

/// Has systemd keep the firewall's socket, and with it the table, over a restart. A netlink socket
/// reports POLLERR when its buffer overruns, on which systemd would drop it: hence FDPOLL=0.
pub fn keep_socket(fd: BorrowedFd<'_>) {
    let forget = [NotifyState::FdStoreRemove, NotifyState::FdName(SOCKET)];
    let keep = [
        NotifyState::FdStore,
        NotifyState::FdName(SOCKET),
        NotifyState::Custom("FDPOLL=0"),
    ];
    send(&forget);
    if let Err(error) = sd_notify::notify_with_fds(&keep, &[fd]) {
        tracing::debug!(error = %error, "systemd does not keep the firewall's socket");
    }
}

/// The firewall's socket of the process before us.
#[must_use]
pub fn kept_socket() -> Option<OwnedFd> {
    let passed: Vec<_> = sd_notify::listen_fds_with_names().ok()?.collect();
    // All of them are taken over, so that those not wanted are closed.
    let named = passed
        .into_iter()
        .filter_map(|(fd, name)| Some((name, kept::take(fd)?)));
    named.fold(None, |found, (name, fd)| {
        found.or((name == SOCKET).then_some(fd))
    })
}

fn send(state: &[NotifyState<'_>]) {
    // Whoever started us without a notify socket does not want to know.
    let _ = sd_notify::notify(state);
}
