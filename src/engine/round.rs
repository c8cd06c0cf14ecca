//! Marks to effects, in the order that is safe: the firewall made anew if it must be, then unblocks,
//! then one transaction, then blocks, then news, then questions, then replies.
//!
//! A round takes the marks there are; what comes in while it runs waits for the next. A firewall that
//! failed gets no single changes: the whole of it is sent again when its time comes.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::Engine;
use crate::engine::command::{Refusal, Reply, RequestId};
use crate::engine::effect::{Change, Commit, Effect, Event, JailRecord, Outcome};
use crate::engine::jail::Jail;
use crate::engine::ledger::Key;
use crate::engine::ledger::ban::Ban;
use crate::engine::outbox::Dirty;
use crate::engine::record::LogName;
use crate::engine::settings::{JailName, JailRules};
use crate::engine::time::{Boottime, Span};

/// One pass over the edges.
#[derive(Debug, Default)]
pub(super) struct Round {
    stage: Stage,
    touched: BTreeMap<Key, bool>,
    events: Vec<Event>,
    replies: VecDeque<(RequestId, Result<Reply, Refusal>)>,
    writing: Dirty,
}

/// What the round does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Rest,
    Install,
    Unblock,
    Persist,
    Block,
    Announce,
    Ask,
    Reply,
}

