//! Connections as Debian's own sshd filter sees them: fail2ban expands the filter when the test runs, and
//! the verdicts are those that it comes to itself.

#![expect(clippy::disallowed_methods, reason = "a test, not the daemon")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use banishd::engine::filter::{Filter, FilterSpec, Names};
use serde_json::Value;

use crate::filters::connections::judge;

/// Where Debian's package is unpacked.
fn package() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fail2ban");
    let output = Command::new(script).output().expect("the script runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tests/fail2ban: {error}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Runs the real one, and turns Python's notation into JSON, a command a line.
const AS_JSON: &str = "\
import ast, json, subprocess, sys
run = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, text=True)
sys.stderr.write(run.stderr)
for line in run.stdout.splitlines():
    if line.startswith('['): print(json.dumps(ast.literal_eval(line)))
";

/// A stock filter for the journal, expanded by fail2ban; `NAME[OPTION=VALUE]`.
fn stock(filter: &str) -> Filter {
    let package = package();
    let tree = tempfile::tempdir().expect("a directory");
    for name in ["filter.d", "action.d", "fail2ban.conf"] {
        let stock = package.join("etc/fail2ban").join(name);
        symlink(stock, tree.path().join(name)).expect("a link");
    }
    let jail = format!("[sshd]\nenabled = true\nbackend = systemd\nfilter = {filter}\n");
    fs::write(tree.path().join("jail.conf"), jail).expect("a file");
    let output = Command::new("/usr/bin/python3")
        .env("PYTHONPATH", package.join("usr/lib/python3/dist-packages"))
        .args(["-c", AS_JSON])
        .arg(package.join("usr/bin/fail2ban-client"))
        .arg("-c")
        .arg(tree.path())
        .arg("-d")
        .output()
        .expect("python3 runs");
    let mut spec = FilterSpec {
        name: filter.to_owned(),
        names: Names::Warn,
        ..FilterSpec::default()
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let command: Vec<Value> = serde_json::from_str(line).expect("JSON");
        let [_, _, key, value, ..] = &command[..] else {
            continue;
        };
        match key.as_str() {
            Some("prefregex") => spec.prefix = value.as_str().map(str::to_owned),
            Some("addfailregex") => {
                let lines = value.as_array().expect("a list");
                spec.fail
                    .extend(lines.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(spec.fail.len() > 10, "{error}");
    Filter::compile(spec).expect("fail2ban's patterns are good")
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
    let filter = stock("sshd");

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
                    "",
                ],
            ),
            &with(GIVES_UP, &["", ""]),
            &with(SCANS, &["", ""]),
        ],
    );
}

#[test]
fn the_aggressive_sshd_filter_counts_connections_without_a_login() {
    let filter = stock("sshd[mode=aggressive]");

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
                    "192.0.2.1 by 5",
                ],
            ),
            &with(GIVES_UP, &["", "192.0.2.5 by 0 1"]),
            &with(SCANS, &["", "192.0.2.9 by 0 1"]),
        ],
    );
}
