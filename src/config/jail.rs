//! One jail: its section and its filter to `JailSettings`.
//!
//! Comes in: the tree of `jail.conf` and the name of a section. Goes out: valid settings, or why the
//! jail cannot run, and every diagnostic on the way. One jail never sees another.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::files::Layout;
use crate::config::filter::FilterFile;
use crate::config::options::{self, idle, nearest};
use crate::config::tree::{DEFAULT, Given, Scope, Table, Tree, Value};
use crate::config::value::{self, Ignored};
use crate::engine::address::AddressSet;
use crate::engine::filter::Filter;
use crate::engine::settings::{JailRules, JailSettings, Journal, Matches, Ports, Protocol};
use crate::engine::time::{BanTime, Span};

/// What there is to know about one jail.
pub(crate) enum Outcome {
    /// It is switched off.
    Disabled,
    /// It can run.
    Ready(Box<JailSettings>),
    /// It cannot.
    Failed(String),
}

/// A jail being read.
pub(crate) struct Reader<'a> {
    /// Where filters are.
    pub(crate) layout: &'a Layout,
    /// The text of /etc/services.
    pub(crate) services: &'a str,
    /// The jail's section.
    pub(crate) scope: Scope<'a>,
    /// Its header.
    pub(crate) place: Place,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// A file of the filter could not be read.
    pub(crate) incomplete: bool,
}

/// More failures than this are not remembered for one offender.
const RETRY_MAX: u32 = 4096;

/// Trusted fields: journald takes them from the kernel. All others the sender chooses.
const TRUSTED: [&str; 4] = ["_UID", "_SYSTEMD_UNIT", "_SYSTEMD_SLICE", "_SYSTEMD_CGROUP"];

/// The options that a filter also has; what the jail says goes before it.
const SHARED: [&str; 4] = ["failregex", "ignoreregex", "journalmatch", "matchtext"];

