//! What a store should say, by the simplest means, and commits to say it of.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as the test may"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use banishd::engine::address::Offender;
use banishd::engine::effect::{Commit, JailRecord, Remembered};
use banishd::engine::filter::failure::{Captures, Failure, Who};
use banishd::engine::jail::window::{Entry, Window};
use banishd::engine::ledger::ban::{Ban, History, Origin};
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{JailName, JailRules, Ports, Protocol};
use banishd::engine::time::Timestamp;
use banishd::store::{FILE, Store};
use proptest::prelude::*;

/// Leaves a database whose log was not merged, as a crash does.
pub(crate) fn leave_with_log(dir: &Path) {
    let other = tempfile::tempdir().unwrap();
    let mut store = Store::open(other.path()).unwrap().store;
    (1..60).for_each(|number| store.commit(&numbered(number)).unwrap());
    for part in [FILE.to_owned(), format!("{FILE}-wal")] {
        fs::copy(other.path().join(&part), dir.join(&part)).unwrap();
    }
}

/// The commits of the crash tests: the position tells how many there were.
pub(crate) fn numbered(number: u32) -> Commit {
    let jail = JailName::new("sshd").unwrap();
    let who = |n: u32| Offender::host(std::net::Ipv4Addr::from(0x0a00_0000 + n % 500).into());
    let ban = Ban {
        jail: jail.clone(),
        offender: who(number),
        since: Timestamp::from_usec(number.into()),
        until: Some(Timestamp::from_usec(u64::MAX)),
        failures: number,
        earlier: 0,
        origin: Origin::Jail,
    };
    let entry = Entry {
        time: Timestamp::from_usec(number.into()),
        advance_of: Some(number),
        captures: Captures::of([("user", "root")]),
    };
    let window = Window {
        entries: vec![entry; 3],
        lines: vec!["a line".into()],
        is_due: true,
    };
    let rules = JailRules {
        protocol: Protocol::Tcp,
        ports: Ports::Ranges(vec![(22, 22)]),
    };
    let record = JailRecord {
        rules,
        bans_total: number.into(),
        failures_total: u64::MAX,
    };
    Commit {
        bans: vec![(ban, Some(vec!["a line".into(), "another".into()]))],
        unbans: vec![(jail.clone(), who(number + 250))],
        windows: vec![
            (jail.clone(), who(number), Some(window)),
            (jail.clone(), who(number + 300), None),
        ],
        histories: vec![(
            jail.clone(),
            who(number),
            Some(History {
                bans: number,
                last: Timestamp::from_usec(1),
            }),
        )],
        jails: vec![(jail, Some(record))],
        positions: vec![(
            LogName::journal(),
            Some(Position {
                cursor: Cursor(format!("s=0123456789abcdef;i={number}").into()),
                time: Timestamp::from_usec(number.into()),
            }),
        )],
        unresolved: vec![("a.example".into(), vec![waiting("a.example", number)])],
        durable: number.is_multiple_of(3),
    }
}

fn waiting(name: &str, number: u32) -> Failure {
    Failure {
        jail: JailName::new("sshd").unwrap(),
        who: Who::Name(name.into()),
        time: Timestamp::from_usec(number.into()),
        pid: Some(number),
        advance: number.is_multiple_of(2),
        lines: vec!["a line".into()],
        captures: Captures::of([("user", "root")]),
    }
}

pub(crate) fn last_number(remembered: &Remembered) -> u32 {
    remembered
        .positions
        .get(&LogName::journal())
        .map_or(0, |p| p.time.usec().try_into().unwrap())
}

pub(crate) fn offender(text: &str) -> Offender {
    text.parse().expect("an address")
}

/// What a store should say, by the simplest means.
#[derive(Default)]
pub(crate) struct Model {
    bans: BTreeMap<(JailName, Offender), Ban>,
    windows: BTreeMap<(JailName, Offender), Window>,
    histories: BTreeMap<(JailName, Offender), History>,
    jails: BTreeMap<JailName, JailRecord>,
    positions: BTreeMap<LogName, Position>,
    pub(crate) lines: BTreeMap<(JailName, Offender), Vec<Box<str>>>,
    unresolved: BTreeMap<Box<str>, Vec<Failure>>,
}

impl Model {
    pub(crate) fn commit(&mut self, commit: &Commit) {
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
            set(&mut self.windows, (jail.clone(), *offender), window);
        }
        for (jail, offender, history) in &commit.histories {
            set(&mut self.histories, (jail.clone(), *offender), history);
        }
        for (jail, record) in &commit.jails {
            set(&mut self.jails, jail.clone(), record);
        }
        for (log, position) in &commit.positions {
            set(&mut self.positions, log.clone(), position);
        }
        for (name, failures) in &commit.unresolved {
            self.unresolved.insert(name.clone(), failures.clone());
        }
    }

    pub(crate) fn remembered(&self) -> Remembered {
        let key = |(jail, offender): &(JailName, Offender)| (jail.clone(), *offender);
        Remembered {
            bans: self.bans.values().cloned().collect(),
            windows: self
                .windows
                .iter()
                .map(|(k, w)| (key(k).0, k.1, w.clone()))
                .collect(),
            histories: self
                .histories
                .iter()
                .map(|(k, h)| (key(k).0, k.1, *h))
                .collect(),
            jails: self
                .jails
                .iter()
                .map(|(j, r)| (j.clone(), r.clone()))
                .collect(),
            positions: self.positions.clone(),
            unresolved: self.unresolved.values().flatten().cloned().collect(),
        }
    }
}

