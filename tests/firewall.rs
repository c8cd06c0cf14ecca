//! The firewall backends in a network namespace of their own.

#![expect(
    clippy::disallowed_methods,
    reason = "the kernel is looked at with nft and ip"
)]

/// What the kernel's sets hold, as nft tells it.
#[cfg(test)]
mod kernel;
/// After any changes the kernel holds what the model holds.
#[cfg(test)]
mod law;
/// A network of a test's own, with a neighbour where one is wanted.
#[cfg(test)]
mod namespace;
/// Jails, bans and a clock to test with.
#[cfg(test)]
mod setting;

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use banishd::engine::address::Offender;
use banishd::engine::effect::Change;
use banishd::engine::settings::{FirewallChoice, Protocol};
use banishd::engine::time::{Boottime, Span};
use banishd::firewall::any::AnyFirewall;
use banishd::firewall::nftables::Nftables;
use banishd::firewall::{FirewallBackend, FirewallError};
use banishd::sys::netlink::Socket;

use crate::firewall::kernel::{kernel, timeout};
use crate::firewall::namespace::{
    become_nobody, heard, in_a_namespace, listen, run, start_peer, until,
};
use crate::firewall::setting::*;

#[test]
fn root_the_table_reads_as_a_person_would_write_it() {
    in_a_namespace(|| {
        let mut nft = open();
        let jails = [
            sshd(),
            jail("web-1.b_", Protocol::All, &[(80, 80), (6000, 6010)]),
        ];

        wait(nft.install(&jails, &[])).unwrap();

        let text = run("nft list ruleset").replace('\t', "  ");
        let named = |line: &str| {
            line.split(" # progname")
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let text = text
            .lines()
            .map(named)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("\n");
        insta::assert_snapshot!("layout", text);
        assert!(nft.owned());
    });
}

#[test]
fn root_every_shape_of_a_jail_is_a_rule() {
    in_a_namespace(|| {
        let mut nft = open();
        let jails = [
            jail("tcp-all", Protocol::Tcp, &[]),
            jail("udp-range", Protocol::Udp, &[(53, 60)]),
            jail("everything", Protocol::All, &[]),
            jail("to-the-end", Protocol::Tcp, &[(80, 80), (65000, 65535)]),
            jail("list", Protocol::Udp, &[(53, 53), (123, 123)]),
        ];

        wait(nft.install(&jails, &[])).unwrap();

        let text = run("nft list chain inet banishd jails");
        let hosts = text.lines().filter(|line| line.contains("4 counter"));
        let rules: Vec<_> = hosts
            .map(|line| line.replace("packets 0 bytes 0 ", ""))
            .collect();
        insta::assert_snapshot!(rules.join("\n").replace('\t', ""), @r#"
        meta l4proto tcp ip saddr @j_tcp-all4 counter drop comment "tcp-all"
        udp dport 53-60 ip saddr @j_udp-range4 counter drop comment "udp-range"
        ip saddr @j_everything4 counter drop comment "everything"
        tcp dport { 80, 65000-65535 } ip saddr @j_to-the-end4 counter drop comment "to-the-end"
        udp dport { 53, 123 } ip saddr @j_list4 counter drop comment "list"
        "#);
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
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &text).unwrap();
            run(&format!("nft -f {}", file.path().display()));
        });
    });
}

#[test]
fn root_a_ban_ends_in_the_kernel_by_itself() {
    in_a_namespace(|| {
        let mut nft = open();
        let brief = Some(Span::from_usec(1));
        let offender = who("192.0.2.1");
        let blocks = [
            Change::Block {
                jail: name_of("sshd"),
                offender,
                left: brief,
                longest: brief,
            },
            Change::Block {
                jail: name_of("sshd"),
                offender: who("10.1.0.0/16"),
                left: brief,
                longest: brief,
            },
            block("sshd", "192.0.2.2", Some(0)),
            block("sshd", "10.2.0.0/16", Some(0)),
            block("sshd", "2001:db8::1", Some(u64::MAX)),
            block("sshd", "2001:db8:1::/48", Some(u64::MAX)),
        ];

        wait(nft.install(&[sshd()], &[])).unwrap();
        wait(nft.apply(&blocks)).unwrap();

        let left = || kernel().into_values().map(|set| set.len()).sum::<usize>();
        until(|| left() == 4, "four elements");
        assert_eq!(timeout("j_sshd6", "2001:db8::1"), Some(300 * 365 * 86_400));
    });
}

