//! Which files a `logpath` means, and which directories to watch for files that come later.
//!
//! Comes in: a path in which `*`, `?` and `[…]` are wild cards, as for Python's glob. Goes out: paths, and for
//! each directory the names that matter there. It follows links, never looks into a directory that the
//! path does not name, and never touches a file system that may hang, unless it is the one it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::sys::mounts::{Mounts, Spot};

/// What there is.
#[derive(Debug, Default)]
pub struct Found {
    /// Files, or what may become one: everything but directories. Where each leads.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// Directories in which names matter, and those above.
    pub watched: BTreeMap<PathBuf, Names>,
    /// Directories that could not be looked into.
    pub refused: BTreeMap<PathBuf, io::Error>,
    /// Mounts that may hang, and the patterns that lead there: somebody else looks for these.
    pub beyond: Beyond,
}

/// Mount points, and the patterns that lead there.
pub type Beyond = BTreeMap<PathBuf, BTreeSet<String>>;

/// The names that matter in a directory; none where only the directory itself does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names(Vec<Pattern>);

impl Names {
    /// Whether this one does.
    #[must_use]
    pub fn matter(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A directory or a file: its path by the pattern, and where that leads.
struct Place {
    name: PathBuf,
    spot: Spot,
}

/// Looks for what one pattern means.
struct Search<'a> {
    pattern: &'a str,
    mounts: &'a Mounts,
    own: Option<&'a Path>,
    found: &'a mut Found,
}

impl Found {
    /// Adds what `pattern` means: the files on the mount `own`, or those on none that may hang.
    pub fn look_for(&mut self, pattern: &str, mounts: &Mounts, own: Option<&Path>) {
        let mut search = Search {
            pattern,
            mounts,
            own,
            found: self,
        };
        let mut places = vec![Place {
            name: PathBuf::from("/"),
            spot: mounts.root(),
        }];
        let mut parts = parts(pattern).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let mut next = Vec::new();
            for place in places {
                next.extend(search.step(&place, part, is_last));
            }
            if is_last {
                let own = next
                    .into_iter()
                    .filter(|place| place.spot.mount.as_deref() == own);
                self.files.extend(own.map(|p| (p.name, p.spot.path)));
                return;
            }
            places = next;
        }
    }

    /// Has the directory watched for this name, and what is above it for being there.
    fn watch(&mut self, directory: &Path, part: &str) {
        for above in directory.ancestors().skip(1) {
            self.watched.entry(above.to_owned()).or_default();
        }
        let names = self.watched.entry(directory.to_owned()).or_default();
        let pattern = compile(part);
        if !names.0.contains(&pattern) {
            names.0.push(pattern);
        }
    }

    /// Has the name of this file or link watched.
    fn watch_name(&mut self, path: &Path) {
        if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
            self.watch(directory, &Pattern::escape(&name.to_string_lossy()));
        }
    }
}

impl Search<'_> {
    /// What in `from` is called `part`.
    fn step(&mut self, from: &Place, part: &str, is_last: bool) -> Vec<Place> {
        if !is_wild(part) {
            let Some(place) = self.enter(from, part) else {
                return Vec::new();
            };
            let is_there = match fs::metadata(&place.spot.path) {
                Ok(metadata) => metadata.is_dir() != is_last,
                Err(error) => {
                    if error.kind() == ErrorKind::PermissionDenied {
                        self.found.refused.insert(place.name.clone(), error);
                    }
                    false
                }
            };
            // A directory that is there tells by itself when it goes.
            if is_last || !is_there {
                self.found.watch(&from.spot.path, part);
            }
            return is_there.then_some(place).into_iter().collect();
        }
        self.found.watch(&from.spot.path, part);
        let pattern = compile(part);
        let entries = match fs::read_dir(&from.spot.path) {
            Ok(entries) => entries,
            Err(error) => {
                self.found.refused.insert(from.name.clone(), error);
                return Vec::new();
            }
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let named = names.filter(|name| matches(&pattern, &name.to_string_lossy()));
        let places = named.filter_map(|name| self.enter(from, name));
        places
            .filter(|place| fs::metadata(&place.spot.path).is_ok_and(|m| m.is_dir() != is_last))
            .collect()
    }

    /// What has this name, unless it is for somebody else to touch.
    fn enter(&mut self, from: &Place, name: impl AsRef<Path>) -> Option<Place> {
        let name = name.as_ref();
        let mut is_link = false;
        let spot = self.mounts.walk(&from.spot, name, |link| {
            is_link = true;
            self.found.watch_name(link);
        });
        if let Some(mount) = &spot.mount
            && !self.own.is_some_and(|own| own.starts_with(mount))
        {
            // Who looks for files on a mount is asked for what is mounted within.
            if self.own.is_none_or(|own| mount.starts_with(own)) {
                let patterns = self.found.beyond.entry(mount.clone()).or_default();
                patterns.insert(self.pattern.to_owned());
            }
            return None;
        }
        if is_link && spot.path.parent().is_some_and(Path::is_dir) {
            self.found.watch_name(&spot.path);
        }
        let name = from.name.join(name);
        Some(Place { name, spot })
    }
}

/// Whether `pattern` means `path`.
#[must_use]
pub fn means(pattern: &str, path: &Path) -> bool {
    let path = path.to_string_lossy();
    let mut names = path.split('/').filter(|part| !part.is_empty());
    parts(pattern).all(|part| {
        names
            .next()
            .is_some_and(|name| matches(&compile(part), name))
    }) && names.next().is_none()
}

/// Whether it may mean several files.
#[must_use]
pub fn is_wild(pattern: &str) -> bool {
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
        let mounts = Mounts::new();
        for pattern in [at("*/log/*.log"), at("c/d.log")] {
            found.look_for(&pattern.to_string_lossy(), &mounts, None);
        }

        let file = at("a/log/x.log");
        assert_eq!(found.files, [(file.clone(), file)].into());
        let named = found.watched.iter().filter(|(_, names)| !names.is_empty());
        let named: Vec<&PathBuf> = named.map(|(path, _)| path).collect();
        assert_eq!(named, [&at(""), &at("a/log"), &at("b")]);
        assert!(found.watched.contains_key(&at("a")));
        assert!(found.watched[&at("b")].matter("log"));
        assert!(found.watched[&at("")].matter("c"));
        assert!(found.refused.is_empty() && found.beyond.is_empty());
    }

    #[test]
    fn a_link_is_watched_with_all_that_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("releases/7")).unwrap();
        fs::write(at("releases/7/x.log"), "").unwrap();
        std::os::unix::fs::symlink("releases/7", at("current")).unwrap();

        let mut found = Found::default();
        let pattern = at("current/x.log");
        found.look_for(&pattern.to_string_lossy(), &Mounts::new(), None);

        assert_eq!(found.files, [(pattern, at("releases/7/x.log"))].into());
        assert!(found.watched[&at("")].matter("current"));
        assert!(found.watched[&at("releases")].matter("7"));
        assert!(found.watched[&at("releases/7")].matter("x.log"));
    }
}
