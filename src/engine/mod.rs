//! DECIDES. Inputs and the time come in, effects go out; no I/O, no clock, no async, no log.
//!
//! # Laws of use
//! * Every `handle_*` takes the present as its first argument; time may be told in any order of wall
//!   clocks, never of boot clocks.
//! * After any `handle_*`, call [`Engine::poll_effect`] until it returns `None`, carry out each effect
//!   before asking for the next, and answer `Persist`, `Install` and `Apply` by
//!   [`Engine::handle_outcome`].
//! * Call [`Engine::handle_deadline`] no later than [`Engine::next_deadline`], after a clock was set
//!   and after a sleep.
//!
//! The same inputs give the same effects. What was persisted last, given to [`Engine::new`] together
//! with the log from the persisted position on, gives the same bans, counts and firewall as if nothing
//! had been cut.

pub mod address;
pub mod time;

pub mod settings;

pub mod protected;
pub mod record;

pub mod filter;
pub mod jail;
pub mod ledger;

pub mod command;
pub mod effect;
pub mod view;

mod administer;
mod asks;
mod configure;
mod decide;
mod outbox;
mod repeat;
mod round;

use std::collections::BTreeMap;

use crate::engine::asks::Asks;
use crate::engine::effect::{Answer, AskId, Event, Removal};
use crate::engine::filter::failure::Failure;
use crate::engine::jail::Jail;
use crate::engine::ledger::ban::Ban;
use crate::engine::ledger::{Key, Ledger};
use crate::engine::outbox::{Lines, Outbox};
use crate::engine::protected::Protected;
use crate::engine::record::{LogName, Position};
use crate::engine::round::Round;
use crate::engine::settings::{Global, JailName};
use crate::engine::time::{Now, Timestamp};
use crate::engine::view::{JailState, JailView};

/// The decisions of one daemon.
#[derive(Debug)]
pub struct Engine {
    global: Global,
    jails: BTreeMap<JailName, Jail>,
    ledger: Ledger,
    protected: Protected,
    /// How far each log is accounted for.
    positions: BTreeMap<LogName, Position>,
    /// Whether every log was read to its end once: before that, records are from the past.
    caught_up: bool,
    now: Now,
    /// When the wall clock's steps were last followed.
    aligned: Now,
    asks: Asks,
    /// Failures of names from the store, until who must not be banned is known: decisions that a restart
    /// interrupted wait for that.
    interrupted: Option<Vec<Failure>>,
    /// Bans that have just begun, and when, for the jails that count them.
    begun: Vec<(Key, Timestamp)>,
    outbox: Outbox,
    round: Round,
}

impl Engine {
    /// Counts failures, in the order of `log`, and accounts for it up to `position`.
    pub fn handle_failures(
        &mut self,
        now: Now,
        failures: &[Failure],
        log: &LogName,
        position: Position,
    ) {
        self.observe(now);
        self.resume();
        for failure in failures {
            let time = failure.time.min(now.wall);
            self.expire(Some(time));
            self.count(failure, time);
        }
        self.positions.insert(log.clone(), position);
        self.outbox.mark_position(now, log);
        self.expire(self.horizon());
    }

    /// A log is no more: its position is forgotten.
    pub fn handle_log_gone(&mut self, now: Now, log: &LogName) {
        self.observe(now);
        if self.positions.remove(log).is_some() {
            self.outbox.mark_position(now, log);
        }
    }

    /// Logs that are not read any more, after the start or a reload, are forgotten: their age would hold
    /// back the ends of bans. Not while the configuration of a jail is broken: it may have read one of
    /// them, and goes on there when it is mended.
    pub fn handle_logs(&mut self, now: Now, is_read: impl Fn(&LogName) -> bool) {
        if self.jails.values().any(|jail| jail.settings.is_none()) {
            return;
        }
        let gone = |log: &&LogName| !is_read(log);
        let gone: Vec<LogName> = self.positions.keys().filter(gone).cloned().collect();
        for log in gone {
            self.handle_log_gone(now, &log);
        }
    }

