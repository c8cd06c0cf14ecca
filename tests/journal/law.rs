//! The law: whatever the source does and whenever the program dies, every failure is reported once, in
//! order. A source that errs at any call, a crash after any message, a switch at any moment.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use banishd::engine::filter::failure::Failure;
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::time::Timestamp;
use banishd::journal::listener::Listener;
use banishd::journal::matches::Selector;
use banishd::journal::terms::Terms;
use banishd::journal::{JournalError, LogSource, Start, Wake};
use banishd::reader::{Hangup, Heard, Outlet, Work};
use proptest::prelude::*;

use crate::journal::{jail, number};

proptest! {
    #[test]
    fn every_failure_is_reported_once_and_in_order(
        entries in 0_u32..3000,
        chatter in 1_u32..40,
        faults in proptest::collection::vec((0_usize..400, any::<Fault>()), 0..12),
        crashes in proptest::collection::vec(0_usize..12, 0..6),
        switches in proptest::collection::vec(0_usize..20, 0..4),
    ) {
        let world = World::new(entries, chatter, faults, switches);
        let mut failures = Vec::new();
        let mut start = Start::Since(Timestamp::default());

        for messages in crashes.into_iter().chain([usize::MAX]) {
            start = world.run(start, messages, &mut failures);
        }

        let expected: Vec<u32> = (0..entries).filter(|n| n % chatter == 0).collect();
        let heard: Vec<u32> = failures.iter().map(|f| number(&f.who)).collect();
        prop_assert_eq!(heard, expected);
    }
}

#[test]
fn trouble_is_told_once_and_pauses_grow() {
    let faults = (0..6).map(|call| (call, Fault::Open)).collect();
    let world = World::new(5, 1, faults, Vec::new());

    let mut failures = Vec::new();
    world.run(
        Start::Since(Timestamp::default()),
        usize::MAX,
        &mut failures,
    );

    assert_eq!(failures.len(), 5);
    assert_eq!(*world.troubles.borrow(), 1);
    let pauses = world.pauses.borrow();
    assert_eq!(pauses.len(), 6);
    assert!(pauses.windows(2).all(|pair| pair[1] == pair[0] * 2));
}

#[test]
fn recovery_is_told_once_all_has_gone_well_for_a_while() {
    for (looks, told) in [(5, 0), (100, 1)] {
        let faults = [(0, Fault::Open)].into_iter();
        let looks = (0..looks).map(|_| (0, Fault::Reopen));
        let world = World::new(5, 1, faults.chain(looks).collect(), Vec::new());

        world.run(
            Start::Since(Timestamp::default()),
            usize::MAX,
            &mut Vec::new(),
        );

        assert_eq!(*world.recoveries.borrow(), told);
    }
}

#[test]
fn an_entry_that_can_never_be_read_is_left_behind() {
    let world = World::new(20, 1, Vec::new(), Vec::new());
    *world.poison.borrow_mut() = Some(7);

    let mut failures = Vec::new();
    world.run(
        Start::Since(Timestamp::default()),
        usize::MAX,
        &mut failures,
    );

    let heard: Vec<u32> = failures.iter().map(|f| number(&f.who)).collect();
    let expected: Vec<u32> = (0..20).filter(|n| *n != 7).collect();
    assert_eq!(heard, expected);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Open,
    Next,
    /// As libsystemd: stands at the next entry afterwards, without having given it out.
    Slip,
    Cursor,
    Wait,
    Reopen,
}

impl Arbitrary for Fault {
    type Parameters = ();
    type Strategy = proptest::sample::Select<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let all = [
            Self::Open,
            Self::Next,
            Self::Slip,
            Self::Cursor,
            Self::Wait,
            Self::Reopen,
        ];
        proptest::sample::select(all.to_vec())
    }
}

/// A log of `entries` entries, one in `chatter` of which is a failure, and what will go wrong with it.
#[derive(Clone)]
struct World {
    entries: u32,
    chatter: u32,
    /// The nth call of that kind fails.
    faults: Rc<RefCell<Vec<(usize, Fault)>>>,
    poison: Rc<RefCell<Option<u32>>>,
    switches: Rc<RefCell<VecDeque<usize>>>,
    troubles: Rc<RefCell<u32>>,
    recoveries: Rc<RefCell<u32>>,
    pauses: Rc<RefCell<Vec<Duration>>>,
}

impl World {
    fn new(entries: u32, chatter: u32, faults: Vec<(usize, Fault)>, switches: Vec<usize>) -> Self {
        Self {
            entries,
            chatter,
            faults: Rc::new(RefCell::new(faults)),
            poison: Rc::default(),
            switches: Rc::new(RefCell::new(switches.into())),
            troubles: Rc::default(),
            recoveries: Rc::default(),
            pauses: Rc::default(),
        }
    }

