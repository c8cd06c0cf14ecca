//! Connections as Debian's own sshd filter sees them: fail2ban expands the filter when the test runs, and
//! the verdicts are those that it comes to itself.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;

use banishd::engine::filter::{Filter, FilterSpec, Look, Machine, Memory, Names, Part, Standing};
use banishd::engine::record::Record;
use serde_json::Value;

use crate::filters::connections::judge;
use crate::support::fail2ban::{Fail2ban, each};

/// What a program of fail2ban says.
fn run(fail2ban: &Fail2ban, program: &str, arguments: &[&OsStr]) -> Vec<Vec<Value>> {
    let (mut lists, error) = fail2ban.lists(program, arguments);
    lists.retain(|list| list.first().is_none_or(|word| word != "failed"));
    assert!(!lists.is_empty(), "{program} {arguments:?}: {error}");
    lists
}

/// Stock filters, expanded by fail2ban: `NAME[OPTION=VALUE]`, for this backend.
fn stock(fail2ban: &Fail2ban, filters: &[&str], backend: &str) -> Vec<FilterSpec> {
    let tree = tempfile::tempdir().expect("a directory");
    for name in ["filter.d", "action.d", "fail2ban.conf"] {
        let stock = fail2ban.etc().join(name);
        symlink(stock, tree.path().join(name)).expect("a link");
    }
    let mut jails =
        format!("[DEFAULT]\nenabled = true\nbackend = {backend}\nlogpath = /dev/null\n");
    for (number, filter) in filters.iter().enumerate() {
        jails.push_str(&format!("[{number}]\nfilter = {filter}\n"));
    }
    fs::write(tree.path().join("jail.conf"), jails).expect("a file");
    let mut specs: Vec<FilterSpec> = filters
        .iter()
        .map(|name| FilterSpec {
            name: (*name).to_owned(),
            ..FilterSpec::default()
        })
        .collect();
    let tree = tree.path().as_os_str();
    for command in run(
        fail2ban,
        "fail2ban-client",
        &["-c".as_ref(), tree, "-d".as_ref()],
    ) {
        let [_, jail, key, values @ ..] = &command[..] else {
            continue;
        };
        let number = jail.as_str().and_then(|jail| jail.parse::<usize>().ok());
        if let Some(spec) = number.and_then(|number| specs.get_mut(number)) {
            set(spec, key.as_str().expect("a word"), values);
        }
    }
    specs
}

/// Does one of `fail2ban-client -d`'s commands.
fn set(spec: &mut FilterSpec, key: &str, values: &[Value]) {
    let texts = values.iter().flat_map(|value| match value {
        Value::Array(list) => list.iter().collect(),
        value => vec![value],
    });
    let mut texts = texts.filter_map(Value::as_str).map(str::to_owned);
    match key {
        "prefregex" => spec.prefix = texts.next(),
        "addfailregex" => spec.fail.extend(texts),
        "addignoreregex" => spec.ignore.extend(texts),
        "datepattern" => spec.dates.extend(
            texts
                .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
                .filter(|line| !line.is_empty()),
        ),
        "maxlines" => {
            let lines = values.first().and_then(Value::as_u64).expect("a number");
            spec.max_lines = usize::try_from(lines).expect("a number");
        }
        _ => {}
    }
}