    /// Every log was read to its end: from here on, records are the present.
    pub fn handle_caught_up(&mut self, now: Now) {
        self.observe(now);
        self.resume();
        self.caught_up = true;
        self.expire(None);
    }

    /// Has everything written that is not in the store yet: before a reload and before the end.
    pub fn handle_flush(&mut self, now: Now) {
        self.observe(now);
        self.outbox.flush_now(now);
    }

    /// The answer to an [`Effect::Ask`](effect::Effect::Ask). Every question must get one, if only
    /// [`Answer::Unknown`]; a second one counts for nothing.
    pub fn handle_answer(&mut self, now: Now, id: AskId, answer: Answer) {
        self.observe(now);
        self.expire(self.horizon());
        self.learn(id, answer);
        self.expire(self.horizon());
        // What an answer led to must not be undone by a crash, after which it would come at another time.
        self.outbox.flush_now(now);
    }

    /// Time went by, a clock was set, or the machine slept.
    pub fn handle_deadline(&mut self, now: Now) {
        self.observe(now);
        self.expire(self.horizon());
    }

    /// The protected addresses changed. Bans of what became the host's own are lifted.
    pub fn handle_protected(&mut self, now: Now, protected: Protected) {
        self.observe(now);
        if self.protected != protected {
            self.protected = protected;
            self.lift_ignored();
        }
        self.resume();
    }

    /// Somebody looked at the firewall, and what was installed does not stand any more.
    pub fn handle_firewall_lost(&mut self, now: Now) {
        self.observe(now);
        self.outbox.want_install();
    }

    /// All jails, by name.
    pub fn jails(&self) -> impl Iterator<Item = JailView> {
        self.jails.iter().map(|(name, jail)| self.show(name, jail))
    }

    /// All jails, by name, and whether each counts: what is asked for often, and costs nothing.
    pub fn states(&self) -> impl Iterator<Item = (&JailName, &JailState)> {
        self.jails.iter().map(|(name, jail)| (name, &jail.state))
    }

    /// One jail and how it stands.
    #[must_use]
    pub fn jail(&self, name: &str) -> Option<(JailView, &Jail)> {
        let (name, jail) = self.jails.get_key_value(&JailName::new(name)?)?;
        Some((self.show(name, jail), jail))
    }

    /// The bans in force.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How far a log is accounted for.
    #[must_use]
    pub fn position(&self, log: &LogName) -> Option<&Position> {
        self.positions.get(log)
    }

