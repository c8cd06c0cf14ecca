//! A netlink socket, and the framing of what comes out of it.
//!
//! Comes in: whole requests as bytes. Goes out: whole answers as bytes, and iterators over their
//! messages and attributes. It never waits: the kernel has answered a request by the time
//! [`Socket::send`] returns. It knows no protocol on top, and reading hostile bytes never panics.

#![expect(unsafe_code, reason = "libc's socket calls take raw pointers")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void, socklen_t};

/// A non-blocking netlink socket, bound to an address that the kernel chose.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// A new socket of `protocol` (`NETLINK_NETFILTER`, `NETLINK_ROUTE`, …) that hears the multicast
    /// groups in the mask `groups`; 0 for none.
    pub fn open(protocol: c_int, groups: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd was just made and nobody else holds it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let address = SocketAddress {
            nl_family: AF_NETLINK,
            nl_groups: groups,
            ..SocketAddress::default()
        };
        // SAFETY: the address is a sockaddr_nl and its size is passed.
        let bound = unsafe { libc::bind(fd, (&raw const address).cast(), ADDRESS_SIZE) };
        done(bound)?;
        socket.prepare()?;
        Ok(socket)
    }

    /// Takes over a socket that somebody kept for us, and drops the answers to questions that nobody
    /// remembers. An error if it is no bound netlink socket of `protocol`.
    pub fn adopt(fd: OwnedFd, protocol: c_int) -> io::Result<Self> {
        let socket = Self(fd);
        let is_ours = socket.option(libc::SO_DOMAIN)? == libc::AF_NETLINK
            && socket.option(libc::SO_PROTOCOL)? == protocol
            && socket.port()? != 0;
        if !is_ours {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        socket.prepare()?;
        socket.drain();
        Ok(socket)
    }

    /// Sends one request, or one batch of requests, in a single piece.
    pub fn send(&self, request: &[u8]) -> io::Result<()> {
        self.make_room(request.len());
        let fd = self.0.as_raw_fd();
        // SAFETY: pointer and length are those of one slice.
        let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) };
        match usize::try_from(sent) {
            Ok(length) if length == request.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Reads one datagram to the end of `into`; false if none is waiting. An error of kind
    /// `ENOBUFS` means that datagrams were lost.
    pub fn receive(&self, into: &mut Vec<u8>) -> io::Result<bool> {
        let start = into.len();
        into.resize(start + DATAGRAM, 0);
        let received = self.receive_at(into, start);
        into.truncate(start + received.as_ref().map_or(0, |length| length.unwrap_or(0)));
        received.map(|length| length.is_some())
    }

    /// Throws away whatever is waiting.
    pub fn drain(&self) {
        let mut waste = Vec::new();
        // An overrun is reported once and says nothing about what still waits behind it.
        for _ in 0..DRAIN_LIMIT {
            waste.clear();
            if matches!(self.receive(&mut waste), Ok(false)) {
                return;
            }
        }
    }

    /// The address that the kernel gave this socket, by which it knows what the socket owns.
    pub fn port(&self) -> io::Result<u32> {
        let mut address = SocketAddress::default();
        let mut size = ADDRESS_SIZE;
        // SAFETY: the kernel writes at most `size` bytes, which is the size of the address.
        let named = unsafe {
            let target = (&raw mut address).cast();
            libc::getsockname(self.0.as_raw_fd(), target, &raw mut size)
        };
        done(named)?;
        Ok(address.nl_pid)
    }

    /// The descriptor; giving it to somebody else keeps what the socket owns alive.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    fn receive_at(&self, into: &mut [u8], start: usize) -> io::Result<Option<usize>> {
        let space = into.get_mut(start..).unwrap_or_default();
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let fd = self.0.as_raw_fd();
        // SAFETY: pointer and length are those of one slice, which nobody else looks at.
        let length = unsafe { libc::recv(fd, space.as_mut_ptr().cast(), space.len(), flags) };
        match usize::try_from(length) {
            Ok(length) if length <= space.len() => Ok(Some(length)),
            Ok(_) => Err(io::ErrorKind::FileTooLarge.into()),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Errors come without the request they answer: one of 64 KiB would not fit our datagrams.
    fn prepare(&self) -> io::Result<()> {
        self.set(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
        // Best effort: without CAP_NET_ADMIN the system's limit holds.
        let _ = self.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER);
        Ok(())
    }

    /// A request must fit the send buffer, which by default holds 200 KiB.
    fn make_room(&self, length: usize) {
        let wanted = c_int::try_from(length.saturating_add(SEND_MARGIN)).unwrap_or(c_int::MAX);
        // The kernel doubles what it is told, and reports the double.
        let enough = self
            .option(libc::SO_SNDBUF)
            .is_ok_and(|has| has / 2 >= wanted);
        if !enough
            && self
                .set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, wanted)
                .is_err()
        {
            let _ = self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, wanted);
        }
    }

    fn set(&self, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        let pointer = (&raw const value).cast::<c_void>();
        // SAFETY: the pointer is to an int, whose size is passed.
        done(unsafe { libc::setsockopt(fd, level, name, pointer, INT_SIZE) })
    }

    fn option(&self, name: c_int) -> io::Result<c_int> {
        let fd = self.0.as_raw_fd();
        let mut value: c_int = 0;
        let mut size = INT_SIZE;
        // SAFETY: the kernel writes at most `size` bytes, which is the size of an int.
        let got = unsafe {
            let target = (&raw mut value).cast::<c_void>();
            libc::getsockopt(fd, libc::SOL_SOCKET, name, target, &raw mut size)
        };
        done(got)?;
        Ok(value)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One netlink message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is.
    pub kind: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// The request it answers.
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

impl Message<'_> {
    /// What an error or acknowledgement says: 0 or an errno, positive. `None` for another message.
    #[must_use]
    pub fn verdict(&self) -> Option<i32> {
        if i32::from(self.kind) != libc::NLMSG_ERROR {
            return None;
        }
        let code = self
            .body
            .first_chunk()
            .map(|code| i32::from_ne_bytes(*code))?;
        Some(code.saturating_neg())
    }
}

