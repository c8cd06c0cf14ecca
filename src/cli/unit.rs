//! banishd.service as systemd would load it: the unit, and the drop-ins laid over it.
//!
//! Comes in: a root directory. Goes out: what the unit says that decides which files its service can read,
//! and the names of what decides it and cannot be judged here. What makes no sense is for systemd to say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// What decides which files the service can read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// `User=`.
    pub(crate) user: String,
    /// `Group=`.
    pub(crate) group: Option<String>,
    /// `SupplementaryGroups=`.
    pub(crate) groups: Vec<String>,
    /// Settings of effect that are not followed.
    pub(crate) unjudged: Vec<&'static str>,
    home: Home,
    has_own_tmp: bool,
    inaccessible: Vec<String>,
    temporary: Vec<String>,
    ambient: Rights,
    bounding: Rights,
}

/// `ProtectHome=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Home {
    /// As it is, or read-only.
    #[default]
    Open,
    Closed,
    Empty,
}

/// Whether `CAP_DAC_READ_SEARCH` and `CAP_DAC_OVERRIDE` are among the capabilities; `None` where nobody has
/// set any.
type Rights = [Option<bool>; 2];

/// The capabilities with which modes of files do not count.
const OF_READING: [&str; 2] = ["CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"];

const NAME: &str = "banishd.service";

/// For a host that has none.
const SHIPPED: &str = include_str!("../../units/banishd.service");

/// Where units and drop-ins are, and which hide others of the same name.
const PLACES: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
];

/// What `ProtectHome=` protects.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// What `PrivateTmp=` gives the service of its own.
const TMPS: [&str; 2] = ["/tmp", "/var/tmp"];

impl Unit {
    /// The unit under `root`.
    pub(crate) fn under(root: &Path) -> Self {
        let units = PLACES.map(|place| root.join(place));
        let files = units.iter().map(|place| place.join(NAME));
        let text = files
            .filter_map(|file| fs::read_to_string(file).ok())
            .next();
        let mut unit = Self::default();
        unit.take_in(text.as_deref().unwrap_or(SHIPPED));
        for file in drop_ins(&units).into_values() {
            unit.take_in(&fs::read_to_string(file).unwrap_or_default());
        }
        unit
    }

    /// Directories and files that the service cannot enter.
    pub(crate) fn closed(&self) -> Vec<&str> {
        let homes = HOMES.into_iter().filter(|_| self.home == Home::Closed);
        homes
            .chain(self.inaccessible.iter().map(String::as_str))
            .collect()
    }

    /// Directories that it sees empty.
    pub(crate) fn private(&self) -> Vec<&str> {
        let homes = HOMES.into_iter().filter(|_| self.home == Home::Empty);
        let tmps = TMPS.into_iter().filter(|_| self.has_own_tmp);
        let temporary = self.temporary.iter().map(String::as_str);
        homes.chain(tmps).chain(temporary).collect()
    }

    /// Whether it reads files whatever their modes say.
    pub(crate) fn reads_all(&self) -> bool {
        let is_root = ["", "root", "0"].contains(&self.user.as_str());
        let mut rights = self.ambient.iter().zip(self.bounding);
        rights.any(|(ambient, bounding)| {
            (is_root || *ambient == Some(true)) && bounding != Some(false)
        })
    }

    /// Lays the `[Service]` of a file over what there is.
    fn take_in(&mut self, text: &str) {
        let mut section = String::new();
        for line in lines(text) {
            match line.split_once('=') {
                _ if line.starts_with('[') => section = line,
                Some((key, value)) if section == "[Service]" => {
                    self.set(key.trim_end(), value.trim_start());
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "User" => self.user = value.to_owned(),
            "Group" => self.group = Some(value.to_owned()).filter(|group| !group.is_empty()),
            "SupplementaryGroups" => extend(&mut self.groups, value),
            "ProtectHome" => {
                self.home = match (value, boolean(value)) {
                    (_, Some(true)) => Home::Closed,
                    ("tmpfs", _) => Home::Empty,
                    ("read-only", _) | (_, Some(false)) => Home::Open,
                    _ => self.home,
                }
            }
            "PrivateTmp" => {
                let has = if value == "disconnected" {
                    Some(true)
                } else {
                    boolean(value)
                };
                self.has_own_tmp = has.unwrap_or(self.has_own_tmp);
            }
            "InaccessiblePaths" => extend(&mut self.inaccessible, value),
            "TemporaryFileSystem" => extend(&mut self.temporary, value),
            "AmbientCapabilities" => allow(&mut self.ambient, value),
            "CapabilityBoundingSet" => allow(&mut self.bounding, value),
            _ => {
                let unjudged = UNJUDGED.into_iter().find(|name| *name == key);
                let is_set = !value.is_empty() && boolean(value) != Some(false);
                self.unjudged.retain(|name| *name != key);
                self.unjudged.extend(unjudged.filter(|_| is_set));
            }
        }
    }
}

/// Settings that decide what can be read and are too rare or too large to follow.
const UNJUDGED: [&str; 6] = [
    "BindPaths",
    "BindReadOnlyPaths",
    "DynamicUser",
    "PrivateUsers",
    "RootDirectory",
    "RootImage",
];

/// The drop-ins in the order of their names, from the first of `places` that has one of that name: of this
/// unit, or else of all services.
fn drop_ins(places: &[PathBuf]) -> BTreeMap<OsString, PathBuf> {
    let mut found = BTreeMap::new();
    for directory in [format!("{NAME}.d"), "service.d".to_owned()] {
        for place in places {
            let entries = fs::read_dir(place.join(&directory)).into_iter().flatten();
            let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let files = files.filter(|file| file.extension().is_some_and(|it| it == "conf"));
            for file in files {
                let name = file.file_name().unwrap_or_default().to_owned();
                found.entry(name).or_insert(file);
            }
        }
    }
    found
}

/// Lines without comments, those that end in a backslash joined with the next.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.extend([" ", part]),
            None => lines.push(part.to_owned()),
        }
        goes_on = more;
    }
    lines
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// Adds words to a list: nothing empties it. Of a path what is before it and behind it is left out.
fn extend(list: &mut Vec<String>, value: &str) {
    if value.is_empty() {
        list.clear();
    }
    let words = value.split_whitespace().map(|word| {
        let word = word
            .trim_matches(['"', '\''])
            .trim_start_matches(['-', '+']);
        word.split(':').next().unwrap_or_default().to_owned()
    });
    list.extend(words);
}

