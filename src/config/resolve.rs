//! What a jail amounts to: the text of every option of the jail, its filter and its actions, as
//! `fail2ban-client -d` would print it.
//!
//! Comes in: the files. Goes out: values with everything expanded, each with its place, and what is
//! wrong on the way. What a value means is for others to say; nothing here knows a number or a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::LogType;
use crate::config::action::{self, ResolvedAction};
use crate::config::arguments::{self, Call};
use crate::config::definition::{DEFINITION, Definition};
use crate::config::diagnostic::{Diagnostic, Place, Source};
use crate::config::files::Layout;
use crate::config::layers::{Layers, Library};
use crate::config::options::nearest;
use crate::config::tree::{DEFAULT, Fuel, Given, Scope, Table, Value};

impl LogType {
    /// What filters call it.
    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Journal => "journal",
        }
    }
}

/// All jails, read but not yet resolved.
pub(crate) struct Jails<'a> {
    library: Library<'a>,
    fuel: Fuel,
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
    /// `_daemon`, by which filters call the program that writes their lines: a pattern, often a name.
    pub(crate) daemon: Option<String>,
}

/// The options of a jail.
pub(crate) const JAIL: [&str; 36] = [
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
];

/// Those that its filter and its actions cannot refer to.
const UNSEEN: [&str; 5] = [
    "description",
    "journaltrust",
    "port",
    "protocol",
    "matchtext",
];

/// Those that are on or off.
const SWITCHES: [&str; 6] = [
    "enabled",
    "skip_if_nologs",
    "systemd_if_nologs",
    "bantime.increment",
    "bantime.overalljails",
    "ignoreself",
];

/// So many actions may a jail have.
const ACTIONS_MAX: usize = 100;

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
        Self::of(layout, [])
    }

    /// The same, with these files as if they had been read.
    pub(crate) fn of(layout: &'a Layout, files: impl IntoIterator<Item = Arc<Source>>) -> Self {
        let mut library = Library::new(layout);
        files.into_iter().for_each(|file| library.hold(&file));
        let mut layers = library.assemble("jail");
        let tree = &mut layers.tree;
        tree.preset("fail2ban_version", env!("CARGO_PKG_VERSION"));
        tree.preset("fail2ban_confpath", &layout.admin.display().to_string());
        Self {
            library,
            fuel: Fuel::for_all(),
            layers,
        }
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
            fuel: &Fuel::default(),
        };
        scope.value(key)
    }

    /// Where fail2ban would write its log, if that is a file and not where it is usually.
    pub(crate) fn log_target(&mut self) -> Option<String> {
        let layout = self.library.layout();
        let layers = self.library.read(layout.global);
        let scope = Scope {
            tree: &layers.tree,
            section: DEFINITION,
            given: &Given::new(),
            fuel: &Fuel::default(),
        };
        let target = scope.value("logtarget")?.ok()?.text;
        let path = target.split('[').next().unwrap_or_default().trim();
        path.starts_with('/').then(|| path.to_owned())
    }

    /// The files of a filter.
    pub(crate) fn filter(&mut self, name: &str) -> Arc<Layers> {
        self.library.read(&format!("filter.d/{name}"))
    }

    /// Resolves one jail.
    pub(crate) fn resolve(&mut self, section: &str, log: LogType) -> ResolvedJail {
        let fuel = self.fuel.share();
        let table = self.layers.tree.table(section);
        let place = table.and_then(|table| table.place.clone());
        let mut resolving = Resolving {
            jail: ResolvedJail {
                name: section.to_owned(),
                place: place.unwrap_or_else(|| Place::file_named("jail.conf")),
                options: BTreeMap::new(),
                filter: ResolvedFilter::default(),
                actions: Vec::new(),
                problems: Vec::new(),
                incomplete: false,
            },
            library: &mut self.library,
            layers: &self.layers,
            given: Given::new(),
            fuel: &fuel,
        };
        resolving.jail(log);
        let jail = resolving.jail;
        self.fuel.put_back(&fuel);
        jail
    }
}

/// Resolves a filter that no jail speaks for: `text` is what would stand after `filter =`.
pub(crate) fn filter(
    layout: &Layout,
    text: &str,
    log: LogType,
) -> (ResolvedFilter, Vec<Diagnostic>) {
    let value = Value::said("the filter's name", text);
    let place = value.entry.place.clone();
    let mut found = FilterFile::find(&mut Library::new(layout), &value, &place, log);
    let mut filter = ResolvedFilter::default();
    let Some(file) = &found.file else {
        return (filter, found.problems);
    };
    filter.name.clone_from(&file.name);
    let fuel = Fuel::default();
    let variables = Given::new();
    let (definition, problems) = file.definition(&variables, &fuel);
    let definition = definition.seeing_initial();
    found.problems.extend(problems);
    for key in FILTER {
        match definition.option(key) {
            None => {}
            Some(Ok(value)) => drop(filter.options.insert(key.to_owned(), value)),
            Some(Err(problem)) => found.problems.push(problem),
        }
    }
    (filter, found.problems)
}

