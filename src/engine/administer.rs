//! Commands by hand: what a person asks of the ledger, and whether it is granted.
//!
//! Every command is answered by exactly one `Reply` effect, after the firewall has answered.

use crate::engine::Engine;
use crate::engine::address::Offender;
use crate::engine::command::{Command, Import, Imported, Refusal, Reply, RequestId};
use crate::engine::effect::{Event, Removal};
use crate::engine::ledger::ban::{Ban, History, Origin};
use crate::engine::ledger::{Key, PREFIXES_MAX};
use crate::engine::settings::JailName;
use crate::engine::time::{BanTime, Now, Timestamp};
use crate::engine::view::JailState;

impl Engine {
    /// Carries out a command.
    pub fn handle_command(&mut self, now: Now, id: RequestId, command: Command) {
        self.observe(now);
        self.expire(self.horizon());
        let answer = match command {
            Command::Ban {
                jail,
                offender,
                time,
            } => self.ban(jail, offender, time),
            Command::Unban { jail, offender, by } => self
                .known(&jail)
                .map(|()| Reply::Changed(self.unban(&(jail, offender), &by))),
            Command::UnbanEverywhere { offender, by } => {
                let within = |ban: &Ban| offender.contains(&ban.offender);
                Ok(self.unban_all(within, Removal::Unbanned, &by))
            }
            Command::UnbanAll { jail: None, by } => {
                Ok(self.unban_all(|_| true, Removal::Unbanned, &by))
            }
            Command::UnbanAll {
                jail: Some(jail),
                by,
            } => self
                .known(&jail)
                .map(|()| self.unban_all(|ban| ban.jail == jail, Removal::Unbanned, &by)),
            Command::StartJail(jail) => self.start(jail),
            Command::StopJail(jail) => self.stop(jail),
            Command::Import(bans) => Ok(self.import(&bans)),
        };
        self.outbox.answer(id, answer);
    }

    /// The jail of this name.
    ///
    /// # Errors
    /// [`Refusal::NoSuchJail`], with the most similar name there is.
    pub fn find_jail(&self, name: &str) -> Result<JailName, Refusal> {
        let exact = JailName::new(name).filter(|name| self.jails.contains_key(name));
        let similarity = |other: &&JailName| strsim::jaro_winkler(name, other);
        exact.ok_or_else(|| {
            // Comparing takes time with the length of the name, for each jail.
            let is_short = name.len() <= 256;
            let jails = self.jails.keys().filter(|_| is_short);
            let alike = jails.filter(|other| similarity(other) > 0.7);
            let nearest = alike.max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
            Refusal::NoSuchJail {
                jail: name.to_owned(),
                nearest: nearest.cloned(),
            }
        })
    }

    /// Bans `offender`. A ban that stands gets the end asked for; where none was asked for, it is
    /// prolonged but never shortened.
    fn ban(
        &mut self,
        jail: JailName,
        offender: Offender,
        time: Option<BanTime>,
    ) -> Result<Reply, Refusal> {
        self.may_ban(&jail, &offender)?;
        let now = self.now.wall;
        let key = (jail, offender);
        let stands = self.ledger.find(&key.0, &key.1).cloned();
        let (since, earlier) = match &stands {
            Some(ban) => (ban.since, ban.earlier),
            None => (now, self.earlier(&key, now)),
        };
        let lasting = time.or_else(|| self.lasting(&key, since, earlier));
        let until = lasting.and_then(|lasting| lasting.end(now));
        let changed = match stands {
            Some(ban) => {
                let longer = ban
                    .until
                    .is_some_and(|old| until.is_none_or(|new| new > old));
                let moves = until != ban.until && (longer || time.is_some());
                if moves {
                    self.enforce(&key, Ban { until, ..ban });
                }
                moves
            }
            None => {
                if let Some(refusal) = self.is_full(&offender) {
                    return Err(refusal);
                }
                let (jail, offender) = key.clone();
                let ban = Ban {
                    jail,
                    offender,
                    since,
                    until,
                    failures: 0,
                    earlier,
                    origin: Origin::Manual,
                };
                let began = self.begin(&key, ban, Vec::new());
                self.count_bans();
                began
            }
        };
        Ok(Reply::Changed(changed))
    }

    fn import(&mut self, bans: &[Import]) -> Reply {
        let mut sum = Imported::default();
        for import in bans {
            let fate = match self.may_ban(&import.jail, &import.offender) {
                Err(Refusal::NoSuchJail { .. } | Refusal::JailNotActive { .. }) => &mut sum.no_jail,
                Err(_) => &mut sum.spared,
                Ok(()) => self.take_over(import, &mut sum),
            };
            *fate = fate.saturating_add(1);
        }
        self.purge(self.now.wall);
        Reply::Imported(sum)
    }

