//! The reader: its law on scripted sources, its behaviour against a real journald.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor as Bytes, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;
use std::time::Duration;

use banishd::engine::filter::failure::Failure;
use banishd::engine::filter::failure::Who;
use banishd::engine::filter::{Filter, FilterSpec, Text};
use banishd::engine::record::{LogName, Record};
use banishd::engine::settings::{JailName, Journal, Matches};
use banishd::engine::time::Timestamp;
use banishd::journal::live::LiveJournal;
use banishd::journal::matches::Selector;
use banishd::journal::script::{Script, replay};
use banishd::journal::{LogSource, Start, listen, listen_on};
use banishd::reader::Heard;
use banishd::reader::task::Task;
use banishd::reader::worker::Reader;
use banishd::sys::waker::Waker;
use tokio::sync::mpsc::Receiver;

#[path = "support/export.rs"]
mod export;
#[path = "support/journald.rs"]
pub(crate) mod journald;
/// The listener's law under faults.
#[path = "journal/law.rs"]
mod law;
/// What filters remember, over restarts and faults.
#[path = "journal/memory.rs"]
mod memory;

use crate::support::thread::Thread;
use journald::{Journald, wait_until};

#[test]
fn an_export_gives_what_it_was_made_of() {
    let mut text = Vec::new();
    export::write(&mut text, 10_000, 10).unwrap();

    let (reader, mut heard) = listen_on(
        |_| Script::new(Bytes::new(text)),
        LogName::journal(),
        Start::Since(Timestamp::default()),
        vec![jail("sshd", &[&["_SYSTEMD_UNIT=ssh.service", "_UID=0"]])],
    )
    .unwrap();
    let mut failures = 0;
    while let Some(heard) = heard.blocking_recv() {
        if let Heard::Progress { failures: some, .. } = heard {
            failures += some.len();
        }
    }
    reader.stop();

    // A twelfth of a tenth, those of users that there are.
    assert_eq!(failures, 83);
}

#[test]
fn a_full_channel_stops_the_reader_but_not_its_end() {
    let mut text = Vec::new();
    export::write(&mut text, 240_000, 1).unwrap();

    let (reader, heard) = listen_on(
        |_| Script::new(Bytes::new(text)),
        LogName::journal(),
        Start::Since(Timestamp::default()),
        vec![jail("sshd", &[&["_SYSTEMD_UNIT=ssh.service"]])],
    )
    .unwrap();
    wait_until(|| heard.len() == heard.max_capacity());

    // It waits for us, not the other way round.
    wait_until(|| (0..100).all(|_| reader.is_alive()));
    reader.stop();
}

#[test]
fn root_nothing_is_lost_or_doubled_over_restart_rotation_and_vacuum() {
    let mut journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut ear = Ear::listen(
        &journald,
        Start::Since(Timestamp::default()),
        unit_jail(&unit),
    );

    // Read while it is written, and rotated in between.
    let mut sender = journald.sender(&unit, "sshd");
    say(&mut sender, 0..300);
    journald.rotate();
    say(&mut sender, 300..600);
    ear.expect(0..600);

    // The reader is away while entries come and the file of its cursor disappears.
    let mut ear = ear.restart(&journald, &unit, || {
        journald.rotate();
        journald.vacuum();
        say(&mut sender, 600..607);
    });
    ear.expect(600..607);

    // journald itself is away.
    drop(sender);
    journald.restart();
    let mut sender = journald.sender(&unit, "sshd");
    say(&mut sender, 607..900);
    ear.expect(607..900);

    // Stopped somewhere in the middle, again and again.
    say(&mut sender, 900..1500);
    for next in (901..1500).step_by(100) {
        ear.expect_at_least(next);
        ear = ear.restart(&journald, &unit, || ());
    }
    say(&mut sender, 1500..1520);
    ear.expect(ear.next..1520);
}

#[test]
fn root_a_switch_of_filters_neither_loses_nor_doubles() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut sender = journald.sender(&unit, "sshd");
    let mut ear = Ear::listen(
        &journald,
        Start::Since(Timestamp::default()),
        unit_jail(&unit),
    );

    for generation in 1..=20 {
        let from = u32::try_from(generation).unwrap() * 50;
        say(&mut sender, from - 50..from);
        ear.reader.switch(generation, unit_jail(&unit));
    }

    ear.expect(0..1000);
    wait_until(|| {
        ear.drain();
        ear.switched == Some(20)
    });
}