pub(crate) fn set<K: Ord, V: Clone>(map: &mut BTreeMap<K, V>, key: K, value: &Option<V>) {
    match value {
        Some(value) => map.insert(key, value.clone()),
        None => map.remove(&key),
    };
}

pub(crate) fn sorted(mut remembered: Remembered) -> Remembered {
    remembered
        .bans
        .sort_by(|a, b| (&a.jail, a.offender).cmp(&(&b.jail, b.offender)));
    remembered
        .windows
        .sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    remembered
        .histories
        .sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    remembered
}

pub(crate) fn any_jail() -> impl Strategy<Value = JailName> {
    prop_oneof![Just("sshd"), Just("a"), Just("web-auth.2")]
        .prop_map(|n| JailName::new(n).expect("a name"))
}

pub(crate) fn any_offender() -> impl Strategy<Value = Offender> {
    prop_oneof![
        (0..4u8).prop_map(|n| Offender::host([192, 0, 2, n].into())),
        Just("2001:db8::7").prop_map(offender),
        Just("198.51.100.0/24").prop_map(offender),
    ]
}

pub(crate) fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![4 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(0)].prop_map(Timestamp::from_usec)
}

pub(crate) fn any_ban() -> impl Strategy<Value = Ban> {
    let origin = prop_oneof![Just(Origin::Jail), Just(Origin::Manual)];
    let numbers = (any::<u32>(), any::<u32>());
    (
        any_jail(),
        any_offender(),
        any_time(),
        prop::option::of(any_time()),
        numbers,
        origin,
    )
        .prop_map(
            |(jail, offender, since, until, (failures, earlier), origin)| Ban {
                jail,
                offender,
                since,
                until,
                failures,
                earlier,
                origin,
            },
        )
}

pub(crate) fn any_window() -> impl Strategy<Value = Window> {
    let entry = (any_time(), prop::option::of(any::<u32>()), any_captures()).prop_map(
        |(time, advance_of, captures)| Entry {
            time,
            advance_of,
            captures,
        },
    );
    let entries = prop::collection::vec(entry, 0..5);
    (entries, any_lines(), any::<bool>()).prop_map(|(entries, lines, is_due)| Window {
        entries,
        lines,
        is_due,
    })
}

fn any_captures() -> impl Strategy<Value = Captures> {
    let texts = prop::collection::btree_map("[a-z]{1,5}", "[ -~é\n]{0,9}", 0..3);
    texts.prop_map(|texts| {
        let texts = texts
            .iter()
            .map(|(group, text)| (group.as_str(), text.as_str()));
        Captures::of(texts)
    })
}

fn any_lines() -> impl Strategy<Value = Vec<Box<str>>> {
    prop::collection::vec("[ -~é]{1,20}".prop_map(Box::from), 0..3)
}

fn any_unresolved() -> impl Strategy<Value = (Box<str>, Vec<Failure>)> {
    let failure = (
        any_jail(),
        any_time(),
        any::<(Option<u32>, bool)>(),
        any_lines(),
        any_captures(),
    );
    let name = prop::sample::select(vec!["a.example", "b.example"]);
    (name, prop::collection::vec(failure, 0..3)).prop_map(|(name, failures)| {
        let failure = |(jail, time, (pid, advance), lines, captures)| Failure {
            jail,
            who: Who::Name(name.into()),
            time,
            pid,
            advance,
            lines,
            captures,
        };
        (name.into(), failures.into_iter().map(failure).collect())
    })
}

pub(crate) fn any_record() -> impl Strategy<Value = JailRecord> {
    let ports = prop_oneof![
        Just(Ports::All),
        prop::collection::btree_set(any::<u16>(), 2..7).prop_map(|set| {
            let ports: Vec<u16> = set.into_iter().collect();
            Ports::Ranges(
                ports
                    .chunks_exact(2)
                    .map(|pair| (pair[0], pair[1]))
                    .collect(),
            )
        }),
    ];
    let protocol = prop_oneof![
        Just(Protocol::Tcp),
        Just(Protocol::Udp),
        Just(Protocol::All)
    ];
    (protocol, ports, any::<u64>(), any::<u64>()).prop_map(
        |(protocol, ports, bans_total, failures_total)| JailRecord {
            rules: JailRules { protocol, ports },
            bans_total,
            failures_total,
        },
    )
}

fn any_log() -> impl Strategy<Value = LogName> {
    prop::sample::select(vec!["journal", "file:/var/log/a"]).prop_map(LogName::named)
}

pub(crate) fn commit() -> impl Strategy<Value = Commit> {
    let history = (any::<u32>(), any_time()).prop_map(|(bans, last)| History { bans, last });
    let position = ("[a-z0-9=;]{1,40}", any_time()).prop_map(|(cursor, time)| Position {
        cursor: Cursor(cursor.into()),
        time,
    });
    let few = 0..4usize;
    (
        prop::collection::vec((any_ban(), prop::option::of(any_lines())), few.clone()),
        prop::collection::vec((any_jail(), any_offender()), few.clone()),
        prop::collection::vec(
            (any_jail(), any_offender(), prop::option::of(any_window())),
            few.clone(),
        ),
        prop::collection::vec(
            (any_jail(), any_offender(), prop::option::of(history)),
            few.clone(),
        ),
        prop::collection::vec((any_jail(), prop::option::of(any_record())), few),
        prop::collection::vec((any_log(), prop::option::of(position)), 0..4usize),
        (
            prop::collection::vec(any_unresolved(), 0..3usize),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(bans, unbans, windows, histories, jails, positions, (unresolved, durable))| Commit {
                bans,
                unbans,
                windows,
                histories,
                jails,
                positions,
                unresolved,
                durable,
            },
        )
}
