//! Jails, bans and a clock to test with.

use std::net::UdpSocket;

use banishd::engine::address::Offender;
use banishd::engine::effect::Change;
use banishd::engine::settings::{JailName, JailRules, Ports, Protocol};
use banishd::engine::time::{Boottime, Span};
use banishd::firewall::Clock;
use banishd::firewall::nftables::Nftables;

use crate::firewall::namespace::run;

pub(super) fn handle() -> String {
    run("nft -a list tables")
}

pub(super) fn send_udp_to_ourselves(times: u32) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..times {
        socket.send_to(b"x", "127.0.0.1:9").unwrap();
    }
}

pub(super) fn who(offender: &str) -> Offender {
    offender.parse().unwrap()
}

pub(super) fn open() -> Nftables {
    Nftables::open(1000, boot_clock()).unwrap()
}

/// Stands still, so that ends come out as they went in.
pub(super) fn boot_clock() -> Clock {
    Box::new(|| Boottime::from_usec(1))
}

pub(super) fn jail(name: &str, protocol: Protocol, ports: &[(u16, u16)]) -> (JailName, JailRules) {
    let ports = match ports {
        [] => Ports::All,
        ranges => Ports::Ranges(ranges.to_vec()),
    };
    (name_of(name), JailRules { protocol, ports })
}

pub(super) fn sshd() -> (JailName, JailRules) {
    jail("sshd", Protocol::Tcp, &[(22, 22)])
}

pub(super) fn name_of(jail: &str) -> JailName {
    JailName::new(jail).unwrap()
}

pub(super) fn block(jail: &str, offender: &str, secs: Option<u64>) -> Change {
    let left = secs.map(Span::from_secs);
    Change::Block {
        jail: name_of(jail),
        offender: offender.parse().unwrap(),
        left,
        longest: left,
    }
}

pub(super) fn unblock(jail: &str, offender: &str) -> Change {
    Change::Unblock {
        jail: name_of(jail),
        offender: offender.parse().unwrap(),
        others: None,
    }
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
