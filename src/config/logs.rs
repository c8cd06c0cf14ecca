//! `logpath`: which files a jail reads, and whether it can.
//!
//! Comes in: lines such as `/var/log/nginx/*error.log tail`. Goes out: patterns, and what there is of
//! files now; the source of log files looks again later. Files are opened and closed, never read.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::engine::settings::LogFile;
use crate::sys::mounts::Mounts;
use crate::sys::patterns::{Found, is_wild};

/// One line of `logpath`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(line: &str) -> Result<LogFile, String> {
    let (pattern, is_tail) = match line.rsplit_once(char::is_whitespace) {
        Some((pattern, "head")) => (pattern.trim_end(), false),
        Some((pattern, "tail")) => (pattern.trim_end(), true),
        _ => (line, false),
    };
    if !pattern.starts_with('/') {
        return Err(format!("'{pattern}' is no absolute path"));
    }
    // Python's glob knows no `**`, so here it must not mean any number of directories.
    let mut pattern = pattern.to_owned();
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    match glob::Pattern::new(&pattern) {
        Ok(_) => Ok(LogFile { pattern, is_tail }),
        Err(error) => Err(format!("'{pattern}' is no pattern: {}", error.msg)),
    }
}

/// What there is of a pattern.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Files that can be read, and file systems that may never answer.
    pub(crate) readable: usize,
    /// What is there and cannot be read, and why.
    pub(crate) unreadable: Vec<(PathBuf, Obstacle)>,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// This file or directory does not let us.
    Refused(PathBuf),
    /// It is a directory, a pipe or the like.
    NoFile,
    /// Something else.
    Other(io::Error),
}

/// Looks for the files of `pattern`.
pub(crate) fn look(pattern: &str) -> Seen {
    let mut found = Found::default();
    found.look_for(pattern, &Mounts::new(), None);
    let mut seen = Seen {
        // What is there only its own reader may find out: to look may take for ever.
        readable: found.beyond.len(),
        ..Seen::default()
    };
    if is_wild(pattern) {
        let paths = found.files.keys().take(COUNT_MAX);
        paths.for_each(|path| seen.add(path));
        let refused = found.refused.into_iter();
        refused.for_each(|(path, error)| seen.stands(&path, error));
    } else if found.beyond.is_empty() {
        seen.add(Path::new(pattern));
    }
    seen
}

/// The files of `pattern`, whatever they are.
pub(crate) fn expand(pattern: &str) -> Vec<PathBuf> {
    let paths =
        glob::glob_with(pattern, OPTIONS).map(|paths| paths.take(COUNT_MAX).filter_map(Result::ok));
    paths.map(Iterator::collect).unwrap_or_default()
}

/// As Python's glob.
const OPTIONS: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// More files than this are not looked at.
const COUNT_MAX: usize = 4096;

impl Seen {
    fn add(&mut self, path: &Path) {
        let opened = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
            true => OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path)
                .map(|_| true),
            false => Ok(false),
        });
        match opened {
            Ok(true) => self.readable += 1,
            Ok(false) => self.unreadable.push((path.to_owned(), Obstacle::NoFile)),
            Err(error) => self.stands(path, error),
        }
    }

    fn stands(&mut self, path: &Path, error: io::Error) {
        let obstacle = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => return,
            ErrorKind::PermissionDenied => Obstacle::Refused(closed(path)),
            _ => Obstacle::Other(error),
        };
        self.unreadable.push((path.to_owned(), obstacle));
    }
}

/// The outermost directory on the way to `path` that cannot be entered, or `path`.
fn closed(path: &Path) -> PathBuf {
    let mut ancestors: Vec<&Path> = path.ancestors().skip(1).collect();
    ancestors.reverse();
    let refused = |path: &Path| {
        let error = fs::metadata(path.join(".")).err();
        error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    let closed = ancestors.into_iter().find(|directory| refused(directory));
    closed.unwrap_or(path).to_owned()
}

impl Obstacle {
    /// What is wrong with `path`.
    pub(crate) fn message(&self, path: &Path) -> String {
        let name = path.display();
        match self {
            Self::Refused(_) => format!("the service may not read '{name}'"),
            Self::NoFile => format!("'{name}' is no regular file"),
            Self::Other(error) => format!("cannot read '{name}': {error}"),
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self, path: &Path) -> String {
        match self {
            Self::Refused(closed) if HIDDEN.iter().any(|hidden| closed.starts_with(hidden)) => {
                let why = "the service sees no home directories";
                format!(
                    "{why}: systemctl edit banishd.service, and set ProtectHome=read-only in [Service]"
                )
            }
            Self::Refused(closed) => {
                let right = if closed == path { "g+r" } else { "g+rx" };
                let name = closed.display();
                format!(
                    "let the service's group adm read it, and logrotate(8) create it so: chgrp adm '{name}' && chmod {right} '{name}'"
                )
            }
            Self::NoFile => "name a file".to_owned(),
            Self::Other(_) => format!("look at it: ls -ld '{}'", path.display()),
        }
    }
}

/// What `ProtectHome=` hides.
const HIDDEN: [&str; 3] = ["/home", "/root", "/run/user"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_pattern_and_where_to_begin() {
        let file = |pattern: &str, is_tail| {
            Ok(LogFile {
                pattern: pattern.to_owned(),
                is_tail,
            })
        };
        for (line, expected) in [
            ("/var/log/a.log", file("/var/log/a.log", false)),
            ("/var/log/a.log head", file("/var/log/a.log", false)),
            ("/var/log/*.log  tail", file("/var/log/*.log", true)),
            ("/srv/**/a**.log", file("/srv/*/a*.log", false)),
            ("/var/log/two words", file("/var/log/two words", false)),
            ("a.log", Err("'a.log' is no absolute path")),
            (
                "/var/[log",
                Err("'/var/[log' is no pattern: invalid range pattern"),
            ),
        ] {
            let found = parse(line);
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|e| *e),
                "{line}"
            );
        }
    }

    #[test]
    fn files_are_found_and_what_is_none_is_told() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", ".hidden.log", "c.txt"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let socket = directory.path().join("d.log");
        let _socket = std::os::unix::net::UnixListener::bind(socket).unwrap();
        fs::create_dir(directory.path().join("e.log")).unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();

        let all = look(&at("*.log"));
        assert_eq!((all.readable, all.unreadable.len()), (2, 1));
        let (path, obstacle) = all.unreadable.first().unwrap();
        assert!(
            obstacle
                .message(path)
                .ends_with("d.log' is no regular file")
        );
        assert_eq!(look(&at("c.txt")).readable, 1);
        let none = look(&at("nothing"));
        assert_eq!((none.readable, none.unreadable.len()), (0, 0));
        assert_eq!(expand(&at("?.log")).len(), 4);
    }

    #[test]
    fn what_to_do_names_the_directory_that_is_closed() {
        let refused = |path: &str| Obstacle::Refused(PathBuf::from(path));
        let remedy = refused("/var/log/x").remedy(Path::new("/var/log/x/y.log"));
        assert!(remedy.contains("chmod g+rx '/var/log/x'"), "{remedy}");
        let remedy = refused("/var/log/y.log").remedy(Path::new("/var/log/y.log"));
        assert!(remedy.contains("chmod g+r '/var/log/y.log'"), "{remedy}");
        let remedy = refused("/home").remedy(Path::new("/home/me/y.log"));
        assert!(remedy.contains("ProtectHome=read-only"), "{remedy}");
    }
}
