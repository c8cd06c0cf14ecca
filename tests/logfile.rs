//! The reader of files on real files: rotation of every kind, restarts, rights, encodings.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use banishd::engine::filter::failure::{Failure, Who};
use banishd::engine::filter::{Filter, FilterSpec, Text};
use banishd::engine::record::{LogName, Position};
use banishd::engine::settings::{JailName, LogFile};
use banishd::engine::time::Span;
use banishd::logfile::listen;
use banishd::logfile::listener::Listener;
use banishd::reader::Heard;
use banishd::reader::task::Task;
use banishd::reader::worker::Reader;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use crate::journal::journald::wait_until;
use crate::support::thread::Thread;

/// A file system that a test serves.
mod fuse;
/// What a hostile neighbour, or an unlucky one, does to logs.
mod mischief;
/// File systems that hang, and those of which the kernel tells nothing.
mod mounts;
/// The program as a user who may not read everything.
mod rights;
/// Rotation while lines are written at full speed, restarts in between.
mod rotation;

#[test]
fn lines_are_heard_as_they_are_written() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    log.say(0..10);
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "auth.log")]);
    ear.expect(0..10);
    wait_until(|| ear.drain().is_caught_up);

    for number in 10..200 {
        log.say(number..number + 1);
        ear.expect(number..number + 1);
    }
}

#[test]
fn a_line_waits_until_it_is_whole() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "auth.log")]);
    log.say(0..1);
    let whole = line(1);
    let (begin, end) = whole.split_at(30);
    log.write(begin.as_bytes());
    ear.expect(0..1);
    wait_until(|| ear.drain().is_caught_up);
    assert_eq!(ear.next, 1);

    log.write(end.as_bytes());

    ear.expect(1..2);
}

#[test]
fn a_file_is_read_once_for_all_jails() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let jails = vec![place.jail("a", "auth.log"), place.jail("b", "*.log")];
    let mut ear = Ear::listen(Known::new(), jails);
    log.say(0..1);

    wait_until(|| ear.drain().heard.len() >= 2);

    let jails: Vec<&str> = ear.heard.iter().map(|f| &*f.jail).collect();
    assert_eq!(jails, ["a", "b"]);
    assert_eq!(ear.known.len(), 1, "one position");
}

#[test]
fn tail_begins_at_the_end_but_not_of_what_comes_later() {
    let place = Place::new();
    let mut log = place.log("a.log");
    log.say(0..5);
    let mut jail = place.jail("sshd", "*.log");
    jail.files[0].is_tail = true;
    let mut ear = Ear::listen(Known::new(), vec![jail]);
    wait_until(|| ear.drain().is_caught_up);
    assert_eq!(ear.known.len(), 1, "from here on it is known");

    ear.next = 5;
    log.say(5..8);
    ear.expect(5..8);
    place.log("b.log").say(8..10);
    ear.expect(8..10);
}

#[test]
fn files_and_directories_may_come_later() {
    let place = Place::new();
    let jails = vec![place.jail("sshd", "sites/*/log/*.log")];
    let mut ear = Ear::listen(Known::new(), jails);
    wait_until(|| ear.drain().is_caught_up);
    assert_eq!(ear.troubles.len(), 1, "the jail reads nothing");

    let mut next = 0;
    for site in ["one", "two", "three"] {
        for file in ["access.log", "error.log"] {
            let mut log = place.log(&format!("sites/{site}/log/{file}"));
            log.say(next..next + 3);
            ear.expect(next..next + 3);
            next += 3;
        }
    }
    assert!(ear.drain().troubles.is_empty());
    // The same once more, from nothing.
    fs::remove_dir_all(place.path("sites")).unwrap();
    wait_until(|| ear.drain().known.is_empty());
    place.log("sites/four/log/x.log").say(next..next + 3);
    ear.expect(next..next + 3);
}

