//! A daemon with everything around it: its loop, its reader's thread, its store in a directory. The
//! journal is a list that the test writes, the firewall is in memory, and the test is the bus.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banishd::ask::{Asker, Places};
use banishd::config::diagnostic::Level;
use banishd::config::files::Layout;
use banishd::config::load;
use banishd::daemon::args::Args;
use banishd::daemon::clock;
use banishd::daemon::logging::LogSwitch;
use banishd::daemon::readers::{Origin, Readers, tasks};
use banishd::daemon::run::{Daemon, Edges};
use banishd::daemon::signals::Order;
use banishd::daemon::start::StartError;
use banishd::dbus::link::{BusEnd, News, Request, link};
use banishd::engine::Engine;
use banishd::engine::command::{Command, Refusal, Reply};
use banishd::engine::protected::Protected;
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{JailName, Journal};
use banishd::engine::time::Timestamp;
use banishd::engine::view::JailView;
use banishd::firewall::any::AnyFirewall;
use banishd::firewall::memory::Memory;
use banishd::journal::matches::Selector;
use banishd::journal::terms::Terms;
use banishd::journal::{JournalError, LogSource, Start, Wake, listen_on};
use banishd::reader::task::Task;
use banishd::store::Store;
use banishd::sys::waker::Waker;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// What outlives a daemon.
pub(crate) struct House {
    directory: TempDir,
    pub(crate) log: Log,
    pub(crate) firewall: Memory,
    /// Whether fail2ban runs.
    pub(crate) rival: watch::Sender<bool>,
}

impl House {
    /// With one jail, `door`: three knocks within ten minutes ban for ten minutes.
    pub(crate) fn new() -> Self {
        let house = Self {
            directory: TempDir::new().unwrap(),
            log: Log::default(),
            firewall: Memory::new(Box::new(clock::boottime)),
            rival: watch::channel(false).0,
        };
        house.write("banishd.conf", "");
        house.listen_for("knock");
        house
    }

    /// Has the filter count this word from the next reload on.
    pub(crate) fn listen_for(&self, word: &str) {
        self.write(
            "jail.conf",
            "[door]\nenabled = true\nfilter = door\nport = all\nmaxretry = 3\n",
        );
        let filter = format!(
            "[Definition]\nmatchtext = message\njournalmatch = _SYSTEMD_UNIT=door.service\n\
             failregex = ^{word} <ADDR>$\n"
        );
        self.write("filter.d/door.conf", &filter);
    }

    /// Has a jail `again` ban whoever is banned twice, from the next reload on.
    pub(crate) fn count_bans(&self) {
        let jail = "[again]\nenabled = true\nbackend = bans\nmaxretry = 2\nfilter =\n\
                    failregex = \\[door\\] Ban <ADDR>$\n";
        self.write("jail.local", jail);
    }

    /// Has the jail read a file instead of the journal from the next reload on.
    pub(crate) fn listen_to_a_file(&self) {
        let path = self.directory.path().join("door.log");
        let jail = format!(
            "[door]\nenabled = true\nfilter = door\nport = all\nmaxretry = 3\nlogpath = {}\n",
            path.display()
        );
        self.write("jail.conf", &jail);
        self.write(
            "filter.d/door.conf",
            "[Definition]\nfailregex = ^ knock <ADDR>$\n",
        );
    }

