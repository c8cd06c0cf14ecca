//! Where the rest of a log is after its file was renamed, copied, truncated or replaced.
//!
//! Comes in: the path and the place where reading had come to. Goes out: files in the order in which they were
//! written: the rest of the one that was read, under whatever name it has in the same directory by now, or
//! of its copy; those that were begun and put away since; at last the one that has the path.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::engine::time::Timestamp;
use crate::logfile::place::Place;
use crate::logfile::tail::Tail;

/// The files in which what follows `place` is. Empty where neither the file nor the path is there.
///
/// # Errors
/// The path is there but cannot be read.
pub(crate) fn follow(path: &Path, place: &Place) -> io::Result<Vec<Tail>> {
    // A link may lead to another directory.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (Some(directory), Some(base)) = (real.parent(), real.file_name()) else {
        return Ok(Vec::new());
    };
    let base = base.to_string_lossy().into_owned();
    let mut names = siblings(directory, &base, place);
    for _ in 0..TRIES {
        let tails = trail(path, place, (directory, &base), &names)?;
        // While somebody renames one file after the other a name may stand for another file than a moment ago.
        let after = siblings(directory, &base, place);
        if names == after {
            return Ok(tails);
        }
        names = after;
    }
    trail(path, place, (directory, &base), &names)
}

fn trail(
    path: &Path,
    place: &Place,
    (directory, base): (&Path, &str),
    names: &[Sibling],
) -> io::Result<Vec<Tail>> {
    let mut newest = match Tail::open(path) {
        Ok(tail) => Some(tail),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // With another inode and the same content it is what we have been reading a copy of, and it has not been
    // truncated yet.
    let is_same = |tail: &&mut Tail| tail.id.inode == place.id.inode || place.head.is_telling();
    if let Some(tail) = newest.as_mut().filter(is_same)
        && tail.fits(place)?
    {
        tail.seek(place)?;
        return Ok(newest.into_iter().collect());
    }
    let is_newest = |tail: &Tail| newest.as_ref().is_some_and(|newest| newest.id == tail.id);
    let found = names.iter().find_map(|sibling| {
        // Where nothing had been read the inode alone tells, which may be another file's by now.
        let may_be = match place.head.is_telling() {
            true => sibling.inode == place.id.inode || sibling.name.starts_with(base),
            false => sibling.inode == place.id.inode && sibling.name.starts_with(stem(base)),
        };
        if !may_be {
            return None;
        }
        let mut tail = Tail::open_any(&directory.join(&sibling.name)).ok()?;
        let fits = !is_newest(&tail) && tail.fits(place).ok()?;
        (fits && tail.seek(place).is_ok()).then_some((&sibling.name, tail))
    });
    let mut tails = Vec::new();
    if let Some((name, tail)) = found {
        tails.push(tail);
        let others = names.iter().filter(|sibling| sibling.name != *name);
        let later = successors(base, name, others.map(|s| s.name.as_str()));
        let later = later
            .iter()
            .map(|name| Tail::open_any(&directory.join(name)));
        tails.extend(later.filter_map(Result::ok).filter(|tail| !is_newest(tail)));
    }
    tails.extend(newest);
    Ok(tails)
}

/// A name in the directory.
#[derive(Debug, PartialEq, Eq)]
struct Sibling {
    name: String,
    inode: u64,
}

/// Those that matter, those of files that may have been put away first.
fn siblings(directory: &Path, base: &str, place: &Place) -> Vec<Sibling> {
    // A directory that may be entered but not listed hides what was put away.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.map(|entry| Sibling {
        name: entry.file_name().to_string_lossy().into_owned(),
        inode: entry.ino(),
    });
    let mut names: Vec<Sibling> = named
        .filter(|sibling| sibling.inode == place.id.inode || sibling.name.starts_with(base))
        .collect();
    names.sort_by_cached_key(|s| (!s.name.starts_with(base), s.name.len(), s.name.clone()));
    names
}

