//! Which signals go out when: a few bans are told one by one, a flood of them by one `BansReset` a
//! second, and changed properties at most ten times a second.
//!
//! Comes in: events and the time since the session began. Goes out: what to send now, and when to
//! look again. It sends nothing itself and holds no more than one small entry per jail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::dbus::wire::BanInfo;
use crate::engine::effect::{Event, Removal};
use crate::engine::settings::JailName;

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A ban began.
    BanNew(BanInfo),
    /// The end of a ban moved.
    BanChanged(BanInfo),
    /// A ban ended.
    BanRemoved {
        /// The jail.
        jail: JailName,
        /// Who was banned.
        address: String,
        /// Why it ended.
        result: Removal,
        /// Who asked.
        by: String,
    },
    /// Too much happened to tell.
    BansReset(JailName),
    /// A jail appeared.
    JailNew(JailName),
    /// A jail is gone.
    JailRemoved(JailName),
    /// Properties of the manager may have changed.
    Manager,
    /// Properties of a jail may have changed.
    Jail(JailName),
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    bursts: BTreeMap<JailName, Burst>,
    manager: bool,
    jails: BTreeSet<JailName>,
    properties_from: Duration,
}

/// The bans of one jail within one second.
#[derive(Debug)]
struct Burst {
    began: Duration,
    events: u32,
    flood: bool,
    untold: bool,
}

/// More than this many bans of one jail within a second are told as one.
pub const BURST: u32 = 50;

const SECOND: Duration = Duration::from_secs(1);
const PROPERTIES_EVERY: Duration = Duration::from_millis(100);

impl Outbox {
    /// Takes in an event; what is to be sent at once goes to `out`.
    pub fn take(&mut self, now: Duration, event: Event, out: &mut Vec<Signal>) {
        self.manager = true;
        match event {
            Event::BanNew(ban) => {
                let signal = Signal::BanNew(BanInfo::from(&ban));
                self.ban_event(now, ban.jail, signal, out);
            }
            Event::BanChanged(ban) => {
                let signal = Signal::BanChanged(BanInfo::from(&ban));
                self.ban_event(now, ban.jail, signal, out);
            }
            Event::BanRemoved {
                jail,
                offender,
                result,
                by,
            } => {
                let signal = Signal::BanRemoved {
                    jail: jail.clone(),
                    address: offender.to_string(),
                    result,
                    by,
                };
                self.ban_event(now, jail, signal, out);
            }
            Event::JailNew(jail) => out.push(Signal::JailNew(jail)),
            Event::JailRemoved(jail) => {
                self.bursts.remove(&jail);
                self.jails.remove(&jail);
                out.push(Signal::JailRemoved(jail));
            }
            Event::JailChanged(jail) | Event::Spared { jail, .. } => {
                self.jails.insert(jail);
            }
            Event::TooManyBans { .. }
            | Event::Warning(_)
            | Event::Degraded(_)
            | Event::Recovered => {}
        }
    }

    /// Marks the manager's properties.
    pub fn manager_changed(&mut self) {
        self.manager = true;
    }

    /// Marks everything of a jail: more was lost than is known.
    pub fn reset(&mut self, now: Duration, jail: JailName) {
        self.manager = true;
        self.jails.insert(jail.clone());
        let burst = self.bursts.entry(jail).or_insert_with(|| Burst::new(now));
        burst.untold = true;
    }

    /// What is due now.
    pub fn due(&mut self, now: Duration, out: &mut Vec<Signal>) {
        for (jail, burst) in &mut self.bursts {
            if now >= burst.began + SECOND {
                burst.roll(now, jail, out);
            }
        }
        self.bursts
            .retain(|_, burst| burst.events > 0 || burst.flood || burst.untold);
        if self.properties_wait() && now >= self.properties_from {
            self.properties_from = now + PROPERTIES_EVERY;
            if std::mem::take(&mut self.manager) {
                out.push(Signal::Manager);
            }
            out.extend(
                std::mem::take(&mut self.jails)
                    .into_iter()
                    .map(Signal::Jail),
            );
        }
    }

