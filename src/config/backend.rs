//! `backend`: where a jail's log lines come from.
//!
//! Comes in: text such as `systemd[namespace=web]`. Goes out: what it asks for, or why not. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::arguments;
use crate::config::diagnostic::Diagnostic;
use crate::config::options::nearest;
use crate::config::tree::Value;
use crate::config::value;
use crate::engine::settings::Journal;

/// What `backend` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Files where there are some, or else the journal.
    Auto,
    /// The same, and files are looked at now and then.
    Polling,
    /// The journal.
    Systemd(Selected),
    /// No log, but the bans of other jails.
    Bans,
}

/// Which journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// This one.
    Journal(Journal),
    /// The files of these patterns.
    Patterns(Vec<String>),
}

/// Reads `backend`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(value: &Value) -> Result<Backend, Diagnostic> {
    let calls = arguments::parse(value)?;
    let wrong =
        |reason: String| Diagnostic::error(value.entry.value_place(), reason, "correct 'backend'");
    let [call] = calls.as_slice() else {
        return Err(wrong("a jail has one backend".to_owned()));
    };
    let arguments = call
        .arguments
        .iter()
        .map(|(name, value)| (name.as_str(), value.text.as_str()));
    chosen(&call.name.to_lowercase(), &arguments.collect()).map_err(wrong)
}

/// Names of arguments to their texts.
type Arguments<'a> = BTreeMap<&'a str, &'a str>;

fn chosen(name: &str, arguments: &Arguments<'_>) -> Result<Backend, String> {
    let backend = match name {
        "auto" | "pyinotify" | "inotify" | "gamin" => Backend::Auto,
        "polling" => Backend::Polling,
        "bans" => Backend::Bans,
        "systemd" => return selected(arguments).map(Backend::Systemd),
        other => {
            let near = nearest(other, NAMES).unwrap_or("auto, systemd, polling, pyinotify or bans");
            return Err(format!("there is no backend '{other}': use {near}"));
        }
    };
    match arguments.keys().next() {
        None => Ok(backend),
        Some(argument) => Err(format!("the backend '{name}' has no '{argument}'")),
    }
}

const NAMES: [&str; 5] = ["auto", "systemd", "polling", "pyinotify", "bans"];

/// The arguments that choose a journal; one of them may be given.
const SELECTORS: [&str; 4] = ["journalpath", "journalfiles", "journalflags", "namespace"];

fn selected(arguments: &Arguments<'_>) -> Result<Selected, String> {
    let mut given = arguments.iter().filter(|(name, _)| **name != "rotated");
    let Some((name, text)) = given.next() else {
        return match arguments.get("rotated").map(|text| value::boolean(text)) {
            Some(None) => Err("'rotated' is neither on nor off".to_owned()),
            // Rotated files are always read: the journal is opened as a whole.
            _ => Ok(Selected::Journal(Journal::System)),
        };
    };
    if let Some((other, _)) = given.next() {
        return Err(format!("'{name}' and '{other}' exclude each other"));
    }
    let absolute = |path: &str| match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(format!("'{path}' is no absolute path")),
    };
    let journal = match *name {
        "journalpath" => Journal::Directory(PathBuf::from(absolute(text)?)),
        "journalfiles" => {
            let patterns = text.split(',').map(str::trim).filter(|p| !p.is_empty());
            return patterns
                .map(absolute)
                .collect::<Result<_, _>>()
                .map(Selected::Patterns);
        }
        "journalflags" => {
            let flags = value::number(text, 0, 15)?;
            i32::try_from(flags)
                .map(Journal::Flags)
                .map_err(|error| error.to_string())?
        }
        "namespace" if !text.is_empty() => Journal::Namespace((*text).to_owned()),
        _ => {
            let near = nearest(name, SELECTORS).unwrap_or("journalpath or namespace");
            return Err(format!("the backend 'systemd' has no '{name}': use {near}"));
        }
    };
    Ok(Selected::Journal(journal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_read_with_their_arguments() {
        let journal = |journal| Ok(Backend::Systemd(Selected::Journal(journal)));
        for (text, expected) in [
            ("auto", Ok(Backend::Auto)),
            ("gamin", Ok(Backend::Auto)),
            ("PyInotify", Ok(Backend::Auto)),
            ("polling", Ok(Backend::Polling)),
            ("bans", Ok(Backend::Bans)),
            ("systemd", journal(Journal::System)),
            ("systemd[]", journal(Journal::System)),
            ("systemd[rotated=on]", journal(Journal::System)),
            (
                "systemd[journalpath=/var/log/j]",
                journal(Journal::Directory("/var/log/j".into())),
            ),
            (
                "systemd[journalflags=1, rotated=off]",
                journal(Journal::Flags(1)),
            ),
            (
                "systemd[namespace=web]",
                journal(Journal::Namespace("web".to_owned())),
            ),
            (
                "systemd[journalfiles=\"/a/*.journal, /b\"]",
                Ok(Backend::Systemd(Selected::Patterns(vec![
                    "/a/*.journal".into(),
                    "/b".into(),
                ]))),
            ),
            ("sytemd", Err("there is no backend 'sytemd': use systemd")),
            (
                "dbus",
                Err("there is no backend 'dbus': use auto, systemd, polling, pyinotify or bans"),
            ),
            ("auto[x=1]", Err("the backend 'auto' has no 'x'")),
            (
                "systemd[journalpth=/x]",
                Err("the backend 'systemd' has no 'journalpth': use journalpath"),
            ),
            ("systemd[journalpath=x]", Err("'x' is no absolute path")),
            (
                "systemd[journalflags=99]",
                Err("99 is out of range: 0 to 15"),
            ),
            (
                "systemd[rotated=maybe]",
                Err("'rotated' is neither on nor off"),
            ),
            (
                "systemd[journalpath=/x, namespace=y]",
                Err("'journalpath' and 'namespace' exclude each other"),
            ),
        ] {
            let found = parse(&Value::said("jail.conf", text)).map_err(|error| error.message);
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
    }
}