#[test]
fn root_a_block_moves_the_end_of_the_one_before() {
    in_a_namespace(|| {
        let mut nft = open();
        wait(nft.install(&[sshd()], &[])).unwrap();

        for secs in [Some(600), Some(1200), None, Some(300), None, Some(600)] {
            for offender in ["192.0.2.1", "2001:db8::1"] {
                wait(nft.apply(&[block("sshd", offender, secs)])).unwrap();
            }

            assert_eq!(timeout("j_sshd4", "192.0.2.1"), secs);
            assert_eq!(timeout("any4", "192.0.2.1"), secs);
            assert_eq!(timeout("j_sshd6", "2001:db8::1"), secs);
        }
    });
}

#[test]
fn root_to_unblock_who_is_not_blocked_is_no_error() {
    in_a_namespace(|| {
        let mut nft = open();
        wait(nft.install(&[sshd()], &[block("sshd", "192.0.2.1", Some(600))])).unwrap();

        let strangers = ["192.0.2.2", "2001:db8::1", "10.1.0.0/16"].map(|who| unblock("sshd", who));
        wait(nft.apply(&strangers)).unwrap();

        assert_eq!(
            kernel().into_keys().collect::<Vec<_>>(),
            ["any4", "j_sshd4"]
        );
    });
}

#[test]
fn root_the_last_jail_takes_an_address_out_of_the_union() {
    in_a_namespace(|| {
        let mut nft = open();
        let jails = [sshd(), jail("web", Protocol::Tcp, &[(80, 80)])];
        let offender = who("192.0.2.1");
        let span = |secs| Some(Span::from_secs(secs));
        let second = Change::Block {
            jail: name_of("web"),
            offender,
            left: span(60),
            longest: span(600),
        };
        let rest = Change::Unblock {
            jail: name_of("sshd"),
            offender,
            others: Some(span(60)),
        };
        wait(nft.install(&jails, &[block("sshd", "192.0.2.1", Some(600))])).unwrap();

        wait(nft.apply(&[second])).unwrap();
        let both = (timeout("any4", "192.0.2.1"), timeout("j_web4", "192.0.2.1"));
        wait(nft.apply(&[rest])).unwrap();
        let one = (timeout("any4", "192.0.2.1"), timeout("j_web4", "192.0.2.1"));
        wait(nft.apply(&[unblock("web", "192.0.2.1")])).unwrap();

        assert_eq!(both, (Some(600), Some(60)));
        assert_eq!(one, (Some(60), Some(60)));
        assert!(kernel().is_empty());
    });
}

#[test]
fn root_a_batch_is_carried_out_whole_or_not_at_all() {
    in_a_namespace(|| {
        let mut nft = open();
        wait(nft.install(&[sshd()], &[])).unwrap();

        let outcome = wait(nft.apply(&[
            block("sshd", "192.0.2.1", None),
            block("web", "192.0.2.1", None),
        ]));

        assert_eq!(
            outcome.unwrap_err().to_string(),
            "the kernel refused to add to set 'j_web4'"
        );
        assert!(kernel().is_empty());
    });
}

#[test]
fn root_twenty_thousand_bans_arrive_and_leave() {
    in_a_namespace(|| {
        let mut nft = Nftables::open(20_000, boot_clock()).unwrap();
        let hosts = |n: u32| Offender::host(IpAddr::V4((0x0a00_0000 + n).into()));
        let blocks: Vec<_> = (0..20_000)
            .map(|n| block("sshd", &hosts(n).to_string(), Some(600)))
            .collect();
        let unblocks: Vec<_> = (0..20_000)
            .map(|n| unblock("sshd", &hosts(n).to_string()))
            .collect();
        wait(nft.install(&[sshd()], &[])).unwrap();

        wait(nft.apply(&blocks)).unwrap();
        let applied = kernel()["j_sshd4"].len();
        wait(nft.apply(&blocks)).unwrap();
        wait(nft.install(&[sshd()], &blocks)).unwrap();
        let installed = kernel()["any4"].len();
        wait(nft.apply(&unblocks)).unwrap();

        assert_eq!((applied, installed), (20_000, 20_000));
        assert!(kernel().is_empty());
    });
}

#[test]
fn root_a_full_set_says_which_limit_it_is() {
    in_a_namespace(|| {
        let mut nft = Nftables::open(0, boot_clock()).unwrap();
        wait(nft.install(&[sshd()], &[])).unwrap();
        let host = |n: u32| Offender::host(IpAddr::V4((0x0a00_0000 + n).into())).to_string();
        let blocks: Vec<_> = (0..16_384)
            .map(|n| block("sshd", &host(n), Some(600)))
            .collect();

        wait(nft.apply(&blocks)).unwrap();
        let error = wait(nft.apply(&[block("sshd", "192.0.2.1", None)])).unwrap_err();

        assert!(matches!(error, FirewallError::Full(_)), "{error:?}");
        assert!(error.to_string().contains("'maxbans'"));
    });
}

