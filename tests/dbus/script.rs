//! A stand-in for the daemon's loop: it answers from a plain map and announces what changes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use banishd::dbus::link::{LoopEnd, ManagerView, News, Request};
use banishd::dbus::log_control::{Log, UnknownLevel};
use banishd::dbus::service::{Bus, Options};
use banishd::engine::address::Offender;
use banishd::engine::command::{Command, Import, Imported, Refusal, Reply};
use banishd::engine::effect::{Event, Removal};
use banishd::engine::filter::{Filter, FilterSpec, Text};
use banishd::engine::ledger::ban::{Ban, Origin};
use banishd::engine::settings::{
    JailName, JailRules, JailSettings, Journal, MatchGroup, Matches, Ports, Protocol,
};
use banishd::engine::time::{BanTime, Boottime, Span, Timestamp};
use banishd::engine::view::{JailState, JailView};

/// What the scripted daemon knows, open to the test.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) jails: BTreeMap<JailName, JailState>,
    pub(crate) bans: BTreeMap<(JailName, Offender), Ban>,
    pub(crate) manager: ManagerView,
    pub(crate) dropped: u64,
    pub(crate) reload: Option<String>,
    pub(crate) commands: Vec<Command>,
}

/// The wall clock of the script: 2026-01-02 03:04:05 UTC.
pub(crate) const NOW: u64 = 1_767_323_045_000_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Script(pub(crate) Arc<Mutex<State>>);

