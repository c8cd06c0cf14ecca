//! What the engine still has to say: marks of what must be persisted, blocked, announced, answered.
//!
//! Marks name things, not values: an effect is made of the state at the moment it leaves, so that many
//! changes of one thing become one write.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::command::{Refusal, Reply, RequestId};
use crate::engine::effect::Event;
use crate::engine::ledger::Key;
use crate::engine::record::LogName;
use crate::engine::settings::JailName;
use crate::engine::time::{Boottime, Now, Span};

/// Unpersisted counts are written this long after the first of them.
const FLUSH: Span = Span::from_secs(5);

/// A failed firewall is tried again after 1 s, 2 s, 4 s, … and at last this often.
const RETRY_MAX: Span = Span::from_secs(60);

/// While the store fails, the lines of about so many bans wait for it.
const LINES_HELD: usize = 1024;

/// Marks that wait for the next round of effects.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) dirty: Dirty,
    /// When `dirty` is written even if nothing else happens.
    pub(super) flush_at: Option<Boottime>,
    /// What the firewall must be told of; `true` for a ban that never was in the store.
    pub(super) touched: BTreeMap<Key, bool>,
    pub(super) events: Vec<Event>,
    pub(super) replies: VecDeque<(RequestId, Result<Reply, Refusal>)>,
    /// The firewall must be made anew.
    pub(super) install: bool,
    /// … but not before this, because it failed.
    retry_at: Option<Boottime>,
    retry_after: Span,
    firewall_trouble: Option<String>,
    store_trouble: Option<String>,
}

/// What differs from the store.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// With the lines that led to it, where those changed.
    pub(super) bans: BTreeMap<Key, Option<Lines>>,
    /// `true` where the store may hold one already: what came and went since need not be written, or a
    /// store that fails under attack would have us remember everybody who ever failed.
    pub(super) windows: BTreeMap<Key, bool>,
    pub(super) histories: BTreeSet<Key>,
    pub(super) jails: BTreeSet<JailName>,
    pub(super) positions: BTreeSet<LogName>,
    /// Names whose failures wait for addresses.
    pub(super) names: BTreeSet<Box<str>>,
    pub(super) durable: bool,
}

/// Lines of a log.
pub(super) type Lines = Vec<Box<str>>;

impl Dirty {
    /// Puts back what could not be written.
    pub(super) fn merge(&mut self, mut other: Self) {
        for (key, lines) in other.bans {
            let newer = self.bans.entry(key).or_default();
            *newer = newer.take().or(lines);
        }
        // What was said first was said of the store as it still is.
        self.windows.append(&mut other.windows);
        self.histories.append(&mut other.histories);
        self.jails.append(&mut other.jails);
        self.positions.append(&mut other.positions);
        self.names.append(&mut other.names);
        self.durable |= other.durable;
    }

    /// Whether the store is up to date.
    pub(super) fn is_empty(&self) -> bool {
        self.bans.is_empty()
            && self.windows.is_empty()
            && self.histories.is_empty()
            && self.jails.is_empty()
            && self.positions.is_empty()
            && self.names.is_empty()
    }
}

impl Outbox {
    /// A ban changed; what led to it did not.
    pub(super) fn mark_ban(&mut self, now: Now, key: Key) {
        self.dirty.bans.entry(key).or_default();
        self.flush_later(now);
    }

    /// A ban was made for what these lines tell of.
    pub(super) fn mark_lines(&mut self, now: Now, key: Key, mut lines: Lines) {
        // A store that fails under attack must not have us hold the lines of everybody.
        if self.store_trouble.is_some() && self.dirty.bans.len() > LINES_HELD {
            lines.clear();
        }
        self.dirty.bans.insert(key, Some(lines));
        self.flush_later(now);
    }

    /// The failures of a name that wait for its addresses changed.
    pub(super) fn mark_name(&mut self, now: Now, name: &str) {
        self.dirty.names.insert(name.into());
        self.flush_later(now);
    }

    /// A window changed; `stored` tells that it is not new.
    pub(super) fn mark_window(&mut self, now: Now, key: Key, stored: bool) {
        self.dirty.windows.entry(key).or_insert(stored);
        self.flush_later(now);
    }

    pub(super) fn mark_history(&mut self, now: Now, key: Key) {
        self.dirty.histories.insert(key);
        self.flush_later(now);
    }