#[test]
fn root_a_new_journal_is_read_from_its_first_entry() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut ear = Ear::listen(
        &journald,
        Start::Since(Timestamp::from_usec(u64::MAX / 2)),
        unit_jail(&unit),
    );
    wait_until(|| {
        ear.drain();
        ear.is_caught_up
    });

    let mut sender = journald.sender(&unit, "sshd");
    say(&mut sender, 0..20);

    ear.expect(0..20);
}

#[test]
fn root_a_damaged_file_never_makes_the_reader_deaf() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut sender = journald.sender(&unit, "sshd");
    let mut ear = Ear::listen(
        &journald,
        Start::Since(Timestamp::default()),
        unit_jail(&unit),
    );
    say(&mut sender, 0..2000);
    ear.expect(0..2000);
    journald.rotate();
    for path in journald.archived() {
        let mut bytes = fs::read(&path).unwrap();
        for byte in bytes.iter_mut().skip(300_000).step_by(97) {
            *byte ^= 0x5a;
        }
        // In place: a file that shrinks under its reader's map would end the process.
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all(&bytes).unwrap();
    }

    // One reader that saw it happen, and one that finds it so.
    let mut late = Ear::listen(
        &journald,
        Start::Since(Timestamp::default()),
        unit_jail(&unit),
    );
    say(&mut sender, 2000..2010);

    ear.expect(2000..2010);
    wait_until(|| {
        late.drain();
        let new = late.heard.iter().filter(|f| number(&f.who) >= 2000);
        new.count() == 10
    });
}

#[test]
fn root_what_an_ordinary_user_logs_reaches_no_filter() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let filters = vec![
        jail("unit", &[&[&format!("_SYSTEMD_UNIT={unit}"), "_UID=0"]]),
        jail("name", &[&["_COMM=sshd"], &["SYSLOG_IDENTIFIER=sshd"]]),
    ];
    let mut ear = Ear::listen(&journald, Start::Since(Timestamp::default()), filters);

    // Same name, same text, own unit; and in the right unit, as where sshd runs without PAM.
    let mut outside = journald.user_sender(&journald.unit("session"), "sshd");
    say(&mut outside, 100..120);
    let mut inside = journald.user_sender(&unit, "sshd");
    say(&mut inside, 200..220);
    wait_until(|| ear.reader.refused() == 40);
    let mut genuine = journald.sender(&unit, "sshd");
    say(&mut genuine, 0..1);

    wait_until(|| {
        ear.drain();
        ear.heard.len() >= 2
    });
    let jails: Vec<&str> = ear.heard.iter().map(|f| &*f.jail).collect();
    assert_eq!(jails, ["unit", "name"]);
    assert!(ear.heard.iter().all(|f| number(&f.who) == 0));
}

#[test]
fn root_a_namespace_is_a_journal_of_its_own_and_one_that_is_not_there_is_told() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut sender = journald.sender(&unit, "sshd");
    say(&mut sender, 0..3);
    let namespace = |name: &str| {
        let journal = Journal::Namespace(name.to_owned());
        let log = LogName::of_journal(&journal);
        let start = Start::Since(Timestamp::default());
        listen(journal, log, start, unit_jail(&unit)).unwrap()
    };

    let (_reader, mut heard) = namespace(journald.name());
    let (_other, mut nothing) = namespace("nobody-has-this-one");

    let mut failures = 0;
    while failures < 3 {
        match heard.blocking_recv() {
            Some(Heard::Progress {
                failures: some,
                log,
                ..
            }) => {
                assert_eq!(
                    log.as_str(),
                    format!("journal:namespace={}", journald.name())
                );
                failures += some.len();
            }
            Some(Heard::CaughtUp) => {}
            other => panic!("{other:?}"),
        }
    }
    let told = nothing.blocking_recv();
    assert!(
        matches!(&told, Some(Heard::Trouble { jails, .. }) if jails.len() == 1),
        "{told:?}"
    );
}