    /// Runs until the log has ended or so many messages are through; returns where to go on.
    fn run(&self, start: Start, messages: usize, failures: &mut Vec<Failure>) -> Start {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let outlet = Crashing(messages, Rc::clone(&heard));
        let source = Scripted {
            world: self.clone(),
            at: 0,
            shown: None,
        };
        let tasks = || vec![jail("sshd", &[&["_SYSTEMD_UNIT=ssh.service"]])];
        let mut listener =
            Listener::new(source, outlet, LogName::journal(), start.clone()).with(tasks());
        let mut turns = 0;
        while listener.turn() == Ok(true) {
            turns += 1;
            let mut switches = self.switches.borrow_mut();
            if switches.front().is_some_and(|turn| *turn <= turns) {
                switches.pop_front();
                let _ = listener.switch(1, tasks());
            }
        }
        let mut start = start;
        for message in heard.take() {
            match message {
                Heard::Progress {
                    failures: some,
                    position,
                    ..
                } => {
                    failures.extend(some);
                    start = Start::After(position);
                }
                Heard::Trouble { .. } => *self.troubles.borrow_mut() += 1,
                Heard::Recovered(_) => *self.recoveries.borrow_mut() += 1,
                _ => {}
            }
        }
        start
    }

    fn fails(&self, now: Fault) -> bool {
        let mut hit = false;
        self.faults.borrow_mut().retain_mut(|(calls, fault)| {
            let due = *fault == now && *calls == 0;
            if *fault == now && !due {
                *calls -= 1;
            }
            let fires = due && !hit;
            hit |= fires;
            !fires
        });
        hit
    }
}

struct Scripted {
    world: World,
    at: u32,
    shown: Option<u32>,
}

impl LogSource for Scripted {
    fn open(&mut self, start: &Start, _terms: &Terms) -> Result<(), JournalError> {
        if self.world.fails(Fault::Open) {
            return Err(JournalError::Open(io::Error::other("scripted")));
        }
        self.shown = None;
        self.at = match start {
            Start::Since(time) => u32::try_from(time.usec().div_ceil(1_000_000)).unwrap(),
            Start::After(Position { cursor, .. }) => cursor.0.parse::<u32>().unwrap() + 1,
        };
        Ok(())
    }

    fn next(&mut self, selector: &mut Selector) -> Result<Option<Timestamp>, JournalError> {
        let error = || Err(JournalError::Read(io::Error::other("scripted")));
        if *self.world.poison.borrow() == Some(self.at) || self.world.fails(Fault::Next) {
            return error();
        }
        if self.at >= self.world.entries {
            return Ok(None);
        }
        self.shown = Some(self.at);
        if self.world.fails(Fault::Slip) {
            return error();
        }
        selector.begin();
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + self.at);
        let text = match self.at % self.world.chatter {
            0 => format!("Failed password for root from {address} port 22 ssh2"),
            _ => "nothing".to_owned(),
        };
        let _ = selector.take(b"_SYSTEMD_UNIT", b"ssh.service");
        let _ = selector.take(b"MESSAGE", text.as_bytes());
        self.at += 1;
        Ok(self.shown.map(seconds))
    }

    fn cursor(&mut self) -> Result<Cursor, JournalError> {
        match self.shown {
            Some(shown) if !self.world.fails(Fault::Cursor) => Ok(Cursor(shown.to_string().into())),
            _ => Err(JournalError::Read(io::Error::other("scripted"))),
        }
    }

    fn wait(&mut self, pause: Option<Duration>) -> Result<Wake, JournalError> {
        // Pauses after trouble are longer than any between two looks.
        if let Some(pause) = pause.filter(|p| *p > Duration::from_millis(10)) {
            self.world.pauses.borrow_mut().push(pause);
            return Ok(Wake::Look);
        }
        if self.world.fails(Fault::Wait) {
            return Err(JournalError::Watch(io::Error::other("scripted")));
        }
        match self.world.fails(Fault::Reopen) {
            true => Ok(Wake::Reopen),
            false => Ok(Wake::Ended),
        }
    }

    fn close(&mut self) {
        self.shown = None;
    }
}

fn seconds(number: u32) -> Timestamp {
    Timestamp::from_usec(u64::from(number) * 1_000_000)
}

/// Takes so many messages and then is gone.
struct Crashing(usize, Rc<RefCell<Vec<Heard>>>);

impl Outlet for Crashing {
    fn send(&mut self, heard: Heard) -> Result<(), Hangup> {
        self.0 = self.0.checked_sub(1).ok_or(Hangup)?;
        self.1.borrow_mut().push(heard);
        Ok(())
    }
}
