//! The resolved configuration, for people and for programs: every value with where it comes from.
//!
//! Comes in: the files. Goes out: what every jail, its filter and its actions amount to, as text that
//! can be pasted into a file again, or as data. Nothing is judged: `load` does that.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::config::action::ResolvedAction;
use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::files::Layout;
use crate::config::resolve::{Jails, LogType, ResolvedJail};
use crate::config::tree::Value;

/// What a configuration amounts to.
#[derive(Debug, Serialize)]
pub struct Dump {
    /// The jails that are enabled, or the one that was asked for.
    pub jails: BTreeMap<String, JailDump>,
    /// What is wrong with their text.
    #[serde(skip)]
    pub problems: Vec<Diagnostic>,
}

/// One jail.
#[derive(Debug, Serialize)]
pub struct JailDump {
    origin: String,
    options: BTreeMap<String, ValueDump>,
    filter: String,
    filter_options: BTreeMap<String, ValueDump>,
    actions: Vec<ActionDump>,
}

/// One action of a jail.
#[derive(Debug, Serialize)]
struct ActionDump {
    origin: String,
    file: String,
    actname: String,
    python: bool,
    modified: bool,
    properties: BTreeMap<String, ValueDump>,
}

/// One value.
#[derive(Debug, Serialize)]
struct ValueDump {
    value: String,
    /// Where the option is set.
    origin: String,
    /// Where each line of the value comes from.
    origins: Vec<String>,
}

/// Resolves the enabled jails, or `only` this one even if it is not.
#[must_use]
pub fn dump(layout: &Layout, only: Option<&str>) -> Dump {
    let mut jails = Jails::read(layout);
    let mut problems = jails.layers.problems.clone();
    let sections = jails.sections().map(|(name, _)| name.to_owned());
    let wanted = |name: &String| only.map_or_else(|| is_on(&jails, name), |only| only == name);
    let sections: Vec<String> = sections.filter(wanted).collect();
    let mut found = BTreeMap::new();
    for name in sections {
        let log = log_type(&jails, &name);
        let jail = jails.resolve(&name, log);
        problems.extend(jail.problems.iter().cloned());
        found.insert(name, JailDump::of(jail));
    }
    problems.sort();
    problems.dedup();
    Dump {
        jails: found,
        problems,
    }
}

fn is_on(jails: &Jails<'_>, section: &str) -> bool {
    let value = jails.option(section, "enabled").and_then(Result::ok);
    let text = value
        .map(|value| value.text.to_lowercase())
        .unwrap_or_default();
    ["1", "on", "true", "yes"].contains(&text.trim())
}

fn log_type(jails: &Jails<'_>, section: &str) -> LogType {
    let value = jails.option(section, "backend").and_then(Result::ok);
    match value.is_some_and(|value| value.text.starts_with("systemd")) {
        true => LogType::Journal,
        false => LogType::File,
    }
}

impl Dump {
    /// The jails as an INI file, the origin of every line in a comment: what is printed can be pasted.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, jail) in &self.jails {
            section(&mut text, name, &jail.origin);
            // What the filter says counts where the jail says nothing.
            let mut options: BTreeMap<&String, &ValueDump> = jail.filter_options.iter().collect();
            options.extend(&jail.options);
            for (key, value) in options {
                option(&mut text, key, value);
            }
            for action in &jail.actions {
                let title = format!("{name} action {}", action.actname);
                section(&mut text, &title, &action.origin);
                for (key, value) in &action.properties {
                    option(&mut text, key, value);
                }
            }
        }
        text
    }
}

impl JailDump {
    fn of(jail: ResolvedJail) -> Self {
        Self {
            origin: origin(&jail.place),
            options: values(jail.options),
            filter: jail.filter.name,
            filter_options: values(jail.filter.options),
            actions: jail.actions.into_iter().map(ActionDump::of).collect(),
        }
    }
}

impl ActionDump {
    fn of(action: ResolvedAction) -> Self {
        Self {
            origin: origin(&action.place),
            file: action.file,
            actname: action.actname,
            python: action.is_python,
            modified: action.is_modified,
            properties: values(action.properties),
        }
    }
}

fn values(values: BTreeMap<String, Value>) -> BTreeMap<String, ValueDump> {
    let dump = |value: Value| ValueDump {
        origin: origin(&value.entry.place),
        origins: value.lines.iter().map(origin).collect(),
        value: value.text,
    };
    values
        .into_iter()
        .map(|(key, value)| (key, dump(value)))
        .collect()
}

fn origin(place: &Place) -> String {
    match place.line() {
        0 => place.file().to_owned(),
        line => format!("{}:{line}", place.file()),
    }
}

fn section(text: &mut String, title: &str, origin: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let _ = write!(text, "{gap}");
    line(text, &format!("[{title}]"), origin);
}

fn option(text: &mut String, key: &str, value: &ValueDump) {
    let mut lines = value.value.split('\n').zip(&value.origins);
    let first = lines.next().map_or("", |(first, _)| first);
    line(text, &format!("{key} = {}", escaped(first)), &value.origin);
    for (rest, origin) in lines {
        line(text, &format!("    {}", escaped(rest)), origin);
    }
}

/// The column of the origins.
const MARGIN: usize = 60;

/// A line with its origin; a blank one is left as it is, since with a comment it would be none. Control
/// characters must not reach a terminal.
fn line(text: &mut String, left: &str, origin: &str) {
    let left = left.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
    let _ = match left.trim_end() {
        "" => writeln!(text),
        left => writeln!(text, "{left:MARGIN$} ; {origin}"),
    };
}

/// What stands for the text in a file.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}