#[test]
fn a_link_is_followed_wherever_it_leads() {
    let place = Place::new();
    let mut log = place.log("data/first.log");
    std::os::unix::fs::symlink(place.path("data/first.log"), place.path("current")).unwrap();
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "current")]);
    log.say(0..3);
    ear.expect(0..3);

    // What it leads to is rotated.
    fs::rename(place.path("data/first.log"), place.path("data/first.log.1")).unwrap();
    log.say(3..5);
    place.log("data/first.log").say(5..8);
    ear.expect(3..8);

    // It leads elsewhere.
    place.log("data/second.log").say(8..10);
    let link = place.path("new");
    std::os::unix::fs::symlink(place.path("data/second.log"), &link).unwrap();
    fs::rename(link, place.path("current")).unwrap();
    ear.expect(8..10);
}

#[test]
fn a_long_line_counts_by_its_beginning() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "auth.log")]);
    let end = "x".repeat(5_000_000);

    log.write(format!("{} {end}\n", line(0).trim_end()).as_bytes());
    log.write(format!("{end} {}", line(7)).as_bytes());
    log.say(1..3);

    ear.expect(0..3);
}

#[test]
fn bytes_of_any_kind_are_harmless() {
    for is_live in [true, false] {
        let place = Place::new();
        let mut log = place.log("auth.log");
        let listen = || {
            let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "auth.log")]);
            wait_until(|| ear.drain().is_caught_up);
            ear
        };
        let before = is_live.then(listen);

        for number in 0..100 {
            let mut noise: Vec<u8> = (0..=255).cycle().skip(number).take(number * 31).collect();
            // Of what looks like a date of long ago the daemon would be told.
            noise.retain(|byte| *byte != b'\n' && !byte.is_ascii_digit());
            noise.push(b'\n');
            log.write(&noise);
            log.write(&vec![0; number]);
            let number = u32::try_from(number).unwrap();
            log.say(number..number + 1);
        }

        before.unwrap_or_else(listen).expect(0..100);
    }
}

#[test]
fn utf_16_is_read_with_and_without_its_mark() {
    for (mark, encoding) in [(&b"\xff\xfe"[..], None), (b"", Some(encoding_rs::UTF_16LE))] {
        let place = Place::new();
        let mut log = place.log("iis.log");
        log.write(mark);
        let jail = Task {
            encoding,
            ..place.jail("web", "iis.log")
        };
        let mut ear = Ear::listen(Known::new(), vec![jail.clone()]);
        let say = |log: &mut Log, number| {
            let text: Vec<u8> = line(number)
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            log.write(&text);
        };
        say(&mut log, 0);
        ear.expect(0..1);

        let mut ear = ear.restart(vec![jail]);
        say(&mut log, 1);
        ear.expect(1..2);
    }
}

#[test]
fn polling_needs_no_word_of_the_kernel() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let jail = Task {
        polls: true,
        ..place.jail("sshd", "*.log")
    };
    let mut ear = Ear::listen(Known::new(), vec![jail]);

    log.say(0..3);
    ear.expect(0..3);
    place.log("other.log").say(3..5);
    ear.expect(3..5);
}

#[test]
fn a_switch_neither_loses_nor_doubles() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let jails = || vec![place.jail("sshd", "auth.log")];
    let mut ear = Ear::listen(Known::new(), jails());

    for generation in 1..=20 {
        let from = u32::try_from(generation).unwrap() * 50;
        log.say(from - 50..from - 25);
        // Every third has nothing to read for a while.
        let tasks = if generation % 3 == 0 {
            Vec::new()
        } else {
            jails()
        };
        ear.reader.switch(generation, tasks);
        log.say(from - 25..from);
        wait_until(|| ear.drain().switched == Some(generation));
    }

    ear.reader.switch(21, jails());
    ear.expect(0..1000);
}

