//! An engine in a simulated world: a clock the test advances, a log, a disk and a kernel that are
//! plain collections. The disk survives a crash; so does the kernel, whose timeouts run on their own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use banishd::engine::Engine;
use banishd::engine::address::Offender;
use banishd::engine::command::{Command, Refusal, Reply, RequestId};
use banishd::engine::effect::{
    Answer, AskId, Change, Commit, Effect, Event, JailRecord, Outcome, Question, Remembered,
};
use banishd::engine::filter::failure::{Failure, Who};
use banishd::engine::filter::{Filter, FilterSpec};
use banishd::engine::jail::window::Window;
use banishd::engine::ledger::ban::{Ban, History};
use banishd::engine::protected::Protected;
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{
    JailName, JailRules, JailSettings, Journal, Matches, Ports, Protocol, Settings,
};
use banishd::engine::time::{BanTime, Boottime, Now, Span, Timestamp};

/// Noon of a day in 2026.
pub(crate) const START: u64 = 1_795_000_000;

/// A jail's name.
pub(crate) fn jail(name: &str) -> JailName {
    JailName::new(name).unwrap()
}

/// An address or prefix.
pub(crate) fn offender(text: &str) -> Offender {
    text.parse().unwrap()
}

/// A jail with three retries in ten minutes and a ban of ten minutes.
pub(crate) fn jail_settings() -> JailSettings {
    static FILTER: LazyLock<Filter> = LazyLock::new(|| filter("^failed <HOST>$"));
    JailSettings {
        description: "test".to_owned(),
        matches: Matches::default(),
        journal: Journal::System,
        trusts_senders: false,
        files: Vec::new(),
        polls: false,
        encoding: None,
        bans_of: Default::default(),
        filter: FILTER.clone(),
        rules: JailRules {
            protocol: Protocol::Tcp,
            ports: Ports::Ranges(vec![(22, 22)]),
        },
        max_retry: 3,
        find_time: Span::from_secs(600),
        ban_time: BanTime::For(Span::from_secs(600)),
        escalation: None,
        max_matches: 0,
        ignore: ["203.0.113.0/24"].map(offender).into_iter().collect(),
        ignore_names: Vec::new(),
        ignore_files: Vec::new(),
        ignore_self: true,
        ignore_command: None,
        ignore_cache: None,
    }
}

/// A filter of one pattern.
pub(crate) fn filter(pattern: &str) -> Filter {
    let spec = FilterSpec {
        name: "test".to_owned(),
        fail: vec![pattern.to_owned()],
        ..FilterSpec::default()
    };
    Filter::compile(spec).unwrap()
}

/// The same for a jail in which so many bans in others ban for a quarter of an hour.
pub(crate) fn repeat_settings(bans_of: &[&str], max_retry: u32) -> JailSettings {
    static FILTER: LazyLock<Filter> =
        LazyLock::new(|| filter(r"^ fail2ban\.actions +\[\d+\]: NOTICE +\[[^]]+\] Ban <HOST>$"));
    JailSettings {
        filter: FILTER.clone(),
        bans_of: bans_of.iter().map(|name| jail(name)).collect(),
        max_retry,
        find_time: Span::from_secs(3600),
        ban_time: BanTime::For(Span::from_secs(900)),
        max_matches: 2,
        ..jail_settings()
    }
}

/// These jails, each with [`jail_settings`].
pub(crate) fn settings(jails: &[&str]) -> Settings {
    let jails = jails
        .iter()
        .map(|name| (jail(name), jail_settings()))
        .collect();
    Settings {
        jails,
        ..Settings::default()
    }
}

/// The tables of the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disk {
    pub(crate) bans: BTreeMap<(JailName, Offender), Ban>,
    pub(crate) windows: BTreeMap<(JailName, Offender), Window>,
    pub(crate) histories: BTreeMap<(JailName, Offender), History>,
    pub(crate) jails: BTreeMap<JailName, JailRecord>,
    pub(crate) positions: BTreeMap<LogName, Position>,
    pub(crate) lines: BTreeMap<(JailName, Offender), Vec<Box<str>>>,
    pub(crate) unresolved: BTreeMap<Box<str>, Vec<Failure>>,
}