#[test]
fn every_stock_pattern_compiles_and_most_run_in_linear_time() {
    each(|fail2ban| {
        let files = fs::read_dir(fail2ban.etc().join("filter.d")).expect("filters");
        let files = files.map(|file| file.expect("a file").file_name());
        let names: Vec<String> = files
            .filter_map(|name| Some(name.to_str()?.strip_suffix(".conf")?.to_owned()))
            // What others include is no filter.
            .filter(|name| !name.ends_with("common"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();

        let [mut linear, mut others] = [0, 0];
        for spec in stock(fail2ban, &names, "polling") {
            let name = spec.name.clone();
            let filter =
                Filter::compile(spec).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
            for part in [Part::Prefix, Part::Fail, Part::Ignore] {
                for machine in filter.machines(part) {
                    match machine {
                        Machine::Linear => linear += 1,
                        _ => others += 1,
                    }
                }
            }
        }

        assert!(linear > 190 && others <= 30, "{linear}, {others}");
    });
}

/// Every filter that remembers something from line to line, on fail2ban's sample logs: whom each of the
/// two finds, in order.
#[test]
fn the_sample_logs_are_judged_as_fail2ban_judges_them() {
    each(check_samples);
}

fn check_samples(fail2ban: &Fail2ban) {
    let samples = fail2ban.tests().join("files/logs");
    let filters = [
        "sshd",
        "sshd[mode=aggressive]",
        "sendmail-auth",
        "sendmail-reject[mode=aggressive]",
        "slapd",
        "mongodb-auth",
        "ejabberd-auth",
        "guacamole[logging=catalina]",
    ];
    for spec in stock(fail2ban, &filters, "polling") {
        let filter = spec.name.clone();
        let sample = filter.split('[').next().expect("a name");
        let log = samples.join(sample);
        let theirs: Vec<String> = run(
            fail2ban,
            "fail2ban-regex",
            &[
                "-c".as_ref(),
                fail2ban.etc().as_os_str(),
                "--no-check-all".as_ref(),
                "--usedns=raw".as_ref(),
                "-o".as_ref(),
                "row".as_ref(),
                log.as_os_str(),
                OsStr::new(&filter),
            ],
        )
        .iter()
        .map(|row| row[0].as_str().expect("an identity").to_owned())
        .collect();

        let spec = FilterSpec {
            names: Names::Raw,
            ..spec
        };
        let ours = ours(spec, &fs::read(log).expect("a log"));

        assert_eq!(ours, theirs, "{filter}");
    }
}

fn ours(spec: FilterSpec, log: &[u8]) -> Vec<String> {
    let filter = Filter::compile(spec).expect("fail2ban's patterns are good");
    let mut memory = Memory::default();
    let look = Look {
        is_live: true,
        ..Look::default()
    };
    let mut found = Vec::new();
    let lines = log.split(|byte| *byte == b'\n');
    // The others are annotations, which it passes over too.
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
        let record = Record {
            message: line,
            line,
            is_dated: true,
            ..Record::default()
        };
        let trial = filter.trial(&mut memory, &record, &look);
        let first = trial.hits.into_iter().next();
        let failed = first.filter(|hit| hit.standing == Standing::Failed);
        // What is no address is nobody's failure; fail2ban takes it as it stands.
        found.extend(failed.and_then(|hit| match hit.found {
            Some(found) => Some(found.who.to_string()),
            None => hit.id,
        }));
    }
    found
}

fn journal(fail2ban: &Fail2ban, filter: &str) -> Filter {
    let mut specs = stock(fail2ban, &[filter], "systemd");
    Filter::compile(specs.remove(0)).expect("fail2ban's patterns are good")
}

/// What sshd logs on one connection, and what each line is to the filter.
type Trace<'a> = &'a [(&'a str, &'a str)];

#[track_caller]
fn check(filter: &Filter, traces: &[Trace<'_>]) {
    for trace in traces {
        let lines: Vec<String> = trace
            .iter()
            .map(|(line, _)| format!("host sshd[100]: {line}"))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let expected: Vec<&str> = trace.iter().map(|(_, verdict)| *verdict).collect();
        assert_eq!(judge(filter, &lines), expected, "{lines:#?}");
    }
}

const UNKNOWN_USER: &[&str] = &[
    "Connection from 192.0.2.1 port 4000 on 198.51.100.1 port 22 rdomain \"\"",
    "Invalid user test from 192.0.2.1 port 4000",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1",
    "Failed password for invalid user test from 192.0.2.1 port 4000 ssh2",
    "Failed password for invalid user test from 192.0.2.1 port 4000 ssh2",
    "Connection closed by invalid user test 192.0.2.1 port 4000 [preauth]",
];

/// Fail in both modes alike.
const ALIKE: &[Trace<'static>] = &[
    // The address was learnt before.
    &[
        (
            "Connection from 192.0.2.2 port 4000 on 198.51.100.1 port 22",
            "",
        ),
        (
            "User root not allowed because account is locked",
            "192.0.2.2 by 0 1",
        ),
        (
            "Disconnecting: Too many authentication failures [preauth]",
            "192.0.2.2 by 2",
        ),
    ],
    // The address comes last.
    &[
        ("User root not allowed because account is locked", ""),
        (
            "Received disconnect from 192.0.2.3 port 4000:11: Bye Bye [preauth]",
            "192.0.2.3 by 0 1",
        ),
    ],
    // Some keys are tried before the right one.
    &[
        (
            "Failed publickey for root from 192.0.2.4 port 4000 ssh2: RSA SHA256:abc",
            "",
        ),
        (
            "Failed publickey for root from 192.0.2.4 port 4000 ssh2: ED25519 SHA256:def",
            "",
        ),
        (
            "Accepted publickey for root from 192.0.2.4 port 4000 ssh2: RSA SHA256:ghi",
            "",
        ),
    ],
    // Several users.
    &[
        (
            "Failed publickey for root from 192.0.2.7 port 4000 ssh2: RSA SHA256:abc",
            "",
        ),
        (
            "Failed publickey for git from 192.0.2.7 port 4000 ssh2: RSA SHA256:abc",
            "192.0.2.7 by 0 1",
        ),
        (
            "Accepted publickey for git from 192.0.2.7 port 4000 ssh2: RSA SHA256:ghi",
            "192.0.2.7 by 2",
        ),
    ],
    // A wrong password, then the right one.
    &[
        (
            "Failed password for root from 192.0.2.8 port 4000 ssh2",
            "192.0.2.8 by 0",
        ),
        (
            "Accepted password for root from 192.0.2.8 port 4000 ssh2",
            "",
        ),
    ],
];

fn with<'a>(lines: &[&'a str], verdicts: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    lines
        .iter()
        .copied()
        .zip(verdicts.iter().copied())
        .collect()
}