/// The messages in some bytes, up to the first malformed one.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<2>()?;
        let (flags, rest) = rest.split_first_chunk::<2>()?;
        let (sequence, _) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
        let message = Message {
            kind: u16::from_ne_bytes(*kind),
            flags: u16::from_ne_bytes(*flags),
            sequence: u32::from_ne_bytes(*sequence),
            body: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// The attributes in some bytes as kind (its flag bits cleared) and payload, up to the first
/// malformed one.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The payload of the first attribute of this kind.
    #[must_use]
    pub fn find(self, kind: u16) -> Option<&'a [u8]> {
        let mut all = self;
        all.find_map(|(k, payload)| (k == kind).then_some(payload))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (kind, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let payload = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes(*kind) & KIND_MASK, payload))
    }
}

/// `sockaddr_nl`; libc's has a private field.
#[repr(C)]
#[derive(Default)]
struct SocketAddress {
    nl_family: u16,
    nl_pad: u16,
    nl_pid: u32,
    nl_groups: u32,
}

fn done(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The length of a message header.
pub const HEADER: usize = 16;
/// Dumps come in pieces of at most 32 KiB.
const DATAGRAM: usize = 65_536;
/// Datagrams that [`Socket::drain`] throws away at most.
const DRAIN_LIMIT: u32 = 100_000;
const RECEIVE_BUFFER: c_int = 1 << 20;
/// What the kernel adds to a request when it accounts for it.
const SEND_MARGIN: usize = 65_536;
const KIND_MASK: u16 = 0x3fff;
const AF_NETLINK: u16 = 16;
#[expect(clippy::cast_possible_truncation, reason = "12")]
const ADDRESS_SIZE: socklen_t = size_of::<SocketAddress>() as socklen_t;
#[expect(clippy::cast_possible_truncation, reason = "4")]
const INT_SIZE: socklen_t = size_of::<c_int>() as socklen_t;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_protocol_is_not_adopted() {
        let socket = Socket::open(libc::NETLINK_ROUTE, 0).unwrap();

        let adopted = Socket::adopt(socket.into_fd(), libc::NETLINK_NETFILTER);

        assert_eq!(adopted.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_adopted_socket_keeps_its_address() {
        let socket = Socket::open(libc::NETLINK_ROUTE, 0).unwrap();
        let port = socket.port().unwrap();

        let adopted = Socket::adopt(socket.into_fd(), libc::NETLINK_ROUTE).unwrap();

        assert_eq!(adopted.port().unwrap(), port);
    }

    #[test]
    fn framing_survives_every_truncation_and_absurd_length() {
        let mut bytes = vec![
            20, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
        ];
        assert_eq!(Messages(&bytes).next().and_then(|m| m.verdict()), Some(1));

        for end in 0..bytes.len() {
            assert_eq!(Messages(&bytes[..end]).count(), 0, "{end}");
        }
        for length in [0, 3, 15, 21, 0xff] {
            bytes[0] = length;
            assert_eq!(Messages(&bytes).count(), 0, "{length}");
            assert!(Attributes(&bytes).count() < 6, "{length}");
        }
    }
}
