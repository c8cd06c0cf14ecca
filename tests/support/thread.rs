//! A thread as the kernel sees it: whether it sleeps for good, and how often it was woken.

use std::fs;
use std::path::{Path, PathBuf};

use crate::journal::journald::wait_until;

/// A thread of this process.
pub(crate) struct Thread(PathBuf);

impl Thread {
    /// The one that asks.
    pub(crate) fn current() -> Self {
        Self(Path::new("/proc").join(fs::read_link("/proc/thread-self").unwrap()))
    }

    /// Waits until it sleeps without a timeout; how often it has slept then. A thread that looks again
    /// of itself, however seldom, never does.
    pub(crate) fn wait_until_asleep(&self) -> u64 {
        let mut sleeps = None;
        wait_until(|| {
            sleeps = self.asleep();
            sleeps.is_some()
        });
        sleeps.unwrap()
    }

    /// How often it has slept, if it sleeps in poll(2) without a timeout. Whoever makes a descriptor
    /// readable has the thread woken before his own call is over: then it does not sleep any more, or
    /// has slept once more.
    pub(crate) fn asleep(&self) -> Option<u64> {
        let call = fs::read_to_string(self.0.join("syscall")).unwrap();
        let mut words = call.split_whitespace();
        let number: i64 = words.next()?.parse().ok()?;
        let timeout = u64::from_str_radix(words.nth(2)?.strip_prefix("0x")?, 16).unwrap();
        if (number, timeout & u64::from(u32::MAX)) != ENDLESS_POLL {
            return None;
        }
        let status = fs::read_to_string(self.0.join("status")).unwrap();
        let of = |key: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(key));
            value.unwrap().trim()
        };
        // While another processor is being told to run it, it is still in its call.
        let is_asleep = of("State:").starts_with('S');
        is_asleep.then(|| of("voluntary_ctxt_switches:").parse().unwrap())
    }
}

/// The system call behind poll(2), and its third argument.
#[cfg(target_arch = "x86_64")]
const ENDLESS_POLL: (i64, u64) = (libc::SYS_poll, u32::MAX as u64);
#[cfg(not(target_arch = "x86_64"))]
const ENDLESS_POLL: (i64, u64) = (libc::SYS_ppoll, 0);
