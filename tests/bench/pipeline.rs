//! Processor time for each of sshd's entries through the whole pipeline, beside a bare loop on
//! libsystemd and fail2ban, on one journal in one run.
//!
//! Comes in: nothing; the journal is made up and kept in `target/bench`, where `make bench` has also
//! unpacked fail2ban. `BANISHD_BENCH_ENTRIES` says how long it is. Goes out: rows of the table. Before
//! any is written, all have found the same failures.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use banishd::daemon::clock;
use banishd::daemon::readers::{Origin, tasks};
use banishd::engine::effect::Remembered;
use banishd::engine::record::{LogName, Position};
use banishd::engine::settings::{FirewallChoice, Journal};
use banishd::engine::time::{Boottime, Now, Span, Timestamp};
use banishd::firewall::any::AnyFirewall;
use banishd::journal::live::LiveJournal;
use banishd::journal::matches::Selector;
use banishd::journal::script::replay;
use banishd::journal::{LogSource, Start, listen as read};
use banishd::reader::Heard;
use banishd::reader::task::Task;
use banishd::store::Store;
use banishd::sys::waker::Waker;
use systemd::journal::OpenDirectoryOptions;
use tokio::sync::mpsc::Receiver;

use measure::{Cost, Result, cost, grouped, middle, row, title};
use rig::{ROUND, Rig};

#[path = "../support/export.rs"]
mod export;
mod measure;
mod rig;

/// What a contender saw: entries of sshd's, and lines that tell of a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    entries: u64,
    failures: u64,
    bans: u64,
}

/// What one contender saw each time, and what its runs took.
type Results = (Seen, Vec<Cost>);

/// Runs of each of [`CONTENDERS`], in turn with the others.
const RUNS: usize = 7;

/// Runs of fail2ban.
const PEER_RUNS: usize = 3;

/// Name, and what it does.
type Contender = (&'static str, fn(&Path) -> Result<Seen>);

const CONTENDERS: [Contender; 4] = [
    ("libsystemd, a bare loop (the limit)", bare),
    ("banishd: source and dispatch", dispatch),
    ("banishd: source to engine", in_memory),
    ("banishd: source to engine and store", on_disk),
];

fn main() -> Result<()> {
    let entries =
        std::env::var("BANISHD_BENCH_ENTRIES").map_or(Ok(1_000_000), |text| text.parse())?;
    let journal = journal(entries)?;
    // The first reading brings the files into memory.
    bare(&journal)?;
    let mut results: [Results; 4] = Default::default();
    let (mut theirs, mut their_start): (Results, Results) = Default::default();
    for turn in 0..RUNS {
        for ((_, run), result) in CONTENDERS.iter().zip(&mut results) {
            measure(result, || run(&journal))?;
        }
        if turn < PEER_RUNS && peer().exists() {
            measure(&mut theirs, || fail2ban(&journal))?;
            measure(&mut their_start, || ask_fail2ban("nothing"))?;
        }
    }
    tell(entries, &results)?;
    tell_peer(&results, &theirs, middle(&their_start.1))
}

fn measure((seen, costs): &mut Results, run: impl FnOnce() -> Result<Seen>) -> Result<()> {
    let (now, cost) = cost(run)?;
    *seen = now;
    costs.push(cost);
    Ok(())
}

/// Writes our part of the table.
fn tell(entries: u64, results: &[Results; 4]) -> Result<()> {
    let [(expected, limit), _, memory, (whole, _)] = results;
    for seen in [&memory.0, whole] {
        if seen.failures != expected.failures {
            return Err(format!("{seen:?} differs from {expected:?}").into());
        }
    }
    title(&format!(
        "{} entries in the journal, {} of sshd's; {} tell of a failure; {} bans",
        grouped(entries),
        grouped(expected.entries),
        grouped(expected.failures),
        grouped(whole.bans)
    ))?;
    let limit = each(expected, middle(limit));
    for (place, (name, _)) in CONTENDERS.iter().enumerate() {
        let costs = results.get(place).map_or(&[][..], |(_, costs)| costs);
        let time = each(expected, middle(costs));
        let aim = ("at most 1.7 x the loop", time <= 1.7 * limit);
        show(name, time, limit, (place >= 2).then_some(aim))?;
    }
    Ok(())
}

/// Writes fail2ban's part of the table.
fn tell_peer(results: &[Results; 4], theirs: &Results, start: Cost) -> Result<()> {
    let [(expected, limit), _, (_, memory), (_, whole)] = results;
    let (seen, costs) = theirs;
    if costs.is_empty() {
        return row("fail2ban", "is not in target/bench: see 'make bench'", None);
    }
    if seen.entries != expected.entries {
        return Err(format!("fail2ban read {} entries", seen.entries).into());
    }
    let time = each(expected, middle(costs)) - each(expected, start);
    let limit = each(expected, middle(limit));
    show(
        "fail2ban: its filter alone, start left out",
        time,
        limit,
        None,
    )?;
    for (what, ours) in [("source to engine", memory), ("source to store", whole)] {
        let times = time / each(expected, middle(ours));
        row(
            &format!("its filter beside our {what}"),
            &format!("{times:6.1} times as much"),
            Some(("at least 10", times >= 10.0)),
        )?;
    }
    row(
        "failures that fail2ban's filter found",
        &format!("{:>6}", grouped(seen.failures)),
        None,
    )
}

/// Microseconds of processor time for an entry.
fn each(seen: &Seen, cost: Cost) -> f64 {
    cost.cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(seen.entries).unwrap_or(u32::MAX))
}

