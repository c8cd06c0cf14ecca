//! The loop: one `select!` over everything that can wake the daemon, one match over effects.
//!
//! Between two inputs every effect is carried out, in order. The loop never waits for the bus: what
//! the bus cannot take is replaced by one "read everything anew".

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

use crate::ask::{Answered, Asker};
use crate::config::files::Layout;
use crate::daemon::args::Args;
use crate::daemon::flaws::Flaws;
use crate::daemon::logging::LogSwitch;
use crate::daemon::readers::{Readers, Said};
use crate::daemon::reload::Reload;
use crate::daemon::report::Report;
use crate::daemon::signals::Order;
use crate::daemon::start::StartError;
use crate::daemon::troubles::Troubles;
use crate::daemon::{clock, notify};
use crate::dbus::error::chain;
use crate::dbus::link::{LoopEnd, News};
use crate::engine::Engine;
use crate::engine::address::{AddressSet, Offender};
use crate::engine::command::{Refusal, Reply, RequestId};
use crate::engine::effect::{Answer, Effect, Event, Outcome};
use crate::engine::protected::Protected;
use crate::engine::record::LogName;
use crate::engine::settings::JailName;
use crate::engine::view::JailState;
use crate::firewall::any::AnyFirewall;
use crate::firewall::{FirewallBackend, FirewallError};
use crate::reader::Heard;
use crate::store::Store;
use crate::sys::timerfd::{Alarm, ClockWatch};

/// What the loop drives.
pub struct Edges {
    /// What remembers.
    pub store: Store,
    /// What blocks.
    pub firewall: AnyFirewall,
    /// What finds out.
    pub asker: Asker,
    /// What was found out.
    pub answers: Receiver<Answered>,
    /// The bus.
    pub link: LoopEnd,
    /// What the service manager wants.
    pub orders: Receiver<Order>,
    /// Whom nobody may ban.
    pub protected: watch::Receiver<Protected>,
    /// Whether fail2ban runs.
    pub rival: watch::Receiver<bool>,
    /// Whose sessions protect; sending has the host looked at anew.
    pub groups: watch::Sender<Vec<String>>,
    /// Where the configuration is.
    pub layout: Layout,
    /// How the daemon was started.
    pub args: Args,
    /// The log's switch.
    pub log: Arc<LogSwitch>,
}

/// A log that cannot be read.
#[derive(Debug)]
pub(super) struct LogTrouble {
    /// Who would read it.
    pub(super) jails: Vec<JailName>,
    /// What is wrong with it.
    pub(super) text: String,
}

/// The engine and its edges.
pub struct Daemon {
    pub(super) engine: Engine,
    pub(super) edges: Edges,
    pub(super) asked: BTreeMap<RequestId, oneshot::Sender<Result<Reply, Refusal>>>,
    pub(super) last_request: u64,
    pub(super) reload: Reload,
    pub(super) suppressed: u64,
    report: Report,
    alarm: Alarm,
    clock_watch: ClockWatch,
    /// A trouble that lasts as long as the daemon, a sentence.
    note: Option<String>,
    /// Why not everything is read that should be.
    pub(super) unread: Option<String>,
    /// What was wrong with the configuration at the start, until a reload reads one without errors.
    pub(super) flaws: Flaws,
    /// Logs that cannot be read.
    pub(super) log_troubles: BTreeMap<LogName, LogTrouble>,
    /// Mounts that do not answer.
    pub(super) hung: BTreeMap<PathBuf, LogTrouble>,
    /// What is wrong with those that find things out.
    pub(super) helpers: Troubles,
    /// What the host's own name stands for.
    own_name: AddressSet,
    /// The host's addresses when that was asked last.
    asked_own_at: Option<AddressSet>,
    caught_up: bool,
    stopping: bool,
    told_state: &'static str,
    news_lost: bool,
}

impl Daemon {
    /// A daemon that has done nothing yet.
    ///
    /// # Errors
    /// The kernel gives no timer.
    pub fn new(engine: Engine, edges: Edges) -> Result<Self, StartError> {
        let alarm = Alarm::new().map_err(StartError::Timers)?;
        let clock_watch = ClockWatch::new().map_err(StartError::Timers)?;
        Ok(Self {
            engine,
            edges,
            asked: BTreeMap::new(),
            last_request: 0,
            reload: Reload::default(),
            suppressed: 0,
            report: Report::default(),
            alarm,
            clock_watch,
            note: None,
            unread: None,
            hung: BTreeMap::new(),
            flaws: Flaws::default(),
            log_troubles: BTreeMap::new(),
            helpers: Troubles::default(),
            own_name: AddressSet::default(),
            asked_own_at: None,
            caught_up: false,
            stopping: false,
            told_state: "",
            news_lost: false,
        })
    }