/// A filter's files, with its arguments.
struct FilterFile {
    name: String,
    layers: Arc<Layers>,
    arguments: BTreeMap<String, Value>,
}

/// What came of looking for one.
#[derive(Default)]
struct Found {
    file: Option<FilterFile>,
    problems: Vec<Diagnostic>,
    incomplete: bool,
}

impl FilterFile {
    /// Reads the filter that `value` names; `place` is where to complain of one that is not there.
    fn find(library: &mut Library<'_>, value: &Value, place: &Place, log: LogType) -> Found {
        let mut found = Found::default();
        let call = match arguments::parse(value) {
            Ok(calls) => calls,
            Err(problem) => {
                found.problems.push(problem);
                return found;
            }
        };
        let mut calls = call.into_iter();
        let Some(Call {
            name,
            mut arguments,
            ..
        }) = calls.next()
        else {
            return found;
        };
        if let Some(second) = calls.next() {
            let problem = Diagnostic::error(
                &second.place,
                format!(
                    "'{}' makes no sense there: a jail has one filter",
                    second.name
                ),
                "remove it, or make it a jail of its own",
            );
            found.problems.push(problem);
        }
        let layers = library.read(&format!("filter.d/{name}"));
        found.problems.extend(layers.problems.iter().cloned());
        found.incomplete = layers.incomplete;
        if layers.count == 0 {
            if !layers.incomplete {
                found.problems.push(missing(library.layout(), &name, place));
            }
            return found;
        }
        // A `logtype` in [DEFAULT] is there for filters that are read without a jail.
        let own = layers.tree.table(DEFINITION);
        if own.is_none_or(|table| table.entry("logtype").is_none()) {
            let auto = arguments.entry("logtype".to_owned());
            auto.or_insert_with(|| Value::said("the backend", log.name()));
        }
        found.file = Some(Self {
            name,
            layers,
            arguments,
        });
        found
    }

    /// What it says beside these options of the jail.
    fn definition<'a>(
        &'a self,
        variables: &Given,
        fuel: &'a Fuel,
    ) -> (Definition<'a>, Vec<Diagnostic>) {
        Definition::new(&self.layers.tree, &self.arguments, variables, fuel)
    }
}

/// A jail being resolved.
struct Resolving<'a, 'b> {
    jail: ResolvedJail,
    library: &'a mut Library<'b>,
    layers: &'a Layers,
    /// What its filter says of options that the jail refers to: `known/failregex`.
    given: Given,
    fuel: &'a Fuel,
}

impl Resolving<'_, '_> {
    fn jail(&mut self, log: LogType) {
        self.set("filter");
        let file = self.filter(log);
        if let Some(file) = &file {
            self.learn(file);
        }
        for key in JAIL.into_iter().filter(|key| *key != "filter") {
            self.set(key);
        }
        let variables = self.variables();
        if let Some(file) = &file {
            self.overlay(file, &variables);
        } else {
            let own = self.jail.options.iter();
            let own = own.filter(|(key, _)| FILTER.contains(&key.as_str()));
            self.jail.filter.options = own.map(|(k, v)| (k.clone(), v.clone())).collect();
        }
        self.actions(&variables);
    }

    /// Takes in one option of the jail.
    fn set(&mut self, key: &str) {
        match self.option(key) {
            None => {}
            Some(Ok(value)) => drop(self.jail.options.insert(key.to_owned(), value)),
            Some(Err(problem)) => self.jail.problems.push(problem),
        }
    }

    fn option(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let scope = Scope {
            tree: &self.layers.tree,
            section: &self.jail.name,
            given: &self.given,
            fuel: self.fuel,
        };
        scope.value(key)
    }

    fn filter(&mut self, log: LogType) -> Option<FilterFile> {
        let value = self.jail.options.get("filter")?;
        // Where all jails get their filter from one line, the jail is to blame for one that is missing.
        let own = self.layers.tree.table(&self.jail.name);
        let place = match own.and_then(|table| table.entry("filter")) {
            Some(entry) => entry.value_place(),
            None => &self.jail.place,
        };
        let found = FilterFile::find(self.library, value, place, log);
        self.jail.problems.extend(found.problems);
        self.jail.incomplete |= found.incomplete;
        if let Some(file) = &found.file {
            self.jail.filter.name.clone_from(&file.name);
        }
        found.file
    }