impl Reader<'_> {
    /// Reads the jail.
    pub(crate) fn read(&mut self) -> Outcome {
        let broken = &self.scope.tree.broken;
        if let Some(reason) = broken.get(self.scope.section) {
            return Outcome::Failed(reason.clone());
        }
        let enabled = match self.scope.value("enabled") {
            None => false,
            Some(Ok(value)) => match value::boolean(&value.text) {
                Some(enabled) => enabled,
                None => return Outcome::Failed(self.neither(&value)),
            },
            Some(Err(problem)) => {
                self.problems.push(problem.clone());
                return Outcome::Failed(problem.brief());
            }
        };
        if !enabled {
            return Outcome::Disabled;
        }
        if let Some(reason) = broken.get(DEFAULT) {
            return Outcome::Failed(reason.clone());
        }
        let settings = self.settings();
        let errors = self.problems.iter();
        let error = errors.filter(|problem| problem.level == Level::Error).min();
        match (settings, error) {
            (Some(settings), None) => Outcome::Ready(Box::new(settings)),
            (_, Some(error)) => Outcome::Failed(error.brief()),
            (None, None) => Outcome::Failed("its filter has a syntax error".to_owned()),
        }
    }

    fn settings(&mut self) -> Option<JailSettings> {
        let description = self.text("description");
        let max_retry = self.parsed("maxretry", |text| value::number(text, 1, RETRY_MAX));
        let find_time = self.parsed("findtime", value::time);
        let ban_time = self.parsed("bantime", value::ban_time);
        let services = self.services;
        let ports = self.parsed("port", |text| value::ports(text, services));
        let protocol = self.parsed("protocol", value::protocol);
        let ignore_self = self.value("ignoreself");
        let ignore_self = ignore_self.is_none_or(|value| self.switch(&value, true));
        let ignore = self.ignored();
        self.fixed();
        self.unknown();
        let (filter, matches) = self.filter()?;
        Some(JailSettings {
            description: description.unwrap_or_default(),
            matches,
            journal: Journal::System,
            trusts_senders: false,
            files: Vec::new(),
            polls: false,
            encoding: None,
            filter,
            rules: JailRules {
                protocol: protocol.unwrap_or(Protocol::Tcp),
                ports: ports.unwrap_or(Ports::All),
            },
            max_retry: max_retry.unwrap_or(3),
            find_time: find_time.unwrap_or(Span::from_secs(600)),
            ban_time: ban_time.unwrap_or(BanTime::For(Span::from_secs(600))),
            escalation: None,
            max_matches: 0,
            ignore,
            ignore_names: Vec::new(),
            ignore_files: Vec::new(),
            ignore_self,
            ignore_command: None,
            ignore_cache: None,
        })
    }

    /// The filter and the journal entries it is for.
    fn filter(&mut self) -> Option<(Filter, Matches)> {
        let own = SHARED
            .iter()
            .filter_map(|key| Some((*key, self.value(key)?)));
        let own: Vec<(&str, Value)> = own.collect();
        let own: BTreeMap<String, Value> =
            own.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let given = ["maxretry", "findtime", "bantime"];
        let given = given
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), self.value(key)?)));
        let given: Given = given.collect();
        let value = self.value("filter");
        let own_filter = self.scope.tree.table(self.scope.section);
        let own_filter = own_filter.is_some_and(|own| own.entries().any(|e| e.key == "filter"));
        let place = match &value {
            Some(value) if own_filter => value.entry.value_place().clone(),
            _ => self.place.clone(),
        };
        let value = match value {
            Some(value) => value,
            None if own.contains_key("failregex") => own.get("failregex").cloned().map(unnamed)?,
            None => {
                self.error(&place, "the jail names no filter", "set 'filter'");
                return None;
            }
        };
        let mut file = match FilterFile::read(self.layout, &value, &place, &given) {
            Ok(file) => file,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        self.incomplete |= file.incomplete();
        let resolved = file.resolve(&own, &place);
        self.problems.extend(resolved.problems);
        let matches = self.matches(resolved.matches, &place);
        Some((resolved.filter?, matches?))
    }

    /// Which entries the jail reads. Without a field that the kernel vouches for, anybody could write
    /// them: then they must come from root.
    fn matches(&mut self, value: Option<Value>, place: &Place) -> Option<Matches> {
        let place = value
            .as_ref()
            .map_or(place, |v| v.entry.value_place())
            .clone();
        let text = value.map(|value| value.text).unwrap_or_default();
        let mut matches = match value::matches(&text) {
            Ok(matches) => matches,
            Err(reason) => {
                self.error(
                    &place,
                    &reason,
                    "write journalmatch = _SYSTEMD_UNIT=name.service _UID=0",
                );
                return None;
            }
        };
        if matches.0.is_empty() {
            self.error(
                &place,
                "there is no journalmatch: which journal entries to read is unknown",
                "set journalmatch = _SYSTEMD_UNIT=name.service in the filter or in the jail",
            );
            return None;
        }
        let mut forgeable = false;
        for group in &mut matches.0 {
            if !group.keys().any(|field| TRUSTED.contains(&field.as_str())) {
                group.insert("_UID".to_owned(), vec!["0".to_owned()]);
                forgeable = true;
            }
        }
        if forgeable {
            self.warn(
                &place,
                "any user can write entries that this journalmatch selects",
                "only root's count: add _SYSTEMD_UNIT= or _UID= to each group",
            );
        }
        Some(matches)
    }

    /// `ignoreip`.
    fn ignored(&mut self) -> AddressSet {
        let Some(value) = self.value("ignoreip") else {
            return AddressSet::default();
        };
        let mut addresses = Vec::new();
        let words = value.text.split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            let place = value.entry.place_of(word);
            match value::ignored(word) {
                Ignored::Address(address) => addresses.push(address),
                Ignored::Name => self.warn(
                    &place,
                    &format!("'{word}' is no address, and names and files are not looked up"),
                    "ignored, so it can be banned: write its addresses",
                ),
                Ignored::Wrong => self.error(
                    &place,
                    &format!("'{word}' is no address and no network"),
                    "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
                ),
            }
        }
        addresses.into_iter().collect()
    }

    /// Options that have one meaning here.
    fn fixed(&mut self) {
        for (key, meant) in [
            ("backend", ["systemd", "auto", "gamin"].as_slice()),
            ("usedns", &["no"]),
        ] {
            let Some(value) = self.value(key) else {
                continue;
            };
            if !meant.contains(&value.text.trim().to_lowercase().as_str()) {
                let why = match key {
                    "backend" => "ignored: the journal is read",
                    _ => "ignored: names are not looked up",
                };
                let note = Diagnostic::error(
                    &value.entry.place,
                    format!("'{key} = {}' means nothing to banishd", value.text.trim()),
                    why,
                );
                self.problems.push(note.at_level(Level::Note));
            }
        }
    }

    /// Options that mean nothing to us.
    fn unknown(&mut self) {
        let tree = self.scope.tree;
        let referenced = tree.referenced();
        for name in [DEFAULT, self.scope.section] {
            let found = tree.table(name).map(|table| unknown(table, &referenced));
            self.problems.extend(found.unwrap_or_default());
        }
    }

    fn value(&mut self, key: &str) -> Option<Value> {
        match self.scope.value(key)? {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.value(key).map(|value| value.text)
    }

    fn parsed<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.value(key)?;
        match parse(&value.text) {
            Ok(parsed) => Some(parsed),
            Err(reason) => {
                let remedy = format!("correct '{key}'");
                self.error(value.entry.value_place(), &reason, &remedy);
                None
            }
        }
    }

    /// A jail that may or may not be wanted keeps its bans and is told of, instead of going quietly.
    fn neither(&mut self, value: &Value) -> String {
        let message = format!("'{}' is neither true nor false", value.text.trim());
        let place = value.entry.value_place();
        let problem = Diagnostic::error(place, message, "write true or false");
        let brief = problem.brief();
        self.problems.push(problem);
        brief
    }

    /// A boolean; anything else is taken for `otherwise`.
    fn switch(&mut self, value: &Value, otherwise: bool) -> bool {
        let known = value::boolean(&value.text);
        if known.is_none() {
            self.warn(
                value.entry.value_place(),
                &format!("'{}' is neither true nor false", value.text.trim()),
                &format!("taken for {otherwise}: write true or false"),
            );
        }
        known.unwrap_or(otherwise)
    }

    fn error(&mut self, place: &Place, message: &str, remedy: &str) {
        self.problems
            .push(Diagnostic::error(place, message, remedy));
    }

    fn warn(&mut self, place: &Place, message: &str, remedy: &str) {
        let warning = Diagnostic::error(place, message, remedy);
        self.problems.push(warning.at_level(Level::Warning));
    }
}

