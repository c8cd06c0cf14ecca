//! Processor time for each line of an auth.log through fail2ban's own sshd filter, beside fail2ban-regex
//! on the same file in the same run.
//!
//! Comes in: nothing; the log is made up, one line in ten a failure, and `make bench` has unpacked
//! fail2ban into `target/bench`. `BANISHD_BENCH_LINES` says how long the log is. Goes out: rows of the
//! table. Before any is written, both have found the same lines.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use banishd::config::LogType;
use banishd::config::alone;
use banishd::config::files::Layout;
use banishd::engine::filter::date::{DateMemory, Dates};
use banishd::engine::filter::{Filter, Look, Memory};
use banishd::engine::record::Record;
use banishd::engine::time::{Span, Timestamp};

use jiff::tz::TimeZone;
use measure::{Cost, Result, cost, grouped, middle, place, row, title};

mod measure;

/// Runs of ours.
const RUNS: usize = 7;

/// Runs of fail2ban-regex.
const PEER_RUNS: usize = 3;

/// 2026-11-21 12:00:00 UTC, when the log ends; the hour before it is in there.
const NOW: Timestamp = Timestamp::from_usec(1_795_262_400_000_000);

fn main() -> Result<()> {
    let peer = place("fail2ban")?;
    if !peer.join("etc/fail2ban").exists() {
        return title("Lines: target/bench/fail2ban is missing, 'make bench' unpacks it");
    }
    let count = std::env::var("BANISHD_BENCH_LINES").map_or(Ok(100_000), |text| text.parse())?;
    let log = place("auth.log")?;
    fs::write(&log, text(count))?;
    let lines = fs::read(&log)?;
    let lines: Vec<&[u8]> = lines
        .split(|byte| *byte == b'\n')
        .filter(|it| !it.is_empty())
        .collect();
    let filter = stock_filter(&peer)?;

    let mut ours = Vec::new();
    let mut failures = 0;
    for _ in 0..RUNS {
        let (found, cost) = cost(|| Ok(find(&filter, &lines)))?;
        failures = found;
        ours.push(cost);
    }
    let (mut theirs, mut start) = (Vec::new(), Vec::new());
    let empty = place("empty.log")?;
    fs::write(&empty, "")?;
    let mut matched = 0;
    for _ in 0..PEER_RUNS {
        let (found, cost) = cost(|| ask(&peer, &log))?;
        matched = found;
        theirs.push(cost);
        start.push(self::cost(|| ask(&peer, &empty))?.1);
    }
    if failures != matched {
        return Err(format!("fail2ban-regex finds {matched} failures, we {failures}").into());
    }
    dates()?;
    tell(
        (lines.len(), failures),
        middle(&ours),
        middle(&theirs),
        middle(&start),
    )
}

fn tell((lines, failures): (usize, usize), ours: Cost, theirs: Cost, start: Cost) -> Result<()> {
    title(&format!(
        "{} lines of auth.log through fail2ban's sshd filter, {} failures",
        grouped(u64::try_from(lines)?),
        grouped(u64::try_from(failures)?)
    ))?;
    let lines = f64::from(u32::try_from(lines)?);
    let our_time = ours.cpu.as_secs_f64() / lines * 1e6;
    let their_time = theirs.cpu.saturating_sub(start.cpu).as_secs_f64() / lines * 1e6;
    let each = |time: f64| format!("{time:.2} µs of processor time a line");
    let aim = ("at most 1.5 µs", our_time <= 1.5);
    row("banishd: find", &each(our_time), Some(aim))?;
    row("fail2ban-regex, less its start", &each(their_time), None)?;
    let factor = their_time / our_time;
    let aim = ("at least 20 x", factor >= 20.0);
    row(
        "lines in the same time",
        &format!("{factor:.0} x"),
        Some(aim),
    )
}

/// Dates as the commonest logs have them: `datepattern`, and a line.
const DATES: [(&str, &str, &str); 5] = [
    (
        "syslog",
        "",
        "Nov 21 10:11:12 host sshd[7]: Failed password for root from 192.0.2.1",
    ),
    (
        "ISO 8601",
        "",
        "2026-11-21T10:11:12.345678+01:00 host sshd[7]: Failed password for root",
    ),
    (
        "asctime",
        "",
        "[Sat Nov 21 10:11:12.345678 2026] [core:error] [pid 7] [client 192.0.2.1]",
    ),
    (
        "access log",
        r"^[^\[]*\[({DATE})",
        "192.0.2.1 - - [21/Nov/2026:10:11:12 +0100] \"GET / HTTP/1.1\"",
    ),
    (
        "a pattern with a back-reference",
        r"{^LN-BEG}%ExY(?P<_sep>[-/.])%m(?P=_sep)%d[T ]%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
        "2026/11/21 10:11:12 [error] 7#7: *9 open() failed, client: 192.0.2.1",
    ),
];

