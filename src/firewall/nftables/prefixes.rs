//! The banned prefixes, set by set.
//!
//! Comes in: blocks and unblocks of prefixes with their ends. Goes out: the disjoint ranges of a set,
//! each with the latest end of the prefixes that cover it. An interval set refuses ranges that overlap,
//! which prefixes may, so the kernel's sets are written from here. It never holds more than
//! [`PREFIXES_MAX`](crate::engine::ledger::PREFIXES_MAX) prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::engine::settings::JailName;
use crate::engine::time::Boottime;

/// All banned prefixes. The set of no jail is the union of all jails.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes(BTreeMap<Option<JailName>, BTreeMap<IpNet, End>>);

impl Prefixes {
    /// Adds a prefix to a set, or moves its end.
    pub(super) fn insert(&mut self, set: Option<&JailName>, prefix: IpNet, end: End) {
        self.0.entry(set.cloned()).or_default().insert(prefix, end);
    }

    /// Takes a prefix out of a set.
    pub(super) fn remove(&mut self, set: Option<&JailName>, prefix: &IpNet) {
        if let Some(prefixes) = self.0.get_mut(&set.cloned()) {
            prefixes.remove(prefix);
        }
    }

    /// Forgets what is over by `now`.
    pub(super) fn expire(&mut self, now: Boottime) {
        for prefixes in self.0.values_mut() {
            prefixes.retain(|_, end| end.is_none_or(|end| end > now));
        }
        self.0.retain(|_, prefixes| !prefixes.is_empty());
    }

    /// How many prefixes the jails ban.
    pub(super) fn count(&self) -> usize {
        let jails = self.0.iter().filter(|(set, _)| set.is_some());
        jails.map(|(_, prefixes)| prefixes.len()).sum()
    }

    /// The ranges of a set, IPv4 before IPv6, ascending and disjoint.
    pub(super) fn ranges(&self, set: Option<&JailName>) -> Vec<Range> {
        let Some(prefixes) = self.0.get(&set.cloned()) else {
            return Vec::new();
        };
        let (four, six): (Vec<_>, Vec<_>) = prefixes
            .iter()
            .partition(|(prefix, _)| matches!(prefix, IpNet::V4(_)));
        let mut ranges = cut(&four, u128::from(u32::MAX));
        ranges.extend(cut(&six, u128::MAX));
        ranges
    }
}

/// A point on the boot clock, or never.
pub(super) type End = Option<Boottime>;

/// Addresses from `first` to the one before `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The first address.
    pub(super) first: IpAddr,
    /// The first address that is no longer in it; `None` where it reaches the last of the family.
    pub(super) after: Option<IpAddr>,
    /// Until when.
    pub(super) end: End,
}

/// Cuts prefixes of one family, whose last address is `last`, at every border.
fn cut(prefixes: &[(&IpNet, &End)], last: u128) -> Vec<Range> {
    let bounds = |net: &IpNet| (number(net.network()), number(net.broadcast()));
    let borders: BTreeSet<u128> = prefixes
        .iter()
        .map(|(net, _)| bounds(net))
        .flat_map(|(first, end)| {
            [
                Some(first),
                end.checked_add(1).filter(|after| *after <= last),
            ]
        })
        .flatten()
        .collect();
    let borders = Vec::from_iter(borders);
    let mut ranges: Vec<Range> = Vec::new();
    let mut open: Vec<(u128, End)> = Vec::new();
    let mut starts = prefixes.iter().peekable();
    for (index, border) in borders.iter().enumerate() {
        open.retain(|(end, _)| end >= border);
        // Prefixes come sorted by their first address.
        while let Some((net, end)) = starts.next_if(|(net, _)| bounds(net).0 == *border) {
            open.push((bounds(net).1, **end));
        }
        let Some(end) = open.iter().map(|(_, end)| *end).reduce(later) else {
            continue;
        };
        let after = borders.get(index + 1).map(|next| address(*next, last));
        let first = address(*border, last);
        match ranges.last_mut() {
            Some(before) if before.after == Some(first) && before.end == end => {
                before.after = after
            }
            _ => ranges.push(Range { first, after, end }),
        }
    }
    ranges
}