/// What a file next to the log may be called too: `auth` for `auth-20260101.log` beside `auth.log`.
fn stem(base: &str) -> &str {
    base.rsplit_once('.').map_or(base, |(stem, _)| stem)
}

/// A file beside `path`, put away since `time`, that is packed in a way that nobody here unpacks.
pub(crate) fn packed_otherwise(path: &Path, time: Timestamp) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let base = real.file_name()?.to_string_lossy().into_owned();
    let entries = fs::read_dir(real.parent()?).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        // Some packers know the time by the second.
        let since = UNIX_EPOCH + Duration::from_secs(time.usec() / 1_000_000);
        let changed = || fs::metadata(path).and_then(|metadata| metadata.modified());
        name.starts_with(&base) && PACKED.contains(&suffix) && changed().is_ok_and(|it| it >= since)
    });
    paths.next()
}

/// Of `names`, those that hold what was written after `found` was put away, oldest first: `log.2`, `log.1`
/// after `log.3`; `log-20260102` after `log-20260101`; each of them packed or not.
fn successors<'a>(
    base: &str,
    found: &'a str,
    names: impl Iterator<Item = &'a str>,
) -> Vec<&'a str> {
    let suffix = |name: &'a str| {
        let suffix = name.strip_prefix(base)?;
        Some(suffix.strip_suffix(".gz").unwrap_or(suffix))
    };
    let Some(place) = suffix(found) else {
        return Vec::new();
    };
    let suffixed = names.filter_map(|name| Some((suffix(name)?, name)));
    // What is being packed is there twice, and whole under the shorter name.
    let mut later: Vec<(Reverse<u32>, &str, &str)> = match number(place) {
        Some(place) => suffixed
            .filter_map(|(suffix, name)| Some((Reverse(number(suffix)?), suffix, name)))
            .filter(|(Reverse(number), _, _)| *number < place)
            .collect(),
        None => suffixed
            .filter(|(suffix, _)| is_date_like(suffix, place) && *suffix > place)
            .map(|(suffix, name)| (Reverse(0), suffix, name))
            .collect(),
    };
    later.sort_unstable();
    later.dedup_by_key(|(_, suffix, _)| *suffix);
    later.into_iter().map(|(_, _, name)| name).collect()
}

/// The number in `.3`.
fn number(suffix: &str) -> Option<u32> {
    let digits = suffix.strip_prefix('.')?;
    let is_short = digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_short)
}

/// Whether both are written alike, with other digits.
fn is_date_like(one: &str, other: &str) -> bool {
    let digit = |c: u8| c.is_ascii_digit();
    let alike = |(a, b): (u8, u8)| a == b || (digit(a) && digit(b));
    one.len() == other.len() && one.bytes().any(digit) && one.bytes().zip(other.bytes()).all(alike)
}

/// How else files are packed.
const PACKED: [&str; 6] = ["Z", "bz2", "lz4", "lzma", "xz", "zst"];
/// So often is a directory looked at anew while names in it change.
const TRIES: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_away_later_comes_later() {
        let names = [
            "log.1",
            "log.2",
            "log.3",
            "log.10",
            "log.2.gz",
            "log.bak",
            "other.1",
            "log-20260101",
            "log-20260103",
            "log-20260102",
            "log-20260102.gz",
            "log-20260104.gz",
        ];
        for (found, expected) in [
            ("log.3", &["log.2", "log.1"][..]),
            ("log.4.gz", &["log.3", "log.2", "log.1"]),
            ("log.11", &["log.10", "log.3", "log.2", "log.1"]),
            ("log.1", &[]),
            (
                "log-20260101",
                &["log-20260102", "log-20260103", "log-20260104.gz"],
            ),
            ("log-20260103", &["log-20260104.gz"]),
            ("log.bak", &[]),
            ("elsewhere", &[]),
        ] {
            let others = names.into_iter().filter(|name| *name != found);
            assert_eq!(successors("log", found, others), expected, "{found}");
        }
    }
}
