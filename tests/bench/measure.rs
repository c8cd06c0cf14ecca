//! What a run costs, and the table that the benchmarks fill in together.
//!
//! Comes in: something to run. Goes out: its wall time and its processor time, user and system, of
//! all threads and of children that were waited for; lines on the terminal and in `target/bench/table`.

#![allow(dead_code, reason = "each benchmark uses some of it")]
#![expect(clippy::print_stdout, reason = "the result is for a person")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// Runs `work` once.
#[expect(clippy::disallowed_methods, reason = "a benchmark, not the daemon")]
pub(crate) fn cost<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let cpu = cpu()?;
    let start = Instant::now();
    let result = work()?;
    let wall = start.elapsed();
    let cpu = self::cpu()?.saturating_sub(cpu);
    Ok((result, Cost { wall, cpu }))
}

/// The middle of several runs, each time on its own.
pub(crate) fn middle(costs: &[Cost]) -> Cost {
    let of = |time: fn(&Cost) -> Duration| {
        let mut times: Vec<Duration> = costs.iter().map(time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    Cost {
        wall: of(|cost| cost.wall),
        cpu: of(|cost| cost.cpu),
    }
}

/// Where benchmarks keep files, on the disk that the tree is on.
pub(crate) fn place(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&path)?;
    Ok(path.join(name))
}

/// Begins a section of the table.
pub(crate) fn title(text: &str) -> Result<()> {
    line(&format!("\n{text}\n"))
}

/// One line: what was measured, how much it was, and what it was meant to be, if anything.
pub(crate) fn row(what: &str, measured: &str, aim: Option<(&str, bool)>) -> Result<()> {
    let aim = match aim {
        Some((aim, true)) => format!("{aim}: met"),
        Some((aim, false)) => format!("{aim}: MISSED"),
        None => String::new(),
    };
    line(format!("  {what:<46}  {measured:<46}  {aim}").trim_end())
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn line(text: &str) -> Result<()> {
    println!("{text}");
    let path = place("table")?;
    let mut table = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(table, "{text}")?;
    Ok(())
}

/// The processor time that this process and its children have taken.
fn cpu() -> io::Result<Duration> {
    Ok(usage(libc::RUSAGE_SELF)? + usage(libc::RUSAGE_CHILDREN)?)
}

#[expect(unsafe_code, reason = "getrusage writes through a raw pointer")]
fn usage(who: libc::c_int) -> io::Result<Duration> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills in one rusage, to which the pointer is.
    let done = unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zero is an rusage, and the kernel has written one over it.
    let usage = unsafe { usage.assume_init() };
    let time = |t: libc::timeval| {
        let (sec, usec) = (u64::try_from(t.tv_sec), u64::try_from(t.tv_usec));
        Duration::from_secs(sec.unwrap_or(0)) + Duration::from_micros(usec.unwrap_or(0))
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}
