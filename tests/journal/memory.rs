//! A failure may take several entries: cut between any two of them by a restart, by other filters or by
//! a fault, it is found all the same, and its lines too.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use banishd::engine::filter::failure::Failure;
use banishd::engine::filter::{Filter, FilterSpec};
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{JailName, Matches};
use banishd::engine::time::{Span, Timestamp};
use banishd::journal::listener::Listener;
use banishd::journal::matches::Selector;
use banishd::journal::script::Script;
use banishd::journal::terms::Terms;
use banishd::journal::{JournalError, LogSource, Start, Wake};
use banishd::reader::task::Task;
use banishd::reader::{Hangup, Heard, Outlet, Work as _};

/// When, and what. Some entries have the same time, one comes long after.
const LOG: [(u64, &str); 22] = [
    (0, "a: pend root"),
    (0, "b: nofail root 192.0.2.2"),
    (1, "noise"),
    (2, "c: pend root"),
    (2, "d: from 192.0.2.4"),
    (2, "b: nofail git 192.0.2.2"),
    (2, "a: close 192.0.2.1"),
    (2, "a: close 192.0.2.1"),
    (3, "b: accept git 192.0.2.2"),
    (4, "d: nofail root 192.0.2.4"),
    (5, "d: accept root 192.0.2.4"),
    (6, "c: from 192.0.2.3"),
    (7, "c: fail root 192.0.2.3"),
    (7, "e: pend root"),
    (8, "first of two"),
    (8, "noise"),
    (9, "second of two, from 192.0.2.9"),
    (10, "second of two, from 192.0.2.9"),
    (250, "f: pend root"),
    (299, "e: nofail root 192.0.2.5"),
    (310, "f: close 192.0.2.6"),
    (320, "e: close 192.0.2.5"),
];

/// Filters for connections and for several lines; with `more` other ones of the same meaning.
fn filters(more: &str) -> [Filter; 2] {
    let connections = FilterSpec {
        prefix: Some(r"^<F-MLFID>\w: </F-MLFID><F-CONTENT>.+</F-CONTENT>$".to_owned()),
        fail: vec![
            r"^pend <F-USER>\S+</F-USER>".to_owned(),
            r"^fail <F-USER>\S+</F-USER> <ADDR>".to_owned(),
            r"^<F-NOFAIL>(?:nofail <F-USER>\S+</F-USER>|from)</F-NOFAIL> <ADDR>".to_owned(),
            r"^<F-NOFAIL><F-MLFFORGET>close</F-MLFFORGET></F-NOFAIL> <ADDR>".to_owned(),
            r"^<F-MLFFORGET><F-MLFGAINED>accept</F-MLFGAINED></F-MLFFORGET> <F-USER>\S+</F-USER> <ADDR>"
                .to_owned(),
            format!("^never {more} <ADDR>"),
        ],
        ..FilterSpec::default()
    };
    let lines = FilterSpec {
        fail: vec![
            r"first of two\n(?:noise\n)?second of two, from <ADDR>".to_owned(),
            format!("^never {more} <ADDR>"),
        ],
        max_lines: 3,
        ..FilterSpec::default()
    };
    [connections, lines].map(|spec| Filter::compile(spec).expect("the patterns are good"))
}

/// One jail for each filter.
fn tasks(more: &str) -> Vec<Task> {
    static FILTERS: OnceLock<[[Filter; 2]; 2]> = OnceLock::new();
    let [usual, other] = FILTERS.get_or_init(|| ["", "more"].map(filters));
    let [connections, lines] = if more.is_empty() { usual } else { other };
    let task = |name, filter: &Filter| Task {
        max_matches: 10,
        matches: Matches(vec![
            [("_UID".to_owned(), vec!["0".to_owned()])]
                .into_iter()
                .collect(),
        ]),
        ..Task::new(JailName::new(name).unwrap(), filter.clone())
    };
    vec![task("connections", connections), task("lines", lines)]
}

/// The failures of an uncut run: from each jail, by whom, and of how many lines.
#[test]
fn an_uncut_run_finds_what_is_there() {
    let mut run = Run::new();

    run.listen(tasks(""), |_| ());

    let shown: Vec<String> = run
        .failures
        .iter()
        .map(|failure| format!("{} {} {}", failure.jail, failure.who, failure.lines.len()))
        .collect();
    assert_eq!(
        shown,
        [
            "connections 192.0.2.2 2",
            "connections 192.0.2.1 2",
            "connections 192.0.2.2 1",
            "connections 192.0.2.3 2",
            "connections 192.0.2.3 1",
            "lines 192.0.2.9 3",
            "connections 192.0.2.5 2",
            "connections 192.0.2.6 2",
        ]
    );
}

#[test]
fn a_restart_between_any_two_entries_changes_nothing() {
    let expected = uncut();
    for first in 0..=LOG.len() {
        for second in first..=LOG.len() {
            let mut run = Run::new();
            for end in [first, second, LOG.len()] {
                run.end.set(end);
                run.listen(tasks(""), |_| ());
            }
            assert_eq!(run.failures, expected, "cut before {first} and {second}");
        }
    }
}

#[test]
fn other_filters_know_what_led_up_to_their_first_entry() {
    let expected = uncut();
    for cut in 0..=LOG.len() {
        let mut run = Run::new();
        run.end.set(cut);
        let end = Rc::clone(&run.end);
        run.listen(tasks(""), |listener| {
            listener.turn().expect("somebody listens");
            listener.switch(1, tasks("more")).expect("somebody listens");
            end.set(LOG.len());
        });
        assert_eq!(run.failures, expected, "other filters before {cut}");
    }
}

