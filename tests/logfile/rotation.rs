//! Whatever is done to a log while lines are written to it as fast as can be, every line is heard once; and
//! also if the reader is stopped at any moment and another goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

#[test]
fn renamed_and_made_anew() {
    check(Kind::Rename, Stops::Never);
    check(Kind::Rename, Stops::Often);
}

#[test]
fn renamed_to_a_date() {
    check(Kind::Date, Stops::Never);
    check(Kind::Date, Stops::Often);
}

#[test]
fn copied_and_truncated() {
    check(Kind::CopyTruncate, Stops::Never);
    check(Kind::CopyTruncate, Stops::Often);
}

#[test]
fn truncated_under_a_writer_that_does_not_append() {
    check(Kind::TruncateWithHole, Stops::Never);
}

#[test]
fn truncated_after_it_was_read() {
    check(Kind::Truncate, Stops::Never);
}

#[test]
fn deleted_and_made_anew() {
    check(Kind::Recreate, Stops::Never);
}

#[test]
fn renamed_under_a_service_that_is_told_late() {
    check(Kind::ToldLate, Stops::Never);
    check(Kind::ToldLate, Stops::Often);
}

/// What is done to the file now and then.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Rename,
    Date,
    CopyTruncate,
    /// What is cut off was read before, or nobody could ever read it.
    Truncate,
    /// The same, and the service writes on behind a hole.
    TruncateWithHole,
    /// The same.
    Recreate,
    /// The service goes on writing to the renamed file for a while, the new one exists already.
    ToldLate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stops {
    Never,
    Often,
}

fn check(kind: Kind, stops: Stops) {
    let place = Place::new();
    let jails = || vec![place.jail("sshd", "auth.log")];
    drop(place.log("auth.log"));
    let heard = Arc::new(AtomicU32::new(0));
    let mut ear = Ear::listen(Known::new(), jails());
    wait_until(|| ear.drain().is_caught_up);
    let writer = write(place.path("auth.log"), kind, Arc::clone(&heard));
    let mut numbers: Vec<u32> = Vec::new();
    let mut stop_at = 500;

    // Given up when nothing has been heard for a minute.
    let mut idle = 0;
    while numbers.len() < LINES as usize && idle < 12_000 {
        std::thread::sleep(Duration::from_millis(5));
        ear.drain();
        idle = if ear.heard.is_empty() { idle + 1 } else { 0 };
        numbers.extend(ear.heard.drain(..).map(|failure| number(&failure.who)));
        heard.store(u32::try_from(numbers.len()).unwrap(), Ordering::Relaxed);
        if stops == Stops::Often && numbers.len() >= stop_at {
            stop_at += 500;
            ear = ear.restart(jails());
        }
    }
    writer.join().unwrap();
    // What would come twice would come now.
    place.log("auth.log").say(LINES..LINES + 1);
    wait_until(|| {
        ear.drain();
        numbers.extend(ear.heard.drain(..).map(|failure| number(&failure.who)));
        numbers.contains(&LINES)
    });

    if kind == Kind::ToldLate {
        // Between the two files there is no order.
        numbers.sort_unstable();
    }
    let expected: Vec<u32> = (0..=LINES).collect();
    let wrong = numbers.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(
        (wrong, numbers.len()),
        (None, expected.len()),
        "{kind:?} {stops:?}: {:?}",
        wrong.map(|at| &numbers[at.saturating_sub(3)..numbers.len().min(at + 5)])
    );
    assert_eq!(ear.troubles, BTreeMap::new());
}

/// Writes all lines from another thread and rotates every few hundred of them.
fn write(path: PathBuf, kind: Kind, heard: Arc<AtomicU32>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let open = |path: &Path| match kind {
            Kind::TruncateWithHole => {
                let mut file = OpenOptions::new().write(true).open(path).unwrap();
                std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
                Log(file)
            }
            _ => Log(append(path)),
        };
        let mut log = open(&path);
        // Of a file that is still empty when it is truncated nobody knows that it was.
        log.say(0..1);
        wait_until(|| heard.load(Ordering::Relaxed) >= 1);
        for (turn, from) in (0..LINES).step_by(EVERY).enumerate() {
            let to = LINES.min(from + u32::try_from(EVERY).unwrap());
            log.say(from.max(1)..to - 20);
            if matches!(
                kind,
                Kind::Truncate | Kind::TruncateWithHole | Kind::Recreate
            ) {
                wait_until(|| heard.load(Ordering::Relaxed) >= to - 20);
            }
            rotate(&path, kind, turn);
            match kind {
                Kind::Truncate | Kind::CopyTruncate | Kind::TruncateWithHole => {}
                Kind::ToldLate => {
                    log.say(to - 20..to - 10);
                    log = open(&path);
                    log.say(to - 10..to);
                    continue;
                }
                _ => log = open(&path),
            }
            log.say(to - 20..to);
        }
    })
}

fn rotate(path: &Path, kind: Kind, turn: usize) {
    let numbered = |n: usize| PathBuf::from(format!("{}.{n}", path.display()));
    let shift = || {
        for n in (1..=KEPT).rev().filter(|n| numbered(*n).exists()) {
            fs::rename(numbered(n), numbered(n + 1)).unwrap();
        }
    };
    match kind {
        Kind::Rename | Kind::ToldLate => {
            shift();
            fs::rename(path, numbered(1)).unwrap();
            drop(append(path));
        }
        Kind::Date => {
            let dated = format!("{}-2026{:04}", path.display(), turn);
            fs::rename(path, dated).unwrap();
            drop(append(path));
        }
        Kind::CopyTruncate => {
            shift();
            fs::copy(path, numbered(1)).unwrap();
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(0)
                .unwrap();
        }
        Kind::Truncate | Kind::TruncateWithHole => {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(0)
                .unwrap();
        }
        Kind::Recreate => {
            fs::remove_file(path).unwrap();
            drop(append(path));
        }
    }
}

const LINES: u32 = 20_000;
const EVERY: usize = 400;
const KEPT: usize = 60;
