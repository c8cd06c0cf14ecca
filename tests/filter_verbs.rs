//! `banishctl filter`: filters tried on lines, and put to annotated samples.

#![expect(clippy::disallowed_methods, reason = "the tests run banishctl")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::dbus::bus::banishctl;
use crate::journal::journald::{Journald, wait_until};
use crate::support::fail2ban::{Fail2ban, each};

/// What a run said: exit code, stdout, stderr.
type Said = (i32, String, String);

fn run(arguments: &[&str], stdin: &str) -> Said {
    let mut child = Command::new(banishctl())
        .arg("filter")
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// A configuration with one filter, `door`, and a jail that narrows it.
fn house() -> tempfile::TempDir {
    let house = tempfile::tempdir().unwrap();
    fs::create_dir(house.path().join("filter.d")).unwrap();
    let filter = "[Definition]\nfailregex = ^ door: knock by <F-USER>\\S+</F-USER> from <HOST>$\n\
                  \t^ door: (?!kick)\\w+ from <HOST>$\n\
                  ignoreregex = by friend\n";
    fs::write(house.path().join("filter.d/door.conf"), filter).unwrap();
    let jail = "[shy]\nfilter = door\nignoreregex = by \n";
    fs::write(house.path().join("jail.conf"), jail).unwrap();
    house
}

fn door(house: &Path, log: &str, filter: &str, more: &[&str], stdin: &str) -> Said {
    let directory = house.to_str().unwrap();
    let mut arguments = vec!["test", log, filter, "--config-dir", directory];
    arguments.extend(more);
    run(&arguments, stdin)
}

const LOG: &str = "2026-11-21T10:11:12Z door: knock by bob from 192.0.2.1\n\
                   2026-11-21T10:11:13Z door: knock by friend from 192.0.2.2\n\
                   2026-11-21T10:11:14Z door: bang from example.com\n\
                   \u{1b}[2Jrubbish\n";

#[test]
fn a_filter_is_tried_on_every_line() {
    let house = house();

    let (code, text, error) = door(house.path(), "-", "door", &[], LOG);

    assert_eq!((code, error.as_str()), (0, ""));
    assert!(
        text.starts_with("Trying filter door on standard input\n"),
        "{text}"
    );
    for part in [
        "     1  failure   192.0.2.1        2026-11-21 10:11:12  by 1  user=bob\n",
        "     2  ignored   by 1  ignoreregex 1  user=friend\n",
        "     3  failure   example.com      2026-11-21 10:11:14  by 2\n",
        "     4  missed  \n        \\u{1b}[2Jrubbish\n",
        "     2       1 hit   backtracking  ^ door: (?!kick)",
        "\ndatepattern\n             3 hits  {^LN-BEG}%ExY",
        "\n4 lines: 2 failures, 0 noted, 1 ignored, 1 missed; 1 without a date\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn each_line_is_one_object_of_json() {
    let house = house();

    let (code, text, _) = door(house.path(), "-", "door", &["--json"], LOG);

    assert_eq!(code, 0);
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [first, second, third, fourth, summary] = rows.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(first["line"], 1);
    assert_eq!(first["matched"], true);
    assert_eq!(first["address"], "192.0.2.1");
    assert_eq!(first["time"], 1_795_255_872_000_000_u64);
    assert_eq!(first["date"], "2026-11-21T10:11:12Z");
    assert_eq!(first["fields"]["user"], "bob");
    assert_eq!(first["pattern"], 1);
    assert_eq!(first["engine"], "linear");
    assert_eq!(
        (&second["matched"], &second["kind"]),
        (&false.into(), &"ignored".into())
    );
    assert_eq!(third["id"], "example.com");
    assert_eq!(third["engine"], "backtracking");
    assert_eq!(
        (&fourth["matched"], &fourth["pattern"]),
        (&false.into(), &Value::Null)
    );
    let summary = &summary["summary"];
    assert_eq!(
        (&summary["lines"], &summary["matched"], &summary["undated"]),
        (&4.into(), &2.into(), &1.into())
    );
    assert_eq!(summary["failregex"][1]["hits"], 1);
    assert_eq!(summary["failregex"][1]["engine"], "backtracking");
    assert_eq!(summary["datepattern"][0]["hits"], 3);
}

#[test]
fn lines_files_jails_and_bare_patterns_are_understood() {
    let house = house();
    let file = house.path().join("log");
    fs::write(&file, LOG).unwrap();
    let line = LOG.lines().next().unwrap();
    for (log, filter, more, code, part) in [
        (line, "door", &[][..], 0, "1 line: 1 failure,"),
        (
            file.to_str().unwrap(),
            "door",
            &[],
            0,
            "4 lines: 2 failures",
        ),
        (
            line,
            "jail:shy",
            &[],
            1,
            "1 line: 0 failures, 0 noted, 1 ignored",
        ),
        (
            line,
            "shy",
            &["--jail"],
            1,
            "0 failures, 0 noted, 1 ignored",
        ),
        (line, "knock .* from <ADDR>", &[], 0, "1 line: 1 failure,"),
        (
            line,
            "knock .* from <ADDR>",
            &["--ignore", "bob"],
            1,
            "1 ignored",
        ),
        (line, "^knock", &[], 2, "does not say where the address is"),
        (
            "at 12h 192.0.2.1",
            "^at  <ADDR>",
            &["--date-pattern", "%Hh"],
            0,
            "1 failure,",
        ),
        (
            line,
            "door",
            &["--show", "missed"],
            0,
            "Trying filter door on the line given\n\nfail",
        ),
    ] {
        let (got, text, error) = door(house.path(), log, filter, more, "");

        let all = format!("{text}{error}");
        assert_eq!(got, code, "{filter} {more:?}: {all}");
        assert!(all.contains(part), "{filter} {more:?}: {all}");
    }
}

#[test]
fn what_is_not_there_is_named_with_what_is_near() {
    let house = house();
    let line = LOG.lines().next().unwrap();
    let own = house.path().join("filter.d/door.conf");
    let own = own.to_str().unwrap();
    for (log, filter, code, part) in [
        (line, "nothing", 2, "There is no filter 'nothing'"),
        (line, "dor", 2, "; did you mean 'door'?\n"),
        (line, "jail:no", 2, "There is no jail 'no'"),
        (line, "jail:shyy", 2, "; did you mean 'shy'?\n"),
        (line, own, 0, "Trying filter door on the line given"),
        (
            line,
            &format!("{own}[x=y]"),
            0,
            "Trying filter door[x=y] on",
        ),
        (
            line,
            "/none/filter.d/door.conf",
            2,
            "There is no filter '/none/",
        ),
        (
            "/none/auth.log",
            "door",
            2,
            "There is no file '/none/auth.log'",
        ),
        ("-", "door", 1, "There is no line in standard input."),
    ] {
        let (got, text, error) = door(house.path(), log, filter, &[], "");

        let all = format!("{text}{error}");
        assert_eq!(got, code, "{filter}: {all}");
        assert!(all.contains(part), "{filter}: {all}");
    }
    let (code, _, error) = run(&["test", line, "door", "--config-dir", "/none"], "");
    let expected = "There is no directory '/none'.\n".to_owned();
    assert_eq!((code, error), (2, expected));
}

#[test]
fn root_a_journal_is_read_as_the_daemon_reads_it() {
    let journald = Journald::start("RateLimitIntervalSec=0");
    let (unit, other) = (journald.unit("hall"), journald.unit("attic"));
    let mut senders = [&unit, &other].map(|unit| journald.sender(unit, "door"));
    for line in ["knock by bob from 192.0.2.1", "rubbish"] {
        senders[0].say(line);
    }
    wait_until(|| journald.show(&unit).lines().count() == 2);
    senders[1].say("knock by eve from 2001:db8::1");
    wait_until(|| !journald.show(&other).is_empty());
    let house = house();
    let filter = format!(
        "[Definition]\nfailregex = ^\\S+ door\\[\\d+\\]: knock by <F-USER>\\S+</F-USER> from <HOST>$\n\
         journalmatch = _SYSTEMD_UNIT={unit}\n"
    );
    fs::write(house.path().join("filter.d/hall.conf"), filter).unwrap();
    let directory = journald.directory();
    let file = directory.join("system.journal");
    let hall = |log: &Path, more: &[&str]| {
        let log = log.to_str().unwrap();
        door(house.path(), log, "hall", more, "")
    };

    let (code, text, error) = hall(&directory, &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{text}");
    let heading = format!(", entries that match _SYSTEMD_UNIT={unit}\n");
    for part in [
        heading.as_str(),
        "     1  failure   192.0.2.1 ",
        "  by 1  user=bob\n",
        "     2  missed  \n",
        "\n2 lines: 1 failure, 0 noted, 0 ignored, 1 missed\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let all = format!("_SYSTEMD_UNIT={unit} + _SYSTEMD_UNIT={other}");
    let (_, text, _) = hall(&file, &["--journal-match", &all, "--json"]);
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<Value> = rows.collect();
    assert_eq!(rows[2]["address"], "2001:db8::1", "{text}");
    assert_eq!(rows[3]["summary"]["matched"], 2);
    let (code, text, _) = hall(&directory, &["--journal-match", "_PID=1"]);
    assert_eq!(code, 1);
    assert!(text.contains("that matches _PID=1; --journal-match selects others"));
}

/// Samples for `door`, some of them annotated wrongly.
const SAMPLES: &str = r#"# a comment: nothing more
# failJSON: {"match": true, "host": "192.0.2.1", "time": "2004-11-21T10:11:12", "user": "bob"}
Nov 21 10:11:12 door: knock by bob from 192.0.2.1
Nov 21 10:11:12 door: knock by friend from 192.0.2.1
# failJSON: {"match": false, "desc": "wrong"}
Nov 21 10:11:12 door: knock by eve from 192.0.2.1
# failJSON: {"match": true, "host": "192.0.2.9", "desc": "wrong"}
Nov 21 10:11:12 door: bang from 192.0.2.1
# failJSON: {"match": true, "constraint": "name == 'window'"}
Nov 21 10:11:12 door: kick from 192.0.2.1
# filterOptions: [{"logtype": "journal", "test.prefix-line": " door: "}]
# failJSON: {"match": true, "host": "192.0.2.1", "user": null}
bang from 192.0.2.1
"#;

#[test]
fn samples_that_do_not_come_out_as_annotated_are_named() {
    let house = house();
    let logs = house.path().join("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("door"), SAMPLES).unwrap();
    let arguments = [
        "conformance",
        "--filters",
        house.path().to_str().unwrap(),
        "--logs",
        logs.to_str().unwrap(),
    ];

    let (code, text, error) = run(&arguments, "");

    assert_eq!((code, error.as_str()), (1, ""), "{text}");
    for part in [
        "3 passed, 2 failed\n",
        "/door:6: failregex 1 finds a failure of '192.0.2.1', and there is none\n",
        "/door:8: host is '192.0.2.1', not '192.0.2.9'\n",
        "3 passed, 2 failed, in 1 filters\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let (code, ..) = run(
        &["conformance", "--filters", "/none", "--logs", "/none"],
        "",
    );
    assert_eq!(code, 2);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &name),
            false => drop(fs::copy(&path, name).unwrap()),
        }
    }
}

/// fail2ban's samples, with the filters that it ships and those that it keeps for its tests.
#[test]
fn stock_filters_make_of_every_annotated_line_what_they_should() {
    each(check_samples);
}

fn check_samples(fail2ban: &Fail2ban) {
    let tests = fail2ban.tests();
    // The filters for tests include the shipped ones from where these are in fail2ban's source.
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("a/b/c");
    for place in [source.path(), &root] {
        copy(&fail2ban.etc(), &place.join("config"));
    }
    copy(&tests.join("config"), &root.join("fail2ban/tests/config"));

    let (code, text, error) = run(
        &[
            "conformance",
            "--json",
            "--filters",
            root.join("config").to_str().unwrap(),
            "--filters",
            root.join("fail2ban/tests/config").to_str().unwrap(),
            "--logs",
            tests.join("files/logs").to_str().unwrap(),
        ],
        "",
    );

    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (total, filters) = rows.split_last().unwrap();
    let failed = filters
        .iter()
        .flat_map(|row| row["failed"].as_array().unwrap());
    let failed: Vec<&Value> = failed.collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((code, error.as_str()), (0, ""));
    let [filters, passed] = ["filters", "passed"].map(|key| total[key].as_u64().unwrap());
    let least = match fail2ban.suite {
        "bookworm" => (91, 1627),
        _ => (94, 1671),
    };
    assert!(filters >= least.0 && passed >= least.1, "{total}");
}