#[test]
fn what_is_read_again_after_a_fault_is_not_remembered_twice() {
    let expected = uncut();
    for call in 0..60 {
        for fault in [Fault::Open, Fault::Next, Fault::Cursor] {
            let mut run = Run::new();
            run.fault.set(Some((fault, call)));
            // Half of it is behind us.
            run.end.set(LOG.len() / 2);
            run.listen(tasks(""), |_| ());
            run.end.set(LOG.len());
            run.listen(tasks(""), |_| ());
            assert_eq!(run.failures, expected, "{fault:?} {call}");
        }
    }
}

#[test]
fn a_pattern_that_gives_up_is_told_of_once() {
    let filter = Filter::compile(FilterSpec {
        fail: vec![r"^(?P<x>(?:a+)+)+(?P=x)!(?P=x)c <ADDR>$".to_owned()],
        ..FilterSpec::default()
    });
    let task = Task {
        filter: filter.expect("the pattern is good"),
        ..tasks("").remove(0)
    };
    let entry = format!("_UID=0\nMESSAGE={}!bc 192.0.2.1\n\n", "a".repeat(3000));
    let source = Script::new(io::Cursor::new(entry.repeat(3)));
    let heard = Rc::new(RefCell::new(Vec::new()));
    let start = Start::Since(Timestamp::default());
    let outlet = Ear(Rc::clone(&heard));
    let mut listener = Listener::new(source, outlet, LogName::journal(), start).with(vec![task]);

    while listener.turn() == Ok(true) {}

    let heard = heard.take();
    let complaints: Vec<&String> = heard
        .iter()
        .filter_map(|word| match word {
            Heard::Complaint { text, .. } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(complaints.len(), 1, "{heard:?}");
}

fn uncut() -> Vec<Failure> {
    let mut run = Run::new();
    run.listen(tasks(""), |_| ());
    run.failures
}

/// One reader after the other on the same log.
struct Run {
    /// So many entries have been written.
    end: Rc<Cell<usize>>,
    /// What will fail, and at which call.
    fault: Rc<Cell<Option<(Fault, usize)>>>,
    place: Start,
    failures: Vec<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Open,
    Next,
    Cursor,
}

impl Run {
    fn new() -> Self {
        Self {
            end: Rc::new(Cell::new(LOG.len())),
            fault: Rc::default(),
            place: Start::Since(Timestamp::default()),
            failures: Vec::new(),
        }
    }

    /// Reads to the end; first does what is asked.
    fn listen(&mut self, tasks: Vec<Task>, first: impl FnOnce(&mut Listener<Scripted, Ear>)) {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let source = Scripted {
            end: Rc::clone(&self.end),
            fault: Rc::clone(&self.fault),
            at: 0,
        };
        let outlet = Ear(Rc::clone(&heard));
        let mut listener =
            Listener::new(source, outlet, LogName::journal(), self.place.clone()).with(tasks);
        first(&mut listener);
        for _ in 0..50 {
            assert_eq!(listener.turn(), Ok(true));
        }
        for word in heard.take() {
            if let Heard::Progress {
                failures, position, ..
            } = word
            {
                self.failures.extend(failures);
                self.place = Start::After(position);
            }
        }
    }
}

struct Ear(Rc<RefCell<Vec<Heard>>>);

impl Outlet for Ear {
    fn send(&mut self, heard: Heard) -> Result<(), Hangup> {
        self.0.borrow_mut().push(heard);
        Ok(())
    }
}

struct Scripted {
    end: Rc<Cell<usize>>,
    fault: Rc<Cell<Option<(Fault, usize)>>>,
    at: usize,
}

impl Scripted {
    fn try_to(&self, now: Fault) -> Result<(), JournalError> {
        match self.fault.get() {
            Some((fault, 0)) if fault == now => {
                self.fault.set(None);
                Err(JournalError::Read(io::Error::other("scripted")))
            }
            Some((fault, calls)) if fault == now => {
                self.fault.set(Some((fault, calls - 1)));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn time(entry: usize) -> Timestamp {
    Timestamp::from_usec(1_795_338_710_000_000).plus(Span::from_secs(LOG[entry].0))
}

impl LogSource for Scripted {
    fn open(&mut self, start: &Start, _terms: &Terms) -> Result<(), JournalError> {
        self.try_to(Fault::Open)?;
        self.at = match start {
            Start::Since(since) => (0..LOG.len()).take_while(|at| time(*at) < *since).count(),
            Start::After(Position { cursor, .. }) => cursor.0.parse::<usize>().unwrap() + 1,
        };
        Ok(())
    }

    fn next(&mut self, selector: &mut Selector) -> Result<Option<Timestamp>, JournalError> {
        self.try_to(Fault::Next)?;
        if self.at >= self.end.get() {
            return Ok(None);
        }
        selector.begin();
        let _ = selector.take(b"_UID", b"0");
        let _ = selector.take(b"MESSAGE", LOG[self.at].1.as_bytes());
        self.at += 1;
        Ok(Some(time(self.at - 1)))
    }

    fn cursor(&mut self) -> Result<Cursor, JournalError> {
        self.try_to(Fault::Cursor)?;
        Ok(Cursor((self.at - 1).to_string().into()))
    }

    fn wait(&mut self, _pause: Option<Duration>) -> Result<Wake, JournalError> {
        Ok(Wake::Look)
    }

    fn close(&mut self) {}
}