#[test]
fn root_a_limit_that_was_lowered_frees_nobody() {
    in_a_namespace(|| {
        let mut nft = Nftables::open(1, boot_clock()).unwrap();
        let host = |n: u32| Offender::host(IpAddr::V4((0x0a00_0000 + n).into())).to_string();
        let blocks: Vec<_> = (0..20_000)
            .map(|n| block("sshd", &host(n), Some(600)))
            .collect();

        wait(nft.install(&[sshd()], &blocks)).unwrap();
        wait(nft.apply(&[block("sshd", "192.0.2.1", Some(600))])).unwrap();

        assert_eq!(kernel()["any4"].len(), 20_001);
    });
}

#[test]
fn root_too_many_prefixes_are_refused() {
    in_a_namespace(|| {
        let mut nft = open();
        wait(nft.install(&[sshd()], &[])).unwrap();
        let prefix = |n: u32| format!("10.{}.{}.0/24", n / 256, n % 256);
        let blocks: Vec<_> = (0..1024)
            .map(|n| block("sshd", &prefix(n), Some(600)))
            .collect();

        wait(nft.apply(&blocks)).unwrap();
        let error = wait(nft.apply(&[block("sshd", "172.16.0.0/24", None)])).unwrap_err();

        assert!(
            matches!(error, FirewallError::TooManyPrefixes(1024)),
            "{error:?}"
        );
        wait(nft.apply(&[
            unblock("sshd", "10.0.0.0/24"),
            block("sshd", "172.16.0.0/24", None),
        ]))
        .unwrap();
    });
}

#[test]
fn root_flushing_the_ruleset_leaves_an_owned_table_alone() {
    in_a_namespace(|| {
        let mut nft = open();
        wait(nft.install(&[sshd()], &[block("sshd", "192.0.2.1", Some(600))])).unwrap();

        run(
            "nft flush ruleset; ! nft delete table inet banishd; ! nft flush set inet banishd any4",
        );

        assert!(wait(nft.check()).unwrap());
        assert_eq!(timeout("any4", "192.0.2.1"), Some(600));
    });
}

#[test]
fn root_the_table_goes_with_its_socket() {
    in_a_namespace(|| {
        let mut nft = open();
        wait(nft.install(&[sshd()], &[])).unwrap();

        drop(nft);

        until(|| run("nft list ruleset").is_empty(), "no table");
    });
}

#[test]
fn root_a_new_process_takes_over_table_and_counters() {
    in_a_namespace(|| {
        run("ip link set lo up");
        let mut before = open();
        let everything = [jail("all", Protocol::All, &[]), sshd()];
        wait(before.install(&everything, &[block("all", "127.0.0.1", Some(600))])).unwrap();
        let handle = handle();
        send_udp_to_ourselves(3);
        let kept = before.as_fd().try_clone_to_owned().unwrap();
        // An answer that nobody has read.
        let socket = Socket::adopt(kept, libc::NETLINK_NETFILTER).unwrap();
        socket
            .send(&[
                20, 0, 0, 0, 1, 0xa, 1, 3, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
            ])
            .unwrap();
        drop(before);
        let between = timeout("j_all4", "127.0.0.1");

        let mut after = Nftables::adopt(socket.into_fd(), 1000, boot_clock()).unwrap();
        let unknown = wait(after.check()).unwrap();
        wait(after.install(&everything, &[block("all", "127.0.0.1", Some(900))])).unwrap();
        send_udp_to_ourselves(2);

        assert_eq!((between, unknown), (Some(600), false));
        assert_eq!(timeout("j_all4", "127.0.0.1"), Some(900));
        assert_eq!(self::handle(), handle);
        assert_eq!(
            wait(after.dropped()).unwrap(),
            [(name_of("all"), 5), (name_of("sshd"), 0)]
        );
        assert!(wait(after.check()).unwrap() && after.owned());
    });
}

#[test]
fn root_a_socket_that_cannot_be_taken_over_is_replaced_and_shown_once() {
    in_a_namespace(|| {
        let kept = std::fs::File::open("/dev/null").unwrap().into();
        let clock = || Boottime::from_usec(1);
        let mut any = AnyFirewall::choose(FirewallChoice::Auto, 9, clock, Some(kept));

        assert!(wait(any.install(&[sshd()], &[])).is_err());
        assert!(any.fresh_socket().is_none());
        wait(any.install(&[sshd()], &[])).unwrap();

        assert!(any.fresh_socket().is_some());
        assert!(any.fresh_socket().is_none());
        assert!(wait(any.check()).unwrap());
    });
}

