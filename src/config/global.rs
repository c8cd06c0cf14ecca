//! `banishd.conf`: what holds for all jails.
//!
//! Comes in: its tree. Goes out: valid settings; an option that makes no sense is reported and stays
//! at its default.

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::options::{self, nearest};
use crate::config::tree::{Fuel, Given, Scope, Tree, Value};
use crate::config::value;
use crate::engine::settings::{FirewallChoice, Global, LogLevel};

const DEFINITION: &str = "Definition";

/// Reads the tree of `banishd.conf`.
pub(crate) fn read(tree: &Tree, problems: &mut Vec<Diagnostic>) -> Global {
    let mut global = Global::default();
    let given = Given::new();
    let mut reader = Reader {
        scope: Scope {
            tree,
            section: DEFINITION,
            given: &given,
            fuel: &Fuel::default(),
        },
        problems,
    };
    reader.set("firewall", firewall, &mut global.firewall);
    reader.set("maxbans", |text| size(text, BANS_MAX), &mut global.max_bans);
    reader.set(
        "maxfailing",
        |text| size(text, FAILING_MAX),
        &mut global.max_failing,
    );
    reader.set("dbpurgeage", value::time, &mut global.purge_age);
    reader.set("protectgroups", groups, &mut global.protect_groups);
    reader.set("loglevel", log_level, &mut global.log_level);
    reader.unknown();
    global
}

/// The kernel's sets and our memory are made for this many bans.
const BANS_MAX: u32 = 1_048_576;

/// The same for offenders with failures, in one jail.
const FAILING_MAX: u32 = 1_048_576;

struct Reader<'a> {
    scope: Scope<'a>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Sets `target` to the value of `key`, if it is set and makes sense.
    fn set<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>, target: &mut T) {
        let parsed = match self.scope.value(key) {
            None => return,
            Some(Err(problem)) => Err(problem),
            Some(Ok(Value { text, entry, .. })) => parse(text.trim()).map_err(|reason| {
                Diagnostic::error(entry.value_place(), reason, "its default holds: correct it")
            }),
        };
        match parsed {
            Ok(value) => *target = value,
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Tells of options that do nothing: once of those that fail2ban has.
    fn unknown(&mut self) {
        let tree = self.scope.tree;
        let referenced = tree.referenced();
        let mut idle: Vec<(&Place, &str, &str)> = Vec::new();
        let thread = tree
            .table("Thread")
            .into_iter()
            .flat_map(|table| table.entries());
        let own = self
            .scope
            .keys()
            .into_iter()
            .filter_map(|key| self.scope.entry(key));
        for entry in own.chain(thread) {
            let key = entry.key.as_str();
            if options::GLOBAL.contains(&key) || referenced.contains(key) {
                continue;
            }
            if let Some((key, why)) = options::IDLE.iter().find(|(idle, _)| *idle == key) {
                idle.push((&entry.place, key, why));
                continue;
            }
            let remedy = match nearest(key, options::GLOBAL) {
                Some(near) => format!("ignored: did you mean '{near}'?"),
                None => "ignored: remove it".to_owned(),
            };
            let message = format!("there is no option '{key}'");
            let problem = Diagnostic::error(&entry.place, message, remedy);
            self.problems.push(problem.at_level(Level::Warning));
        }
        self.problems.extend(idly(&idle));
        let strange = tree
            .sections()
            .filter(|(name, _)| ![DEFINITION, "Thread"].contains(name));
        for place in strange.filter_map(|(_, table)| table.place.as_ref()) {
            let problem = Diagnostic::error(
                place,
                "this section means nothing here",
                "ignored: options belong into [Definition], jails into jail.local",
            );
            self.problems.push(problem.at_level(Level::Warning));
        }
    }
}

/// One note of all options that do nothing.
fn idly(options: &[(&Place, &str, &str)]) -> Option<Diagnostic> {
    let (place, ..) = options.first()?;
    let names: Vec<&str> = options.iter().map(|(_, name, _)| *name).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for (.., why) in options {
        if !reasons.contains(why) {
            reasons.push(why);
        }
    }
    let message = match names.as_slice() {
        [name] => format!("the option '{name}' means nothing to banishd"),
        names => format!("the options {} mean nothing to banishd", names.join(", ")),
    };
    let note = Diagnostic::error(place, message, format!("ignored: {}", reasons.join(", ")));
    Some(note.at_level(Level::Note))
}

fn firewall(text: &str) -> Result<FirewallChoice, String> {
    match text.to_lowercase().as_str() {
        "auto" => Ok(FirewallChoice::Auto),
        "nftables" => Ok(FirewallChoice::Nftables),
        other => Err(format!("'{other}' is no firewall: use auto or nftables")),
    }
}

fn size(text: &str, max: u32) -> Result<usize, String> {
    let number = value::number(text, 1, max)?;
    usize::try_from(number).map_err(|error| error.to_string())
}

fn groups(text: &str) -> Result<Vec<String>, String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    Ok(words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect())
}

/// By name, or by fail2ban's number.
fn log_level(text: &str) -> Result<LogLevel, String> {
    match text.to_lowercase().as_str() {
        "error" | "critical" => Ok(LogLevel::Error),
        "warning" => Ok(LogLevel::Warning),
        "notice" => Ok(LogLevel::Notice),
        "info" | "msg" => Ok(LogLevel::Info),
        "debug" | "tracedebug" | "heavydebug" => Ok(LogLevel::Debug),
        other => match other.parse::<u32>() {
            Ok(0..=18) => Ok(LogLevel::Debug),
            Ok(19..=20) => Ok(LogLevel::Info),
            Ok(21..=25) => Ok(LogLevel::Notice),
            Ok(26..=30) => Ok(LogLevel::Warning),
            Ok(_) => Ok(LogLevel::Error),
            Err(_) => Err(format!(
                "'{other}' is no log level: use error, warning, notice, info or debug"
            )),
        },
    }
}
