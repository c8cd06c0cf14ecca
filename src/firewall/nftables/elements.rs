//! The elements of the sets: who is dropped, and for how long the kernel remembers it.
//!
//! Comes in: changes and the prefixes banned before. Goes out: requests that add and delete elements.
//! It never makes an element without a timeout for a ban that has an end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::engine::address::Offender;
use crate::engine::effect::Change;
use crate::engine::settings::JailName;
use crate::engine::time::{Boottime, Span};
use crate::firewall::nftables::layout::{Family, SetName, TABLE};
use crate::firewall::nftables::message::{Batch, CREATE, EXCLUSIVE, Kind, NEST_LIMIT, Writer};
use crate::firewall::nftables::prefixes::{Prefixes, Range};

/// Where some changes lead: for each set and host the last word, and which prefix sets differ.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    hosts: BTreeMap<Option<&'a JailName>, BTreeMap<IpAddr, Wanted>>,
    touched: BTreeSet<Option<&'a JailName>>,
    /// The prefixes once the changes are made.
    pub(super) prefixes: Prefixes,
}

impl<'a> Plan<'a> {
    /// The plan for `changes`, made at `now` on top of `prefixes`.
    pub(super) fn new(now: Boottime, changes: &'a [Change], prefixes: &Prefixes) -> Self {
        let (hosts, touched) = (BTreeMap::new(), BTreeSet::new());
        let mut plan = Self {
            hosts,
            touched,
            prefixes: prefixes.clone(),
        };
        plan.prefixes.expire(now);
        for change in changes {
            match change {
                Change::Block {
                    jail,
                    offender,
                    left,
                    longest,
                } => {
                    plan.put(now, Some(jail), offender, Wanted::lasting(*left));
                    plan.put(now, None, offender, Wanted::lasting(*longest));
                }
                Change::Unblock {
                    jail,
                    offender,
                    others,
                } => {
                    plan.put(now, Some(jail), offender, Wanted::Absent);
                    let others = others.map_or(Wanted::Absent, Wanted::lasting);
                    plan.put(now, None, offender, others);
                }
            }
        }
        plan
    }

    /// Adds the requests for sets that are new and empty.
    pub(super) fn fill(&self, now: Boottime, batch: &mut Batch) {
        for (jail, hosts) in &self.hosts {
            hosts_of(batch, *jail, hosts, |batch, set, present, _| {
                write(batch, (Kind::NewElement, CREATE), set, present);
            });
        }
        for jail in &self.touched {
            self.write_ranges(now, *jail, batch);
        }
    }

    /// Adds the requests for sets in use. `Fresh` is refused if one of the blocked is in already.
    pub(super) fn change(&self, now: Boottime, expect: Expect, batch: &mut Batch) {
        for (jail, hosts) in &self.hosts {
            hosts_of(batch, *jail, hosts, |batch, set, present, absent| {
                // To delete what is missing is an error, so it is added first.
                write(batch, (Kind::NewElement, CREATE), set, absent);
                write(batch, (Kind::DeleteElement, 0), set, absent);
                match expect {
                    Expect::Fresh => {
                        write(batch, (Kind::NewElement, CREATE | EXCLUSIVE), set, present);
                    }
                    // Before Linux 6.12 adding again keeps the old timeout.
                    Expect::Anything => {
                        write(batch, (Kind::NewElement, CREATE), set, present);
                        write(batch, (Kind::DeleteElement, 0), set, present);
                        write(batch, (Kind::NewElement, CREATE), set, present);
                    }
                }
            });
        }
        for jail in &self.touched {
            for family in Family::BOTH {
                let set = SetName::prefixes(*jail, family);
                batch.add(Kind::DeleteElement, 0, |m| address_set(m, &set));
            }
            self.write_ranges(now, *jail, batch);
        }
    }

    /// Whether nothing is to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.touched.is_empty()
    }

    fn put(&mut self, now: Boottime, jail: Option<&'a JailName>, who: &Offender, wanted: Wanted) {
        if who.is_host() {
            self.hosts
                .entry(jail)
                .or_default()
                .insert(who.address(), wanted);
            return;
        }
        self.touched.insert(jail);
        match wanted {
            Wanted::Absent => self.prefixes.remove(jail, &who.network()),
            Wanted::For(left) => self
                .prefixes
                .insert(jail, who.network(), Some(now.plus(left))),
            Wanted::Forever => self.prefixes.insert(jail, who.network(), None),
        }
    }

    fn write_ranges(&self, now: Boottime, jail: Option<&JailName>, batch: &mut Batch) {
        for family in Family::BOTH {
            let ranges = self.prefixes.ranges(jail);
            let elements: Vec<Element> = ranges
                .iter()
                .filter(|range| Family::of(&range.first) == family)
                .flat_map(|range| Element::range(now, range))
                .collect();
            write(
                batch,
                (Kind::NewElement, CREATE),
                &SetName::prefixes(jail, family),
                &elements,
            );
        }
    }
}

