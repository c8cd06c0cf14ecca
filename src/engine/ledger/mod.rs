//! Verdict to ban: who is banned from which jail, until when.
//!
//! Comes in: bans made and lifted. Goes out: which ended, and what the firewall must know of an
//! address. The ledger is the truth that store and firewall copy; it holds at most one ban per jail
//! and offender. A ban ends by the boot clock, which never steps.

pub mod ban;
pub mod escalation;
pub mod formula;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::engine::address::Offender;
use crate::engine::ledger::ban::{Ban, History};
use crate::engine::settings::JailName;
use crate::engine::time::{Boottime, Now, Span, Timestamp};

/// The most bans of prefixes at once. Sets of ranges are written anew whenever one changes, which must
/// stay cheap.
pub const PREFIXES_MAX: usize = 1024;

/// A jail and an offender: what a ban is about.
pub type Key = (JailName, Offender);

/// All bans in force, and what is remembered of past ones.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    bans: BTreeMap<JailName, BTreeMap<Offender, Held>>,
    /// Every ban that ends, once, by its end.
    ends: BTreeSet<(End, JailName, Offender)>,
    count: usize,
    /// So many of them are of prefixes.
    prefixes: usize,
    histories: BTreeMap<Key, History>,
    /// Every history once, by its last ban: the oldest is forgotten first.
    past: BTreeSet<(Timestamp, JailName, Offender)>,
}

/// A ban, and its end on the boot clock; `None` for never.
#[derive(Clone, Debug)]
struct Held {
    ban: Ban,
    end: Option<End>,
    /// Restored while the wall clock was behind the store (no battery, not yet set): its end is the
    /// stored wall time, and the boot end only a bound.
    by_wall: bool,
}

/// An end on the boot clock in microseconds; negative if it was before this boot.
type End = i64;

impl Ledger {
    /// Puts a ban in, replacing the one of the same jail and offender.
    pub fn put(&mut self, now: Now, ban: Ban) {
        self.insert(now, ban, false);
    }

    /// Takes over a ban from the store. `behind` tells that the wall clock is earlier than the store.
    pub fn restore(&mut self, now: Now, ban: Ban, behind: bool) {
        self.insert(now, ban, behind);
    }

    /// Takes a ban out.
    pub fn remove(&mut self, jail: &JailName, offender: &Offender) -> Option<Ban> {
        let bans = self.bans.get_mut(jail)?;
        let held = bans.remove(offender)?;
        if bans.is_empty() {
            self.bans.remove(jail);
        }
        if let Some(end) = held.end {
            self.ends.remove(&(end, jail.clone(), *offender));
        }
        self.count -= 1;
        self.prefixes -= usize::from(!offender.is_host());
        Some(held.ban)
    }

    /// Takes out the next ban that has ended. While old records are being caught up with, `horizon`
    /// is the time they have reached: a ban counts as standing for records before its end.
    pub fn expire(&mut self, now: Now, horizon: Option<Timestamp>) -> Option<Ban> {
        let (end, jail, offender) = self.ends.first()?;
        if *end > now.boot.usec().cast_signed() {
            return None;
        }
        let (jail, offender) = (jail.clone(), *offender);
        let until = self.find(&jail, &offender)?.until?;
        if horizon.is_some_and(|horizon| until > horizon) {
            return None;
        }
        self.remove(&jail, &offender)
    }

    /// Follows a wall clock that was set by `step` microseconds; returns the bans whose stored times
    /// or end changed.
    pub fn shift(&mut self, now: Now, step: i64) -> Vec<Ban> {
        let all = std::mem::take(&mut self.bans);
        self.ends.clear();
        (self.count, self.prefixes) = (0, 0);
        let mut moved = Vec::new();
        for mut held in all.into_values().flat_map(BTreeMap::into_values) {
            if !held.by_wall {
                held.ban.since = held.ban.since.shifted(step);
                held.ban.until = held.ban.until.map(|until| until.shifted(step));
            }
            let behind = held.by_wall && now.wall < held.ban.since;
            moved.push(held.ban.clone());
            self.insert(now, held.ban, behind);
        }
        moved
    }

    /// The ban of `offender` in `jail`.
    #[must_use]
    pub fn find(&self, jail: &JailName, offender: &Offender) -> Option<&Ban> {
        Some(&self.bans.get(jail)?.get(offender)?.ban)
    }

    /// All bans behind `after`, by jail and offender.
    pub fn after<'a>(&'a self, after: Option<&'a Key>) -> impl Iterator<Item = &'a Ban> {
        let from_jail = match after {
            Some((jail, _)) => Bound::Included(jail),
            None => Bound::Unbounded,
        };
        let rest = self
            .bans
            .range::<JailName, _>((from_jail, Bound::Unbounded));
        rest.flat_map(move |(name, bans)| {
            let from = match after {
                Some((jail, offender)) if jail == name => Bound::Excluded(*offender),
                _ => Bound::Unbounded,
            };
            bans.range((from, Bound::Unbounded))
                .map(|(_, held)| &held.ban)
        })
    }