#[test]
fn of_a_large_file_only_what_jails_look_back_is_read() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let now = jiff::Zoned::now();
    let at = |seconds: i64| {
        let time = &now - jiff::SignedDuration::from_secs(seconds);
        time.strftime("%FT%T%:z").to_string()
    };
    // Ten megabytes, a line every second.
    let chatter = "x".repeat(80);
    let text: Vec<String> = (0..90_000_i64)
        .rev()
        .map(|age| format!("{} host app[1]: {chatter}\n", at(age + 700)))
        .collect();
    log.write(text.concat().as_bytes());
    for (number, age) in [(0, 650), (1, 500), (2, 20)] {
        let line = line(number);
        log.write(format!("{}{}", at(age), &line[line.find(' ').unwrap()..]).as_bytes());
    }
    let mut jail = place.jail("sshd", "auth.log");
    jail.look_back = Span::from_secs(600);

    let mut ear = Ear::listen(Known::new(), vec![jail]);
    wait_until(|| ear.drain().is_caught_up);

    let heard: Vec<u32> = ear.heard.iter().map(|f| number(&f.who)).collect();
    assert_eq!(heard, [1, 2]);
    let times: Vec<u64> = ear
        .heard
        .iter()
        .map(|f| f.time.usec() / 1_000_000)
        .collect();
    assert_eq!(times[1] - times[0], 480, "by the date in the line");
    assert!(ear.first_offset > 9_000_000, "{}", ear.first_offset);
}

#[test]
fn a_connection_is_remembered_over_a_restart() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let filter = Filter::compile(FilterSpec {
        fail: vec![
            r"sshd\[<F-MLFID>\d+</F-MLFID>\]: <F-NOFAIL>Connection</F-NOFAIL> from <HOST>"
                .to_owned(),
            r"sshd\[<F-MLFID>\d+</F-MLFID>\]: wrong password".to_owned(),
        ],
        text: Text::Line,
        ..FilterSpec::default()
    });
    let jail = Task {
        filter: filter.unwrap(),
        ..place.jail("sshd", "auth.log")
    };
    let say = |log: &mut Log, text: &str| {
        let now = jiff::Zoned::now().strftime("%FT%T%.6f%:z");
        log.write(format!("{now} host sshd[7]: {text}\n").as_bytes());
    };
    let mut ear = Ear::listen(Known::new(), vec![jail.clone()]);
    say(&mut log, "Connection from 10.0.0.0");
    say(&mut log, "wrong password");
    ear.expect(0..1);

    let mut ear = ear.restart(vec![jail]);
    say(&mut log, "wrong password");
    wait_until(|| !ear.drain().heard.is_empty());

    assert_eq!(number(&ear.heard[0].who), 0);
}

#[test]
fn a_file_that_is_gone_needs_no_position() {
    let place = Place::new();
    place.log("day-1.log").say(0..3);
    let mut ear = Ear::listen(Known::new(), vec![place.jail("app", "day-*.log")]);
    ear.expect(0..3);
    place.log("day-2.log").say(3..5);
    ear.expect(3..5);
    assert_eq!(ear.known.len(), 2);

    fs::remove_file(place.path("day-1.log")).unwrap();

    wait_until(|| ear.drain().known.len() == 1);
    assert!(
        ear.known
            .contains_key(&LogName::of_file(&place.path("day-2.log")))
    );
}

#[test]
fn idle_nothing_wakes_the_reader() {
    // Where inotify tells of everything.
    let place = Place(TempDir::new_in("/dev/shm").unwrap());
    let (mut log, mut unrelated) = (place.log("auth.log"), place.log("unrelated"));
    let jails = vec![place.jail("sshd", "*.log")];
    let (tell, told) = mpsc::channel();
    let reader = Reader::spawn("files", move |waker, valve| {
        tell.send(Thread::current()).unwrap();
        Listener::new(valve, waker, None, Known::new(), jails)
    });
    let mut ear = Ear::on(reader.unwrap(), Known::new());
    log.say(0..3);
    ear.expect(0..3);
    let thread = told.recv().unwrap();
    let sleeps = thread.wait_until_asleep();

    // The directory is watched for names; what is written to others there is nobody's business.
    unrelated.say(0..100);

    assert_eq!(thread.asleep(), Some(sleeps));
    assert!(ear.reader.is_alive() && ear.reader.is_alive());
    log.say(3..4);
    assert_ne!(thread.asleep(), Some(sleeps), "what wakes it is seen");
    ear.expect(3..4);
}

/// A directory of one test's own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A log to write to, made if need be.
    fn log(&self, name: &str) -> Log {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Log(append(&path))
    }

    /// A jail that reads the files of `pattern`.
    fn jail(&self, name: &str, pattern: &str) -> Task {
        let filter = Filter::compile(FilterSpec {
            name: name.to_owned(),
            fail: vec![r"Failed password for \S+ from <HOST> port \d+".to_owned()],
            ..FilterSpec::default()
        });
        let file = LogFile {
            pattern: self.path(pattern).to_string_lossy().into_owned(),
            is_tail: false,
        };
        Task {
            files: vec![file],
            ..Task::new(JailName::new(name).unwrap(), filter.unwrap())
        }
    }
}