/// Adds capabilities to a set, or with `~` takes them out.
fn allow(rights: &mut Rights, value: &str) {
    let (is_inverted, names) = match value.strip_prefix('~') {
        Some(names) => (true, names),
        None => (false, value),
    };
    for (right, name) in rights.iter_mut().zip(OF_READING) {
        let is_named = names
            .split_whitespace()
            .any(|word| word.eq_ignore_ascii_case(name));
        *right = Some(match (is_inverted, *right) {
            _ if value.is_empty() => false,
            (true, before) => before.unwrap_or(true) && !is_named,
            (false, before) => before.unwrap_or(false) || is_named,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files below `etc/systemd` and the like.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        root
    }

    #[test]
    fn a_host_without_the_unit_has_the_shipped_one() {
        let unit = Unit::under(root(&[]).path());

        assert_eq!(unit.user, "banishd");
        assert_eq!(unit.closed(), HOMES);
        assert_eq!(unit.private(), TMPS);
        assert!(!unit.reads_all() && unit.groups.is_empty() && unit.unjudged.is_empty());
    }

    #[test]
    fn drop_ins_are_laid_over_it_in_the_order_of_their_names() {
        let unit = Unit::under(
            root(&[
                (
                    "usr/lib/systemd/system/banishd.service",
                    "[Service]\nUser=a\nProtectHome=yes\nPrivateTmp=yes\n",
                ),
                (
                    "etc/systemd/system/banishd.service.d/20.conf",
                    "[Service]\nProtectHome=no\n# comment\nSupplementaryGroups=adm \\\n; more\n web\n",
                ),
                (
                    "run/systemd/system/banishd.service.d/30.conf",
                    "[Service]\nProtectHome = tmpfs\nInaccessiblePaths=-/srv \"/opt\"\n",
                ),
                ("etc/systemd/system/banishd.service.d/30.conf", ""),
                (
                    "run/systemd/system/service.d/40.conf",
                    "[Unit]\nUser=b\n[Service]\nTemporaryFileSystem=/var:ro /mnt\nBindPaths=/x\n",
                ),
                (
                    "usr/lib/systemd/system/service.d/20.conf",
                    "[Service]\nUser=hidden\n",
                ),
                (
                    "run/systemd/system/service.d/50.conf",
                    "[Service]\nSupplementaryGroups=\nSupplementaryGroups=log\nPrivateTmp=maybe\n",
                ),
                ("etc/systemd/system/banishd.service.d/60.txt", "[Service]\nUser=c\n"),
            ])
            .path(),
        );

        assert_eq!(unit.user, "a");
        assert_eq!(unit.groups, ["log"]);
        // The empty file hides the other of its name.
        assert!(unit.closed().is_empty(), "{:?}", unit.closed());
        assert_eq!(unit.private(), ["/tmp", "/var/tmp", "/var", "/mnt"]);
        assert_eq!(unit.unjudged, ["BindPaths"]);
    }

    #[test]
    fn capabilities_that_read_everything_must_be_ambient_and_within_bounds() {
        for (said, expected) in [
            ("AmbientCapabilities=CAP_DAC_READ_SEARCH", false),
            (
                "AmbientCapabilities=CAP_DAC_READ_SEARCH\nCapabilityBoundingSet=CAP_DAC_READ_SEARCH",
                true,
            ),
            (
                "AmbientCapabilities=cap_dac_override\nCapabilityBoundingSet=~CAP_CHOWN",
                false,
            ),
            ("User=root", false),
            ("User=root\nCapabilityBoundingSet=CAP_DAC_OVERRIDE", true),
            ("CapabilityBoundingSet=CAP_DAC_OVERRIDE", false),
        ] {
            let file = "etc/systemd/system/banishd.service.d/a.conf";
            let unit = Unit::under(root(&[(file, &format!("[Service]\n{said}\n"))]).path());
            assert_eq!(unit.reads_all(), expected, "{said}");
        }
    }
}