    /// The bans of one jail, by offender.
    pub fn of_jail(&self, jail: &JailName) -> impl Iterator<Item = &Ban> {
        self.bans
            .get(jail)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|held| &held.ban)
    }

    /// How many bans one jail has.
    #[must_use]
    pub fn count_of(&self, jail: &JailName) -> u32 {
        let count = self.bans.get(jail).map_or(0, BTreeMap::len);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How many bans there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody is banned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bans of prefixes there are.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.prefixes
    }

    /// When the next ban ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Boottime> {
        self.ends
            .first()
            .map(|(end, ..)| Boottime::from_usec(u64::try_from(*end).unwrap_or(0)))
    }

    /// What remains of a ban: outer `None` if there is none, inner `None` for ever.
    #[must_use]
    pub fn left(&self, now: Now, jail: &JailName, offender: &Offender) -> Option<Option<Span>> {
        let held = self.bans.get(jail)?.get(offender)?;
        Some(held.end.map(|end| left(now, end)))
    }

    /// What remains of the longest ban of `offender` in any jail, in the form of [`Ledger::left`].
    #[must_use]
    pub fn longest(&self, now: Now, offender: &Offender) -> Option<Option<Span>> {
        let mut longest = None;
        for held in self.bans.values().filter_map(|bans| bans.get(offender)) {
            let left = held.end.map(|end| left(now, end));
            longest = match (longest, left) {
                (None, _) | (Some(Some(_)), None) => Some(left),
                (Some(Some(other)), Some(left)) => Some(Some(left.max(other))),
                (Some(None), _) => Some(None),
            };
        }
        longest
    }

    /// How many bans of `key` began within `memory` before `time`.
    #[must_use]
    pub fn earlier(&self, key: &Key, time: Timestamp, memory: Span) -> u32 {
        let known = self.histories.get(key);
        known
            .filter(|history| history.last > time.minus(memory))
            .map_or(0, |history| history.bans)
    }

    /// Remembers that a ban began, after those that [`Ledger::earlier`] counts.
    pub fn record(&mut self, key: &Key, began: Timestamp, memory: Span) {
        let bans = self.earlier(key, began, memory).saturating_add(1);
        let last = self.histories.get(key).map_or(began, |h| h.last.max(began));
        self.recall(key, History { bans, last });
    }

    /// Takes over a history from the store.
    pub fn recall(&mut self, key: &Key, history: History) {
        if let Some(old) = self.histories.insert(key.clone(), history) {
            self.past.remove(&(old.last, key.0.clone(), key.1));
        }
        self.past.insert((history.last, key.0.clone(), key.1));
    }

    /// Forgets histories whose last ban began at or before `oldest`, and the oldest beyond `limit`;
    /// returns whose.
    pub fn purge(&mut self, oldest: Timestamp, limit: usize) -> Vec<Key> {
        let mut purged = Vec::new();
        while let Some((last, ..)) = self.past.first() {
            if *last > oldest && self.histories.len() <= limit {
                break;
            }
            if let Some((_, jail, offender)) = self.past.pop_first() {
                let key = (jail, offender);
                self.histories.remove(&key);
                purged.push(key);
            }
        }
        purged
    }

    /// What is remembered of past bans of `key`.
    #[must_use]
    pub fn history(&self, key: &Key) -> Option<History> {
        self.histories.get(key).copied()
    }

    fn insert(&mut self, now: Now, ban: Ban, by_wall: bool) {
        self.remove(&ban.jail, &ban.offender);
        let boot = now.boot.usec().cast_signed();
        let end = ban.until.map(|until| {
            let left = until
                .usec()
                .cast_signed()
                .saturating_sub(now.wall.usec().cast_signed());
            let whole = until.since(ban.since).usec().cast_signed();
            boot.saturating_add(if by_wall { left.min(whole) } else { left })
        });
        if let Some(end) = end {
            self.ends.insert((end, ban.jail.clone(), ban.offender));
        }
        let (jail, offender) = (ban.jail.clone(), ban.offender);
        self.bans
            .entry(jail)
            .or_default()
            .insert(offender, Held { ban, end, by_wall });
        self.count += 1;
        self.prefixes += usize::from(!offender.is_host());
    }
}

/// What remains until `end`; zero if it is over.
fn left(now: Now, end: End) -> Span {
    Span::from_usec(u64::try_from(end.saturating_sub(now.boot.usec().cast_signed())).unwrap_or(0))
}
