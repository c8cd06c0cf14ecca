//! The import rules, the purity of the engine, the top of every file: what docs/architecture.md says
//! must stay true is read off the text here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our top modules each may name. `bin` names only the mains.
const MAY_IMPORT: [(&str, &[&str]); 17] = [
    ("engine", &["engine"]),
    ("sys", &["sys"]),
    ("config", &["config", "engine", "sys"]),
    ("reader", &["reader", "engine", "sys"]),
    ("journal", &["journal", "reader", "engine", "sys"]),
    ("logfile", &["logfile", "reader", "engine", "sys"]),
    ("firewall", &["firewall", "engine", "sys"]),
    ("store", &["store", "engine", "sys"]),
    ("host", &["host", "engine", "sys"]),
    ("dbus", &["dbus", "engine", "sys"]),
    ("helper", &["helper", "sys"]),
    ("ask", &["ask", "helper", "engine", "sys"]),
    ("resolve", &["resolve", "helper", "sys"]),
    ("action", &["action", "helper", "config", "engine", "sys"]),
    (
        "daemon",
        &[
            "daemon", "config", "journal", "logfile", "reader", "firewall", "store", "host", "ask",
            "dbus", "engine", "sys",
        ],
    ),
    (
        "cli",
        &[
            "cli", "dbus", "config", "journal", "reader", "engine", "sys",
        ],
    ),
    ("bin", &[]),
];

/// What would let the world into the engine.
const IMPURE: [&str; 14] = [
    "async ",
    ".await",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::env",
    "std::thread",
    "std::time",
    "tokio",
    "tracing",
    "serde",
    "println!",
    "unsafe",
];

#[test]
fn every_module_imports_only_what_it_may() {
    for (path, text) in sources() {
        let top = top_module(&path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == top) else {
            assert_eq!(top, "lib.rs", "{path:?} is in no module of the map");
            continue;
        };
        for (line, code) in code_lines(&text) {
            for (at, _) in code.match_indices("crate::") {
                let rest = &code[at + "crate::".len()..];
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                assert!(
                    allowed.contains(&name.as_str()),
                    "{path:?}:{line}: {top} imports {name}"
                );
            }
        }
    }
}

#[test]
fn the_engine_touches_nothing_but_its_inputs() {
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| top_module(path) == "engine")
    {
        for (line, code) in code_lines(&text) {
            for word in IMPURE {
                assert!(
                    !code.contains(word),
                    "{path:?}:{line}: '{word}' in the engine: {code}"
                );
            }
        }
    }
}

#[test]
fn super_is_used_only_in_tests() {
    for (path, text) in sources() {
        for (line, code) in code_lines(&text) {
            assert!(
                !code.contains("super::"),
                "{path:?}:{line}: name the module from the crate's root"
            );
        }
    }
}

#[test]
fn unsafe_code_is_in_the_journal_binding_and_in_sys_alone() {
    for (path, text) in sources() {
        let may = top_module(&path) == "sys" || path.ends_with("journal/sd_journal.rs");
        for (line, code) in code_lines(&text) {
            assert!(may || !code.contains("unsafe "), "{path:?}:{line}: {code}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path:?} has no //! on top");
        let lines = text.lines().count();
        assert!(lines <= 600, "{path:?} has {lines} lines: split it by idea");
    }
}

#[test]
fn the_map_names_every_module_and_every_test_it_points_at() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for (name, _) in MAY_IMPORT {
        assert!(
            map.contains(&format!("`src/{name}`")),
            "docs/architecture.md does not know src/{name}"
        );
    }
    let known = tests();
    let named = quoted(&map).filter(|word| word.contains("::"));
    let missing: Vec<&str> = named
        .filter(|word| !known.contains(word.rsplit("::").next().unwrap_or_default()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/architecture.md points at tests that are not there: {missing:?}"
    );
}

#[test]
fn every_difference_from_fail2ban_names_what_holds_it() {
    let page = fs::read_to_string(root().join("docs/parity.md")).unwrap();
    let known = tests();
    let tree = |name: &str| {
        let kinds =
            ["ok", "bad"].map(|kind| root().join("tests/data/config").join(kind).join(name));
        kinds.iter().any(|path| path.is_dir())
    };
    let hosts: Vec<PathBuf> = fs::read_dir(root().join("tests/host"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let script = |name: &str| {
        let begins = |path: &PathBuf| {
            path.file_stem()
                .is_some_and(|stem| stem.to_string_lossy().starts_with(&format!("{name}-")))
        };
        hosts.iter().any(begins)
    };
    let rows = page.lines().filter(|line| line.starts_with('|'));
    for row in rows.filter(|row| !row.starts_with("|---") && !row.ends_with("| held by |")) {
        let cell = row
            .trim_end_matches('|')
            .rsplit(" | ")
            .next()
            .unwrap_or_default();
        let holders: Vec<&str> = cell.split([',', ';']).map(str::trim).collect();
        // What the row above says may be said of this one as well.
        for holder in holders.into_iter().filter(|it| *it != "the same") {
            let name = holder.trim_matches('`');
            let is_there = match name == holder {
                true => name.starts_with("TEST-") && script(name),
                // Of a long name the beginning may do.
                false => match name.strip_suffix('…') {
                    Some(head) => known.iter().any(|name| name.starts_with(head)),
                    None => known.contains(name) || tree(name),
                },
            };
            assert!(
                is_there,
                "docs/parity.md: nothing is called '{holder}' in: {row}"
            );
        }
    }
}

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let texts = texts(&root().join("tests")).into_iter().chain(sources());
    let mut names = BTreeSet::new();
    for (_, text) in texts {
        for line in text.lines().map(str::trim_start) {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let name = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split_once('('));
            names.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    names
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    texts(&root().join("src"))
}

fn texts(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

/// The folder below `src`, or the file if it lies there.
fn top_module(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned()
}

/// Lines that are code, up to the unit tests at the end, with their numbers.
fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let code = text
        .lines()
        .zip(1..)
        .take_while(|(line, _)| line.trim() != "#[cfg(test)]");
    let code = code.filter(|(line, _)| !line.trim_start().starts_with("//"));
    code.map(|(line, number)| (number, line)).collect()
}