impl Disk {
    fn write(&mut self, commit: &Commit) {
        for (ban, lines) in &commit.bans {
            let key = (ban.jail.clone(), ban.offender);
            self.bans.insert(key.clone(), ban.clone());
            if let Some(lines) = lines {
                self.lines.insert(key, lines.clone());
            }
        }
        for key in &commit.unbans {
            self.bans.remove(key);
            self.lines.remove(key);
        }
        for (jail, offender, window) in &commit.windows {
            put(&mut self.windows, (jail.clone(), *offender), window.clone());
        }
        for (jail, offender, history) in &commit.histories {
            put(&mut self.histories, (jail.clone(), *offender), *history);
        }
        for (jail, record) in &commit.jails {
            put(&mut self.jails, jail.clone(), record.clone());
        }
        for (log, position) in &commit.positions {
            put(&mut self.positions, log.clone(), position.clone());
        }
        for (name, failures) in &commit.unresolved {
            let failures = Some(failures.clone()).filter(|failures| !failures.is_empty());
            put(&mut self.unresolved, name.clone(), failures);
        }
    }

    fn read(&self) -> Remembered {
        let flat = |(key, window): (&(JailName, Offender), &Window)| {
            (key.0.clone(), key.1, window.clone())
        };
        Remembered {
            bans: self.bans.values().cloned().collect(),
            windows: self.windows.iter().map(flat).collect(),
            histories: self
                .histories
                .iter()
                .map(|(k, h)| (k.0.clone(), k.1, *h))
                .collect(),
            jails: self
                .jails
                .iter()
                .map(|(name, record)| (name.clone(), record.clone()))
                .collect(),
            positions: self.positions.clone(),
            unresolved: self.unresolved.values().flatten().cloned().collect(),
        }
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// Set elements with the kernel's own timeouts, which do not run while the machine sleeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    pub(crate) jails: BTreeMap<JailName, JailRules>,
    pub(crate) elements: BTreeMap<(JailName, Offender), Option<u64>>,
    pub(crate) union: BTreeMap<Offender, Option<u64>>,
}

impl Kernel {
    fn apply(&mut self, awake: u64, changes: &[Change]) {
        let end = |left: &Option<Span>| left.map(|left| awake + left.usec());
        for change in changes {
            match change {
                Change::Block {
                    jail,
                    offender,
                    left,
                    longest,
                } => {
                    assert!(
                        self.jails.contains_key(jail),
                        "block in unknown jail {jail}"
                    );
                    self.elements.insert((jail.clone(), *offender), end(left));
                    self.union.insert(*offender, end(longest));
                }
                Change::Unblock {
                    jail,
                    offender,
                    others,
                } => {
                    assert!(
                        self.jails.contains_key(jail),
                        "unblock in unknown jail {jail}"
                    );
                    self.elements.remove(&(jail.clone(), *offender));
                    put(&mut self.union, *offender, others.as_ref().map(end));
                }
            }
        }
    }
}

/// The world.
pub(crate) struct Sim {
    pub(crate) now: Now,
    pub(crate) engine: Engine,
    pub(crate) disk: Disk,
    pub(crate) kernel: Kernel,
    pub(crate) settings: Settings,
    pub(crate) protected: Protected,
    /// Failures by place in the log.
    pub(crate) log: Vec<Failure>,
    pub(crate) events: Vec<Event>,
    pub(crate) replies: BTreeMap<u64, Result<Reply, Refusal>>,
    /// Every effect carried out, as text.
    pub(crate) effects: Vec<String>,
    /// The effect, counted from 0, at which the daemon dies; carried out or not.
    pub(crate) crash: Option<(usize, bool)>,
    pub(crate) crashed: bool,
    pub(crate) broken_firewall: Option<&'static str>,
    pub(crate) broken_store: Option<&'static str>,
    /// Questions that nobody has answered.
    pub(crate) asked: BTreeMap<AskId, Question>,
    /// What was answered lately, and when: it is answered again at once.
    known: BTreeMap<String, Boottime>,
    commits: usize,
    commands: u64,
}

impl Sim {
    /// A first start at [`START`] with these jails.
    pub(crate) fn new(jails: &[&str]) -> Self {
        Self::with(settings(jails))
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let now = Now {
            wall: Timestamp::from_usec(START * 1_000_000),
            boot: Boottime::from_usec(3_000_000_000),
            asleep: Span::ZERO,
        };
        let engine = Engine::new(
            now,
            settings.clone(),
            Protected::default(),
            Remembered::default(),
        );
        let mut sim = Self {
            now,
            engine,
            disk: Disk::default(),
            kernel: Kernel::default(),
            settings,
            protected: Protected::default(),
            log: Vec::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            effects: Vec::new(),
            crash: None,
            crashed: false,
            broken_firewall: None,
            broken_store: None,
            asked: BTreeMap::new(),
            known: BTreeMap::new(),
            commits: 0,
            commands: 0,
        };
        sim.engine.handle_caught_up(now);
        sim.drain();
        sim
    }

