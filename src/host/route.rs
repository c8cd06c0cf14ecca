//! What rtnetlink says, as addresses. Comes in: messages of the kernel. Goes out: whose they are. Pure;
//! whatever is malformed says nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::sys::netlink::{Attributes, Message};

/// What one message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The host has this address, or (`false`) has it no more on one interface.
    Own(bool, IpAddr),
    /// A route leads through these gateways, or (`false`) leads there no more.
    Gateways(bool, Vec<IpAddr>),
    /// The end of a dump.
    End,
    /// A dump failed with this errno.
    Failed(i32),
    /// Nothing of interest.
    Nothing,
}

/// Reads one message.
#[must_use]
pub fn read(message: &Message<'_>) -> Said {
    if let Some(errno) = message.verdict() {
        return Said::Failed(errno);
    }
    let body = message.body;
    match message.kind {
        libc::RTM_NEWADDR => own(body).map_or(Said::Nothing, |own| Said::Own(true, own)),
        libc::RTM_DELADDR => own(body).map_or(Said::Nothing, |own| Said::Own(false, own)),
        libc::RTM_NEWROUTE => Said::Gateways(true, gateways(body)),
        libc::RTM_DELROUTE => Said::Gateways(false, gateways(body)),
        DONE => Said::End,
        _ => Said::Nothing,
    }
}

/// A request for all addresses, or all routes, of both families.
#[must_use]
pub fn dump(kind: u16, sequence: u32) -> Vec<u8> {
    let body = if kind == libc::RTM_GETROUTE {
        ROUTE
    } else {
        ADDRESS
    };
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    let mut request = Vec::with_capacity(16 + body);
    // Bounded by the constants above.
    request.extend(u32::try_from(16 + body).unwrap_or(0).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(u16::try_from(flags).unwrap_or(0).to_ne_bytes());
    request.extend(sequence.to_ne_bytes());
    request.resize(16 + body, 0);
    request
}

/// Whether the dump ran into a change and may be incomplete.
#[must_use]
pub fn is_interrupted(message: &Message<'_>) -> bool {
    i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0
}

/// The multicast groups for changes of either.
pub const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// `ifaddrmsg`, then attributes. On a point-to-point link `IFA_ADDRESS` is the peer's.
fn own(body: &[u8]) -> Option<IpAddr> {
    let attributes = Attributes(body.get(ADDRESS..)?);
    let own = attributes
        .find(libc::IFA_LOCAL)
        .or(attributes.find(libc::IFA_ADDRESS))?;
    address(own)
}

/// `rtmsg`, then attributes. Of routes in use: unicast ones that are no cache entries.
fn gateways(body: &[u8]) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    let kind = body.get(7).copied();
    let flags = body
        .get(8..12)
        .and_then(|flags| flags.try_into().ok())
        .map_or(0, u32::from_ne_bytes);
    if kind == Some(libc::RTN_UNICAST) && flags & libc::RTM_F_CLONED == 0 {
        for (kind, payload) in Attributes(body.get(ROUTE..).unwrap_or_default()) {
            match kind {
                libc::RTA_MULTIPATH => {
                    let of_hops = Hops(payload).flat_map(Attributes);
                    found.extend(of_hops.filter_map(|(kind, payload)| gateway(kind, payload)));
                }
                _ => found.extend(gateway(kind, payload)),
            }
        }
    }
    found.into_iter().collect()
}

/// The gateway in an attribute of a route, or of one of its hops.
fn gateway(kind: u16, payload: &[u8]) -> Option<IpAddr> {
    match kind {
        libc::RTA_GATEWAY => address(payload),
        // A gateway of the other family: two bytes of family, then the address.
        VIA => address(payload.get(2..)?),
        _ => None,
    }
}

/// The attributes of each `rtnexthop`.
struct Hops<'a>(&'a [u8]);

impl<'a> Iterator for Hops<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_ne_bytes(*self.0.first_chunk()?));
        let hop = self.0.get(HOP..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(hop)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|v6| Ipv6Addr::from(v6).into())
}