    /// Remembers a trouble that lasts as long as the daemon.
    pub fn note(&mut self, trouble: Option<String>) {
        self.note = trouble;
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// A reader ended by itself.
    pub async fn run(&mut self, readers: &mut Readers) -> Result<(), StartError> {
        let pace = notify::watchdog_pace().unwrap_or(PACE);
        let mut watchdog = interval(pace);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut protected = self.edges.protected.clone();
        let mut rival = self.edges.rival.clone();
        let mut patience = pin!(sleep(PATIENCE));
        let mut knows_protected = false;
        let news = self.edges.link.news.clone();
        self.note_progress(readers);
        loop {
            tokio::select! {
                said = readers.hear(), if knows_protected => match said {
                    Said::Word(index, word) => {
                        self.hear(readers, index, word).await;
                        for _ in 0..BATCH {
                            let Some(word) = readers.more(index) else { break };
                            self.hear(readers, index, word).await;
                        }
                    }
                    Said::Left if self.reload.is_running() => {}
                    Said::Left => self.settle(readers),
                    Said::Ended => return Err(StartError::ReaderGone),
                },
                Some(request) = self.edges.link.requests.recv() => self.answer(readers, request).await,
                Ok(()) = self.alarm.gone_off() => self.engine.handle_deadline(clock::now()),
                Ok(()) = self.clock_watch.stepped() => {
                    self.engine.handle_deadline(clock::now());
                    self.edges.groups.send_modify(|_| ());
                }
                Some(answered) = self.edges.answers.recv() => self.learn(answered),
                Ok(()) = protected.changed() => {
                    knows_protected = true;
                    self.ask_own();
                    self.protect();
                }
                Ok(()) = rival.changed() => self.look_at_rival(*rival.borrow_and_update()),
                () = &mut patience, if !knows_protected => {
                    knows_protected = true;
                    warn!("who must not be banned is not known yet, counting failures all the same");
                }
                Some(order) = self.edges.orders.recv() => match order {
                    Order::Reload => self.begin_reload(readers, vec![None]),
                    Order::Stop => break,
                },
                Ok(room) = news.reserve(), if self.news_lost => {
                    room.send(News::Reset);
                    self.news_lost = false;
                }
                _ = watchdog.tick() => self.look_after(readers).await,
            }
            while self.reload.is_running() && readers.is_empty() {
                self.finish_reload(readers).await;
            }
            self.drain().await;
        }
        self.stop().await;
        Ok(())
    }

    /// Carries out every effect there is.
    pub async fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            if let Some(outcome) = self.perform(effect).await {
                self.engine.handle_outcome(outcome);
            }
        }
        let deadline = self.engine.next_deadline().map(|at| at.usec());
        if let Err(error) = self.alarm.set(deadline) {
            error!(error = %error, "cannot set the timer; bans end with the next event");
        }
        self.tell_state();
    }

    async fn perform(&mut self, effect: Effect) -> Option<Outcome> {
        let answer = |result: Result<(), FirewallError>| match result {
            Ok(()) => Some(Outcome::Done),
            Err(error) => Some(Outcome::Failed(chain(&error))),
        };
        match effect {
            Effect::Persist(commit) => match self.edges.store.commit(&commit) {
                Ok(()) => Some(Outcome::Done),
                Err(error) => Some(Outcome::Failed(chain(&error))),
            },
            Effect::Install(jails, changes) => {
                let result = self.edges.firewall.install(&jails, &changes).await;
                if let Some(fd) = self.edges.firewall.fresh_socket() {
                    notify::keep_socket(fd);
                }
                answer(result)
            }
            Effect::Apply(changes) => answer(self.edges.firewall.apply(&changes).await),
            Effect::Announce(events) => {
                self.report.tell(clock::boottime(), &events);
                self.tell(News::Events(events));
                None
            }
            Effect::Ask(id, question) => {
                self.edges.asker.ask(id, question);
                None
            }
            Effect::Reply(id, result) => {
                if let Some(asked) = self.asked.remove(&id) {
                    // Whoever asked may have left.
                    let _ = asked.send(result);
                }
                None
            }
        }
    }

    async fn hear(&mut self, readers: &mut Readers, index: usize, word: Heard) {
        let now = clock::now();
        match word {
            Heard::Progress {
                log,
                failures,
                position,
            } => self.engine.handle_failures(now, &failures, &log, position),
            Heard::Gone(log) => {
                self.recover(&log);
                self.engine.handle_log_gone(now, &log);
            }
            Heard::Switched(generation) => {
                if self.expects(generation) && readers.switched(index) {
                    self.finish_reload(readers).await;
                }
            }
            // During a reload it is said again.
            Heard::Beyond(_) if self.reload.is_running() => {}
            Heard::Beyond(beyond) => {
                readers.beyond(index, beyond);
                self.settle(readers);
            }
            Heard::CaughtUp => {
                readers.caught_up(index);
                self.note_progress(readers);
            }
            Heard::Suppressed { unit, messages } => {
                self.suppressed = self.suppressed.saturating_add(messages);
                warn!(
                    unit,
                    messages,
                    "journald dropped {messages} messages of {unit} by its rate limit, attacks in them go \
                     unseen; to lift it: systemctl edit {unit}, [Service] LogRateLimitIntervalSec=0"
                );
            }
            Heard::Trouble { log, jails, text } => {
                error!("{text}");
                readers.troubled(index, &log);
                self.note_progress(readers);
                let trouble = LogTrouble { jails, text };
                self.tell_of(&trouble);
                self.log_troubles.insert(log, trouble);
            }
            Heard::Missed(text) => warn!("{text}"),
            Heard::Complaint { jail, text } => warn!(jail = %jail, "jail '{jail}': {text}"),
            Heard::Recovered(log) => {
                readers.recovered(index, &log);
                if self.recover(&log) {
                    info!("{log} can be read again");
                }
            }
        }
    }

    /// Bans made while the past is read end when the past has come to their end; from now on, by the
    /// clock.
    fn note_progress(&mut self, readers: &Readers) {
        if !self.caught_up && readers.are_caught_up() {
            self.caught_up = true;
            self.engine.handle_caught_up(clock::now());
        }
    }

    /// Whether there was anything to recover from.
    fn recover(&mut self, log: &LogName) -> bool {
        let trouble = self.log_troubles.remove(log);
        if let Some(trouble) = &trouble {
            self.tell_of(trouble);
        }
        trouble.is_some()
    }

    /// Has the bus look at the jails of a trouble that came or went.
    fn tell_of(&mut self, trouble: &LogTrouble) {
        let changed = trouble.jails.iter().cloned().map(Event::JailChanged);
        self.tell(News::Events(changed.collect()));
    }

    /// Something was found out: the engine wants to know, or the daemon itself.
    fn learn(&mut self, answered: Answered) {
        if let Some((subject, trouble)) = answered.about {
            self.helpers.note(subject, trouble);
        }
        match (answered.id, answered.answer) {
            (Some(id), answer) => self.engine.handle_answer(clock::now(), id, answer),
            (None, Answer::Addresses(own)) => {
                self.own_name = own.into_iter().map(Offender::host).collect();
                self.protect();
            }
            (None, _) => {}
        }
    }

    /// Has found out what the host's own name stands for, which may be another address in another network.
    fn ask_own(&mut self) {
        let own = self.edges.protected.borrow().own.clone();
        if self.asked_own_at.as_ref() != Some(&own) {
            self.asked_own_at = Some(own);
            self.edges.asker.ask_own();
        }
    }

    fn protect(&mut self) {
        let mut protected = self.edges.protected.borrow_and_update().clone();
        let own = protected.own.iter().chain(self.own_name.iter()).collect();
        protected.own = own;
        self.engine.handle_protected(clock::now(), protected);
    }

    /// That both ban is no trouble of ours: everything is banned that should be.
    fn look_at_rival(&mut self, is_active: bool) {
        match is_active {
            true => warn!("{RIVAL}"),
            false => info!("fail2ban does not run any more"),
        }
        self.tell(News::State(self.state().to_owned()));
    }

    /// What to know although nothing is wrong, a sentence each.
    pub(super) fn notices(&self) -> Vec<String> {
        let is_active = *self.edges.rival.borrow();
        let rival = is_active.then(|| RIVAL.to_owned());
        rival.into_iter().collect()
    }

    /// Has everything read that should be, as far as that can be done now.
    pub fn settle(&mut self, readers: &mut Readers) {
        let settled = readers.settle(clock::now().wall, self.engine.positions());
        let unread = settled.map_err(|error| format!("not all logs are read: {}", chain(&error)));
        let unread = unread.err();
        match (&unread, &self.unread) {
            (Some(text), None) => error!("{text}, trying again"),
            (None, Some(_)) => info!("all logs are read again"),
            _ => {}
        }
        self.unread = unread;
        for log in readers.take_forgotten() {
            self.recover(&log);
        }
        self.tell_of_hung(readers);
    }

    /// Tells which mounts have ceased to answer, or answer again.
    fn tell_of_hung(&mut self, readers: &Readers) {
        let hung = readers.hung();
        let told = std::mem::take(&mut self.hung);
        for (mount, trouble) in told.iter().filter(|(mount, _)| !hung.contains_key(*mount)) {
            info!("'{}' is not waited for any more", mount.display());
            self.tell_of(trouble);
        }
        for (mount, jails) in hung {
            let text = format!(
                "'{0}' does not answer, and the logs there are not read until it does; to see who is to \
                 blame: findmnt '{0}'",
                mount.display()
            );
            let trouble = LogTrouble { jails, text };
            if !told.contains_key(&mount) {
                error!("{}", trouble.text);
                self.tell_of(&trouble);
            }
            self.hung.insert(mount, trouble);
        }
    }

    /// The regular look at what cannot announce its own end.
    async fn look_after(&mut self, readers: &mut Readers) {
        if readers.are_alive() {
            notify::watchdog();
        } else {
            error!("a log's reader hangs; the watchdog ends this process unless it comes back");
        }
        if !self.reload.is_running() {
            self.settle(readers);
        }
        if !self.helpers.is_empty() {
            // A helper that is back is heard of, though nobody asks for another name.
            self.edges.asker.ask_own();
        }
        match self.edges.firewall.check().await {
            Ok(true) => {}
            Ok(false) => {
                warn!("the firewall's table was changed by somebody else, making it anew");
                self.engine.handle_firewall_lost(clock::now());
            }
            Err(_) => self.engine.handle_firewall_lost(clock::now()),
        }
    }

    async fn stop(&mut self) {
        self.stopping = true;
        self.engine.handle_flush(clock::now());
        self.drain().await;
        info!("stopped");
    }

    /// `starting`, `running`, `degraded`, `reloading` or `stopping`.
    pub(super) fn state(&self) -> &'static str {
        if self.stopping {
            "stopping"
        } else if self.reload.is_running() {
            "reloading"
        } else if !self.troubles().is_empty() {
            "degraded"
        } else if self.caught_up {
            "running"
        } else {
            "starting"
        }
    }

    /// What is wrong, a sentence each.
    pub(super) fn troubles(&self) -> Vec<String> {
        let failed = self
            .engine
            .states()
            .filter_map(|(jail, state)| match state {
                JailState::Failed(why) => Some(format!("jail '{jail}' does not run: {why}")),
                _ => None,
            });
        let noted = self.note.iter().chain(&self.unread);
        let noted = noted.chain(self.flaws.trouble());
        let logs = self.unreadable().map(|trouble| &trouble.text);
        let standing = noted.chain(logs).cloned();
        let standing = standing.chain(self.helpers.sentences());
        standing
            .chain(self.engine.troubles())
            .chain(failed)
            .collect()
    }

    /// What cannot be read.
    pub(super) fn unreadable(&self) -> impl Iterator<Item = &LogTrouble> {
        self.log_troubles.values().chain(self.hung.values())
    }

    fn tell_state(&mut self) {
        let state = self.state();
        if state != self.told_state {
            self.told_state = state;
            let jails = self.engine.states().count();
            let plural = if jails == 1 { "" } else { "s" };
            notify::status(&format!("{state}, {jails} jail{plural}"));
            self.tell(News::State(state.to_owned()));
        }
    }

    pub(super) fn tell(&mut self, news: News) {
        let news = if self.news_lost { News::Reset } else { news };
        self.news_lost = self.edges.link.news.try_send(news).is_err();
    }
}

/// What is said where fail2ban runs.
const RIVAL: &str = "fail2ban runs as well, so both ban: 'banishctl import' takes its bans over, then \
                     'systemctl disable --now fail2ban' ends it";

/// How long what was heard waits for the first word on who must not be banned.
const PATIENCE: Duration = Duration::from_secs(4);

/// Without a watchdog, the regular look is taken this often.
const PACE: Duration = Duration::from_secs(300);

/// So many words of the reader are heard before their effects are carried out together.
const BATCH: usize = 64;