    /// When [`Outbox::due`] has something to do; `None` if nothing waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let properties = self.properties_wait().then_some(self.properties_from);
        let bursts = self.bursts.values().map(|burst| burst.began + SECOND);
        bursts.chain(properties).min()
    }

    fn properties_wait(&self) -> bool {
        self.manager || !self.jails.is_empty()
    }

    fn ban_event(&mut self, now: Duration, jail: JailName, signal: Signal, out: &mut Vec<Signal>) {
        self.jails.insert(jail.clone());
        let burst = self
            .bursts
            .entry(jail.clone())
            .or_insert_with(|| Burst::new(now));
        if now >= burst.began + SECOND {
            burst.roll(now, &jail, out);
        }
        burst.events = burst.events.saturating_add(1);
        if burst.flood || burst.events > BURST {
            burst.untold = true;
        } else {
            out.push(signal);
        }
    }
}

impl Burst {
    fn new(now: Duration) -> Self {
        Self {
            began: now,
            events: 0,
            flood: false,
            untold: false,
        }
    }

    /// Ends this second and begins the next.
    fn roll(&mut self, now: Duration, jail: &JailName, out: &mut Vec<Signal>) {
        if self.untold {
            out.push(Signal::BansReset(jail.clone()));
        }
        let flood = self.events > BURST;
        *self = Self {
            flood,
            ..Self::new(now)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ledger::ban::{Ban, Origin};
    use crate::engine::time::Timestamp;

    fn sshd() -> JailName {
        JailName::new("sshd").unwrap()
    }

    fn ban(last: u8) -> Event {
        Event::BanNew(Ban {
            jail: sshd(),
            offender: format!("192.0.2.{last}").parse().unwrap(),
            since: Timestamp::from_usec(1),
            until: None,
            failures: 3,
            earlier: 0,
            origin: Origin::Jail,
        })
    }

    fn told(signals: &[Signal]) -> usize {
        let one_by_one = |s: &&Signal| matches!(s, Signal::BanNew(_));
        signals.iter().filter(one_by_one).count()
    }

    fn resets(signals: &[Signal]) -> usize {
        let reset = |s: &&Signal| matches!(s, Signal::BansReset(_));
        signals.iter().filter(reset).count()
    }

    #[test]
    fn a_few_bans_are_told_one_by_one() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        for n in 0..50 {
            outbox.take(Duration::from_millis(u64::from(n)), ban(n), &mut out);
        }

        outbox.due(Duration::from_secs(2), &mut out);

        assert_eq!((told(&out), resets(&out)), (50, 0));
    }

    #[test]
    fn a_flood_is_told_once_a_second_until_it_ends() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        for ms in 0..3000 {
            let now = Duration::from_millis(ms);
            outbox.take(now, ban(1), &mut out);
            outbox.due(now, &mut out);
        }
        for ms in 3000..6000 {
            outbox.due(Duration::from_millis(ms), &mut out);
        }
        assert_eq!((told(&out), resets(&out)), (50, 3));

        outbox.take(Duration::from_secs(7), ban(2), &mut out);

        assert_eq!(told(&out), 51);
    }

    #[test]
    fn properties_go_out_ten_times_a_second_at_most() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        for ms in 0..1000 {
            let now = Duration::from_millis(ms);
            outbox.take(now, Event::JailChanged(sshd()), &mut out);
            outbox.due(now, &mut out);
        }

        let of_jail = out.iter().filter(|s| matches!(s, Signal::Jail(_))).count();
        assert_eq!(of_jail, 10);
    }

    #[test]
    fn a_gap_is_told_within_a_second() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        outbox.reset(Duration::ZERO, sshd());
        outbox.due(Duration::ZERO, &mut out);

        outbox.due(Duration::from_secs(1), &mut out);

        assert_eq!(resets(&out), 1);
    }

    #[test]
    fn nothing_waits_when_nothing_happens() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        outbox.take(Duration::ZERO, ban(1), &mut out);
        for secs in 0..5 {
            outbox.due(Duration::from_secs(secs), &mut out);
        }

        assert_eq!(outbox.deadline(), None);
        assert!(outbox.bursts.is_empty());
    }
}
