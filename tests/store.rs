//! The store: commits, crashes, corrupt files.

mod model;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use banishd::engine::effect::{JailRecord, Remembered};
use banishd::engine::filter::failure::{Captures, Failure, Who};
use banishd::engine::jail::window::{Entry, Window};
use banishd::engine::ledger::ban::{Ban, History, Origin};
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{JailName, JailRules, Ports, Protocol};
use banishd::engine::time::Timestamp;
use banishd::store::{FILE, Opened, Store, StoreError};
use proptest::prelude::*;
use rusqlite::Connection;

use model::{Model, commit, last_number, leave_with_log, numbered, offender, sorted};

#[test]
fn a_new_directory_holds_nothing_and_its_file_is_private() {
    let dir = tempfile::tempdir().unwrap();

    let opened = Store::open(dir.path()).unwrap();

    assert_eq!(opened.remembered, Remembered::default());
    assert!(opened.warnings.is_empty() && opened.store.is_persistent());
    for part in [FILE.to_owned(), format!("{FILE}-wal")] {
        let mode = fs::metadata(dir.path().join(&part))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{part}");
    }
}

#[test]
fn the_memory_store_takes_everything_and_keeps_nothing() {
    let mut store = Store::in_memory();

    store.commit(&numbered(1)).unwrap();

    assert!(!store.is_persistent());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn commits_equal_their_sum(commits in prop::collection::vec(commit(), 0..12)) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::default();

        let mut opened = Store::open(dir.path()).unwrap();
        for (index, commit) in commits.iter().enumerate() {
            opened.store.commit(commit).unwrap();
            model.commit(commit);
            if index % 5 == 4 {
                drop(opened);
                opened = Store::open(dir.path()).unwrap();
            }
        }
        drop(opened);

        let opened = Store::open(dir.path()).unwrap();
        prop_assert_eq!(sorted(opened.remembered), model.remembered());
        prop_assert!(opened.warnings.is_empty());
        for ((jail, offender), lines) in &model.lines {
            prop_assert_eq!(&opened.store.lines(jail, offender).unwrap(), lines);
        }
    }
}

/// The child of the next test: commits for ever and says after each commit which one is done.
#[test]
fn child_commits_until_killed() {
    let Some(dir) = std::env::var_os("BANISHD_TEST_STORE") else {
        return;
    };
    let mut opened = Store::open(Path::new(&dir)).unwrap();
    let last = last_number(&opened.remembered);
    for number in last + 1.. {
        opened.store.commit(&numbered(number)).unwrap();
        // The test harness captures print; this goes past it.
        writeln!(std::io::stderr(), "done {number}").unwrap();
    }
}

