//! Failure to ban: whom a failure is of, whether it is one too many, and what must be known before
//! somebody is banned.
//!
//! Comes in: failures and answers. Goes out: windows that changed, questions, bans, and who was spared.
//! What is not known is asked, and nothing waits for the answer but the ban in question: its failures stay
//! in their window, which is due, and a name's failures stay with the name. Both are persisted, so that
//! they are asked about again after a crash.

use crate::engine::Engine;
use crate::engine::address::Offender;
use crate::engine::asks::Subject;
use crate::engine::effect::{Answer, AskId, Event};
use crate::engine::facts::{Facts, Tally};
use crate::engine::filter::Names;
use crate::engine::filter::failure::{Captures, Failure, Who};
use crate::engine::jail::window::{Window, cut};
use crate::engine::jail::{Jail, Verdict};
use crate::engine::ledger::Key;
use crate::engine::ledger::ban::{Ban, Origin};
use crate::engine::ledger::escalation;
use crate::engine::ledger::formula::Random;
use crate::engine::settings::{JailName, JailSettings};
use crate::engine::time::{BanTime, Timestamp};
use crate::engine::view::JailState;

/// What is to become of somebody who failed often enough.
enum Fate {
    Ban,
    Spare(&'static str),
    Wait,
}

impl Engine {
    /// Counts a failure at `time` against whoever it is of, and the bans that this leads to.
    pub(super) fn count(&mut self, failure: &Failure, time: Timestamp) {
        match &failure.who {
            Who::Address(offender) => self.count_against(failure, *offender, time),
            Who::Name(name) => match self.asks.addresses(self.now, name) {
                Some(addresses) => self.attribute(failure, &addresses, time),
                None => self.look_up(failure, name, time),
            },
            Who::Other(_) => self.give_up(&failure.jail),
        }
        self.count_bans();
    }

    /// Takes in an answer.
    pub(super) fn learn(&mut self, id: AskId, answer: Answer) {
        let now = self.now;
        let why = match &answer {
            Answer::Unknown(why) => why.clone(),
            _ => "that is no answer to the question".to_owned(),
        };
        match (self.asks.close(id), answer) {
            (None, _) => {}
            (Some(Subject::Name(name)), answer) => {
                let addresses = match answer {
                    Answer::Addresses(addresses) => Some(addresses),
                    _ => None,
                };
                let known = addresses.is_some();
                let is_ours = self.asks.name_answered(now, &name, addresses);
                self.resolved(&name);
                if is_ours && !known {
                    self.complain(&name, "keeping its last addresses", &why);
                }
                if is_ours {
                    self.decide_waiting();
                }
            }
            (Some(Subject::File(path)), answer) => {
                let words = match answer {
                    Answer::Words(words) => Some(words),
                    _ => None,
                };
                let known = words.is_some();
                self.asks.file_answered(now, &path, words);
                if !known {
                    let path = path.display().to_string();
                    self.complain(&path, "keeping what it listed last", &why);
                }
                self.decide_waiting();
            }
            (Some(Subject::Verdict(case)), answer) => {
                let spare = match answer {
                    Answer::Ignore(spare) => Some(spare),
                    _ => None,
                };
                if spare.is_none() {
                    let what = format!("the ignorecommand of jail '{}'", case.key.0);
                    self.complain(&what, "banning all the same", &why);
                }
                // Not by settings(), which would borrow all of the engine.
                let jail = self.jails.get(&case.key.0);
                let settings = jail.and_then(|jail| jail.settings.as_ref());
                let cache = settings.and_then(|settings| settings.ignore_cache.as_ref());
                self.asks.verdict_answered(now, (id, &case), spare, cache);
                self.decide_again(&case.key);
            }
        }
        self.count_bans();
    }

    /// Goes on with the decisions that a restart interrupted.
    pub(super) fn resume(&mut self) {
        let Some(unresolved) = self.interrupted.take() else {
            return;
        };
        self.decide_due();
        for failure in unresolved {
            if let Who::Name(name) = &failure.who {
                self.outbox.mark_name(self.now, name);
            }
            self.count(&failure, failure.time);
        }
    }