/// The sizes of `ifaddrmsg`, `rtmsg` and `rtnexthop`.
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
const HOP: usize = 8;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `RTA_VIA`.
const VIA: u16 = 18;

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + payload.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn said(kind: u16, body: &[u8]) -> Said {
        read(&Message {
            kind,
            flags: 0,
            sequence: 0,
            body,
        })
    }

    fn route(kind: u8, cloned: bool, attributes: &[u8]) -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0, 254, 3, 0, kind];
        body.extend((if cloned { libc::RTM_F_CLONED } else { 0 }).to_ne_bytes());
        body.extend(attributes);
        body
    }

    #[test]
    fn the_local_end_of_a_link_is_our_own_address() {
        let local = attribute(libc::IFA_LOCAL, &[192, 0, 2, 1]);
        let peer = attribute(libc::IFA_ADDRESS, &[192, 0, 2, 2]);
        let header = [2, 32, 0, 0, 1, 0, 0, 0].to_vec();

        let both = [header.clone(), peer.clone(), local].concat();
        assert_eq!(
            said(libc::RTM_NEWADDR, &both),
            Said::Own(true, [192, 0, 2, 1].into())
        );
        let one = [header, peer].concat();
        assert_eq!(
            said(libc::RTM_DELADDR, &one),
            Said::Own(false, [192, 0, 2, 2].into())
        );
    }

    #[test]
    fn gateways_are_found_in_every_shape_of_route() {
        let gateway = attribute(libc::RTA_GATEWAY, &[192, 0, 2, 1]);
        let mut v6 = vec![10, 0];
        v6.extend("fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        let hop = |attributes: &[u8]| {
            let length = u16::try_from(8 + attributes.len()).unwrap();
            [&length.to_ne_bytes()[..], &[0, 0, 3, 0, 0, 0], attributes].concat()
        };
        let multipath = [hop(&gateway), hop(&attribute(VIA, &v6))].concat();
        let two = attribute(libc::RTA_MULTIPATH, &multipath);
        let expect = |texts: &[&str]| {
            Said::Gateways(
                true,
                texts.iter().map(|text| text.parse().unwrap()).collect(),
            )
        };

        for (body, expected) in [
            (
                route(libc::RTN_UNICAST, false, &gateway),
                expect(&["192.0.2.1"]),
            ),
            (
                route(libc::RTN_UNICAST, false, &two),
                expect(&["192.0.2.1", "fe80::1"]),
            ),
            (route(libc::RTN_UNICAST, true, &gateway), expect(&[])),
            (route(libc::RTN_LOCAL, false, &gateway), expect(&[])),
        ] {
            assert_eq!(said(libc::RTM_NEWROUTE, &body), expected);
        }
    }

    /// Each of them would have cost a frame of the stack.
    #[test]
    fn hops_within_hops_within_hops_are_passed_over() {
        let mut nest = attribute(libc::RTA_GATEWAY, &[192, 0, 2, 1]);
        while nest.len() < 60_000 {
            let length = u16::try_from(8 + nest.len()).unwrap();
            let hop = [&length.to_ne_bytes()[..], &[0; 6], &nest].concat();
            nest = attribute(libc::RTA_MULTIPATH, &hop);
        }

        let said = said(libc::RTM_NEWROUTE, &route(libc::RTN_UNICAST, false, &nest));

        assert_eq!(said, Said::Gateways(true, Vec::new()));
    }

    #[test]
    fn torn_messages_say_nothing_and_never_panic() {
        let gateway = attribute(libc::RTA_GATEWAY, &[192, 0, 2, 1]);
        let body = route(
            libc::RTN_UNICAST,
            false,
            &attribute(libc::RTA_MULTIPATH, &gateway),
        );

        for end in 0..body.len() {
            for kind in [libc::RTM_NEWROUTE, libc::RTM_NEWADDR] {
                let said = said(kind, &body[..end]);
                assert!(
                    matches!(said, Said::Nothing | Said::Gateways(..)),
                    "{said:?}"
                );
            }
        }
    }
}