fn show(name: &str, time: f64, limit: f64, aim: Option<(&str, bool)>) -> Result<()> {
    let ratio = time / limit;
    let text = format!("{time:6.2} us of CPU an entry, {ratio:5.2} x the loop");
    row(name, &text, aim)
}

/// The least that anybody must do: the entries of the unit, the text, the unit, the time.
fn bare(directory: &Path) -> Result<Seen> {
    let directory = directory.to_str().ok_or("the path is no text")?;
    let mut journal = OpenDirectoryOptions::default().open_directory(directory)?;
    journal.match_add("_SYSTEMD_UNIT", export::UNIT)?;
    journal.match_add("_UID", "0")?;
    let mut seen = Seen::default();
    while journal.next()? > 0 {
        seen.entries += 1;
        if let Some(message) = journal.get_data(c"MESSAGE")? {
            let text = message.data().strip_prefix(b"MESSAGE=").unwrap_or_default();
            let tells = [&b"Failed password for "[..], b"Invalid user "];
            seen.failures += u64::from(tells.iter().any(|tell| text.starts_with(tell)));
        }
        std::hint::black_box(journal.get_data(c"_SYSTEMD_UNIT")?.map(|d| d.data().len()));
        std::hint::black_box(journal.timestamp_usec()?);
    }
    Ok(seen)
}

/// Our source, on this thread, and which jail wants the entry.
fn dispatch(directory: &Path) -> Result<Seen> {
    let mut selector = Selector::new(&of_the_journal());
    let mut source = LiveJournal::new(Journal::Directory(directory.to_owned()), Waker::new()?);
    source.open(&Start::Since(Timestamp::default()), selector.terms())?;
    let mut seen = Seen::default();
    replay(&mut source, &mut selector, |record, _| {
        std::hint::black_box(record.message.len());
        seen.entries += 1;
    })?;
    Ok(seen)
}

/// What our own jails want of the system's journal.
fn of_the_journal() -> Vec<Task> {
    let origin = Origin::Journal(Journal::System);
    tasks(&rig::settings()).remove(&origin).unwrap_or_default()
}

/// Everything, with nothing remembered.
fn in_memory(directory: &Path) -> Result<Seen> {
    whole(directory, Store::in_memory())
}

/// Everything, with the store in a file.
fn on_disk(directory: &Path) -> Result<Seen> {
    let place = measure::place("store")?;
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place)?;
    whole(directory, Store::open(&place)?.store)
}