/// A user saw bans without the position they belong to, or a position without its bans, after a crash.
#[test]
fn a_killed_process_leaves_exactly_one_of_its_commits() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test kills itself in another process"
        )]
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "store::child_commits_until_killed",
                "--exact",
                "--nocapture",
            ])
            .env("BANISHD_TEST_STORE", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for _ in 0..round * 7 + 1 {
            lines.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let told = lines
            .map_while(Result::ok)
            .filter(|line| line.starts_with("done "))
            .last();

        let opened = Store::open(dir.path()).unwrap();

        let last = last_number(&opened.remembered);
        if let Some(told) = told {
            assert!(
                last >= told["done ".len()..].trim().parse().unwrap(),
                "lost a commit"
            );
        }
        let mut model = Model::default();
        (1..=last).for_each(|number| model.commit(&numbered(number)));
        assert_eq!(sorted(opened.remembered), model.remembered());
        assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is in the file: no panic, no hang, and a store that works.
    #[test]
    fn damage_anywhere_leaves_a_working_store(
        places in prop::collection::vec((0.0..1.0f64, any::<u8>()), 0..12),
        cut in prop::option::weighted(0.3, 0.0..1.0f64),
        which in prop_oneof![Just(""), Just("-wal")],
    ) {
        let dir = tempfile::tempdir().unwrap();
        leave_with_log(dir.path());
        let path = dir.path().join(format!("{FILE}{which}"));
        let mut bytes = fs::read(&path).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..len")]
        let place = |part: f64| (part * bytes.len() as f64) as usize;
        let places: Vec<_> = places.into_iter().map(|(part, byte)| (place(part), byte)).collect();
        let cut = cut.map(place);
        for (place, byte) in places {
            bytes[place] = byte;
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        fs::write(&path, &bytes).unwrap();

        let mut opened = Store::open(dir.path()).unwrap();

        opened.store.commit(&numbered(7_000)).unwrap();
        drop(opened);
        let again = Store::open(dir.path()).unwrap();
        prop_assert_eq!(last_number(&again.remembered), 7_000);
    }
}

#[test]
fn a_damaged_file_is_set_aside_whole_and_named_in_the_warning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let nonsense = b"SQLite format 2\0 no, it is not";
    for round in 1..=2 {
        fs::write(&path, nonsense).unwrap();
        fs::write(dir.path().join(format!("{FILE}-wal")), nonsense).unwrap();

        let opened = Store::open(dir.path()).unwrap();

        let kept = dir.path().join(format!("{FILE}.corrupt-{round}"));
        assert_eq!(opened.remembered, Remembered::default());
        assert!(
            opened.warnings[0].contains(kept.to_str().unwrap()),
            "{:?}",
            opened.warnings
        );
        for suffix in ["", "-wal"] {
            let kept = dir.path().join(format!("{FILE}.corrupt-{round}{suffix}"));
            assert_eq!(fs::read(kept).unwrap(), nonsense, "{suffix}");
        }
    }
}

#[test]
fn a_later_or_foreign_database_is_set_aside_unchanged() {
    for (script, suffix, word) in [
        (
            "PRAGMA application_id = 1114534760; PRAGMA user_version = 99; CREATE TABLE t (a)",
            "version-99-1",
            "later",
        ),
        (
            "CREATE TABLE contacts (name)",
            "foreign-1",
            "not a database of banishd",
        ),
        (
            "PRAGMA user_version = 1",
            "foreign-1",
            "not a database of banishd",
        ),
        (
            "PRAGMA application_id = 1114534760; PRAGMA user_version = 1",
            "corrupt-1",
            "damaged",
        ),
        (
            "PRAGMA application_id = 1114534760; PRAGMA user_version = 1; CREATE TABLE ban (jail)",
            "corrupt-1",
            "damaged",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        Connection::open(&path)
            .unwrap()
            .execute_batch(script)
            .unwrap();
        let before = fs::read(&path).unwrap();

        let opened = Store::open(dir.path()).unwrap();

        assert!(opened.warnings[0].contains(word), "{:?}", opened.warnings);
        let kept = dir.path().join(format!("{FILE}.{suffix}"));
        // Asking for WAL writes two bytes of the header before the tables are looked at.
        assert_eq!(fs::read(kept).unwrap()[100..], before[100..], "{script}");
    }
}

#[test]
fn rows_without_sense_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = Store::open(dir.path()).unwrap();
    opened.store.commit(&numbered(1)).unwrap();
    drop(opened);
    Connection::open(dir.path().join(FILE))
        .unwrap()
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             INSERT INTO ban VALUES (1, 'not an address', 1, 2, 3, 4, 'jail', NULL);
             INSERT INTO ban VALUES (1, '::ffff:192.0.2.200', 1, 2, 3, 4, 'jail', NULL);
             INSERT INTO ban VALUES (1, '192.0.2.201', 1, 2, -3, 4, 'jail', NULL);
             INSERT INTO ban VALUES (1, '192.0.2.202', 1, 2, 3, 4, 'whim', NULL);
             INSERT INTO ban VALUES (77, '192.0.2.203', 1, 2, 3, 4, 'jail', NULL);
             INSERT INTO failing VALUES (1, '192.0.2.204', x'0102', NULL, 0);
             INSERT INTO unresolved VALUES ('a.example', 9, 77, 1, NULL, 0, NULL, NULL);
             INSERT INTO unresolved VALUES ('a.example', 8, 1, 1, NULL, 0, NULL, x'61');
             INSERT INTO history VALUES (1, '192.0.2.205', 5000000000, 1);
             INSERT INTO jail VALUES (9, 'no such name!', 'tcp', '22', 0, 0);",
        )
        .unwrap();

    let opened = Store::open(dir.path()).unwrap();

    let mut model = Model::default();
    model.commit(&numbered(1));
    assert_eq!(sorted(opened.remembered), model.remembered());
    assert!(
        opened.warnings[0].starts_with("10 rows of "),
        "{:?}",
        opened.warnings
    );
}