    /// Carries out effects until there are none or the daemon dies.
    pub(crate) fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            let dies = self.crash.is_some_and(|(at, _)| at == self.effects.len());
            let done = !dies || self.crash.is_some_and(|(_, after)| after);
            self.effects.push(format!("{effect:?}"));
            let outcome = if done { self.perform(effect) } else { None };
            if dies {
                self.crashed = true;
                return;
            }
            if let Some(outcome) = outcome {
                self.engine.handle_outcome(outcome);
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Outcome> {
        let broken = |why: &str| Some(Outcome::Failed(why.to_owned()));
        let awake = self.awake();
        match (effect, self.broken_store, self.broken_firewall) {
            (Effect::Persist(_), Some(why), _) => return broken(why),
            (Effect::Install(..) | Effect::Apply(_), _, Some(why)) => return broken(why),
            (Effect::Persist(commit), ..) => {
                self.commits += 1;
                self.disk.write(&commit);
            }
            (Effect::Install(jails, changes), ..) => {
                self.kernel = Kernel {
                    jails: jails.into_iter().collect(),
                    ..Kernel::default()
                };
                self.kernel.apply(awake, &changes);
            }
            (Effect::Apply(changes), ..) => self.kernel.apply(awake, &changes),
            (Effect::Announce(events), ..) => {
                self.events.extend(events);
                return None;
            }
            (Effect::Ask(id, question), ..) => {
                let known = self.known.get_mut(&topic(&question));
                if let Some(at) = known.filter(|at| self.now.boot < at.plus(HELD)) {
                    *at = self.now.boot;
                    self.engine.handle_answer(self.now, id, answer(&question));
                } else {
                    self.asked.insert(id, question);
                }
                return None;
            }
            (Effect::Reply(id, answer), ..) => {
                self.replies.insert(id.0, answer);
                return None;
            }
        }
        Some(Outcome::Done)
    }

    /// The daemon starts again from the disk and reads the log on.
    pub(crate) fn restart(&mut self) {
        let read = self.reboot();
        self.deliver(read);
        self.engine.handle_caught_up(self.now);
        self.drain();
    }

    /// The daemon starts again from the disk and has not read anything yet; returns from where.
    pub(crate) fn reboot(&mut self) -> usize {
        self.crashed = false;
        self.crash = None;
        self.asked.clear();
        let remembered = self.disk.read();
        let read = remembered
            .positions
            .get(&LogName::journal())
            .map_or(0, |position| place(position) + 1);
        let (settings, protected) = (self.settings.clone(), self.protected.clone());
        self.engine = Engine::new(self.now, settings, protected, remembered);
        self.drain();
        read
    }

    /// Hands over the log from this place on.
    pub(crate) fn deliver(&mut self, from: usize) {
        for at in from..self.log.len() {
            let failure = self.log[at].clone();
            let cursor = Cursor(at.to_string().into());
            let position = Position {
                cursor,
                time: failure.time,
            };
            self.engine
                .handle_failures(self.now, &[failure], &LogName::journal(), position);
            self.drain();
            if self.crashed {
                return;
            }
        }
    }

    /// All open questions are answered, and those that the answers lead to.
    pub(crate) fn answer(&mut self) {
        // In an order that does not depend on when they were asked.
        let by_topic = |(_, question): &(&AskId, &Question)| topic(question);
        while let Some((&id, question)) = self.asked.iter().min_by_key(by_topic) {
            let question = question.clone();
            self.asked.remove(&id);
            let before = self.commits;
            self.engine.handle_answer(self.now, id, answer(&question));
            self.drain();
            // An answer that a crash undid is one that nobody gave.
            if !self.crashed || self.commits > before {
                self.known.insert(topic(&question), self.now.boot);
            }
            if self.crashed {
                return;
            }
        }
    }

    /// The only open question is answered like this.
    pub(crate) fn reply(&mut self, answer: Answer) {
        assert_eq!(self.asked.len(), 1, "{:?}", self.asked);
        let (id, _) = self.asked.pop_first().unwrap();
        self.engine.handle_answer(self.now, id, answer);
        self.drain();
    }

    /// Somebody fails once.
    pub(crate) fn fail(&mut self, name: &str, who: &str) {
        self.log_failure(name, who, None, false);
        self.deliver(self.log.len() - 1);
    }

    /// Somebody fails while nobody looks.
    pub(crate) fn log_failure(&mut self, name: &str, who: &str, pid: Option<u32>, advance: bool) {
        let named = |_| Who::Name(who.into());
        self.log.push(Failure {
            jail: jail(name),
            who: who.parse().map_or_else(named, Who::Address),
            time: self.now.wall,
            pid,
            advance,
            lines: vec![format!("failure {} of {who}", self.log.len()).into()],
        });
    }

    /// Time goes by, with every deadline met on the way.
    pub(crate) fn pass(&mut self, secs: u64) {
        let end = self.now.boot.plus(Span::from_secs(secs));
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.jump(at.since(self.now.boot));
            self.engine.handle_deadline(self.now);
            self.drain();
            if self.crashed {
                break;
            }
        }
        self.jump(end.since(self.now.boot));
    }