impl Script {
    /// Jails `sshd` (active) and `nginx-http-auth` (stopped), no bans.
    pub(crate) fn new() -> Self {
        let mut state = State::default();
        state.jails.insert(name("sshd"), JailState::Active);
        state
            .jails
            .insert(name("nginx-http-auth"), JailState::Inactive);
        state.manager = ManagerView {
            state: "running".to_owned(),
            backend: "memory".to_owned(),
            cursor: "s=1;i=2".to_owned(),
            cursor_usec: NOW,
            ..ManagerView::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    /// Puts `count` bans into the jail `sshd`.
    pub(crate) fn fill(&self, count: u32) {
        self.with(|state| {
            for n in 0..count {
                let ban = ban(
                    "sshd",
                    &std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string(),
                );
                state.bans.insert((ban.jail.clone(), ban.offender), ban);
            }
        });
    }

    /// Answers until the bus drops its end.
    pub(crate) async fn run(self, mut end: LoopEnd) {
        while let Some(request) = end.requests.recv().await {
            self.answer(request, &end.news);
        }
    }

    fn answer(&self, request: Request, news: &mpsc::Sender<News>) {
        let mut state = self.0.lock().unwrap();
        match request {
            Request::Command(command, reply) => {
                let answer = state.command(command, news);
                drop(reply.send(answer));
            }
            Request::Reload(reply) => {
                drop(news.try_send(News::Reloading(true)));
                drop(news.try_send(News::Reloading(false)));
                drop(
                    reply.send(
                        state
                            .reload
                            .clone()
                            .map_or(Ok(vec!["jail.conf:2:1: hm".to_owned()]), Err),
                    ),
                );
            }
            Request::Jails(reply) => drop(reply.send(state.views())),
            Request::Jail(wanted, reply) => {
                let view = state.views().into_iter().find(|v| *v.name == *wanted);
                drop(reply.send(view.map(|view| (view, Some(settings())))));
            }
            Request::Bans {
                jail,
                after,
                max,
                reply,
            } => {
                let from = match after {
                    Some(after) => Bound::Excluded(after),
                    None => Bound::Unbounded,
                };
                let bans = state
                    .bans
                    .range((from, Bound::Unbounded))
                    .filter(|(key, _)| jail.as_ref().is_none_or(|jail| key.0 == *jail));
                drop(reply.send(bans.take(max).map(|(_, ban)| ban.clone()).collect()));
            }
            Request::Lines(_, offender, reply) => {
                drop(reply.send(vec![format!("a line of {offender}").into()]));
            }
            Request::Lookup(wanted, reply) => {
                let bans = state
                    .bans
                    .values()
                    .filter(|ban| ban.offender.contains(&wanted) || wanted.contains(&ban.offender));
                drop(reply.send(bans.cloned().collect()));
            }
            Request::Manager(reply) => drop(reply.send(ManagerView {
                bans: u32::try_from(state.bans.len()).unwrap(),
                bans_total: state.bans.len() as u64,
                ..state.manager.clone()
            })),
            Request::Dropped(_, reply) => drop(reply.send(state.dropped)),
        }
    }
}

impl State {
    fn views(&self) -> Vec<JailView> {
        // every ban of these tests is in this jail, and counting them would be what is measured
        let bans = |jail: &JailName| {
            if **jail == *"sshd" {
                self.bans.len()
            } else {
                0
            }
        };
        self.jails
            .iter()
            .map(|(name, state)| JailView {
                name: name.clone(),
                state: state.clone(),
                bans: u32::try_from(bans(name)).unwrap(),
                failing: 2,
                bans_total: 17,
                failures_total: 99,
                spared_total: 1,
                unresolved_total: 4,
                last_ban: Some((Timestamp::from_usec(NOW), Boottime::from_usec(5))),
                trouble: None,
            })
            .collect()
    }

    fn command(&mut self, command: Command, news: &mpsc::Sender<News>) -> Result<Reply, Refusal> {
        self.commands.push(command.clone());
        match command {
            Command::Ban {
                jail,
                offender,
                time,
            } => self.ban(jail, offender, time, news),
            Command::Unban { jail, offender, by } => {
                let removed = self.remove(news, &by, |ban| {
                    ban.jail == jail && ban.offender == offender
                });
                Ok(Reply::Changed(removed > 0))
            }
            Command::UnbanEverywhere { offender, by } => {
                let removed = self.remove(news, &by, |ban| ban.offender == offender);
                Ok(Reply::Removed(removed))
            }
            Command::UnbanAll { jail, by } => {
                let here = |ban: &Ban| jail.as_ref().is_none_or(|jail| ban.jail == *jail);
                Ok(Reply::Removed(self.remove(news, &by, here)))
            }
            Command::StartJail(jail) => {
                self.jails.insert(jail.clone(), JailState::Active);
                drop(news.try_send(News::Events(vec![Event::JailChanged(jail)])));
                Ok(Reply::Done)
            }
            Command::StopJail(jail) => {
                self.jails.insert(jail.clone(), JailState::Inactive);
                drop(news.try_send(News::Events(vec![Event::JailChanged(jail)])));
                Ok(Reply::Done)
            }
            Command::Import(bans) => Ok(Reply::Imported(self.import(bans))),
        }
    }

    fn ban(
        &mut self,
        jail: JailName,
        offender: Offender,
        time: Option<BanTime>,
        news: &mpsc::Sender<News>,
    ) -> Result<Reply, Refusal> {
        if self.jails.get(&jail) == Some(&JailState::Inactive) {
            return Err(Refusal::JailNotActive { jail, why: None });
        }
        if let Some(why) = offender.unbannable() {
            return Err(Refusal::Unbannable { offender, why });
        }
        assert!(offender != "192.0.2.66".parse().unwrap(), "deliberate");
        let until = match time.unwrap_or(BanTime::For(Span::from_secs(600))) {
            BanTime::For(span) => Some(Timestamp::from_usec(NOW).plus(span)),
            BanTime::Forever => None,
        };
        let ban = Ban {
            until,
            ..ban(&jail, &offender.to_string())
        };
        let old = self.bans.insert((jail, offender), ban.clone());
        let changed = old.as_ref() != Some(&ban);
        if changed {
            let event = match old {
                None => Event::BanNew(ban),
                Some(_) => Event::BanChanged(ban),
            };
            drop(news.try_send(News::Events(vec![event])));
        }
        Ok(Reply::Changed(changed))
    }

    fn import(&mut self, bans: Vec<Import>) -> Imported {
        let mut sums = Imported::default();
        for import in bans {
            let is_over = import.until.is_some_and(|until| until.usec() <= NOW);
            let key = (import.jail.clone(), import.offender);
            let fate = match self.bans.contains_key(&key) {
                _ if self.jails.get(&import.jail) != Some(&JailState::Active) => &mut sums.no_jail,
                _ if import.offender.unbannable().is_some() => &mut sums.spared,
                _ if is_over => &mut sums.expired,
                true => &mut sums.known,
                false => {
                    let earlier = import.bans - 1;
                    let template = ban(&import.jail, &import.offender.to_string());
                    self.bans.insert(
                        key,
                        Ban {
                            earlier,
                            ..template
                        },
                    );
                    &mut sums.banned
                }
            };
            *fate += 1;
        }
        sums
    }

    fn remove(&mut self, news: &mpsc::Sender<News>, by: &str, which: impl Fn(&Ban) -> bool) -> u32 {
        let gone: Vec<Ban> = self.bans.values().filter(|b| which(b)).cloned().collect();
        for ban in &gone {
            self.bans.remove(&(ban.jail.clone(), ban.offender));
            drop(news.try_send(News::Events(vec![removed(ban, by)])));
        }
        u32::try_from(gone.len()).unwrap()
    }
}

fn removed(ban: &Ban, by: &str) -> Event {
    Event::BanRemoved {
        jail: ban.jail.clone(),
        offender: ban.offender,
        result: Removal::Unbanned,
        by: by.to_owned(),
    }
}

pub(crate) fn name(text: &str) -> JailName {
    JailName::new(text).unwrap()
}

/// A ban of ten minutes that began at [`NOW`].
pub(crate) fn ban(jail: &str, address: &str) -> Ban {
    Ban {
        jail: name(jail),
        offender: address.parse().unwrap(),
        since: Timestamp::from_usec(NOW),
        until: Some(Timestamp::from_usec(NOW + 600_000_000)),
        failures: 0,
        earlier: 0,
        origin: Origin::Manual,
    }
}

fn settings() -> JailSettings {
    let filter = Filter::compile(FilterSpec {
        name: "sshd".to_owned(),
        text: Text::Line,
        fail: vec!["^Failed password for .* from <HOST> port \\d+$".to_owned()],
        ..FilterSpec::default()
    });
    let group: MatchGroup = [
        ("_SYSTEMD_UNIT".to_owned(), vec!["ssh.service".to_owned()]),
        ("_UID".to_owned(), vec!["0".to_owned()]),
    ]
    .into();
    JailSettings {
        description: "OpenSSH logins".to_owned(),
        matches: Matches(vec![group]),
        journal: Journal::System,
        trusts_senders: false,
        files: Vec::new(),
        polls: false,
        encoding: None,
        bans_of: [name("web")].into(),
        filter: filter.unwrap(),
        rules: JailRules {
            protocol: Protocol::Tcp,
            ports: Ports::Ranges(vec![(22, 22), (6000, 6010)]),
        },
        max_retry: 3,
        find_time: Span::from_secs(600),
        ban_time: BanTime::For(Span::from_secs(600)),
        escalation: None,
        max_matches: 0,
        ignore: ["192.0.2.250", "2001:db8::/64"]
            .map(|a| a.parse::<Offender>().unwrap())
            .into_iter()
            .collect(),
        ignore_names: Vec::new(),
        ignore_files: Vec::new(),
        ignore_self: true,
        ignore_command: None,
        ignore_cache: None,
    }
}

/// A log that only keeps its level.
#[derive(Debug)]
pub(crate) struct QuietLog(Mutex<String>);

impl Log for QuietLog {
    fn level(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn set_level(&self, level: &str) -> Result<(), UnknownLevel> {
        if !["info", "debug"].contains(&level) {
            return Err(UnknownLevel);
        }
        *self.0.lock().unwrap() = level.to_owned();
        Ok(())
    }

    fn target(&self) -> String {
        "journal".to_owned()
    }
}

/// Options for a service on the bus at `address`, as the user that runs the tests.
pub(crate) fn options(address: &str) -> Options {
    Options {
        bus: Bus::Address(address.to_owned()),
        own_uid: std::fs::metadata("/proc/self")
            .map_or(0, |m| std::os::unix::fs::MetadataExt::uid(&m)),
        log: Arc::new(QuietLog(Mutex::new("info".to_owned()))),
        pause: std::time::Duration::from_millis(20),
    }
}
