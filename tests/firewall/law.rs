//! After any changes the kernel holds what the model holds.

use std::cell::RefCell;
use std::collections::BTreeMap;

use banishd::engine::address::Offender;
use banishd::engine::effect::Change;
use banishd::engine::settings::{JailName, JailRules, Protocol};
use banishd::engine::time::{Boottime, Span};
use banishd::firewall::FirewallBackend;
use banishd::firewall::memory::Memory;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::firewall::kernel::{Kernel, kernel};
use crate::firewall::namespace::in_a_namespace;
use crate::firewall::setting::{boot_clock, jail, open, sshd, wait, who};

/// Hosts: the same in kernel and model. Prefixes: the same end for every address.
#[test]
fn root_after_any_changes_the_kernel_holds_what_the_model_holds() {
    in_a_namespace(|| {
        let jails = [sshd(), jail("a.b-c", Protocol::All, &[])];
        let (mut nft, mut model) = (open(), Memory::new(boot_clock()));
        wait(nft.install(&jails, &[])).unwrap();
        wait(model.install(&jails, &[])).unwrap();
        let state = RefCell::new((nft, model));
        let change = (0..2usize, 0..OFFENDERS.len(), 0..5u64, 0..5u64, 0..3u8);
        let batch = (0..4u8, prop::collection::vec(change, 0..8));
        let config = Config {
            cases: 32,
            failure_persistence: None,
            ..Config::default()
        };

        let law = TestRunner::new(config).run(&prop::collection::vec(batch, 1..6), |batches| {
            let (nft, model) = &mut *state.borrow_mut();
            for (action, changes) in batches {
                let changes: Vec<_> = changes.into_iter().map(|c| arbitrary(&jails, c)).collect();
                if action == 0 {
                    wait(nft.install(&jails, &changes)).unwrap();
                    wait(model.install(&jails, &changes)).unwrap();
                } else {
                    wait(nft.apply(&changes)).unwrap();
                    wait(model.apply(&changes)).unwrap();
                }
                let kernel = kernel();
                for jail in [None, Some(&jails[0].0), Some(&jails[1].0)] {
                    compare(&kernel, model, jail)?;
                }
            }
            Ok(())
        });

        law.unwrap();
    });
}

const OFFENDERS: [&str; 11] = [
    "192.0.2.1",
    "192.0.2.2",
    "10.0.1.7",
    "2001:db8::1",
    "2001:db8:1::9",
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.0.1.128/25",
    "10.1.0.0/16",
    "2001:db8::/32",
    "2001:db8:1::/48",
];

fn arbitrary(
    jails: &[(JailName, JailRules)],
    (jail, offender, left, longest, kind): (usize, usize, u64, u64, u8),
) -> Change {
    let jail = jails[jail].0.clone();
    let offender = who(OFFENDERS[offender]);
    let span = |n| (n != 1).then(|| Span::from_secs(n * 1000));
    if kind > 0 {
        return Change::Block {
            jail,
            offender,
            left: span(left),
            longest: span(longest),
        };
    }
    Change::Unblock {
        jail,
        offender,
        others: (longest > 0).then(|| span(longest)),
    }
}

fn compare(kernel: &Kernel, model: &Memory, jail: Option<&JailName>) -> Result<(), TestCaseError> {
    let model: BTreeMap<Offender, Option<u64>> = model
        .elements(jail)
        .into_iter()
        .map(|(who, end)| {
            (
                who,
                end.map(|end| end.since(Boottime::from_usec(1)).usec() / 1_000_000),
            )
        })
        .collect();
    let set = |any: &str, own: &str| {
        let name = jail.map_or(any.to_owned(), |jail| format!("j_{jail}{own}"));
        kernel.get(&name).cloned().unwrap_or_default()
    };
    let hosts: BTreeMap<Offender, Option<u64>> = [set("any4", "4"), set("any6", "6")]
        .concat()
        .into_iter()
        .map(|(first, last, timeout)| {
            (
                Offender::host(if first == last { first } else { panic!() }),
                timeout,
            )
        })
        .collect();
    let expected = model
        .iter()
        .filter(|(who, _)| who.is_host())
        .map(|(w, t)| (*w, *t))
        .collect();
    prop_assert_eq!(hosts, expected);

    let ranges = [set("net4", "4n"), set("net6", "6n")].concat();
    let corners = OFFENDERS.iter().flat_map(|text| {
        let net = who(text).network();
        [net.network(), net.broadcast()]
    });
    for ip in corners {
        let inside = ranges
            .iter()
            .filter(|(first, last, _)| *first <= ip && ip <= *last);
        let found: Vec<_> = inside.map(|(_, _, timeout)| *timeout).collect();
        let covering = model
            .iter()
            .filter(|(w, _)| !w.is_host() && w.network().contains(&ip));
        // Never is later than any end.
        let latest = covering
            .map(|(_, end)| *end)
            .max_by_key(|end| end.unwrap_or(u64::MAX));
        prop_assert_eq!(found, Vec::from_iter(latest), "{} in {:?}", ip, jail);
    }
    Ok(())
}