fn later(a: End, b: End) -> End {
    a.zip(b).map(|(a, b)| a.max(b))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address(number: u128, last: u128) -> IpAddr {
    match u32::try_from(number) {
        Ok(v4) if last == u128::from(u32::MAX) => IpAddr::V4(v4.into()),
        _ => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefixes(list: &[(&str, Option<u64>)]) -> Prefixes {
        let mut prefixes = Prefixes::default();
        for (net, end) in list {
            prefixes.insert(None, net.parse().unwrap(), end.map(Boottime::from_usec));
        }
        prefixes
    }

    fn written(prefixes: &Prefixes) -> String {
        let end = |end: End| end.map_or("ever".to_owned(), |end| end.usec().to_string());
        let after = |after: Option<IpAddr>| after.map_or("last".to_owned(), |ip| ip.to_string());
        let ranges = prefixes.ranges(None);
        let each = ranges
            .iter()
            .map(|r| format!("{}..{}:{}", r.first, after(r.after), end(r.end)));
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_address_keeps_the_latest_end_that_covers_it() {
        for (list, expected) in [
            (&[][..], ""),
            (&[("10.0.0.0/24", Some(5))], "10.0.0.0..10.0.1.0:5"),
            (
                &[("10.0.0.0/16", Some(5)), ("10.0.1.0/24", Some(9))],
                "10.0.0.0..10.0.1.0:5 10.0.1.0..10.0.2.0:9 10.0.2.0..10.1.0.0:5",
            ),
            (
                &[("10.0.0.0/16", Some(9)), ("10.0.1.0/24", Some(5))],
                "10.0.0.0..10.1.0.0:9",
            ),
            (
                &[("10.0.0.0/16", Some(9)), ("10.1.0.0/16", Some(9))],
                "10.0.0.0..10.2.0.0:9",
            ),
            (
                &[("10.0.0.0/16", Some(9)), ("10.0.0.0/24", None)],
                "10.0.0.0..10.0.1.0:ever 10.0.1.0..10.1.0.0:9",
            ),
            (&[("255.255.0.0/16", Some(1))], "255.255.0.0..last:1"),
            (
                &[
                    ("::/32", Some(1)),
                    ("ffff:ffff::/32", Some(2)),
                    ("1.2.0.0/16", Some(3)),
                ],
                "1.2.0.0..1.3.0.0:3 ::..0:1:::1 ffff:ffff::..last:2",
            ),
        ] {
            assert_eq!(written(&prefixes(list)), expected);
        }
    }

    proptest! {
        #[test]
        fn ranges_are_disjoint_and_agree_with_a_naive_look(
            list in prop::collection::vec((0u32..64, 26u8..=32, prop::option::of(1u64..4)), 0..12)
        ) {
            let mut all = Prefixes::default();
            let mut naive: BTreeMap<IpNet, End> = BTreeMap::new();
            for (low, length, end) in list {
                let net = IpNet::new(IpAddr::V4((0xffff_ffc0 | low).into()), length).unwrap().trunc();
                let end = end.map(Boottime::from_usec);
                all.insert(None, net, end);
                naive.insert(net, end);
            }

            let ranges = all.ranges(None);

            for low in 0u32..64 {
                let ip = IpAddr::V4((0xffff_ffc0 | low).into());
                let inside = |r: &&Range| r.first <= ip && r.after.is_none_or(|after| ip < after);
                let found: Vec<End> = ranges.iter().filter(inside).map(|r| r.end).collect();
                let covering = naive.iter().filter(|(net, _)| net.contains(&ip));
                let expected = covering.map(|(_, end)| *end).reduce(later);
                prop_assert_eq!(found, Vec::from_iter(expected));
            }
        }
    }
}