/// What is to be said of options in `table` that do nothing.
fn unknown(table: &Table, referenced: &BTreeSet<String>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for entry in table.entries() {
        let key = entry.key.as_str();
        if options::JAIL.contains(&key) {
            continue;
        }
        if let Some((level, why)) = idle(key) {
            let message = format!("the option '{key}' means nothing to banishd");
            let problem = Diagnostic::error(&entry.place, message, why).at_level(level);
            problems.push(problem);
        } else if !referenced.contains(key) && !key.starts_with('_') {
            let remedy = match nearest(key, options::JAIL) {
                Some(near) => format!("ignored: did you mean '{near}'?"),
                None => "ignored: remove it".to_owned(),
            };
            let message = format!("there is no option '{key}'");
            let problem = Diagnostic::error(&entry.place, message, remedy);
            problems.push(problem.at_level(Level::Warning));
        }
    }
    problems
}

/// Where the value of `filter` would be, for a jail that brings its own patterns.
fn unnamed(value: Value) -> Value {
    Value {
        text: String::new(),
        ..value
    }
}

/// The sections of `tree` that are jails.
pub(crate) fn sections(tree: &Tree) -> impl Iterator<Item = (&str, Place)> {
    tree.sections()
        .filter_map(|(name, table)| Some((name, table.place.clone()?)))
}