fn dates() -> Result<()> {
    title("The date of a line")?;
    for (name, pattern, line) in DATES {
        let patterns = Some(pattern.to_owned()).filter(|text| !text.is_empty());
        let patterns: Vec<String> = patterns.into_iter().collect();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3")?;
        let dates = Dates::compile(&patterns, &zone).map_err(|errors| format!("{errors:?}"))?;
        let mut memory = DateMemory::default();
        let rounds = 200_000_u32;
        let (found, cost) = cost(|| {
            let found = |_: &u32| dates.find(&mut memory, line.as_bytes(), NOW).is_some();
            Ok((0..rounds).filter(found).count())
        })?;
        if found < usize::try_from(rounds)? {
            return Err(format!("there is no date in '{line}'").into());
        }
        let time = cost.cpu.as_secs_f64() * 1e9 / f64::from(rounds);
        row(name, &format!("{time:.0} ns"), None)?;
    }
    Ok(())
}

fn stock_filter(peer: &Path) -> Result<Filter> {
    let layout = Layout::fail2ban(peer.join("etc/fail2ban"));
    let alone = alone::filter(&layout, "sshd", LogType::File);
    let alone = alone.map_err(|problems| format!("{problems:?}"))?;
    Filter::compile(alone.spec).map_err(|errors| format!("{errors:?}").into())
}

fn record(line: &[u8]) -> Record<'_> {
    Record {
        time: NOW,
        pid: None,
        message: line,
        line,
        is_dated: true,
    }
}

fn look() -> Look {
    Look {
        now: NOW,
        is_live: false,
        find_time: Span::from_usec(u64::MAX),
        max_matches: 5,
        ..Look::default()
    }
}

fn find(filter: &Filter, lines: &[&[u8]]) -> usize {
    let (mut memory, look) = (Memory::default(), look());
    let found = lines
        .iter()
        .filter_map(|line| filter.find(&mut memory, &record(line), &look));
    found.count()
}

/// How many failures fail2ban-regex finds.
#[expect(clippy::disallowed_methods, reason = "a benchmark, not the daemon")]
fn ask(peer: &Path, log: &Path) -> Result<usize> {
    let output = Command::new("/usr/bin/python3")
        .arg(peer.join("usr/bin/fail2ban-regex"))
        .arg("-c")
        .arg(peer.join("etc/fail2ban"))
        .args(["--no-check-all", "--print-no-missed", "--print-no-ignored"])
        .args([log, Path::new("sshd")])
        .env("PYTHONPATH", peer.join("usr/lib/python3/dist-packages"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counts = text.lines().find(|line| line.starts_with("Lines:"));
    let matched = counts.and_then(|line| {
        let (before, _) = line.split_once(" matched")?;
        before.rsplit(' ').next()?.parse().ok()
    });
    matched.ok_or_else(|| format!("fail2ban-regex says: {text}{output:?}").into())
}

/// What a host with sshd writes. Two of the twenty are failures.
const LINES: [&str; 20] = [
    "SSHD Failed password for root from ADDRESS port PORT ssh2",
    "SSHD pam_unix(sshd:auth): check pass; user unknown",
    "SSHD Accepted publickey for deploy from 192.0.2.7 port PORT ssh2: RSA SHA256:47DEQpj8HBSa",
    "SSHD pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    "systemd-logind[612]: New session NUMBER of user deploy.",
    "SSHD pam_unix(sshd:session): session closed for user deploy",
    "sudo:   deploy : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/systemctl status",
    "CRON[NUMBER]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "CRON[NUMBER]: pam_unix(cron:session): session closed for user root",
    "SSHD Received disconnect from 192.0.2.7 port PORT:11: disconnected by user",
    "SSHD Invalid user admin from ADDRESS port PORT",
    "SSHD pam_unix(sshd:auth): check pass; user unknown",
    "SSHD pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    "systemd-logind[612]: New session NUMBER of user deploy.",
    "CRON[NUMBER]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "CRON[NUMBER]: pam_unix(cron:session): session closed for user root",
    "SSHD Disconnected from user deploy 192.0.2.7 port PORT",
    "SSHD Connection closed by ADDRESS port PORT [preauth]",
    "systemd-logind[612]: Session NUMBER logged out. Waiting for processes to exit.",
    "systemd-logind[612]: Removed session NUMBER.",
];

/// A log of `count` lines.
fn text(count: usize) -> String {
    let mut text = String::new();
    for (number, line) in LINES.iter().cycle().take(count).enumerate() {
        let second = number * 3600 / count;
        let (minute, second) = (second / 60, second % 60);
        let line = line
            .replace("SSHD", "sshd[NUMBER]:")
            .replace("NUMBER", &(1000 + number % 30_000).to_string())
            .replace("PORT", &(1024 + number % 60_000).to_string())
            .replace(
                "ADDRESS",
                &format!("198.51.{}.{}", number / 250 % 250, number % 250),
            );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Nov 21 11:{minute:02}:{second:02} host {line}");
    }
    text
}
