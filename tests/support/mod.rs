//! What several test modules share.

use std::path::Path;

/// The real one, beside ours.
pub(crate) mod fail2ban;
/// An engine in a simulated world.
pub(crate) mod sim;
/// A thread as the kernel sees it.
pub(crate) mod thread;

/// Copies a program so that it can be run at once. Another process does it: a child that one of our other
/// threads forks meanwhile would keep the file open for writing, and then nobody can run it.
#[expect(clippy::disallowed_methods, reason = "a test, not the daemon")]
pub(crate) fn copy_program(from: impl AsRef<Path>, to: &Path) {
    let mut cp = std::process::Command::new("cp");
    let copied = cp.arg("--").arg(from.as_ref()).arg(to).status().unwrap();
    assert!(copied.success());
}
