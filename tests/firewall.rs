//! The firewall backends in a network namespace of their own.

#![expect(
    clippy::disallowed_methods,
    reason = "the kernel is looked at with nft and ip"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use banishd::engine::address::Offender;
use banishd::engine::effect::Change;
use banishd::engine::settings::{JailName, JailRules, Ports, Protocol};
use banishd::engine::time::{Boottime, Span};
use banishd::firewall::memory::Memory;
use banishd::firewall::nftables::Nftables;
use banishd::firewall::{Clock, FirewallBackend, FirewallError};
use banishd::sys::netlink::Socket;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

#[test]
fn root_the_table_reads_as_a_person_would_write_it() {
    in_a_namespace(|| {
        let mut nft = open();
        let jails = [
            jail("sshd", Protocol::Tcp, &[(22, 22)]),
            jail(
                "web-1.a_b",
                Protocol::All,
                &[(80, 80), (443, 443), (6000, 6010)],
            ),
            jail("dns", Protocol::Udp, &[(53, 60)]),
            jail("recidive", Protocol::All, &[]),
        ];

        wait(nft.install(&jails, &[])).unwrap();

        let text = run("nft list ruleset");
        let rules: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("sshd") || line.contains("@any"))
            .collect();
        println!("{text}");
        assert_eq!(rules.len(), 1);
    });
}

#[test]
fn root_what_nft_prints_nft_reads() {
    in_a_namespace(|| {
        let mut nft = open();
        let jails = [
            jail("a.b-c_", Protocol::All, &[(80, 80), (443, 65535)]),
            sshd(),
        ];
        let changes = [
            block("sshd", "192.0.2.1", Some(600)),
            block("a.b-c_", "10.1.0.0/16", None),
        ];
        wait(nft.install(&jails, &changes)).unwrap();
        let text = run("nft list ruleset").replace("flags owner", "");

        in_a_namespace(move || {
            std::fs::write("/tmp/banishd-test-reread.nft", &text).unwrap();
            run("nft -f /tmp/banishd-test-reread.nft");
        });
    });
}

fn open() -> Nftables {
    Nftables::open(1000, boot_clock()).unwrap()
}

/// Stands still, so that ends come out as they went in.
fn boot_clock() -> Clock {
    Box::new(|| Boottime::from_usec(1))
}

fn jail(name: &str, protocol: Protocol, ports: &[(u16, u16)]) -> (JailName, JailRules) {
    let ports = match ports {
        [] => Ports::All,
        ranges => Ports::Ranges(ranges.to_vec()),
    };
    (name_of(name), JailRules { protocol, ports })
}

fn sshd() -> (JailName, JailRules) {
    jail("sshd", Protocol::Tcp, &[(22, 22)])
}

fn name_of(jail: &str) -> JailName {
    JailName::new(jail).unwrap()
}

fn block(jail: &str, offender: &str, secs: Option<u64>) -> Change {
    let left = secs.map(Span::from_secs);
    Change::Block {
        jail: name_of(jail),
        offender: offender.parse().unwrap(),
        left,
        longest: left,
    }
}

fn unblock(jail: &str, offender: &str) -> Change {
    Change::Unblock {
        jail: name_of(jail),
        offender: offender.parse().unwrap(),
        others: None,
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// What a command prints; it must succeed.
fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    text
}

/// Runs a test on a thread with a network of its own, which goes when the thread does.
fn in_a_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        leave_the_network();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(unsafe_code, reason = "unshare has no safe form here")]
fn leave_the_network() {
    // SAFETY: it takes no pointers and concerns this thread alone.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(left, 0, "{}", std::io::Error::last_os_error());
}