    pub(super) fn mark_jail(&mut self, now: Now, jail: &JailName) {
        if !self.dirty.jails.contains(jail) {
            self.dirty.jails.insert(jail.clone());
        }
        self.flush_later(now);
    }

    pub(super) fn mark_position(&mut self, now: Now, log: &LogName) {
        if !self.dirty.positions.contains(log) {
            self.dirty.positions.insert(log.clone());
        }
        self.flush_later(now);
    }

    /// The firewall must be told of `key`. A ban that is `new` is not in the store yet.
    pub(super) fn touch(&mut self, key: Key, new: bool) {
        *self.touched.entry(key).or_default() |= new;
    }

    pub(super) fn announce(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Answers a command that changed something: it must survive a power cut.
    pub(super) fn answer(&mut self, id: RequestId, answer: Result<Reply, Refusal>) {
        self.dirty.durable |= answer.is_ok();
        self.replies.push_back((id, answer));
    }

    /// Has the firewall made anew at once.
    pub(super) fn want_install(&mut self) {
        self.install = true;
        self.retry_at = None;
    }

    /// Has everything unpersisted written in the next round.
    pub(super) fn flush_now(&mut self, now: Now) {
        self.flush_at = Some(now.boot);
    }

    pub(super) fn install_due(&self, now: Now) -> bool {
        self.install && self.retry_at.is_none_or(|at| at <= now.boot)
    }

    pub(super) fn flush_due(&self, now: Now) -> bool {
        self.flush_at.is_some_and(|at| at <= now.boot)
    }

    /// A store that failed is not tried again with every ban, only when the next flush is due.
    pub(super) fn store_rests(&self, now: Now) -> bool {
        self.store_trouble.is_some() && !self.flush_due(now)
    }

    /// When something is due although nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Boottime> {
        let retry = self.retry_at.filter(|_| self.install);
        [retry, self.flush_at].into_iter().flatten().min()
    }

    /// The firewall failed: everything is sent again later.
    pub(super) fn firewall_failed(&mut self, now: Now, why: String) {
        let after = self.retry_after.usec().saturating_mul(2);
        let after = after.clamp(1_000_000, RETRY_MAX.usec());
        self.retry_after = Span::from_usec(after);
        self.retry_at = Some(now.boot.plus(self.retry_after));
        self.install = true;
        if self.firewall_trouble.as_ref() != Some(&why) {
            let text = format!("the firewall does not take bans: {why}, retrying");
            self.announce(Event::Degraded(text));
        }
        self.firewall_trouble = Some(why);
    }

    /// The firewall was made anew.
    pub(super) fn firewall_installed(&mut self) {
        self.install = false;
        self.retry_at = None;
        self.retry_after = Span::ZERO;
        if self.firewall_trouble.take().is_some() {
            self.announce_recovery();
        }
    }

    /// The store failed: what was not written is written with the next batch.
    pub(super) fn store_failed(&mut self, now: Now, unwritten: Dirty, why: String) {
        self.dirty.merge(unwritten);
        self.flush_later(now);
        if self.store_trouble.as_ref() != Some(&why) {
            let text =
                format!("bans are not remembered: {why}, blocking all the same and retrying");
            self.announce(Event::Degraded(text));
        }
        self.store_trouble = Some(why);
    }

    /// The store took a batch.
    pub(super) fn store_written(&mut self) {
        if self.store_trouble.take().is_some() {
            self.announce_recovery();
        }
    }

    pub(super) fn firewall_trouble(&self) -> Option<&String> {
        self.firewall_trouble.as_ref()
    }

    pub(super) fn troubles(&self) -> Vec<String> {
        let firewall = self
            .firewall_trouble
            .iter()
            .map(|why| format!("the firewall does not take bans: {why}"));
        let store = self
            .store_trouble
            .iter()
            .map(|why| format!("bans are not remembered: {why}"));
        firewall.chain(store).collect()
    }

    fn announce_recovery(&mut self) {
        if self.firewall_trouble.is_none() && self.store_trouble.is_none() {
            self.announce(Event::Recovered);
        }
    }

    fn flush_later(&mut self, now: Now) {
        self.flush_at.get_or_insert(now.boot.plus(FLUSH));
    }
}
