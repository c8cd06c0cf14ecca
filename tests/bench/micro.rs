//! The steps of the main path one by one: a line through the filter, a failure through the engine, a
//! ban that ends, the configuration read.
//!
//! Comes in: nothing. Goes out: divan's table.

use banishd::config::load;
use banishd::engine::Engine;
use banishd::engine::address::Offender;
use banishd::engine::effect::{Effect, Outcome, Remembered};
use banishd::engine::filter::failure::{Captures, Failure, Who};
use banishd::engine::filter::{Filter, Look, Memory};
use banishd::engine::ledger::Ledger;
use banishd::engine::ledger::ban::{Ban, Origin};
use banishd::engine::protected::Protected;
use banishd::engine::record::{Cursor, LogName, Position, Record};
use banishd::engine::settings::JailName;
use banishd::engine::time::{Boottime, Now, Span, Timestamp};
use divan::Bencher;
use divan::counter::ItemsCount;

mod measure;
mod rig;

/// Failures, and bans, in one run.
const COUNT: u32 = 9_000;

fn main() {
    divan::main();
}

#[divan::bench(args = [
    "Failed password for root from 198.51.100.7 port 40022 ssh2",
    "Failed password for invalid user admin from 2001:db8::7 port 40022 ssh2",
    "Invalid user admin from 198.51.100.7 port 40022",
])]
fn filter_finds(bencher: Bencher<'_, '_>, line: &str) {
    look(bencher, line, true);
}

#[divan::bench(args = [
    "Disconnected from authenticating user root 198.51.100.7 port 40022 [preauth]",
    "pam_unix(sshd:auth): check pass; user unknown",
    "Failed publickey for root from 198.51.100.7 port 40022 ssh2: RSA SHA256:47DEQpj8HBSa",
    "error: kex_exchange_identification: Connection closed by remote host",
])]
fn filter_passes(bencher: Bencher<'_, '_>, line: &str) {
    look(bencher, line, false);
}

fn look(bencher: Bencher<'_, '_>, line: &str, expected: bool) {
    let filter = filter();
    let record = Record {
        time: Timestamp::default(),
        pid: Some(7),
        message: line.as_bytes(),
        ..Record::default()
    };
    assert_eq!(
        filter
            .find(&mut Memory::default(), &record, &Look::default())
            .is_some(),
        expected,
        "{line}"
    );
    let mut memory = Memory::default();
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| filter.find(&mut memory, divan::black_box(&record), &Look::default()));
}

/// Every third failure bans.
#[divan::bench]
fn engine_counts_and_bans(bencher: Bencher<'_, '_>) {
    let jail = sshd();
    let failure = |number| Failure {
        jail: jail.clone(),
        who: Who::Address(offender(number / 3)),
        time: now().wall,
        pid: Some(number),
        advance: false,
        lines: Vec::new(),
        captures: Captures::default(),
    };
    let failures: Vec<Failure> = (0..COUNT).map(failure).collect();
    bencher
        .counter(ItemsCount::new(COUNT))
        .with_inputs(engine)
        .bench_values(|mut engine| {
            for failures in failures.chunks(rig::WORD) {
                engine.handle_failures(now(), failures, &LogName::journal(), position());
            }
            drain(&mut engine);
            assert_eq!(engine.ledger().len() * 3, failures.len());
            engine
        });
}

/// Nobody fails twice.
#[divan::bench]
fn engine_counts(bencher: Bencher<'_, '_>) {
    let jail = sshd();
    let failure = |number| Failure {
        jail: jail.clone(),
        who: Who::Address(offender(number)),
        time: now().wall,
        pid: Some(number),
        advance: false,
        lines: Vec::new(),
        captures: Captures::default(),
    };
    let failures: Vec<Failure> = (0..COUNT).map(failure).collect();
    bencher
        .counter(ItemsCount::new(COUNT))
        .with_inputs(engine)
        .bench_values(|mut engine| {
            for failures in failures.chunks(rig::WORD) {
                engine.handle_failures(now(), failures, &LogName::journal(), position());
            }
            drain(&mut engine);
            engine
        });
}

#[divan::bench]
fn ledger_expires(bencher: Bencher<'_, '_>) {
    let jail = sshd();
    let mut full = Ledger::default();
    for number in 0..COUNT {
        let ban = Ban {
            jail: jail.clone(),
            offender: offender(number),
            since: now().wall,
            until: Some(now().wall.plus(Span::from_usec(u64::from(number)))),
            failures: 3,
            earlier: 0,
            origin: Origin::Jail,
        };
        full.put(now(), ban);
    }
    let later = Now {
        boot: now().boot.plus(Span::from_secs(600)),
        ..now()
    };
    bencher
        .counter(ItemsCount::new(COUNT))
        .with_inputs(|| full.clone())
        .bench_values(|mut ledger| {
            let ended = std::iter::from_fn(|| ledger.expire(later, None)).count();
            assert_eq!(ended, full.len());
            ledger
        });
}

#[divan::bench]
fn configuration_is_read() -> bool {
    let (settings, problems) = load(&rig::layout());
    assert!(problems.is_empty(), "{problems:?}");
    settings.incomplete
}

fn engine() -> Engine {
    let mut engine = Engine::new(
        now(),
        rig::settings(),
        Protected::default(),
        Remembered::default(),
    );
    engine.handle_caught_up(now());
    drain(&mut engine);
    engine
}

/// Every effect is done at once.
fn drain(engine: &mut Engine) {
    while let Some(effect) = engine.poll_effect() {
        if let Effect::Persist(_) | Effect::Install(..) | Effect::Apply(_) = effect {
            engine.handle_outcome(Outcome::Done);
        }
    }
}

fn filter() -> Filter {
    let jail = rig::settings().jails.remove(&sshd());
    jail.expect("config/jail.conf has the jail sshd").filter
}

fn sshd() -> JailName {
    JailName::new("sshd").expect("this is a jail's name")
}

fn offender(number: u32) -> Offender {
    Offender::host(std::net::Ipv4Addr::from(0xc612_0000 + number).into())
}

fn now() -> Now {
    Now {
        wall: Timestamp::from_usec(1_795_000_000_000_000),
        boot: Boottime::from_usec(3_000_000_000),
        asleep: Span::ZERO,
    }
}

fn position() -> Position {
    Position {
        cursor: Cursor("s=5d1f;i=1;b=9d46;m=0;t=0;x=0".into()),
        time: now().wall,
    }
}
