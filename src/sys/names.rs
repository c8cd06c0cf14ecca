//! Names and addresses, as the host's resolver has them. Blocks for as long as that takes, so it is for
//! programs that do nothing else. Comes in: a name or an address. Goes out: the other.

#![expect(unsafe_code, reason = "getaddrinfo and getnameinfo take raw pointers")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Why a name has no answer. That it has no addresses is an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LookupError(String);

/// The addresses of a host, in the resolver's order; none where it has none or does not exist.
///
/// # Errors
/// The resolver did not find out.
pub fn addresses(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let text = CString::new(name).map_err(|_| LookupError("the name is none".to_owned()))?;
    // SAFETY: addrinfo is plain data, of which zeros mean "nothing special".
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = libc::AF_UNSPEC;
    // One answer an address, not one for each kind of socket.
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the name is a C string, the hints are initialised, and the list is written on success.
    let code = unsafe { libc::getaddrinfo(text.as_ptr(), ptr::null(), &hints, &raw mut list) };
    match code {
        0 => {}
        libc::EAI_NONAME | libc::EAI_NODATA => return Ok(Vec::new()),
        code => return Err(error(code)),
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: the list is getaddrinfo's, linked by ai_next up to a null pointer, until it is freed.
    while let Some(info) = unsafe { next.as_ref() } {
        found.extend(address(info).filter(|address| !found.contains(address)));
        next = info.ai_next;
    }
    // SAFETY: it is getaddrinfo's, freed once, and nothing of it is used afterwards.
    unsafe { libc::freeaddrinfo(list) };
    Ok(found)
}

/// The name of an address; `None` where it has none.
///
/// # Errors
/// The resolver did not find out.
pub fn name(address: IpAddr) -> Result<Option<String>, LookupError> {
    let mut host: [c_char; HOST_MAX] = [0; HOST_MAX];
    let capacity = libc::socklen_t::try_from(HOST_MAX).unwrap_or_default();
    let code = match address {
        IpAddr::V4(v4) => {
            // SAFETY: sockaddr_in is plain data.
            let mut socket: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            socket.sin_family = family(libc::AF_INET);
            socket.sin_addr.s_addr = u32::from_ne_bytes(v4.octets());
            ask(
                (&raw const socket).cast(),
                size::<libc::sockaddr_in>(),
                &mut host,
                capacity,
            )
        }
        IpAddr::V6(v6) => {
            // SAFETY: sockaddr_in6 is plain data.
            let mut socket: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            socket.sin6_family = family(libc::AF_INET6);
            socket.sin6_addr.s6_addr = v6.octets();
            ask(
                (&raw const socket).cast(),
                size::<libc::sockaddr_in6>(),
                &mut host,
                capacity,
            )
        }
    };
    match code {
        0 => {
            // SAFETY: getnameinfo ended the name with a zero, and the buffer with zeros begins.
            let name = unsafe { CStr::from_ptr(host.as_ptr()) };
            Ok(Some(name.to_string_lossy().into_owned()))
        }
        libc::EAI_NONAME | libc::EAI_NODATA => Ok(None),
        code => Err(error(code)),
    }
}

/// The name of this host.
///
/// # Errors
/// It is longer than names may be.
pub fn host() -> io::Result<String> {
    let mut host: [c_char; HOST_MAX] = [0; HOST_MAX];
    // SAFETY: the buffer is as long as said, less the zero that ends it in any case.
    let code = unsafe { libc::gethostname(host.as_mut_ptr(), HOST_MAX - 1) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the last byte is zero.
    let name = unsafe { CStr::from_ptr(host.as_ptr()) };
    Ok(name.to_string_lossy().into_owned())
}

fn ask(
    socket: *const libc::sockaddr,
    size: libc::socklen_t,
    host: &mut [c_char; HOST_MAX],
    capacity: libc::socklen_t,
) -> c_int {
    // SAFETY: the caller passes a socket address and its size, and the buffer is as long as said.
    unsafe {
        libc::getnameinfo(
            socket,
            size,
            host.as_mut_ptr(),
            capacity,
            ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    }
}

fn address(info: &libc::addrinfo) -> Option<IpAddr> {
    match info.ai_family {
        libc::AF_INET => {
            // SAFETY: getaddrinfo made it, and in this family it is a sockaddr_in.
            let socket = unsafe { info.ai_addr.cast::<libc::sockaddr_in>().as_ref() }?;
            Some(Ipv4Addr::from(socket.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: getaddrinfo made it, and in this family it is a sockaddr_in6.
            let socket = unsafe { info.ai_addr.cast::<libc::sockaddr_in6>().as_ref() }?;
            Some(Ipv6Addr::from(socket.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

fn error(code: c_int) -> LookupError {
    if code == libc::EAI_SYSTEM {
        return LookupError(io::Error::last_os_error().to_string());
    }
    // SAFETY: gai_strerror returns a constant text for every number.
    let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
    LookupError(text.to_string_lossy().into_owned())
}

fn size<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

fn family(number: c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(number).unwrap_or_default()
}

/// NI_MAXHOST.
const HOST_MAX: usize = 1025;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_here_and_what_does_not_exist_has_no_addresses() {
        let localhost = addresses("localhost").unwrap();

        assert!(!localhost.is_empty() && localhost.iter().all(IpAddr::is_loopback));
        // RFC 6761: never exists. Without any name server the resolver cannot know.
        assert_eq!(
            addresses("x.invalid").unwrap_or_default(),
            Vec::<IpAddr>::new()
        );
        assert!(addresses("a\0b").is_err());
        assert!(!host().unwrap().is_empty());
    }
}