    /// Takes over a ban and its history; returns what to count it as.
    fn take_over<'a>(&mut self, import: &Import, sum: &'a mut Imported) -> &'a mut u32 {
        let key = (import.jail.clone(), import.offender);
        let since = import.since.min(self.now.wall);
        let memory = self.global.purge_age;
        let earlier = import.bans.saturating_sub(1);
        let stands = self.ledger.find(&key.0, &key.1).cloned();
        let longer = |old: Option<Timestamp>| {
            old.is_some_and(|old| import.until.is_none_or(|new| new > old))
        };
        let fate = match stands {
            _ if import.until.is_some_and(|until| until <= self.now.wall) => &mut sum.expired,
            Some(ban) if longer(ban.until) => {
                let until = import.until;
                self.enforce(&key, Ban { until, ..ban });
                &mut sum.banned
            }
            Some(_) => &mut sum.known,
            None if self.is_full(&import.offender).is_some() => return &mut sum.too_many,
            None => {
                let (jail, offender) = key.clone();
                self.outbox.mark_lines(self.now, key.clone(), Vec::new());
                self.enforce(
                    &key,
                    Ban {
                        jail,
                        offender,
                        since,
                        until: import.until,
                        failures: import.failures,
                        earlier,
                        origin: Origin::Jail,
                    },
                );
                &mut sum.banned
            }
        };
        if since > self.now.wall.minus(memory) {
            let known = self.ledger.history(&key);
            self.ledger.recall(
                &key,
                History {
                    bans: known.map_or(0, |known| known.bans).max(import.bans),
                    last: known.map_or(since, |known| known.last.max(since)),
                },
            );
            self.outbox.mark_history(self.now, key);
        }
        fate
    }

    /// Why one more ban would be one too many.
    pub(super) fn is_full(&self, offender: &Offender) -> Option<Refusal> {
        if self.ledger.len() >= self.global.max_bans {
            Some(Refusal::TooManyBans(self.global.max_bans))
        } else if !offender.is_host() && self.ledger.prefixes() >= PREFIXES_MAX {
            Some(Refusal::TooManyPrefixes(PREFIXES_MAX))
        } else {
            None
        }
    }

    fn may_ban(&self, name: &JailName, offender: &Offender) -> Result<(), Refusal> {
        self.known(name)?;
        let jail = self.jails.get(name);
        if jail.is_none_or(|jail| jail.state != JailState::Active) {
            let why = match jail.map(|jail| &jail.state) {
                Some(JailState::Failed(why)) => Some(why.clone()),
                _ => None,
            };
            return Err(Refusal::JailNotActive {
                jail: name.clone(),
                why,
            });
        }
        let offender = *offender;
        if let Some(why) = offender.unbannable() {
            return Err(Refusal::Unbannable { offender, why });
        }
        match self.spared(name, &offender, self.now.wall) {
            Some(why) => Err(Refusal::Ignored { offender, why }),
            None => Ok(()),
        }
    }

    fn known(&self, jail: &JailName) -> Result<(), Refusal> {
        self.find_jail(jail).map(|_| ())
    }

    /// Lifts a ban and forgets the failures, so that the offender starts anew.
    fn unban(&mut self, key: &Key, by: &str) -> bool {
        if let Some(jail) = self.jails.get_mut(&key.0)
            && jail.forget(&key.1).is_some()
        {
            self.outbox.mark_window(self.now, key.clone(), true);
            self.asks.settle(key);
        }
        self.lift(key, Removal::Unbanned, by)
    }

    fn unban_all(&mut self, which: impl Fn(&Ban) -> bool, result: Removal, by: &str) -> Reply {
        let chosen = self.ledger.after(None).filter(|ban| which(ban));
        let keys: Vec<Key> = chosen.map(|ban| (ban.jail.clone(), ban.offender)).collect();
        for key in &keys {
            if result == Removal::Unbanned {
                self.unban(key, by);
            } else {
                self.lift(key, result, by);
            }
        }
        Reply::Removed(u32::try_from(keys.len()).unwrap_or(u32::MAX))
    }

    fn start(&mut self, name: JailName) -> Result<Reply, Refusal> {
        self.known(&name)?;
        let state = self.jails.get_mut(&name).map(|jail| &mut jail.state);
        match state {
            Some(JailState::Failed(why)) => {
                let why = Some(why.clone());
                return Err(Refusal::JailNotActive { jail: name, why });
            }
            Some(state) if *state == JailState::Inactive => {
                *state = JailState::Active;
                self.outbox.want_install();
                self.outbox.announce(Event::JailChanged(name));
                self.decide_due();
            }
            _ => {}
        }
        Ok(Reply::Done)
    }

    fn stop(&mut self, name: JailName) -> Result<Reply, Refusal> {
        self.known(&name)?;
        let Some(jail) = self.jails.get_mut(&name) else {
            return Ok(Reply::Done);
        };
        if jail.state != JailState::Inactive {
            jail.state = JailState::Inactive;
            self.unban_all(|ban| ban.jail == name, Removal::Stopped, "");
            self.outbox.want_install();
            self.outbox.announce(Event::JailChanged(name));
        }
        Ok(Reply::Done)
    }
}
