//! CPU per matched entry through source and dispatch, beside a bare loop on libsystemd.
//!
//! Comes in: `BANISHD_BENCH_JOURNAL`, a directory of journal files, or `BANISHD_BENCH_ENTRIES`. Goes
//! out: one line per contender, the middle of seven runs taken in turn.

#![expect(clippy::print_stdout, reason = "the result is for a person")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use banishd::engine::settings::Matches;
use banishd::engine::time::Timestamp;
use banishd::journal::live::{LiveJournal, Origin};
use banishd::journal::matches::Selector;
use banishd::journal::script::replay;
use banishd::journal::sd_journal::Waker;
use banishd::journal::{LogSource, Start};
use systemd::journal::OpenDirectoryOptions;

#[path = "../support/export.rs"]
mod export;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Name, and what to run: it returns how many entries it saw.
type Contender = (&'static str, fn(&Path) -> Result<u64>);

fn main() -> Result<()> {
    let made = tempfile::tempdir()?;
    let directory = match std::env::var_os("BANISHD_BENCH_JOURNAL") {
        Some(path) => PathBuf::from(path),
        None => {
            make(made.path())?;
            made.path().to_owned()
        }
    };
    let contenders: [Contender; 4] = [
        ("libsystemd: unit and uid, MESSAGE, unit, time", bare),
        ("libsystemd: the same, only the unit matched", bare_unit),
        ("libsystemd: unit and uid, enumerate", enumerate),
        ("banishd: source and dispatch", ours),
    ];
    let mut times: Vec<Vec<u64>> = vec![Vec::new(); contenders.len()];
    let mut entries = 0;
    for _ in 0..7 {
        for ((_, run), times) in contenders.iter().zip(&mut times) {
            let before = cpu()?;
            entries = run(&directory)?;
            times.push(cpu()?.saturating_sub(before));
        }
    }
    for ((name, _), times) in contenders.iter().zip(&mut times) {
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().unwrap_or_default();
        println!("{:>7} ns an entry  {name}", middle / entries.max(1));
    }
    println!("{entries} entries matched");
    Ok(())
}

/// CPU time of this thread in nanoseconds.
fn cpu() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark, not the daemon")]
fn make(directory: &Path) -> Result<()> {
    let entries = std::env::var("BANISHD_BENCH_ENTRIES").map_or(Ok(200_000), |n| n.parse())?;
    let text = directory.join("entries.export");
    export::write(&mut BufWriter::new(File::create(&text)?), entries, 10)?;
    let status = std::process::Command::new("/lib/systemd/systemd-journal-remote")
        .arg("--output")
        .arg(directory.join("bench.journal"))
        .arg(&text)
        .status()?;
    fs::remove_file(text)?;
    match status.success() {
        true => Ok(()),
        false => Err("systemd-journal-remote failed (apt install systemd-journal-remote)".into()),
    }
}

fn bare(directory: &Path) -> Result<u64> {
    loop_over(directory, &[("_SYSTEMD_UNIT", export::UNIT), ("_UID", "0")])
}

fn bare_unit(directory: &Path) -> Result<u64> {
    loop_over(directory, &[("_SYSTEMD_UNIT", export::UNIT)])
}

fn loop_over(directory: &Path, matches: &[(&str, &str)]) -> Result<u64> {
    let mut journal = OpenDirectoryOptions::default().open_directory(path(directory)?)?;
    for (field, value) in matches {
        journal.match_add(field, *value)?;
    }
    let mut entries = 0;
    while journal.next()? > 0 {
        for field in [c"MESSAGE", c"_SYSTEMD_UNIT"] {
            std::hint::black_box(journal.get_data(field)?.map(|d| d.data().len()));
        }
        std::hint::black_box(journal.timestamp_usec()?);
        entries += 1;
    }
    Ok(entries)
}

fn enumerate(directory: &Path) -> Result<u64> {
    let mut journal = OpenDirectoryOptions::default().open_directory(path(directory)?)?;
    journal.match_add("_SYSTEMD_UNIT", export::UNIT)?;
    journal.match_add("_UID", "0")?;
    let mut entries = 0;
    while journal.next()? > 0 {
        journal.restart_data();
        while let Some(field) = journal.enumerate_data()? {
            std::hint::black_box(field.data().len());
        }
        std::hint::black_box(journal.timestamp_usec()?);
        entries += 1;
    }
    Ok(entries)
}

fn ours(directory: &Path) -> Result<u64> {
    let group = [("_SYSTEMD_UNIT", export::UNIT), ("_UID", "0")];
    let group = group.map(|(field, value)| (field.to_owned(), vec![value.to_owned()]));
    let matches = Matches(vec![BTreeMap::from(group)]);
    let mut selector = Selector::new([&matches]);
    let mut source = LiveJournal::new(Origin::Directory(path(directory)?), Waker::new()?);
    source.open(&Start::Since(Timestamp::default()), selector.terms())?;
    let mut entries = 0;
    replay(&mut source, &mut selector, |record, _| {
        std::hint::black_box(record.message.len());
        entries += 1;
    })?;
    Ok(entries)
}

fn path(directory: &Path) -> Result<CString> {
    Ok(CString::new(directory.as_os_str().as_encoded_bytes())?)
}
