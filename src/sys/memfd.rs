//! Anonymous memory files that nobody can change any more: how a long answer goes over the bus.
//!
//! Comes in: bytes. Goes out: a descriptor whose contents are sealed and whose offset is 0. It never
//! hands out a file that can still be written.
#![expect(
    unsafe_code,
    reason = "memfd_create and its seals have no safe wrapper in std"
)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A memory file that is being written.
#[derive(Debug)]
pub struct Memfd(File);

impl Memfd {
    /// An empty one; the name is only seen in `/proc/PID/fd`.
    ///
    /// # Errors
    /// The kernel is out of memory or of descriptors.
    pub fn create(name: &CStr) -> io::Result<Self> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // kernels before 6.3 do not know MFD_NOEXEC_SEAL, later ones complain where it is missing
        memfd_create(name, flags | libc::MFD_NOEXEC_SEAL)
            .or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => memfd_create(name, flags),
                _ => Err(error),
            })
            .map(|fd| Self(File::from(fd)))
    }

    /// Ends writing for good.
    ///
    /// # Errors
    /// The kernel refuses the seals.
    pub fn seal(mut self) -> io::Result<OwnedFd> {
        const SEALS: libc::c_int =
            libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        self.0.rewind()?;
        // SAFETY: the descriptor is open for as long as `self` lives, and F_ADD_SEALS takes an int.
        if unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(self.0.into())
    }
}

impl Write for Memfd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn memfd_create(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: `name` is a valid C string for the duration of the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_sealed_file_reads_from_its_start_and_refuses_writes() {
        let mut memfd = Memfd::create(c"test").unwrap();
        memfd.write_all(b"bans").unwrap();

        let mut file = File::from(memfd.seal().unwrap());

        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bans");
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
    }
}
