//! One daemon per state directory. Comes in: the directory. Goes out: a claim that lasts as long as the
//! process, whatever ends it. Two daemons on one store would undo each other's commits.

use std::fs::{File, TryLockError};
use std::path::Path;

/// The right to use a state directory.
#[derive(Debug)]
pub struct Claim {
    /// Absent where the directory cannot be written, and so nothing can be undone.
    _lock: Option<File>,
}

/// Another process has the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another banishd uses this state directory; 'systemctl status banishd' shows the service")]
pub struct Taken;

impl Claim {
    /// Claims `dir` by a lock on the file `lock` in it.
    ///
    /// # Errors
    /// Another process has claimed it.
    pub fn stake(dir: &Path) -> Result<Self, Taken> {
        let Ok(lock) = File::create(dir.join("lock")) else {
            return Ok(Self { _lock: None });
        };
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Taken),
            // A file system without locks cannot keep anybody out.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _lock: Some(lock) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_claimed_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();

        let first = Claim::stake(dir.path()).unwrap();
        assert_eq!(Claim::stake(dir.path()).unwrap_err(), Taken);
        drop(first);

        // A child that another test forks holds the lock too, until it is another program.
        while Claim::stake(dir.path()).is_err() {
            std::thread::yield_now();
        }
        assert!(Claim::stake(&dir.path().join("missing")).is_ok());
    }
}