    /// Learns what the filter says of options that the jail refers to as `%(known/option)s`.
    fn learn(&mut self, file: &FilterFile) {
        let tree = &self.layers.tree;
        let tables = [DEFAULT, &self.jail.name].map(|name| tree.table(name));
        let entries = tables.into_iter().flatten().flat_map(Table::entries);
        let mut names = BTreeSet::new();
        for entry in entries {
            let parts = entry.text.split("%(known/").skip(1);
            names.extend(
                parts
                    .filter_map(|part| part.split_once(")s"))
                    .map(|(name, _)| name),
            );
        }
        if names.is_empty() {
            return;
        }
        let variables = seen().filter(|key| !FILTER.contains(key));
        let variables = variables.filter_map(|key| Some((key.to_owned(), self.option(key)?.ok()?)));
        let variables: Given = variables.collect();
        let (definition, _) = file.definition(&variables, self.fuel);
        for name in names {
            match definition.own_option(name) {
                None => {}
                Some(Ok(value)) => drop(
                    self.given
                        .insert(format!("known/{}", name.to_lowercase()), value),
                ),
                Some(Err(problem)) => self.jail.problems.push(problem),
            }
        }
    }

    /// What filters and actions see of the jail.
    fn variables(&self) -> Given {
        let mut variables = Given::new();
        for key in seen() {
            let Some(value) = self.jail.options.get(key) else {
                continue;
            };
            let mut value = value.clone();
            if SWITCHES.contains(&key) {
                // As Python writes it.
                let on = ["1", "on", "true", "yes"].contains(&value.text.to_lowercase().as_str());
                value.text = if on { "True" } else { "False" }.to_owned();
            }
            variables.insert(key.to_owned(), value);
        }
        let backend = variables.entry("backend".to_owned());
        backend.or_insert_with(|| Value::said("built in", "auto"));
        variables
    }

    /// Takes in the options of the filter, where the jail does not say otherwise.
    fn overlay(&mut self, file: &FilterFile, variables: &Given) {
        let (definition, problems) = file.definition(variables, self.fuel);
        let definition = definition.seeing_initial();
        self.jail.problems.extend(problems);
        let daemon = definition.option("_daemon").and_then(Result::ok);
        self.jail.filter.daemon = daemon.map(|value| value.text);
        for key in FILTER {
            let value = match self.jail.options.get(key) {
                // What a jail says is final, unlike an argument that says the same.
                Some(value) if !file.arguments.contains_key(key) => Some(Ok(value.clone())),
                _ => definition.option(key),
            };
            match value {
                None => {}
                Some(Ok(value)) => drop(self.jail.filter.options.insert(key.to_owned(), value)),
                Some(Err(problem)) => self.jail.problems.push(problem),
            }
        }
    }

    fn actions(&mut self, variables: &Given) {
        let Some(value) = self.jail.options.get("action") else {
            return;
        };
        let mut calls = match arguments::parse(value) {
            Ok(calls) => calls,
            Err(problem) => return self.jail.problems.push(problem),
        };
        if let Some(call) = calls.get(ACTIONS_MAX) {
            let message = format!("a jail has at most {ACTIONS_MAX} actions");
            let problem = Diagnostic::error(&call.place, message, "remove the others");
            self.jail.problems.push(problem);
            calls.truncate(ACTIONS_MAX);
        }
        for call in calls {
            let jail = (self.jail.name.as_str(), variables);
            let outcome = action::resolve(self.library, call, jail, self.fuel);
            self.jail.problems.extend(outcome.problems);
            self.jail.incomplete |= outcome.incomplete;
            if let Some(action) = outcome.action {
                self.add(action);
            }
        }
    }

    fn add(&mut self, action: ResolvedAction) {
        let mut earlier = self.jail.actions.iter();
        if earlier.any(|earlier| earlier.actname == action.actname) {
            self.jail.problems.push(Diagnostic::error(
                &action.place,
                format!("two actions of the jail are called '{}'", action.actname),
                format!("write {}[actname=another-name]", action.file),
            ));
        }
        self.jail.actions.push(action);
    }
}

/// The options of a jail that its filter and its actions may refer to.
fn seen() -> impl Iterator<Item = &'static str> {
    JAIL.into_iter().filter(|key| !UNSEEN.contains(key))
}

fn missing(layout: &Layout, name: &str, place: &Place) -> Diagnostic {
    let files = layout.names("filter.d", ".conf").unwrap_or_default();
    let names = files
        .iter()
        .filter_map(|file| file.strip_prefix("filter.d/")?.strip_suffix(".conf"));
    let remedy = match nearest(name, names) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!(
            "create {}, or write 'filter =' for a jail that has its own failregex",
            layout.admin.join(format!("filter.d/{name}.conf")).display()
        ),
    };
    Diagnostic::error(place, format!("there is no filter '{name}'"), remedy)
}
