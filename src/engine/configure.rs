//! Settings in: at start together with what the store remembers, later by a reload.
//!
//! A jail that is configured runs; one whose configuration is broken keeps its bans with the rules it
//! had; one that is gone loses its bans. Failures counted so far stay counted.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::asks::Asks;
use crate::engine::effect::{Event, JailRecord, Remembered, Removal};
use crate::engine::jail::Jail;
use crate::engine::ledger::{Key, Ledger};
use crate::engine::outbox::Outbox;
use crate::engine::protected::Protected;
use crate::engine::round::Round;
use crate::engine::settings::{JailName, JailRules, Ports, Protocol, Settings};
use crate::engine::time::Now;
use crate::engine::view::JailState;

impl Engine {
    /// An engine that goes on where `remembered` ends. Its first effect installs the firewall.
    #[must_use]
    pub fn new(
        now: Now,
        settings: Settings,
        protected: Protected,
        mut remembered: Remembered,
    ) -> Self {
        let mut engine = Self {
            global: settings.global.clone(),
            jails: BTreeMap::new(),
            ledger: Ledger::default(),
            protected,
            positions: remembered.positions.clone(),
            caught_up: false,
            now,
            aligned: now,
            asks: Asks::default(),
            interrupted: Some(std::mem::take(&mut remembered.unresolved)),
            begun: Vec::new(),
            outbox: Outbox::default(),
            round: Round::default(),
        };
        engine.recall(remembered);
        engine.configure(settings);
        engine.outbox.want_install();
        engine
    }

    /// Puts other settings in force.
    pub fn handle_settings(&mut self, now: Now, settings: Settings) {
        self.observe(now);
        self.expire(self.horizon());
        self.configure(settings);
    }

    fn recall(&mut self, remembered: Remembered) {
        let now = self.now;
        let latest = remembered
            .bans
            .iter()
            .map(|ban| ban.since)
            .max()
            .unwrap_or_default();
        let read = remembered
            .positions
            .values()
            .map(|position| position.time)
            .max()
            .unwrap_or_default();
        let behind = now.wall < latest.max(read);
        for (name, record) in remembered.jails {
            let JailRecord {
                rules,
                bans_total,
                failures_total,
            } = record;
            let mut jail = Jail::new(None, rules, JailState::Inactive);
            (jail.bans_total, jail.failures_total) = (bans_total, failures_total);
            self.jails.insert(name, jail);
        }
        for (name, offender, window) in remembered.windows {
            if let Some(jail) = self.jails.get_mut(&name) {
                jail.remember(offender, window);
            }
        }
        for ban in remembered.bans {
            if !self.jails.contains_key(&ban.jail) {
                let jail = Jail::new(None, EVERYTHING, JailState::Inactive);
                self.jails.insert(ban.jail.clone(), jail);
            }
            self.ledger.restore(now, ban, behind);
        }
        for (jail, offender, history) in remembered.histories {
            self.ledger.recall(&(jail, offender), history);
        }
    }

    fn configure(&mut self, settings: Settings) {
        let mut before = std::mem::take(&mut self.jails);
        let enforced = |jails: &BTreeMap<JailName, Jail>| -> Vec<(JailName, JailRules)> {
            let stands = jails.iter().filter(|(_, jail)| jail.is_enforced());
            stands
                .map(|(name, jail)| (name.clone(), jail.rules.clone()))
                .collect()
        };
        let rules_before = enforced(&before);
        self.global = settings.global;
        for (name, wanted) in settings.jails {
            let old = before.remove(&name);
            let stopped = old
                .as_ref()
                .is_some_and(|jail| jail.settings.is_some() && jail.state == JailState::Inactive);
            let state = if stopped {
                JailState::Inactive
            } else {
                JailState::Active
            };
            let rules = wanted.rules.clone();
            self.place(name, old, |jail| {
                (jail.rules, jail.state, jail.settings) = (rules, state, Some(wanted));
            });
        }
        for (name, why) in settings.failed {
            let old = before.remove(&name);
            self.place(name, old, |jail| {
                (jail.state, jail.settings) = (JailState::Failed(why), None);
            });
        }
        for (name, jail) in before {
            let banned = self.ledger.count_of(&name) > 0;
            if settings.incomplete && (banned || jail.settings.is_some()) {
                let why = "a configuration file could not be read; see 'journalctl -u banishd'"
                    .to_owned();
                self.place(name, Some(jail), |jail| {
                    (jail.state, jail.settings) = (JailState::Failed(why), None);
                });
            } else {
                self.retire(&name, &jail);
            }
        }
        self.asks.forget_verdicts();
        self.lift_ignored();
        self.decide_due();
        if enforced(&self.jails) != rules_before {
            self.outbox.want_install();
        }
    }

    /// Puts a jail, old or new, in its place after `change`, and tells of it if anything changed.
    fn place(&mut self, name: JailName, old: Option<Jail>, change: impl FnOnce(&mut Jail)) {
        let known = old
            .as_ref()
            .map(|jail| (jail.settings.clone(), jail.state.clone()));
        let mut jail = old.unwrap_or_else(|| Jail::new(None, EVERYTHING, JailState::Inactive));
        let rules = jail.rules.clone();
        change(&mut jail);
        match &known {
            Some((settings, state)) if *settings == jail.settings && *state == jail.state => {}
            Some((settings, _)) if settings.is_some() || jail.settings.is_none() => {
                self.outbox.announce(Event::JailChanged(name.clone()));
            }
            _ => self.outbox.announce(Event::JailNew(name.clone())),
        }
        if known.is_none() || rules != jail.rules {
            self.outbox.mark_jail(self.now, &name);
        }
        self.jails.insert(name, jail);
    }

    /// Takes a jail away: its bans, its failures, its record.
    fn retire(&mut self, name: &JailName, jail: &Jail) {
        let bans = self.ledger.of_jail(name);
        let keys: Vec<Key> = bans.map(|ban| (ban.jail.clone(), ban.offender)).collect();
        for key in keys {
            self.lift(&key, Removal::Reloaded, "");
        }
        for (offender, _) in jail.windows() {
            self.outbox
                .mark_window(self.now, (name.clone(), *offender), true);
        }
        self.outbox.mark_jail(self.now, name);
        self.outbox.announce(Event::JailRemoved(name.clone()));
    }
}

/// The rules of a jail that nobody remembers: its bans mean all traffic.
const EVERYTHING: JailRules = JailRules {
    protocol: Protocol::All,
    ports: Ports::All,
};