/// A file that a service writes.
struct Log(File);

impl Log {
    fn say(&mut self, numbers: Range<u32>) {
        for number in numbers {
            self.write(line(number).as_bytes());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

fn append(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.append(true).create(true).open(path).unwrap()
}

fn line(number: u32) -> String {
    let address = Ipv4Addr::from(0x0a00_0000 + number);
    let now = jiff::Zoned::now().strftime("%FT%T%.6f%:z");
    format!("{now} host sshd[{number}]: Failed password for root from {address} port 22 ssh2\n")
}

fn number(who: &Who) -> u32 {
    match who {
        Who::Address(offender) => match offender.address() {
            IpAddr::V4(address) => u32::from(address) - 0x0a00_0000,
            IpAddr::V6(_) => panic!("never written"),
        },
        _ => panic!("never written"),
    }
}

type Known = BTreeMap<LogName, Position>;

/// A reader and everything it has said.
struct Ear {
    reader: Reader,
    receiver: Receiver<Heard>,
    heard: Vec<Failure>,
    /// Where another reader would go on.
    known: Known,
    troubles: BTreeMap<LogName, String>,
    told: u32,
    missed: Vec<String>,
    switched: Option<u64>,
    is_caught_up: bool,
    /// Where the first log was begun.
    first_offset: u64,
    next: u32,
}

impl Ear {
    fn listen(known: Known, tasks: Vec<Task>) -> Self {
        Self::on(listen(None, known.clone(), tasks).unwrap(), known)
    }

    fn on((reader, receiver): (Reader, Receiver<Heard>), known: Known) -> Self {
        Self {
            reader,
            receiver,
            heard: Vec::new(),
            known,
            troubles: BTreeMap::new(),
            told: 0,
            missed: Vec::new(),
            switched: None,
            is_caught_up: false,
            first_offset: 0,
            next: 0,
        }
    }

    fn drain(&mut self) -> &mut Self {
        while let Ok(heard) = self.receiver.try_recv() {
            self.take(heard);
        }
        self
    }

    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Progress {
                log,
                failures,
                position,
            } => {
                let offset = position.cursor.0.split(':').nth(2).unwrap();
                if self.known.is_empty() {
                    self.first_offset = offset.trim_end_matches('+').parse().unwrap();
                }
                self.heard.extend(failures);
                self.known.insert(log, position);
            }
            Heard::Gone(log) => drop(self.known.remove(&log)),
            Heard::Switched(generation) => self.switched = Some(generation),
            Heard::CaughtUp => self.is_caught_up = true,
            Heard::Trouble { log, text, .. } => {
                self.told += 1;
                self.troubles.insert(log, text);
            }
            Heard::Recovered(log) => drop(self.troubles.remove(&log)),
            Heard::Missed(text) => self.missed.push(text),
            // Noise may look like a date.
            Heard::Complaint { .. } => {}
            other @ (Heard::Suppressed { .. } | Heard::Beyond(_)) => panic!("{other:?}"),
        }
    }

    /// Exactly these, in this order. What would come twice would come again within the next call.
    fn expect(&mut self, numbers: Range<u32>) {
        assert_eq!(self.next, numbers.start);
        wait_until(|| {
            self.drain();
            for failure in self.heard.drain(..) {
                assert_eq!(
                    number(&failure.who),
                    self.next,
                    "lost, doubled or out of order"
                );
                self.next += 1;
            }
            self.next >= numbers.end
        });
        assert_eq!(self.next, numbers.end);
    }

    /// Another reader goes on where this one had come to.
    fn restart(mut self, tasks: Vec<Task>) -> Self {
        self.drain();
        // What is still on its way is as lost as the process: it is read again.
        let before = (self.heard, self.next);
        self.reader.stop();
        let ear = Self::listen(self.known, tasks);
        Self {
            heard: before.0,
            next: before.1,
            ..ear
        }
    }
}
