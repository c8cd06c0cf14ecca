//! Where the rest of a log is after its file was renamed, copied, truncated or replaced.
//!
//! Comes in: the path and the place where reading had come to. Goes out: files in the order in which they were
//! written: the rest of the one that was read, under whatever name it has in the same directory by now, or
//! of its copy; those that were begun and put away since; at last the one that has the path.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

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
    let mut names = siblings(directory, &base);
    for _ in 0..TRIES {
        let tails = trail(path, place, (directory, &base), &names)?;
        // While somebody renames one file after the other a name may stand for another file than a moment ago.
        let after = siblings(directory, &base);
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
        && place.fits(&tail.file)?
    {
        tail.seek(place)?;
        return Ok(newest.into_iter().collect());
    }
    let is_newest = |tail: &Tail| newest.as_ref().is_some_and(|newest| newest.id == tail.id);
    let found = names.iter().find_map(|sibling| {
        let is_copy = sibling.inode != place.id.inode;
        if is_copy && !(place.head.is_telling() && sibling.name.starts_with(base)) {
            return None;
        }
        let mut tail = Tail::open(&directory.join(&sibling.name)).ok()?;
        let fits = !is_newest(&tail) && place.fits(&tail.file).ok()?;
        (fits && tail.seek(place).is_ok()).then_some((&sibling.name, tail))
    });
    let mut tails = Vec::new();
    if let Some((name, tail)) = found {
        tails.push(tail);
        let others = names.iter().filter(|sibling| sibling.name != *name);
        let later = successors(base, name, others.map(|s| s.name.as_str()));
        let later = later.iter().map(|name| Tail::open(&directory.join(name)));
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

/// All of them, those of files that may have been put away first.
fn siblings(directory: &Path, base: &str) -> Vec<Sibling> {
    // A directory that may be entered but not listed hides what was put away.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<Sibling> = entries
        .map(|entry| Sibling {
            name: entry.file_name().to_string_lossy().into_owned(),
            inode: entry.ino(),
        })
        .collect();
    names.sort_by_cached_key(|s| (!s.name.starts_with(base), s.name.len(), s.name.clone()));
    names
}

/// Of `names`, those that hold what was written after `found` was put away, oldest first: `log.2`, `log.1`
/// after `log.3`; `log-20260102` after `log-20260101`.
fn successors<'a>(base: &str, found: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let Some(suffix) = found.strip_prefix(base) else {
        return Vec::new();
    };
    let suffixed = names.filter_map(|name| Some((name.strip_prefix(base)?, name)));
    match number(suffix) {
        Some(place) => {
            let numbered = suffixed.filter_map(|(suffix, name)| Some((number(suffix)?, name)));
            let mut later: Vec<(u32, &str)> = numbered.filter(|(n, _)| *n < place).collect();
            later.sort_by_key(|(number, _)| Reverse(*number));
            later.into_iter().map(|(_, name)| name).collect()
        }
        None => {
            let dated = suffixed.filter(|(s, _)| is_date_like(s, suffix) && *s > suffix);
            let mut later: Vec<&str> = dated.map(|(_, name)| name).collect();
            later.sort_unstable();
            later
        }
    }
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
        ];
        for (found, expected) in [
            ("log.3", &["log.2", "log.1"][..]),
            ("log.11", &["log.10", "log.3", "log.2", "log.1"]),
            ("log.1", &[]),
            ("log-20260101", &["log-20260102", "log-20260103"]),
            ("log-20260103", &[]),
            ("log.bak", &[]),
            ("elsewhere", &[]),
        ] {
            let others = names.into_iter().filter(|name| *name != found);
            assert_eq!(successors("log", found, others), expected, "{found}");
        }
    }
}