    /// Decides on all whose verdict waits: after a restart, a reload, the start of a jail.
    pub(super) fn decide_due(&mut self) {
        if self.interrupted.is_some() {
            return;
        }
        let due = self.jails.iter().flat_map(|(name, jail)| {
            let key = |offender: &Offender| (name.clone(), *offender);
            jail.due().map(key)
        });
        for key in due.collect::<Vec<Key>>() {
            self.decide_again(&key);
        }
        self.count_bans();
        self.expire(self.horizon());
    }

    /// Why nobody may ban `offender` for failures that began at `first`, as far as is known; `None` if it
    /// may be banned.
    pub(super) fn spared(
        &self,
        jail: &JailName,
        offender: &Offender,
        first: Timestamp,
    ) -> Option<&'static str> {
        let listed = self.settings(jail).is_some_and(|settings| {
            let (names, files) = (&settings.ignore_names, &settings.ignore_files);
            self.asks.lists(names, files, offender)
        });
        self.spared_for_sure(jail, offender, first)
            .or_else(|| listed.then_some(IGNORED))
    }

    /// The same without what had to be asked, which may have changed.
    fn spared_for_sure(
        &self,
        jail: &JailName,
        offender: &Offender,
        first: Timestamp,
    ) -> Option<&'static str> {
        let settings = self.settings(jail);
        let listed = settings.is_some_and(|settings| settings.ignore.touches(offender));
        let ignored = listed.then_some(IGNORED);
        ignored.or_else(|| self.protected.reason(offender, first))
    }

    /// How long a ban of `key` lasts that began at `since`, by the jail's settings.
    pub(super) fn lasting(&self, key: &Key, since: Timestamp, earlier: u32) -> Option<BanTime> {
        let settings = self.settings(&key.0)?;
        let Some(escalation) = &settings.escalation else {
            return Some(settings.ban_time);
        };
        let mut others = 0_u32;
        if escalation.all_jails {
            for (name, jail) in self.jails.iter().filter(|(name, _)| **name != key.0) {
                let settings = jail.settings.as_ref();
                if settings.is_some_and(|settings| !settings.bans_of.is_empty()) {
                    // What is made of bans would count these twice, or this one, which may lead to it.
                    continue;
                }
                let other = (name.clone(), key.1);
                let bans = self.ledger.earlier(&other, since, self.global.purge_age);
                others = others.saturating_add(bans);
            }
        }
        let (offender, began) = (key.1.to_string(), since.usec().to_string());
        let random = Random::seeded(&[&key.0, &offender, &began]);
        let earlier = earlier.saturating_add(others);
        Some(escalation.ban_time(settings.ban_time, earlier, random))
    }

    /// How many bans of `key` came before one that begins at `since`.
    pub(super) fn earlier(&self, key: &Key, since: Timestamp) -> u32 {
        self.ledger.earlier(key, since, self.global.purge_age)
    }

    /// What holds for a jail; `None` while its configuration is broken.
    fn settings(&self, jail: &JailName) -> Option<&JailSettings> {
        self.jails.get(jail)?.settings.as_ref()
    }

    fn count_against(&mut self, failure: &Failure, offender: Offender, time: Timestamp) {
        let own = self.protected.own.touches(&offender);
        let weight = self.weight(&failure.jail, offender, time);
        let Some(jail) = self.jails.get_mut(&failure.jail) else {
            return;
        };
        let stored = jail.window(&offender).is_some();
        let verdict = jail.judge(failure, (offender, time), weight, own);
        if verdict == Verdict::Ignore {
            return;
        }
        self.outbox.mark_jail(self.now, &failure.jail);
        let key = |offender| (failure.jail.clone(), offender);
        self.outbox.mark_window(self.now, key(offender), stored);
        for offender in jail.prune(time, self.global.max_failing, &offender) {
            self.outbox.mark_window(self.now, key(offender), true);
        }
        if let Verdict::Enough(window) = verdict {
            self.decide(&key(offender), window);
        }
    }

    /// As how many a failure counts: more for those whose earlier ban is over, where bans grow.
    fn weight(&self, jail: &JailName, offender: Offender, time: Timestamp) -> u32 {
        let settings = self.settings(jail);
        let Some(settings) = settings.filter(|settings| settings.escalation.is_some()) else {
            return 1;
        };
        let key = (jail.clone(), offender);
        match self.ledger.history(&key) {
            Some(history) if time > history.last => {
                escalation::weight(self.earlier(&key, time), settings.max_retry)
            }
            _ => 1,
        }
    }

    /// Has a name's failure wait until its addresses are known.
    fn look_up(&mut self, failure: &Failure, name: &str, time: Timestamp) {
        let active = |jail: &&Jail| jail.state == JailState::Active;
        let jail = self.jails.get(&failure.jail).filter(active);
        let Some(settings) = jail.and_then(|jail| jail.settings.as_ref()) else {
            return;
        };
        let warns = settings.filter.spec().names == Names::Warn;
        let most = usize::try_from(settings.max_matches).unwrap_or(usize::MAX);
        let excess = failure.lines.len().saturating_sub(most);
        let lines = failure.lines.iter().skip(excess).map(|line| cut(line));
        let waiting = Failure {
            time,
            lines: lines.collect(),
            ..failure.clone()
        };
        match self.asks.wait_for(name, waiting) {
            None => return self.give_up(&failure.jail),
            Some(true) if warns => {
                let jail = &failure.jail;
                let text =
                    format!("[{jail}] a log names a host by the name {name:?}, looking it up");
                self.outbox.announce(Event::Warning(text));
            }
            Some(_) => {}
        }
        self.outbox.mark_name(self.now, name);
    }

    /// Counts what waited for the addresses of `name`.
    fn resolved(&mut self, name: &str) {
        let failures = self.asks.take_failures(name);
        if failures.is_empty() {
            return;
        }
        self.outbox.mark_name(self.now, name);
        let addresses = self.asks.addresses(self.now, name).unwrap_or_default();
        for failure in failures {
            self.attribute(&failure, &addresses, failure.time);
        }
    }

    /// Counts a failure that comes late against each of these addresses, unless later ones have made it too
    /// old.
    pub(super) fn attribute(&mut self, failure: &Failure, addresses: &[Offender], time: Timestamp) {
        if addresses.is_empty() {
            self.give_up(&failure.jail);
        }
        for offender in addresses {
            let jail = self.jails.get(&failure.jail);
            let last = jail.and_then(|jail| jail.window(offender)?.last());
            let find_time = self
                .settings(&failure.jail)
                .map(|settings| settings.find_time);
            let is_old = |find_time| last.is_some_and(|last| time <= last.minus(find_time));
            if !find_time.is_some_and(is_old) {
                self.count_against(failure, *offender, time);
            }
        }
    }

    /// Counts a failure of nobody who has an address.
    fn give_up(&mut self, jail: &JailName) {
        if let Some(jail) = self.jails.get_mut(jail) {
            jail.unresolved_total += 1;
        }
    }

    fn complain(&mut self, what: &str, instead: &str, why: &str) {
        if self.asks.may_complain(self.now, what) {
            let text = format!("no answer from {what}, {instead}: {why}");
            self.outbox.announce(Event::Warning(text));
        }
    }

    fn decide_waiting(&mut self) {
        for key in self.asks.waiting() {
            let is_awaited = self.settings(&key.0).is_some_and(|settings| {
                let asked = (&*settings.ignore_names, &*settings.ignore_files);
                self.asks.is_awaited(self.now, &key, asked)
            });
            // Many bans may wait for many names.
            if !is_awaited {
                self.decide_again(&key);
            }
        }
    }

    fn decide_again(&mut self, key: &Key) {
        let jail = self.jails.get_mut(&key.0);
        let window = jail.and_then(|jail| {
            let is_due = jail.window(&key.1)?.is_due;
            if is_due { jail.forget(&key.1) } else { None }
        });
        match window {
            Some(window) => self.decide(key, window),
            None => self.asks.settle(key),
        }
    }

    /// Bans for the failures in `window`, spares, or keeps them until what must be known is.
    fn decide(&mut self, key: &Key, mut window: Window) {
        let first = window.first().unwrap_or_default();
        let fate = match self.spared_for_sure(&key.0, &key.1, first) {
            Some(why) => Fate::Spare(why),
            None => self.inquire(key, &mut window),
        };
        window.is_due = matches!(fate, Fate::Wait);
        self.outbox.mark_window(self.now, key.clone(), true);
        match fate {
            Fate::Wait => {
                if let Some(jail) = self.jails.get_mut(&key.0) {
                    jail.remember(key.1, window);
                }
                return;
            }
            Fate::Ban => self.punish(key, window),
            Fate::Spare(why) => {
                if let Some(jail) = self.jails.get_mut(&key.0) {
                    jail.spared_total += 1;
                    if why == COMMANDED {
                        jail.remember(key.1, window);
                    }
                }
                let (jail, offender) = key.clone();
                self.outbox.announce(Event::Spared {
                    jail,
                    offender,
                    why,
                });
            }
        }
        self.asks.settle(key);
    }

    /// What is to become of `key`, or what must be asked first.
    fn inquire(&mut self, key: &Key, window: &mut Window) -> Fate {
        let Some(jail) = self.jails.get(&key.0) else {
            return Fate::Ban;
        };
        let Some(settings) = jail
            .settings
            .as_ref()
            .filter(|_| jail.state == JailState::Active)
        else {
            return Fate::Wait;
        };
        let (names, files) = (&settings.ignore_names, &settings.ignore_files);
        if names.is_empty() && files.is_empty() && settings.ignore_command.is_none() {
            return Fate::Ban;
        }
        let now = self.now;
        let since = self.asks.wait(now, key);
        if since.is_some_and(|since| self.asks.inquire(now, (names, files), since)) {
            return Fate::Wait;
        }
        if self.asks.lists(names, files, &key.1) {
            return Fate::Spare(IGNORED);
        }
        if settings.ignore_command.is_none() || since.is_none() {
            return Fate::Ban;
        }
        let tally = Tally {
            ban_time: settings.ban_time,
            bans: self.ledger.count_of(&key.0),
            bans_total: jail.bans_total,
            failing: jail.failing(now.wall),
            failures_total: jail.failures_total,
        };
        // The latest failures first: if one of a kind that does not count was the last straw, nothing
        // else need be asked.
        let mut counted = 0;
        for kind in window.kinds() {
            let facts = || facts(key, window, (&kind, tally));
            let cache = settings.ignore_cache.as_ref();
            match self.asks.verdict(now, (key, &kind), facts, cache) {
                None => return Fate::Wait,
                Some(true) => {
                    window.forget_kind(&kind, settings.find_time);
                    if window.count() < settings.max_retry {
                        return Fate::Spare(COMMANDED);
                    }
                }
                Some(false) => {
                    counted += window.count_kind(&kind);
                    if counted >= settings.max_retry {
                        return Fate::Ban;
                    }
                }
            }
        }
        Fate::Ban
    }

    /// Bans for the failures in `window`, from the last of them on; a ban that stands is prolonged.
    fn punish(&mut self, key: &Key, window: Window) {
        let time = window.last().unwrap_or_default();
        let failures = window.count();
        let Some(ban) = self.ledger.find(&key.0, &key.1).cloned() else {
            let earlier = self.earlier(key, time);
            let Some(lasting) = self.lasting(key, time, earlier) else {
                return;
            };
            let (jail, offender) = key.clone();
            let ban = Ban {
                jail,
                offender,
                since: time,
                until: lasting.end(time),
                failures,
                earlier,
                origin: Origin::Jail,
            };
            self.begin(key, ban, window.lines);
            return;
        };
        let lasting = self.lasting(key, ban.since, ban.earlier);
        let until = lasting.and_then(|lasting| lasting.end(time));
        let longer = ban
            .until
            .is_some_and(|old| until.is_none_or(|new| new > old));
        let failures = ban.failures.saturating_add(failures);
        let until = if longer { until } else { ban.until };
        if !window.lines.is_empty() {
            self.outbox.mark_lines(self.now, key.clone(), window.lines);
        }
        self.enforce(
            key,
            Ban {
                failures,
                until,
                ..ban
            },
        );
    }
}

/// Why somebody is spared, one of the reasons.
const IGNORED: &str = "it is on the jail's ignoreip";

/// Why failures do not count, one of the reasons.
const COMMANDED: &str = "the jail's ignorecommand says so";

fn facts((jail, offender): &Key, window: &Window, (kind, tally): (&Captures, Tally)) -> Facts {
    Facts {
        jail: jail.clone(),
        offender: *offender,
        time: window.last().unwrap_or_default(),
        failures: window.count(),
        lines: window.lines.clone(),
        captures: kind.clone(),
        tally,
    }
}
