//! Who is at the other end of a unix socket. Goes out: what the kernel noted when it connected, and
//! nothing that the peer says of itself.

#![expect(unsafe_code, reason = "getsockopt writes through a raw pointer")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

/// The user that connected.
///
/// # Errors
/// It is no unix socket.
pub fn uid(socket: impl AsFd) -> io::Result<u32> {
    let mut who = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut size = SIZE;
    // SAFETY: both pointers are to variables of the kinds that SO_PEERCRED fills in, `size` says how
    // long the first is, and the descriptor is open while it is borrowed.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut who).cast(),
            &raw mut size,
        )
    };
    match done {
        0 if size == SIZE => Ok(who.uid),
        0 => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "three numbers")]
const SIZE: libc::socklen_t = size_of::<libc::ucred>() as libc::socklen_t;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_other_end_of_a_pair_is_ourselves() {
        let (ours, _theirs) = UnixStream::pair().unwrap();

        assert_eq!(uid(&ours).unwrap(), crate::sys::user::effective());
        assert!(uid(io::stdin()).is_err());
    }
}
