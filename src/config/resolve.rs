//! What a jail amounts to: the text of every option of the jail, its filter and its actions, as
//! `fail2ban-client -d` would print it.
//!
//! Comes in: the files. Goes out: values with everything expanded, each with its place, and what is
//! wrong on the way. What a value means is for others to say; nothing here knows a number or a time.

use std::collections::BTreeMap;

use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::files::Layout;
use crate::config::layers::{Layers, Library};
use crate::config::tree::{Given, Scope, Tree, Value};

/// Which kind of log a filter is for; fail2ban's `logtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogType {
    /// Lines of files.
    File,
    /// Entries of the journal.
    Journal,
}

/// All jails, read but not yet resolved.
pub(crate) struct Jails<'a> {
    library: Library<'a>,
    /// The files of `jail.conf`; its `problems` are those of the syntax.
    pub(crate) layers: Layers,
}

/// A jail, resolved.
pub(crate) struct ResolvedJail {
    /// The name of its section.
    pub(crate) name: String,
    /// Its header.
    pub(crate) place: Place,
    /// The options of [`JAIL`] that are set and can be expanded.
    pub(crate) options: BTreeMap<String, Value>,
    /// Its filter.
    pub(crate) filter: ResolvedFilter,
    /// Its actions.
    pub(crate) actions: Vec<ResolvedAction>,
    /// What is wrong. With an error among it the jail is not what was meant.
    pub(crate) problems: Vec<Diagnostic>,
    /// A file of its filter or actions could not be read.
    pub(crate) incomplete: bool,
}

/// A filter, resolved with its arguments and with what a jail says in its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResolvedFilter {
    /// Its name; empty for a jail that brings its own patterns.
    pub(crate) name: String,
    /// The options of [`FILTER`] that are set, tags expanded.
    pub(crate) options: BTreeMap<String, Value>,
}

/// An action, resolved.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedAction {
    /// The name of its file in `action.d`, without `.conf`.
    pub(crate) file: String,
    /// Where the jail names it.
    pub(crate) place: Place,
    /// What it is called in its jail.
    pub(crate) actname: String,
    /// The commands, the arguments, the options of `[Init]`; those for one family of addresses only as
    /// `option?family=inet6`.
    pub(crate) properties: BTreeMap<String, Value>,
    /// It is written in Python.
    pub(crate) is_python: bool,
    /// The administrator changed its commands, by a file beside the shipped one or by an argument.
    pub(crate) is_modified: bool,
}

/// The options of a jail.
pub(crate) const JAIL: [&str; 37] = [
    "enabled",
    "description",
    "filter",
    "action",
    "backend",
    "journaltrust",
    "logpath",
    "logencoding",
    "logtimezone",
    "skip_if_nologs",
    "systemd_if_nologs",
    "port",
    "protocol",
    "usedns",
    "maxretry",
    "maxmatches",
    "findtime",
    "bantime",
    "bantime.increment",
    "bantime.factor",
    "bantime.formula",
    "bantime.multipliers",
    "bantime.maxtime",
    "bantime.rndtime",
    "bantime.overalljails",
    "ignoreself",
    "ignoreip",
    "ignorecommand",
    "ignorecache",
    "prefregex",
    "failregex",
    "ignoreregex",
    "maxlines",
    "datepattern",
    "journalmatch",
    "matchtext",
    "logtype",
];

/// The options of a filter.
pub(crate) const FILTER: [&str; 9] = [
    "prefregex",
    "failregex",
    "ignoreregex",
    "maxlines",
    "datepattern",
    "journalmatch",
    "usedns",
    "logtype",
    "matchtext",
];

impl<'a> Jails<'a> {
    /// Reads the files of `jail.conf`.
    pub(crate) fn read(layout: &'a Layout) -> Self {
        let mut library = Library::new(layout);
        let mut layers = library.assemble("jail");
        let tree = &mut layers.tree;
        tree.preset("fail2ban_version", env!("CARGO_PKG_VERSION"));
        tree.preset("fail2ban_confpath", &layout.admin.display().to_string());
        Self { library, layers }
    }

    /// The jails, by name, each with its header.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&str, &Place)> {
        let sections = self.layers.tree.sections();
        sections.filter_map(|(name, table)| Some((name, table.place.as_ref()?)))
    }

    /// One option of one jail, for what has to be known before the rest: `enabled`, `backend`.
    pub(crate) fn option(&self, section: &str, key: &str) -> Option<Result<Value, Diagnostic>> {
        let scope = Scope {
            tree: &self.layers.tree,
            section,
            given: &Given::new(),
        };
        scope.value(key)
    }

    /// Resolves one jail.
    pub(crate) fn resolve(&mut self, section: &str, log: LogType) -> ResolvedJail {
        let _ = (&mut self.library, log);
        let tree: &Tree = &self.layers.tree;
        let place = tree.table(section).and_then(|table| table.place.clone());
        let mut jail = ResolvedJail {
            name: section.to_owned(),
            place: place.unwrap_or_else(|| Place::file_named("jail.conf")),
            options: BTreeMap::new(),
            filter: ResolvedFilter::default(),
            actions: Vec::new(),
            problems: Vec::new(),
            incomplete: false,
        };
        for key in JAIL {
            match self.option(section, key) {
                None => {}
                Some(Ok(value)) => drop(jail.options.insert(key.to_owned(), value)),
                Some(Err(problem)) => jail.problems.push(problem),
            }
        }
        jail
    }
}