#[test]
fn version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let script = include_str!("data/store/v1.sql");
    Connection::open(dir.path().join(FILE))
        .unwrap()
        .execute_batch(script)
        .unwrap();

    let opened = Store::open(dir.path()).unwrap();

    assert_eq!(opened.remembered, what_version_1_says());
    assert!(opened.warnings.is_empty());
}

#[test]
fn version_2_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let script = include_str!("data/store/v2.sql");
    Connection::open(dir.path().join(FILE))
        .unwrap()
        .execute_batch(script)
        .unwrap();

    let opened = Store::open(dir.path()).unwrap();

    assert_eq!(opened.remembered, what_version_2_says());
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    let sshd = JailName::new("sshd").unwrap();
    let lines = opened.store.lines(&sshd, &offender("192.0.2.1")).unwrap();
    assert_eq!(lines, ["first".into(), "second".into()]);
}

#[test]
fn version_3_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let script = include_str!("data/store/v3.sql");
    Connection::open(dir.path().join(FILE))
        .unwrap()
        .execute_batch(script)
        .unwrap();

    let opened = Store::open(dir.path()).unwrap();

    let mut expected = what_version_2_says();
    let captures = Captures::of([("fport", "77"), ("user", "root")]);
    expected.windows[0].2.entries[1].captures = captures.clone();
    expected.unresolved[0].captures = captures;
    assert_eq!(opened.remembered, expected);
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
}

fn what_version_2_says() -> Remembered {
    let mut expected = what_version_1_says();
    expected.windows[0].2.lines = vec!["a line".into()];
    expected.windows[0].2.is_due = true;
    expected.positions.insert(
        LogName::named("file:/var/log/auth.log"),
        Position {
            cursor: Cursor("2:77".into()),
            time: Timestamp::from_usec(5),
        },
    );
    expected.unresolved = vec![Failure {
        jail: JailName::new("sshd").expect("a name"),
        who: Who::Name("a.example".into()),
        time: Timestamp::from_usec(7),
        pid: Some(9),
        advance: true,
        lines: vec!["one".into(), "two".into()],
        captures: Captures::default(),
    }];
    expected
}

fn two_failures() -> Window {
    let entry = |time, advance_of| Entry {
        time: Timestamp::from_usec(time),
        advance_of,
        captures: Captures::default(),
    };
    Window {
        entries: vec![entry(1_000_000, None), entry(2_000_000, Some(12_345))],
        ..Window::default()
    }
}