#[test]
fn root_a_second_daemon_is_told_so() {
    in_a_namespace(|| {
        let (mut first, mut second) = (open(), open());
        wait(first.install(&[sshd()], &[])).unwrap();

        let error = wait(second.install(&[sshd()], &[])).unwrap_err();

        assert!(matches!(error, FirewallError::Foreign), "{error:?}");
        assert!(matches!(wait(second.remove()), Err(FirewallError::Foreign)));
        assert!(wait(first.check()).unwrap());
    });
}

#[test]
fn root_a_table_that_nobody_owns_is_replaced() {
    in_a_namespace(|| {
        run(
            "nft 'table inet banishd { set any4 { typeof ip saddr; }; chain x { ip saddr @any4 drop; }; }'",
        );
        let mut nft = open();

        wait(nft.install(&[sshd()], &[])).unwrap();

        assert!(!run("nft list ruleset").contains("chain x"));
        assert!(nft.owned());
    });
}

#[test]
fn root_without_the_owner_flag_every_change_by_others_is_noticed() {
    for change in [
        "nft flush ruleset",
        "nft add rule inet banishd jails accept",
        "nft insert rule inet banishd prerouting accept",
        "nft flush chain inet banishd prerouting",
        "nft add chain inet banishd other",
        "nft 'add set inet banishd other { type ipv4_addr; }'",
    ] {
        in_a_namespace(move || {
            let mut nft = open().unowned();
            let ban = [block("sshd", "192.0.2.1", Some(600))];
            wait(nft.install(&[sshd()], &ban)).unwrap();
            assert!(wait(nft.check()).unwrap() && !nft.owned());

            run(change);
            let noticed = !wait(nft.check()).unwrap();
            wait(nft.install(&[sshd()], &ban)).unwrap();

            assert!(noticed, "{change}");
            assert!(wait(nft.check()).unwrap());
            assert_eq!(timeout("j_sshd4", "192.0.2.1"), Some(600));
        });
    }
}

#[test]
fn root_a_table_taken_away_is_missed() {
    in_a_namespace(|| {
        let mut nft = open();
        assert!(!wait(nft.check()).unwrap());
        wait(nft.install(&[sshd()], &[])).unwrap();
        assert!(wait(nft.check()).unwrap());

        wait(nft.remove()).unwrap();
        wait(nft.remove()).unwrap();

        assert!(!wait(nft.check()).unwrap());
        assert_eq!(run("nft list ruleset"), "");
    });
}

#[test]
fn root_without_the_capability_the_error_names_it() {
    in_a_namespace(|| {
        let mut before = open();
        become_nobody();
        let mut after = open();

        for nft in [&mut before, &mut after] {
            let error = wait(nft.install(&[sshd()], &[])).unwrap_err();

            assert!(matches!(error, FirewallError::NotPermitted), "{error:?}");
        }
    });
}

/// A peer hammers us from a banned address while we install other jails again and again.
#[test]
fn root_no_packet_of_a_banned_address_passes_while_jails_change() {
    in_a_namespace(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let peer = start_peer(stop.clone());
        let (banned, allowed) = (listen(5353), listen(5354));
        until(
            || heard(&banned) > 0 && heard(&allowed) > 0,
            "packets before the ban",
        );
        let mut nft = open();
        let ban = [block("all", "10.9.0.66", Some(600))];
        wait(nft.install(&[jail("all", Protocol::All, &[])], &ban)).unwrap();
        let dropped = |nft: &mut Nftables| wait(nft.dropped()).unwrap()[0].1;
        // They come in order: after the first that is dropped none that passed in time is on its way.
        until(|| dropped(&mut nft) > 0, "a packet to drop");
        heard(&banned);

        let (mut leaked, mut others, mut round) = (0, 0, 0);
        while round < 200 || others == 0 || dropped(&mut nft) < 200 {
            round += 1;
            let other = jail(
                &format!("other{}", round % 7),
                Protocol::Tcp,
                &[(1, 1 + round)],
            );
            let shape = [&[][..], &[(5353, 5353)]][usize::from(round % 2)];
            wait(nft.install(&[other, jail("all", Protocol::All, shape)], &ban)).unwrap();
            wait(nft.apply(&ban)).unwrap();
            leaked += heard(&banned);
            others += heard(&allowed);
        }

        let dropped = dropped(&mut nft);
        wait(nft.remove()).unwrap();
        until(|| heard(&banned) > 0, "packets after the ban");
        stop.store(true, Ordering::Relaxed);
        let sent = peer.join().unwrap();
        println!("{sent} packets sent, {dropped} dropped, {others} of others received");
        assert_eq!(leaked, 0);
    });
}