    /// Time goes by and nobody notices.
    pub(crate) fn jump(&mut self, span: Span) {
        self.now.wall = self.now.wall.plus(span);
        self.now.boot = self.now.boot.plus(span);
    }

    /// The wall clock is set.
    pub(crate) fn step(&mut self, secs: i64) {
        self.now.wall = self.now.wall.shifted(secs * 1_000_000);
        self.engine.handle_deadline(self.now);
        self.drain();
    }

    /// The machine sleeps.
    pub(crate) fn sleep(&mut self, secs: u64) {
        self.jump(Span::from_secs(secs));
        self.now.asleep = self.now.asleep.plus(Span::from_secs(secs));
        self.engine.handle_deadline(self.now);
        self.drain();
    }

    /// Other settings come into force, as the daemon does it: everything so far is written first.
    pub(crate) fn reload(&mut self, settings: Settings) {
        self.engine.handle_flush(self.now);
        self.drain();
        if !self.crashed {
            self.settings = settings.clone();
            self.engine.handle_settings(self.now, settings);
            self.drain();
        }
    }

    /// Somebody asks for something.
    pub(crate) fn ask(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.commands += 1;
        self.engine
            .handle_command(self.now, RequestId(self.commands), command);
        self.drain();
        self.replies
            .get(&self.commands)
            .cloned()
            .unwrap_or(Ok(Reply::Done))
    }

    pub(crate) fn ban(
        &mut self,
        name: &str,
        who: &str,
        secs: Option<u64>,
    ) -> Result<Reply, Refusal> {
        let time = secs.map(|secs| BanTime::For(Span::from_secs(secs)));
        self.ask(Command::Ban {
            jail: jail(name),
            offender: offender(who),
            time,
        })
    }

    pub(crate) fn unban(&mut self, name: &str, who: &str) -> Result<Reply, Refusal> {
        let by = "root".to_owned();
        self.ask(Command::Unban {
            jail: jail(name),
            offender: offender(who),
            by,
        })
    }