fn what_version_1_says() -> Remembered {
    let sshd = JailName::new("sshd").expect("a name");
    let time = Timestamp::from_usec;
    Remembered {
        bans: vec![
            Ban {
                jail: sshd.clone(),
                offender: offender("192.0.2.1"),
                since: time(1_000_000),
                until: Some(time(601_000_000)),
                failures: 3,
                earlier: 1,
                origin: Origin::Jail,
            },
            Ban {
                jail: JailName::new("gone").expect("a name"),
                offender: offender("2001:db8::/64"),
                since: time(2_000_000),
                until: None,
                failures: 0,
                earlier: 0,
                origin: Origin::Manual,
            },
        ],
        windows: vec![(sshd.clone(), offender("198.51.100.7"), two_failures())],
        histories: vec![(
            sshd.clone(),
            offender("192.0.2.1"),
            History {
                bans: 2,
                last: time(1_000_000),
            },
        )],
        jails: vec![(
            sshd,
            JailRecord {
                rules: JailRules {
                    protocol: Protocol::Tcp,
                    ports: Ports::Ranges(vec![(22, 22), (6000, 6010)]),
                },
                bans_total: 7,
                failures_total: 21,
            },
        )],
        positions: BTreeMap::from([(
            LogName::journal(),
            Position {
                cursor: Cursor("s=abc;i=1".into()),
                time: time(2_000_001),
            },
        )]),
        ..Remembered::default()
    }
}

#[test]
fn an_unusable_place_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();

    let error = Store::open(&dir.path().join("missing")).unwrap_err();
    assert!(
        matches!(error, StoreError::NoDirectory { .. }) && error.to_string().contains("install -d")
    );

    fs::create_dir(dir.path().join(FILE)).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }) && error.to_string().contains("chown"));
}

#[test]
fn another_programs_lock_fails_a_commit_and_the_next_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap().store;
    let other = Connection::open(dir.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let error = store.commit(&numbered(1)).unwrap_err();
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&numbered(1)).unwrap();

    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let seen: i64 = other
        .query_row("SELECT count(*) FROM ban", [], |row| row.get(0))
        .unwrap();
    assert_eq!(seen, 1, "a reader sees it while the store is open");
}

/// The child of the next test: fills the file system it is in, then makes room again.
#[test]
fn child_fills_its_disk() {
    let Some(dir) = std::env::var_os("BANISHD_TEST_FULL") else {
        return;
    };
    let dir = Path::new(&dir);
    let mut store = Store::open(dir).unwrap().store;
    let mut model = Model::default();
    store.commit(&numbered(1)).unwrap();
    model.commit(&numbered(1));
    let ballast = dir.join("ballast");
    let chunk = vec![7; 4096];
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&chunk).is_ok() {}
    drop(file);

    // Somewhere in here the log finds no room, perhaps in the middle of a commit.
    let mut refused = None;
    for number in 2..500 {
        match store.commit(&numbered(number)) {
            Ok(()) => model.commit(&numbered(number)),
            Err(error) => refused = Some((number, error)),
        }
    }
    let (number, error) = refused.unwrap();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    fs::remove_file(&ballast).unwrap();
    store.commit(&numbered(number)).unwrap();
    model.commit(&numbered(number));
    drop(store);

    let opened = Store::open(dir).unwrap();
    assert_eq!(sorted(opened.remembered), model.remembered());
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
}

#[test]
fn root_a_full_disk_refuses_whole_commits_and_works_again_with_room() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=400k none \"$BANISHD_TEST_FULL\" && exec \"$0\" \
                  store::child_fills_its_disk --exact";

    #[expect(
        clippy::disallowed_methods,
        reason = "a mount needs a namespace of its own"
    )]
    let done = std::process::Command::new("unshare")
        .args(["--mount", "--", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("BANISHD_TEST_FULL", dir.path())
        .output()
        .unwrap();

    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stdout)
    );
}

/// The log does not grow for ever while nobody closes the store.
#[test]
fn the_log_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap().store;

    for number in 0..3_000 {
        store.commit(&numbered(number % 50 + 1)).unwrap();
    }

    let log = fs::metadata(dir.path().join(format!("{FILE}-wal")))
        .unwrap()
        .len();
    assert!(log < 5 << 20, "{log}");
}

/// Closing is not needed for anything.
#[test]
fn a_store_that_is_never_closed_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut store, .. } = Store::open(dir.path()).unwrap();
    store.commit(&numbered(1)).unwrap();
    std::mem::forget(store);

    let opened = Store::open(dir.path()).unwrap();

    assert_eq!(last_number(&opened.remembered), 1);
}