/// What the sets in use may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// None of those to be blocked.
    Fresh,
    /// Some of them, with other ends.
    Anything,
}

/// What is to become of an address in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Absent,
    For(Span),
    Forever,
}

impl Wanted {
    /// A ban that has no time left is none.
    fn lasting(left: Option<Span>) -> Self {
        match left {
            None => Self::Forever,
            Some(Span::ZERO) => Self::Absent,
            Some(left) => Self::For(left),
        }
    }
}

/// One element of a set.
#[derive(Clone, Copy, Debug)]
struct Element {
    key: IpAddr,
    timeout: Option<u64>,
    closes: bool,
}

impl Element {
    fn host(key: IpAddr, wanted: Wanted) -> Self {
        let timeout = match wanted {
            Wanted::For(left) => Some(milliseconds(left)),
            Wanted::Absent | Wanted::Forever => None,
        };
        Self {
            key,
            timeout,
            closes: false,
        }
    }

    /// An interval set takes the first address, with the timeout, and the first one after.
    fn range(now: Boottime, range: &Range) -> impl Iterator<Item = Self> {
        let timeout = range.end.map(|end: Boottime| milliseconds(end.since(now)));
        let first = Self {
            key: range.first,
            timeout,
            closes: false,
        };
        let after = range.after.map(|key| Self {
            key,
            timeout: None,
            closes: true,
        });
        [first].into_iter().chain(after)
    }

    fn write(&self, list: &mut Writer<'_>) {
        list.nest(LIST_ELEMENT, |element| {
            element.nest(ELEMENT_KEY, |key| match self.key {
                IpAddr::V4(v4) => key.bytes(DATA_VALUE, &v4.octets()),
                IpAddr::V6(v6) => key.bytes(DATA_VALUE, &v6.octets()),
            });
            if self.closes {
                element.number(ELEMENT_FLAGS, INTERVAL_END);
            }
            if let Some(timeout) = self.timeout {
                element.long(ELEMENT_TIMEOUT, timeout);
            }
        });
    }
}

/// Calls `write` for each family of `hosts` with the set, who is to be in it and who is not.
fn hosts_of(
    batch: &mut Batch,
    jail: Option<&JailName>,
    hosts: &BTreeMap<IpAddr, Wanted>,
    write: impl Fn(&mut Batch, &SetName, &[Element], &[Element]),
) {
    for family in Family::BOTH {
        let mine = hosts
            .iter()
            .filter(|(address, _)| Family::of(address) == family);
        let (absent, present): (Vec<_>, Vec<_>) = mine.partition(|(_, w)| **w == Wanted::Absent);
        let elements = |list: Vec<(&IpAddr, &Wanted)>| {
            list.into_iter()
                .map(|(key, wanted)| Element::host(*key, *wanted))
                .collect::<Vec<_>>()
        };
        write(
            batch,
            &SetName::hosts(jail, family),
            &elements(present),
            &elements(absent),
        );
    }
}

/// Adds as few messages as hold `elements`; none if there are none.
fn write(batch: &mut Batch, (kind, flags): (Kind, u16), set: &SetName, elements: &[Element]) {
    for piece in elements.chunks(NEST_LIMIT / LONGEST_ELEMENT) {
        batch.add(kind, flags, |m| {
            address_set(m, set);
            m.nest(LIST_ELEMENTS, |list| {
                piece.iter().for_each(|element| element.write(list))
            });
        });
    }
}

fn address_set(message: &mut Writer<'_>, set: &SetName) {
    message.text(LIST_TABLE, TABLE);
    message.text(LIST_SET, set.as_str());
}

/// A timeout as the kernel takes it. Below a tick it would become 0, which means for ever, and above
/// 584 years it is refused.
fn milliseconds(left: Span) -> u64 {
    (left.usec() / 1000).clamp(SHORTEST, LONGEST)
}

/// One tick at 100 Hz.
const SHORTEST: u64 = 10;
/// 300 years.
const LONGEST: u64 = 300 * 365 * 86_400_000;
/// An IPv6 host with a timeout.
const LONGEST_ELEMENT: usize = 4 + 4 + 4 + 16 + 12;
const INTERVAL_END: u32 = 1;

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_TIMEOUT: u16 = 4;
const DATA_VALUE: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ban_with_an_end_becomes_one_without() {
        for (left, wanted, timeout) in [
            (None, Wanted::Forever, None),
            (Some(0), Wanted::Absent, None),
            (Some(1), Wanted::For(Span::from_usec(1)), Some(10)),
            (
                Some(600_000_000),
                Wanted::For(Span::from_secs(600)),
                Some(600_000),
            ),
            (
                Some(u64::MAX),
                Wanted::For(Span::from_usec(u64::MAX)),
                Some(LONGEST),
            ),
        ] {
            let found = Wanted::lasting(left.map(Span::from_usec));

            assert_eq!(found, wanted, "{left:?}");
            let key = IpAddr::from([192, 0, 2, 1]);
            assert_eq!(Element::host(key, found).timeout, timeout, "{left:?}");
        }
    }
}