    /// Who is banned: `sshd 192.0.2.1 +600` with the seconds that remain by the boot clock.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let ledger = self.engine.ledger();
        let show = |ban: &Ban| {
            let left = ledger.left(self.now, &ban.jail, &ban.offender).unwrap();
            let left = left.map_or("ever".to_owned(), |left| {
                (left.usec() / 1_000_000).to_string()
            });
            format!("{} {} +{left}", ban.jail, ban.offender)
        };
        ledger.after(None).map(show).collect()
    }

    /// Whom the kernel drops, in the same form.
    pub(crate) fn dropped(&self) -> Vec<String> {
        let awake = self.awake();
        let live = |end: &Option<u64>| end.is_none_or(|end| end > awake);
        let left = |end: &Option<u64>| {
            end.map_or("ever".to_owned(), |end| {
                ((end - awake) / 1_000_000).to_string()
            })
        };
        let elements = self.kernel.elements.iter().filter(|(_, end)| live(end));
        for ((_, offender), end) in elements.clone() {
            let union = self
                .kernel
                .union
                .get(offender)
                .expect("an element of a jail is in the union");
            assert!(
                union.is_none_or(|union| end.is_some_and(|end| end <= union)),
                "{offender}"
            );
        }
        for (offender, _) in self.kernel.union.iter().filter(|(_, end)| live(end)) {
            assert!(
                elements.clone().any(|((_, o), _)| o == offender),
                "{offender} is in no jail"
            );
        }
        elements
            .map(|((jail, who), end)| format!("{jail} {who} +{}", left(end)))
            .collect()
    }

    /// Everything that a crash must not change.
    pub(crate) fn state(&self) -> (Vec<String>, Vec<String>, Vec<String>, Vec<String>) {
        let ledger = self.engine.ledger();
        let mut counts = Vec::new();
        let mut windows = Vec::new();
        for view in self.engine.jails() {
            counts.push(format!(
                "{} {} {}",
                view.name, view.bans_total, view.failures_total
            ));
            for (offender, window) in self.engine.jail(&view.name).unwrap().1.windows() {
                let key = (view.name.clone(), *offender);
                windows.push(format!(
                    "{} {offender} {window:?} {:?}",
                    view.name,
                    ledger.history(&key)
                ));
            }
        }
        for ban in ledger.after(None) {
            counts.push(format!(
                "{ban:?} {:?}",
                ledger.history(&(ban.jail.clone(), ban.offender))
            ));
        }
        (self.ledger(), self.dropped(), counts, windows)
    }

    fn awake(&self) -> u64 {
        self.now.boot.usec() - self.now.asleep.usec()
    }
}

/// What this world answers: a function of the question.
fn answer(question: &Question) -> Answer {
    let addresses = |list: &[&str]| {
        let list = list.iter().map(|text| text.parse().unwrap());
        Answer::Addresses(list.collect())
    };
    match question {
        Question::Resolve(name) => match &**name {
            "one.example" => addresses(&["192.0.2.1"]),
            "two.example" => addresses(&["192.0.2.2", "2001:db8::1"]),
            "home.example" => addresses(&["192.0.2.4"]),
            "none.example" => addresses(&[]),
            _ => Answer::Unknown("no such host".to_owned()),
        },
        Question::ReadIgnored(path) if path.ends_with("list") => {
            Answer::Words(vec!["192.0.2.5".into(), "home.example".into()])
        }
        Question::ReadIgnored(_) => Answer::Unknown("no such file".to_owned()),
        Question::Ignore(asked) => match asked.offender.to_string().as_str() {
            "192.0.2.2" => Answer::Ignore(true),
            "2001:db8::1" => Answer::Unknown("it crashed".to_owned()),
            _ => Answer::Ignore(false),
        },
    }
}

/// What a question is about.
fn topic(question: &Question) -> String {
    match question {
        Question::Ignore(asked) => format!("{} {}", asked.jail, asked.offender),
        other => format!("{other:?}"),
    }
}

/// What was answered is answered again at once for so long: for longer than the engine remembers it, and
/// the daemon can be down in a test.
const HELD: Span = Span::from_secs(800);

fn place(position: &Position) -> usize {
    position.cursor.0.parse().unwrap()
}