    /// How far every log is accounted for.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<LogName, Position> {
        &self.positions
    }

    /// What does not work at the moment, a sentence each; empty if all is well.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.outbox.troubles()
    }

    fn show(&self, name: &JailName, jail: &Jail) -> JailView {
        JailView {
            name: name.clone(),
            state: jail.state.clone(),
            bans: self.ledger.count_of(name),
            failing: jail.failing(self.now.wall),
            bans_total: jail.bans_total,
            failures_total: jail.failures_total,
            spared_total: jail.spared_total,
            unresolved_total: jail.unresolved_total,
            last_ban: jail.last_ban,
            trouble: None,
        }
    }

    /// Takes note of the time: follows a wall clock that was set, and renews the kernel's timeouts
    /// after a sleep, in which they did not run.
    fn observe(&mut self, now: Now) {
        const TOLERANCE: u64 = 1_000_000;
        let before = std::mem::replace(&mut self.now, now);
        let offset = |at: Now| {
            at.wall
                .usec()
                .cast_signed()
                .wrapping_sub(at.boot.usec().cast_signed())
        };
        // Against the last step that was followed: small ones add up.
        let step = offset(now).wrapping_sub(offset(self.aligned));
        if now.asleep.usec().saturating_sub(before.asleep.usec()) > TOLERANCE {
            self.outbox.want_install();
        }
        if step.unsigned_abs() <= TOLERANCE {
            return;
        }
        self.aligned = now;
        for (name, jail) in &mut self.jails {
            jail.shift(step);
            for (offender, _) in jail.windows() {
                self.outbox
                    .mark_window(now, (name.clone(), *offender), true);
            }
        }
        for name in self.asks.shift(step) {
            self.outbox.mark_name(now, &name);
        }
        for ban in self.ledger.shift(now, step) {
            self.outbox.mark_ban(now, (ban.jail.clone(), ban.offender));
            self.outbox.announce(Event::BanChanged(ban));
        }
        self.outbox.want_install();
    }

    /// Begins a new ban, which these lines tell of, if one more may be.
    fn begin(&mut self, key: &Key, ban: Ban, lines: Lines) -> bool {
        let (jail, offender) = key.clone();
        if self.is_full(&ban.offender).is_some() {
            self.outbox.announce(Event::TooManyBans { jail, offender });
            return false;
        }
        if let Some(jail) = self.jails.get_mut(&jail) {
            jail.bans_total += 1;
            jail.last_ban = Some((ban.since, self.now.boot));
        }
        let since = ban.since;
        self.ledger.record(key, since, self.global.purge_age);
        self.purge(since);
        self.outbox.mark_jail(self.now, &key.0);
        self.outbox.mark_history(self.now, key.clone());
        self.outbox.mark_lines(self.now, key.clone(), lines);
        self.enforce(key, ban);
        self.begun.push((key.clone(), since));
        true
    }

    /// Forgets the histories that do not count any more at `time`, and those that are too many.
    fn purge(&mut self, time: Timestamp) {
        let oldest = time.minus(self.global.purge_age);
        let limit = self.global.max_bans.saturating_mul(2);
        for key in self.ledger.purge(oldest, limit) {
            self.outbox.mark_history(self.now, key);
        }
    }

    /// Puts `ban` in the ledger and has it persisted, blocked and announced.
    fn enforce(&mut self, key: &Key, ban: Ban) {
        let old = self.ledger.find(&key.0, &key.1);
        if old == Some(&ban) {
            return;
        }
        let event = match old {
            Some(_) => Event::BanChanged(ban.clone()),
            None => Event::BanNew(ban.clone()),
        };
        let new = old.is_none();
        self.ledger.put(self.now, ban);
        self.outbox.mark_ban(self.now, key.clone());
        self.outbox.touch(key.clone(), new);
        self.outbox.announce(event);
    }

    /// Takes a ban out of the ledger and has it unblocked, persisted and announced.
    fn lift(&mut self, key: &Key, result: Removal, by: &str) -> bool {
        if self.ledger.remove(&key.0, &key.1).is_none() {
            return false;
        }
        self.withdrawn(key.clone(), result, by);
        true
    }

    fn withdrawn(&mut self, key: Key, result: Removal, by: &str) {
        self.outbox.mark_ban(self.now, key.clone());
        self.outbox.touch(key.clone(), false);
        let (jail, offender) = key;
        self.outbox.announce(Event::BanRemoved {
            jail,
            offender,
            result,
            by: by.to_owned(),
        });
    }

    /// While old records are being caught up with, the time they have reached: the beginning, if there
    /// were none before.
    fn horizon(&self) -> Option<Timestamp> {
        let reached = self.positions.values().map(|position| position.time);
        (!self.caught_up).then(|| reached.min().unwrap_or_default())
    }

    /// Ends the bans whose time is over, and was over at `horizon`.
    fn expire(&mut self, horizon: Option<Timestamp>) {
        while let Some(ban) = self.ledger.expire(self.now, horizon) {
            self.withdrawn((ban.jail, ban.offender), Removal::Expired, "");
        }
    }

    /// Lifts the bans of those who may not be banned any more.
    fn lift_ignored(&mut self) {
        let first = Timestamp::default();
        let spared = |ban: &&Ban| self.spared(&ban.jail, &ban.offender, first).is_some();
        let key = |ban: &Ban| (ban.jail.clone(), ban.offender);
        let keys: Vec<Key> = self.ledger.after(None).filter(spared).map(key).collect();
        for key in keys {
            self.lift(&key, Removal::Reloaded, "");
        }
    }
}
