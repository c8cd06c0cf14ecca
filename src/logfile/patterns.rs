//! Which files a `logpath` means, and which directories to watch for files that come later.
//!
//! Comes in: a path in which `*`, `?` and `[…]` are wild cards, as for Python's glob. Goes out: paths, and for
//! each directory the names that matter there. It follows links and never looks into a directory that the
//! path does not name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files, or what may become one: everything but directories.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Directories in which names matter.
    pub(crate) watched: BTreeMap<PathBuf, Names>,
    /// Directories that could not be looked into.
    pub(crate) refused: BTreeMap<PathBuf, io::Error>,
}

/// The names that matter in a directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names(Vec<Pattern>);

impl Names {
    pub(crate) fn matter(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, name))
    }
}

impl Found {
    /// Adds what `pattern` means.
    pub(crate) fn look_for(&mut self, pattern: &str) {
        let mut directories = vec![PathBuf::from("/")];
        let mut parts = parts(pattern).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let mut next = Vec::new();
            for directory in directories {
                next.extend(self.step(&directory, part, is_last));
            }
            if is_last {
                self.files.extend(next);
                return;
            }
            directories = next;
        }
    }

    /// Has the directory watched for this name.
    pub(crate) fn watch(&mut self, directory: &Path, part: &str) {
        let names = self.watched.entry(directory.to_owned()).or_default();
        let pattern = compile(part);
        if !names.0.contains(&pattern) {
            names.0.push(pattern);
        }
    }

    /// What in `directory` is called `part`.
    fn step(&mut self, directory: &Path, part: &str, is_last: bool) -> Vec<PathBuf> {
        if !is_wild(part) {
            let path = directory.join(part);
            let is_there = match fs::metadata(&path) {
                Ok(metadata) => metadata.is_dir() != is_last,
                Err(error) => {
                    if error.kind() == ErrorKind::PermissionDenied {
                        self.refused.insert(path.clone(), error);
                    }
                    false
                }
            };
            // A directory that is there tells by itself when it goes.
            if is_last || !is_there {
                self.watch(directory, part);
            }
            return is_there.then_some(path).into_iter().collect();
        }
        self.watch(directory, part);
        let pattern = compile(part);
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.refused.insert(directory.to_owned(), error);
                return Vec::new();
            }
        };
        let named = entries
            .flatten()
            .filter(|entry| matches(&pattern, &entry.file_name().to_string_lossy()));
        let paths = named.map(|entry| entry.path());
        paths
            .filter(|path| fs::metadata(path).is_ok_and(|m| m.is_dir() != is_last))
            .collect()
    }
}

/// Whether `pattern` means `path`.
pub(crate) fn means(pattern: &str, path: &Path) -> bool {
    let path = path.to_string_lossy();
    let mut names = path.split('/').filter(|part| !part.is_empty());
    parts(pattern).all(|part| {
        names
            .next()
            .is_some_and(|name| matches(&compile(part), name))
    }) && names.next().is_none()
}

/// Whether it may mean several files.
pub(crate) fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

fn parts(pattern: &str) -> impl Iterator<Item = &str> {
    pattern
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

fn compile(part: &str) -> Pattern {
    // Python's glob knows no `**`, and takes a bracket that is not closed as it stands.
    let mut part = part.to_owned();
    while part.contains("**") {
        part = part.replace("**", "*");
    }
    let plain = || Pattern::new(&Pattern::escape(&part)).unwrap_or_default();
    Pattern::new(&part).unwrap_or_else(|_| plain())
}

fn matches(pattern: &Pattern, name: &str) -> bool {
    const OPTIONS: MatchOptions = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    pattern.matches_with(name, OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_python() {
        for (pattern, path, expected) in [
            ("/var/log/auth.log", "/var/log/auth.log", true),
            ("/var//log/./auth.log", "/var/log/auth.log", true),
            ("/var/log/auth.log", "/var/log/auth.log.1", false),
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "/var/log/.a.log", false),
            ("/var/log/*.log", "/var/log/a/b.log", false),
            ("/srv/*/log/acc?ss", "/srv/web/log/access", true),
            ("/srv/**/access", "/srv/web/access", true),
            ("/srv/**/access", "/srv/web/log/access", false),
            ("/a/[ab].log", "/a/b.log", true),
            ("/a/[!ab].log", "/a/b.log", false),
            ("/a/[b.log", "/a/[b.log", true),
        ] {
            assert_eq!(
                means(pattern, Path::new(path)),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn files_are_found_and_directories_watched_for_more() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/log")).unwrap();
        fs::create_dir_all(at("b")).unwrap();
        fs::write(at("a/log/x.log"), "").unwrap();
        fs::create_dir(at("a/log/directory.log")).unwrap();
        fs::write(at("a/log/x.txt"), "").unwrap();

        let mut found = Found::default();
        found.look_for(&at("*/log/*.log").to_string_lossy());
        found.look_for(&at("c/d.log").to_string_lossy());

        assert_eq!(found.files, [at("a/log/x.log")].into());
        let watched: Vec<&PathBuf> = found.watched.keys().collect();
        assert_eq!(watched, [&at(""), &at("a/log"), &at("b")]);
        assert!(found.watched[&at("b")].matter("log"));
        assert!(found.watched[&at("")].matter("c"));
        assert!(found.refused.is_empty());
    }
}
