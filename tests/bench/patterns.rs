//! Every pattern of fail2ban's stock filters: what runs it, what compiling all of them costs, and what a
//! line costs the stock sshd filter.
//!
//! Comes in: what `fail2ban-client -d` of Debian's package says (`tests/fail2ban`), every filter turned
//! on. Goes out: rows of the table, in processor time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use banishd::engine::filter::{Filter, FilterSpec, Look, Machine, Memory, Names, Part, Text};
use banishd::engine::record::Record;

use measure::{Cost, Result, cost, grouped, middle, row, title};

mod measure;

/// Lines in one run.
const COUNT: u32 = 50_000;

const RUNS: usize = 9;

fn main() -> Result<()> {
    let specs = specs()?;
    title("the patterns of all stock filters")?;
    let before = anonymous_memory()?;
    let (filters, spent) = cost(|| compile(&specs))?;
    let memory = anonymous_memory()?.saturating_sub(before);
    let parts = [Part::Prefix, Part::Fail, Part::Ignore];
    let machines = filters.iter().flat_map(|filter| {
        let of = |part| filter.machines(part).collect::<Vec<_>>();
        parts.into_iter().flat_map(of)
    });
    let (linear, others): (Vec<_>, Vec<_>) = machines.partition(|m| *m == Machine::Linear);
    row("patterns in linear time", &linear.len().to_string(), None)?;
    row("patterns that back-track", &others.len().to_string(), None)?;
    row("compiling all of them", &format!("{:?}", spent.cpu), None)?;
    row("memory", &format!("{} KiB", grouped(memory)), None)?;

    title("a line through the stock sshd filter, processor time")?;
    let sshd = specs.get("sshd").ok_or("there is no sshd filter")?;
    let sshd = Filter::compile(sshd.clone()).map_err(|errors| format!("{errors:?}"))?;
    let log: Vec<String> = (0..COUNT).map(line).collect();
    let quiet = log.iter().filter(|line| !line.contains("198.51")).cloned();
    let quiet: Vec<String> = quiet.collect();
    for (what, log, aim) in [
        ("a log with 10 % failures", &log, 1_500),
        ("lines that match nothing", &quiet, 500),
    ] {
        let costs = (0..RUNS).map(|_| cost(|| look(&sshd, log)).map(|(_, cost)| cost));
        let spent = middle(&costs.collect::<Result<Vec<Cost>>>()?);
        let each = spent.cpu.as_nanos() / u128::try_from(log.len())?;
        let aim = (&*format!("at most {aim} ns"), each <= aim);
        row(what, &format!("{each} ns"), Some(aim))?;
    }
    Ok(())
}

/// One line of a log as a host with some users and some attackers writes it.
fn line(number: u32) -> String {
    let (a, b) = (number / 250 % 250, number % 250);
    match number % 10 {
        0 => {
            format!("h sshd[{number}]: Failed password for root from 198.51.{a}.{b} port 4000 ssh2")
        }
        1 => format!("h sshd[{number}]: Connection closed by 198.51.{a}.{b} port 5000 [preauth]"),
        2 => format!("h sshd[{number}]: pam_unix(sshd:session): session opened for user a(uid=0)"),
        3 => format!("h sshd[{number}]: Server listening on 0.0.0.0 port 22."),
        4 | 5 => format!("h CRON[{number}]: (root) CMD (command -v debian-sa1 && debian-sa1 1 1)"),
        6 | 7 => format!("h systemd-logind[7]: New session {number} of user a."),
        _ => format!("h sudo[{number}]: pam_unix(sudo:session): session closed for user root"),
    }
}

/// Everything goes through the filter; the number of failures.
fn look(filter: &Filter, log: &[String]) -> Result<usize> {
    let mut memory = Memory::default();
    let look = Look::default();
    let found = log.iter().filter(|line| {
        let record = Record {
            line: line.as_bytes(),
            ..Record::default()
        };
        filter.find(&mut memory, &record, &look).is_some()
    });
    Ok(found.count())
}

fn compile(specs: &BTreeMap<String, FilterSpec>) -> Result<Vec<Filter>> {
    let compile = |spec: &FilterSpec| Filter::compile(spec.clone());
    let filters: std::result::Result<_, _> = specs.values().map(compile).collect();
    filters.map_err(|errors| format!("{errors:?}").into())
}

/// Every stock filter, as fail2ban expands it.
#[expect(clippy::disallowed_methods, reason = "a benchmark, not the daemon")]
fn specs() -> Result<BTreeMap<String, FilterSpec>> {
    const SCRIPT: &str = include_str!("patterns.py");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fail2ban");
    let fail2ban = std::process::Command::new(script).output()?;
    let fail2ban = String::from_utf8(fail2ban.stdout)?;
    let dump = std::process::Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT, fail2ban.trim()])
        .output()?;
    let mut specs: BTreeMap<String, FilterSpec> = BTreeMap::new();
    for line in String::from_utf8(dump.stdout)?.lines() {
        let [name, option, value]: [String; 3] = serde_json::from_str(line)?;
        let spec = specs.entry(name.clone()).or_insert_with(|| FilterSpec {
            name,
            text: Text::Line,
            names: Names::Warn,
            ..FilterSpec::default()
        });
        match option.as_str() {
            "prefregex" => spec.prefix = Some(value),
            "addfailregex" => spec.fail.push(value),
            "addignoreregex" => spec.ignore.push(value),
            _ => spec.max_lines = value.parse()?,
        }
    }
    Ok(specs)
}

/// What this process has allocated and touched, in KiB.
fn anonymous_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("there is no RssAnon")?.parse()?)
}