const GIVES_UP: &[&str] = &[
    "Failed publickey for root from 192.0.2.5 port 4000 ssh2: RSA SHA256:abc",
    "Connection closed by authenticating user root 192.0.2.5 port 4000 [preauth]",
];

const SCANS: &[&str] = &[
    "error: kex_exchange_identification: Connection closed by remote host",
    "Connection closed by 192.0.2.9 port 4000",
];

#[test]
fn the_stock_sshd_filter_judges_connections_as_in_fail2ban() {
    each(|fail2ban| check_sshd(fail2ban, "sshd", ["", "", ""]));
}

#[test]
fn the_aggressive_sshd_filter_counts_connections_without_a_login() {
    let last = ["192.0.2.1 by 5", "192.0.2.5 by 0 1", "192.0.2.9 by 0 1"];
    each(|fail2ban| check_sshd(fail2ban, "sshd[mode=aggressive]", last));
}

/// What `mode` finds; `last` is what the end of a connection without a login is to it.
fn check_sshd(fail2ban: &Fail2ban, mode: &str, last: [&'static str; 3]) {
    let filter = journal(fail2ban, mode);
    let [unknown_user, gives_up, scans] = last;

    check(&filter, ALIKE);
    check(
        &filter,
        &[
            &with(
                UNKNOWN_USER,
                &[
                    "",
                    "192.0.2.1 by 0 1",
                    "",
                    "192.0.2.1 by 2 3",
                    "192.0.2.1 by 4",
                    unknown_user,
                ],
            ),
            &with(GIVES_UP, &["", gives_up]),
            &with(SCANS, &["", scans]),
        ],
    );
}