#[test]
fn root_a_line_is_what_journalctl_shows_after_the_date() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut sender = journald.sender(&unit, "sshd");
    for text in ["plain", "with  two blanks", "und ein \u{fc}"] {
        sender.say(text);
    }
    let task = Task {
        filter: Filter::compile(FilterSpec {
            text: Text::Line,
            ..FilterSpec::default()
        })
        .unwrap(),
        ..jail("sshd", &[&[&format!("_SYSTEMD_UNIT={unit}")]])
    };
    let mut selector = Selector::new([&task]);
    let journal = Journal::Directory(journald.directory());
    let mut source = LiveJournal::new(journal, Waker::new().unwrap());
    let since = Start::Since(Timestamp::default());
    let mut lines = Vec::new();
    wait_until(|| {
        lines.clear();
        source.open(&since, selector.terms()).unwrap();
        let line = |record: &Record<'_>| String::from_utf8(record.line.to_vec()).unwrap();
        replay(&mut source, &mut selector, |record, _| {
            lines.push(line(record));
        })
        .unwrap();
        lines.len() == 3
    });

    let shown = journald.show(&unit);
    let shown: Vec<&str> = shown
        .lines()
        .map(|line| &line["Jan 01 00:00:00 ".len()..])
        .collect();
    assert_eq!(lines, shown);
}

#[test]
fn root_dropped_entries_are_told() {
    let journald = Journald::start("RateLimitIntervalSec=300ms\nRateLimitBurst=5");
    let unit = journald.unit("ssh");
    let other = journald.unit("noise");
    let mut ear = Ear::listen(
        &journald,
        Start::Since(Timestamp::default()),
        unit_jail(&unit),
    );

    let mut senders = [
        journald.sender(&other, "noise"),
        journald.sender(&unit, "sshd"),
    ];
    for sender in &mut senders {
        say(sender, 0..2000);
    }
    // journald writes a notice with the unit's next message after each interval, however many intervals
    // the above took.
    let (mut said, mut told) = (2000, 0);
    wait_until(|| {
        for sender in &mut senders {
            sender.say("still here");
        }
        said += 1;
        ear.drain();
        let kept = u64::try_from(ear.heard.len()).unwrap();
        told = kept + ear.suppressed.iter().map(|(_, count)| count).sum::<u64>();
        told >= 2000
    });

    assert!(!ear.suppressed.is_empty() && told <= said);
    assert!(ear.suppressed.iter().all(|(of, _)| *of == unit));
}

#[test]
fn root_an_idle_reader_never_wakes() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut sender = journald.sender(&unit, "sshd");
    sender.say("nothing of interest");
    wait_until(|| !journald.show(&unit).is_empty());
    let (tell, told) = mpsc::channel();
    let path = journald.directory();
    let (reader, mut heard) = listen_on(
        move |waker| {
            tell.send(Thread::current()).unwrap();
            LiveJournal::new(Journal::Directory(path), waker)
        },
        LogName::journal(),
        Start::Since(Timestamp::default()),
        unit_jail(&unit),
    )
    .unwrap();
    while !matches!(heard.blocking_recv(), Some(Heard::CaughtUp)) {}

    // After an entry of its unit it looks of itself, but not for long.
    told.recv().unwrap().wait_until_asleep();

    // journald may wake it once more, to sync.
    wait_until(|| (0..100).all(|_| reader.is_alive()));
}

/// journald tells its readers of an entry up to 250 ms late. While attacked, nobody waits for that.
#[test]
fn root_an_entry_is_found_by_looking_before_journald_tells() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let unit = journald.unit("ssh");
    let mut sender = journald.sender(&unit, "sshd");
    let task = jail("sshd", &[&[&format!("_SYSTEMD_UNIT={unit}")]]);
    let mut selector = Selector::new([&task]);
    let journal = Journal::Directory(journald.directory());
    let mut source = LiveJournal::new(journal, Waker::new().unwrap());
    let since = Start::Since(Timestamp::default());
    source.open(&since, selector.terms()).unwrap();

    for number in 0..20 {
        let text = format!("entry {number} of 20");
        sender.say(&text);
        wait_until(|| journald.show(&unit).contains(&text));
        // journald tells nobody while it is stopped, unless it has already.
        journald.pause();

        let looks = (1..=LOOKS).find(|_| {
            source.wait(Some(Duration::from_millis(1))).unwrap();
            source.next(&mut selector).unwrap().is_some()
        });

        journald.resume();
        assert!(looks.is_some(), "{text}");
    }
}