    /// A service writes to that file.
    pub(crate) fn knock_at_file(&self, who: &str) {
        let path = self.directory.path().join("door.log");
        let mut file = OpenOptions::new();
        let mut file = file.append(true).create(true).open(path).unwrap();
        let now = jiff::Zoned::now().strftime("%FT%T%:z");
        file.write_all(format!("{now} knock {who}\n").as_bytes())
            .unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn layout(&self) -> Layout {
        Layout {
            admin: self.directory.path().to_owned(),
            vendor: PathBuf::from("/nonexistent"),
            ..Layout::default()
        }
    }

    /// Where the programs would listen that find things out.
    pub(crate) fn helpers(&self) -> Places {
        Places {
            resolve: self.directory.path().join("resolve"),
            action: self.directory.path().join("action"),
        }
    }

    /// A daemon lives while `visit` lasts, and is then told to stop.
    pub(crate) async fn live(
        &self,
        visit: impl AsyncFnOnce(&mut Visitor),
    ) -> Result<(), StartError> {
        let opened = Store::open(self.directory.path()).unwrap();
        let layout = self.layout();
        let (settings, problems) = load(&layout);
        assert!(
            problems.iter().all(|it| it.level == Level::Note),
            "{problems:?}"
        );
        let position = opened.remembered.positions.get(&LogName::journal());
        let beginning = Start::Since(Timestamp::default());
        let start = position.cloned().map_or(beginning, Start::After);
        let wanted = tasks(&settings);
        let (bus, loop_end) = link();
        let (asker, answers) = Asker::new(self.helpers());
        let (sender, orders) = mpsc::channel(1);
        // The last word of both stays, so nobody needs to hold the other end.
        let (groups, _) = watch::channel(Vec::new());
        let (guard, protected) = watch::channel(Protected::default());
        guard.send_replace(Protected::default());
        let edges = Edges {
            store: opened.store,
            firewall: AnyFirewall::Memory(Box::new(self.firewall.clone())),
            asker,
            answers,
            link: loop_end,
            orders,
            protected,
            rival: self.rival.subscribe(),
            groups,
            layout,
            args: <Args as clap::Parser>::parse_from(["banishd"]),
            log: Arc::new(LogSwitch::to("console")),
        };
        let engine = Engine::new(
            clock::now(),
            settings,
            Protected::default(),
            opened.remembered,
        );
        let mut daemon = Daemon::new(engine, edges).unwrap();
        daemon.drain().await;
        let mut readers = self.listen(start, &wanted);
        readers.want(wanted);
        daemon.settle(&mut readers);

        let mut visitor = Visitor { bus };
        let ending = {
            let mut life = pin!(daemon.run(&mut readers));
            tokio::select! {
                ending = &mut life => ending,
                over = timeout(PATIENCE, visit(&mut visitor)) => {
                    over.expect("the visit does not hang");
                    sender.send(Order::Stop).await.unwrap();
                    life.await
                }
            }
        };
        readers.stop();
        ending
    }

    /// The journal that the test writes is the system's.
    fn listen(&self, start: Start, wanted: &BTreeMap<Origin, Vec<Task>>) -> Readers {
        let log = self.log.clone();
        let make = |waker| Source {
            log,
            waker,
            next: 0,
        };
        let mut readers = Readers::default();
        let system = Origin::Journal(Journal::System);
        if let Some(tasks) = wanted.get(&system) {
            let journal = listen_on(make, LogName::journal(), start, tasks.clone());
            readers.add(system, Vec::new(), journal.unwrap());
        }
        readers
    }

    /// Whom the jail's rules drop.
    pub(crate) fn blocked(&self) -> Vec<String> {
        let elements = self.firewall.elements(Some(&door()));
        elements.keys().map(ToString::to_string).collect()
    }
}

/// Whoever talks to the daemon over the bus.
pub(crate) struct Visitor {
    pub(crate) bus: BusEnd,
}

impl Visitor {
    pub(crate) async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> T {
        let (reply, answer) = oneshot::channel();
        self.bus.requests.send(request(reply)).await.unwrap();
        answer.await.unwrap()
    }

    pub(crate) async fn ban(&self, who: &str) -> Result<Reply, Refusal> {
        let command = Command::Ban {
            jail: door(),
            offender: who.parse().unwrap(),
            time: None,
        };
        self.ask(|reply| Request::Command(command, reply)).await
    }

    pub(crate) async fn unban(&self, who: &str) -> Result<Reply, Refusal> {
        let command = Command::Unban {
            jail: door(),
            offender: who.parse().unwrap(),
            by: String::new(),
        };
        self.ask(|reply| Request::Command(command, reply)).await
    }

    pub(crate) async fn reload(&self) -> Result<Vec<String>, String> {
        self.ask(Request::Reload).await
    }

    pub(crate) async fn jail(&self) -> JailView {
        self.ask(Request::Jails).await.remove(0)
    }

    /// Waits until so many failures have been counted since the store was made.
    pub(crate) async fn counted(&self, failures: u64) -> JailView {
        loop {
            let jail = self.jail().await;
            if jail.failures_total >= failures {
                return jail;
            }
        }
    }

    /// Waits for news of this kind, leaving out all others.
    pub(crate) async fn news<T>(&mut self, wanted: impl Fn(News) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.bus.news.recv().await.unwrap()) {
                return found;
            }
        }
    }
}

/// A journal of messages of one unit; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    entries: Vec<(Timestamp, String)>,
    is_over: bool,
}

impl Log {
    pub(crate) fn write(&self, message: &str) {
        let entry = (clock::now().wall, message.to_owned());
        self.0.lock().unwrap().entries.push(entry);
    }

    /// No more can be read.
    pub(crate) fn end(&self) {
        self.0.lock().unwrap().is_over = true;
    }
}

struct Source {
    log: Log,
    waker: Waker,
    next: usize,
}

impl LogSource for Source {
    fn open(&mut self, start: &Start, _terms: &Terms) -> Result<(), JournalError> {
        self.next = match start {
            Start::Since(_) => 0,
            Start::After(Position { cursor, .. }) => cursor.0.parse::<usize>().unwrap() + 1,
        };
        Ok(())
    }

    fn next(&mut self, selector: &mut Selector) -> Result<Option<Timestamp>, JournalError> {
        let log = self.log.0.lock().unwrap();
        let Some((time, message)) = log.entries.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        selector.begin();
        let _ = selector.take(b"_SYSTEMD_UNIT", b"door.service");
        let _ = selector.take(b"MESSAGE", message.as_bytes());
        Ok(Some(*time))
    }

    fn cursor(&mut self) -> Result<Cursor, JournalError> {
        Ok(Cursor((self.next - 1).to_string().into()))
    }

    fn wait(&mut self, _pause: Option<Duration>) -> Result<Wake, JournalError> {
        self.waker.sleep(None, Some(LOOK)).unwrap();
        match self.log.0.lock().unwrap().is_over {
            true => Ok(Wake::Ended),
            false => Ok(Wake::Look),
        }
    }

    fn close(&mut self) {}
}

pub(crate) fn door() -> JailName {
    JailName::new("door").unwrap()
}

/// How often the source looks for what the test has written.
const LOOK: Duration = Duration::from_millis(2);
/// A visit that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