/// The reader on its thread, the engine on this one, as in the daemon; the firewall is in memory.
fn whole(directory: &Path, store: Store) -> Result<Seen> {
    let firewall = AnyFirewall::choose(FirewallChoice::Memory, 131_072, clock::boottime, None);
    let journal = Journal::Directory(directory.to_owned());
    let start = Start::Since(Timestamp::default());
    let mut rig = Rig::new(Now::default(), Remembered::default(), store, Some(firewall));
    let (reader, mut heard) = read(journal, LogName::journal(), start, of_the_journal())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let failures = runtime.block_on(listen(&mut rig, &mut heard))?;
    reader.stop();
    Ok(Seen {
        failures,
        bans: rig.bans,
        ..Seen::default()
    })
}

/// Hears the reader out; returns how many failures it told of.
async fn listen(rig: &mut Rig, heard: &mut Receiver<Heard>) -> Result<u64> {
    let mut failures = 0;
    let mut now = Now::default();
    loop {
        let mut word = heard.recv().await;
        for _ in 1..ROUND {
            match word {
                Some(Heard::Progress {
                    log,
                    failures: some,
                    position,
                }) => {
                    now = present(&position);
                    failures += some.len() as u64;
                    rig.engine.handle_failures(now, &some, &log, position);
                }
                Some(Heard::CaughtUp) => {
                    rig.engine.handle_caught_up(now);
                    rig.engine.handle_flush(now);
                    rig.drain().await?;
                    return Ok(failures);
                }
                other => return Err(format!("the reader said {other:?}").into()),
            }
            let Ok(next) = heard.try_recv() else { break };
            word = Some(next);
        }
        rig.drain().await?;
    }
}

/// Entries are heard as they are written.
fn present(position: &Position) -> Now {
    Now {
        wall: position.time,
        boot: Boottime::from_usec(position.time.usec() % 1_000_000_000_000),
        asleep: Span::ZERO,
    }
}

/// fail2ban's filter for sshd, on the same entries. It counts and bans nobody.
fn fail2ban(directory: &Path) -> Result<Seen> {
    // Given the directory it reads but the newest file.
    ask_fail2ban(&format!(
        "systemd-journal[journalfiles={}/*.journal]",
        directory.display()
    ))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark, not the daemon")]
fn ask_fail2ban(log: &str) -> Result<Seen> {
    let root = peer();
    let output = Command::new("/usr/bin/python3")
        .arg(root.join("usr/bin/fail2ban-regex"))
        .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
        .arg("-c")
        .arg(root.join("etc/fail2ban"))
        .args([
            "--no-check-all",
            "--print-no-missed",
            "--print-no-ignored",
            "-m",
        ])
        .arg(format!("_SYSTEMD_UNIT={}", export::UNIT))
        .args([log, "sshd"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().find_map(|line| line.strip_prefix("Lines: "));
    let wrong = || {
        format!(
            "fail2ban-regex: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let number = |what: &str| -> Option<u64> {
        let words: Vec<&str> = summary?.split([' ', ',']).collect();
        let at = words.iter().position(|word| *word == what)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    Ok(Seen {
        entries: number("lines").ok_or_else(wrong)?,
        failures: number("matched").ok_or_else(wrong)?,
        bans: 0,
    })
}

/// Where `make bench` unpacks fail2ban's package.
fn peer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/fail2ban")
}

/// A directory with a journal of so many entries, a tenth of them sshd's; made once.
#[expect(clippy::disallowed_methods, reason = "a benchmark, not the daemon")]
fn journal(entries: u64) -> Result<PathBuf> {
    let mut sample = Vec::new();
    export::write(&mut sample, 1000, 10)?;
    let mut hasher = DefaultHasher::new();
    sample.hash(&mut hasher);
    let made = measure::place(&format!("journal-{entries}-{:016x}", hasher.finish()))?;
    if made.exists() {
        return Ok(made);
    }
    let making = made.with_extension("new");
    let _ = fs::remove_dir_all(&making);
    fs::create_dir(&making)?;
    let text = making.join("entries.export");
    export::write(&mut BufWriter::new(File::create(&text)?), entries, 10)?;
    let status = Command::new("/lib/systemd/systemd-journal-remote")
        .arg("--output")
        .arg(making.join("bench.journal"))
        .arg(&text)
        .status()?;
    fs::remove_file(text)?;
    if !status.success() {
        return Err("systemd-journal-remote failed".into());
    }
    fs::rename(making, &made)?;
    Ok(made)
}