/// A reader and everything it has said.
struct Ear {
    reader: Reader,
    receiver: Receiver<Heard>,
    heard: Vec<Failure>,
    suppressed: Vec<(String, u64)>,
    /// Where another reader would go on.
    place: Start,
    switched: Option<u64>,
    is_caught_up: bool,
    /// The number of the next failure, where they are numbered.
    next: u32,
}

impl Ear {
    fn listen(journald: &Journald, start: Start, tasks: Vec<Task>) -> Self {
        let (journal, log) = (Journal::Directory(journald.directory()), LogName::journal());
        let (reader, receiver) = listen(journal, log, start.clone(), tasks).unwrap();
        Self {
            reader,
            receiver,
            heard: Vec::new(),
            suppressed: Vec::new(),
            place: start,
            switched: None,
            is_caught_up: false,
            next: 0,
        }
    }

    fn drain(&mut self) {
        while let Ok(heard) = self.receiver.try_recv() {
            match heard {
                Heard::Progress {
                    failures, position, ..
                } => {
                    self.heard.extend(failures);
                    self.place = Start::After(position);
                }
                Heard::Switched(generation) => self.switched = Some(generation),
                Heard::CaughtUp => self.is_caught_up = true,
                Heard::Suppressed { unit, messages } => self.suppressed.push((unit, messages)),
                // Not every trouble is one: what counts is what is heard after all.
                Heard::Trouble { .. }
                | Heard::Complaint { .. }
                | Heard::Recovered(_)
                | Heard::Gone(_)
                | Heard::Missed(_)
                | Heard::Beyond(_) => {}
            }
        }
    }

    fn expect_at_least(&mut self, next: u32) {
        wait_until(|| {
            self.drain();
            for failure in self.heard.iter() {
                if number(&failure.who) >= self.next {
                    assert_eq!(number(&failure.who), self.next, "lost or out of order");
                    self.next += 1;
                }
            }
            let last = self.heard.pop();
            self.heard.clear();
            self.heard.extend(last);
            self.next >= next
        });
    }

    /// Exactly these, in this order. What would come twice would come again within the next call.
    fn expect(&mut self, numbers: std::ops::Range<u32>) {
        assert_eq!(self.next, numbers.start);
        self.expect_at_least(numbers.end);
        assert_eq!(self.next, numbers.end);
    }

    /// Another reader goes on where this one had come to.
    fn restart(mut self, journald: &Journald, unit: &str, meanwhile: impl FnOnce()) -> Self {
        self.drain();
        self.expect_at_least(self.next);
        let next = self.next;
        self.reader.stop();
        meanwhile();
        let mut ear = Self::listen(journald, self.place, unit_jail(unit));
        ear.next = next;
        ear
    }
}

fn say(sender: &mut journald::Sender, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let address = Ipv4Addr::from(0x0a00_0000 + number);
        sender.say(&format!(
            "Failed password for root from {address} port 22 ssh2"
        ));
    }
}

fn number(who: &Who) -> u32 {
    let Who::Address(offender) = who else {
        panic!("never sent");
    };
    match offender.address() {
        IpAddr::V4(address) => u32::from(address) - 0x0a00_0000,
        IpAddr::V6(_) => panic!("never sent"),
    }
}

fn unit_jail(unit: &str) -> Vec<Task> {
    vec![jail(
        "sshd",
        &[&[&format!("_SYSTEMD_UNIT={unit}"), "_UID=0"]],
    )]
}

fn jail(name: &str, groups: &[&[&str]]) -> Task {
    let filter = Filter::compile(FilterSpec {
        name: name.to_owned(),
        fail: vec![r"^Failed password for \S+ from <HOST> port \d+".to_owned()],
        ..FilterSpec::default()
    });
    let group = |terms: &&[&str]| {
        let mut group = BTreeMap::<String, Vec<String>>::new();
        for (field, value) in terms.iter().map(|t| t.split_once('=').unwrap()) {
            group
                .entry(field.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        group
    };
    Task {
        matches: Matches(groups.iter().map(group).collect()),
        ..Task::new(JailName::new(name).unwrap(), filter.unwrap())
    }
}

/// So often is an entry looked for until it is found, each time after 4 ms.
const LOOKS: u32 = 8;