impl Engine {
    /// The next thing to do; `None` when all is done. The previous one must have been answered.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        loop {
            let (next, effect) = match self.round.stage {
                Stage::Rest if self.work_waits() => {
                    self.round.touched = std::mem::take(&mut self.outbox.touched);
                    self.round.events = std::mem::take(&mut self.outbox.events);
                    self.round.replies = std::mem::take(&mut self.outbox.replies);
                    (Stage::Install, None)
                }
                Stage::Rest => return None,
                Stage::Install => (Stage::Unblock, self.install()),
                Stage::Unblock => (
                    Stage::Persist,
                    self.changes(|change| matches!(change, Change::Unblock { .. })),
                ),
                Stage::Persist => (Stage::Block, self.persist()),
                Stage::Block => (
                    Stage::Announce,
                    self.changes(|change| matches!(change, Change::Block { .. })),
                ),
                Stage::Announce => {
                    let events = std::mem::take(&mut self.round.events);
                    (
                        Stage::Ask,
                        (!events.is_empty()).then_some(Effect::Announce(events)),
                    )
                }
                Stage::Ask => match self.asks.poll() {
                    Some((id, question)) => return Some(Effect::Ask(id, question)),
                    None => (Stage::Reply, None),
                },
                Stage::Reply => match self.round.replies.pop_front() {
                    Some((id, answer)) => {
                        return Some(Effect::Reply(id, self.truthful(answer)));
                    }
                    None => (Stage::Rest, None),
                },
            };
            self.round.stage = next;
            if effect.is_some() {
                return effect;
            }
        }
    }

    /// Tells how the last effect went. Only `Persist`, `Install` and `Apply` are answered.
    pub fn handle_outcome(&mut self, outcome: Outcome) {
        match (self.round.stage, outcome) {
            (Stage::Block, Outcome::Done) => {
                self.round.writing = Dirty::default();
                self.outbox.store_written();
            }
            (Stage::Block, Outcome::Failed(why)) => {
                let unwritten = std::mem::take(&mut self.round.writing);
                self.outbox.store_failed(self.now, unwritten, why);
            }
            (Stage::Unblock, Outcome::Done) => self.outbox.firewall_installed(),
            (Stage::Unblock | Stage::Persist | Stage::Announce, Outcome::Failed(why)) => {
                self.outbox.firewall_failed(self.now, why);
            }
            _ => {}
        }
    }

    /// When [`Engine::handle_deadline`] is due at the latest; `None` for never.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Boottime> {
        let end = self.ledger.next_end().filter(|_| self.caught_up);
        [end, self.outbox.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn work_waits(&self) -> bool {
        let outbox = &self.outbox;
        !outbox.touched.is_empty()
            || !outbox.events.is_empty()
            || !outbox.replies.is_empty()
            || self.asks.has_questions()
            || outbox.install_due(self.now)
            || outbox.flush_due(self.now)
    }

    /// The whole firewall, without the bans that the store does not know yet.
    fn install(&self) -> Option<Effect> {
        if !self.outbox.install_due(self.now) {
            return None;
        }
        let known = |key: &Key| !self.round.touched.get(key).copied().unwrap_or(false);
        let keys = self
            .ledger
            .after(None)
            .map(|ban| (ban.jail.clone(), ban.offender))
            .filter(known);
        let blocks = keys
            .map(|key| self.change(key))
            .filter(|c| matches!(c, Change::Block { .. }));
        Some(Effect::Install(self.installed_jails(), blocks.collect()))
    }

    /// The jails that have a place in the firewall, with what each drops.
    fn installed_jails(&self) -> Vec<(JailName, JailRules)> {
        let stands = self.jails.iter().filter(|(_, jail)| jail.is_enforced());
        stands
            .map(|(name, jail)| (name.clone(), jail.rules.clone()))
            .collect()
    }

    fn changes(&self, wanted: fn(&Change) -> bool) -> Option<Effect> {
        if self.outbox.install {
            return None;
        }
        let stands = |jail: &JailName| self.jails.get(jail).is_some_and(Jail::is_enforced);
        let touched = self.round.touched.keys().filter(|(jail, _)| stands(jail));
        let changes: Vec<Change> = touched
            .cloned()
            .map(|key| self.change(key))
            .filter(wanted)
            .collect();
        (!changes.is_empty()).then_some(Effect::Apply(changes))
    }

    /// What the firewall must know of `key` now.
    fn change(&self, key: Key) -> Change {
        let alive = |left: &Option<Span>| left.is_none_or(|left| left > Span::ZERO);
        let left = self.ledger.left(self.now, &key.0, &key.1).filter(alive);
        let longest = self.ledger.longest(self.now, &key.1).filter(alive);
        let (jail, offender) = key;
        match (left, longest) {
            (Some(left), longest) => Change::Block {
                jail,
                offender,
                left,
                longest: longest.unwrap_or(left),
            },
            (None, others) => Change::Unblock {
                jail,
                offender,
                others,
            },
        }
    }

    /// Everything that differs from the store, as it is now.
    fn persist(&mut self) -> Option<Effect> {
        if self.round.replies.is_empty() && self.outbox.store_rests(self.now) {
            return None;
        }
        self.outbox.flush_at = None;
        let mut dirty = std::mem::take(&mut self.outbox.dirty);
        let window = |(jail, offender): &Key| self.jails.get(jail)?.window(offender);
        dirty
            .windows
            .retain(|key, stored| *stored || window(key).is_some());
        if dirty.is_empty() {
            return None;
        }
        let mut commit = Commit {
            durable: dirty.durable,
            ..Commit::default()
        };
        for (key, lines) in &dirty.bans {
            match self.ledger.find(&key.0, &key.1) {
                Some(ban) => commit.bans.push((Ban::clone(ban), lines.clone())),
                None => commit.unbans.push(key.clone()),
            }
        }
        let history = |key: &Key| (key.0.clone(), key.1, self.ledger.history(key));
        let row = |key: &Key| (key.0.clone(), key.1, window(key).cloned());
        commit.windows = dirty.windows.keys().map(row).collect();
        commit.histories = dirty.histories.iter().map(history).collect();
        commit.jails = dirty
            .jails
            .iter()
            .map(|name| (name.clone(), self.jail_record(name)))
            .collect();
        let position = |log: &LogName| (log.clone(), self.positions.get(log).cloned());
        commit.positions = dirty.positions.iter().map(position).collect();
        for name in &dirty.names {
            let waiting = self.asks.waiting_for(name).to_vec();
            commit.unresolved.push((name.clone(), waiting));
        }
        self.round.writing = dirty;
        Some(Effect::Persist(Box::new(commit)))
    }

    fn jail_record(&self, name: &JailName) -> Option<JailRecord> {
        self.jails.get(name).map(|jail| JailRecord {
            rules: jail.rules.clone(),
            bans_total: jail.bans_total,
            failures_total: jail.failures_total,
        })
    }

    /// A promise is kept only if the firewall kept it.
    fn truthful(&self, answer: Result<Reply, Refusal>) -> Result<Reply, Refusal> {
        let acted = match &answer {
            Ok(Reply::Changed(changed)) => *changed,
            Ok(Reply::Removed(removed)) => *removed > 0,
            Ok(Reply::Imported(sum)) => sum.banned > 0,
            Ok(Reply::Done) | Err(_) => false,
        };
        match self.outbox.firewall_trouble() {
            Some(why) if acted => Err(Refusal::Firewall(why.clone())),
            _ => answer,
        }
    }
}
