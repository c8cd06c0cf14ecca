//! One jail: its resolved text to `JailSettings`.
//!
//! Comes in: all jails' texts and the name of one. Goes out: valid settings, or why the jail cannot run,
//! and every diagnostic on the way. One jail never sees another.

use std::collections::BTreeSet;

use crate::config::LogType;
use crate::config::action::ResolvedAction;
use crate::config::backend::{self, Backend};
use crate::config::bans;
use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::encoding;
use crate::config::options;
use crate::config::reading::Reading;
use crate::config::resolve::Jails;
use crate::config::rules;
use crate::config::source::{self, Found, Source};
use crate::config::spec;
use crate::config::tree::DEFAULT;
use crate::config::units::{self, Guess};
use crate::config::value;
use crate::config::{escalation, ignore};
use crate::engine::settings::JailSettings;
use crate::engine::time::{BanTime, Span};

/// What there is to know about one jail.
pub(crate) enum Outcome {
    /// It is switched off, or cannot be wanted.
    Disabled,
    /// It can run.
    Ready(Box<JailSettings>),
    /// It cannot.
    Failed(String),
}

/// A jail that was read.
pub(crate) struct Read {
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// A file of it could not be read.
    pub(crate) incomplete: bool,
    /// What says that it counts the bans of other jails; of which is not known yet.
    pub(crate) bans: Option<Place>,
}

/// More failures than this are not remembered for one offender.
const RETRY_MAX: u32 = 4096;

/// Reads the jail `section`.
pub(crate) fn read(jails: &mut Jails<'_>, section: &str, services: &str) -> Read {
    let mut read = Read {
        outcome: Outcome::Disabled,
        problems: Vec::new(),
        incomplete: false,
        bans: None,
    };
    let broken = |jails: &Jails<'_>, section: &str| jails.layers.tree.broken.get(section).cloned();
    if let Some(reason) = broken(jails, section) {
        read.outcome = Outcome::Failed(reason);
        return read;
    }
    match enabled(jails, section) {
        Ok(true) => {}
        Ok(false) => return read,
        Err(problem) => {
            read.outcome = Outcome::Failed(problem.brief());
            read.problems.push(problem);
            return read;
        }
    }
    if let Some(reason) = broken(jails, DEFAULT) {
        read.outcome = Outcome::Failed(reason);
        return read;
    }
    let mut reader = Reader {
        jails,
        section,
        services,
        incomplete: false,
        bans: None,
    };
    let (settings, problems) = reader.read();
    (read.incomplete, read.bans) = (reader.incomplete, reader.bans);
    let errors = problems
        .iter()
        .filter(|problem| problem.level == Level::Error);
    read.outcome = match (errors.min(), settings) {
        (Some(error), _) => Outcome::Failed(error.brief()),
        (None, Some(settings)) => Outcome::Ready(Box::new(settings)),
        (None, None) => Outcome::Disabled,
    };
    read.problems.extend(problems);
    read
}

/// Whether the jail is wanted. One that may or may not be keeps its bans and is told of, instead of going
/// quietly.
pub(crate) fn enabled(jails: &Jails<'_>, section: &str) -> Result<bool, Diagnostic> {
    let Some(value) = jails.option(section, "enabled").transpose()? else {
        return Ok(false);
    };
    value::boolean(&value.text).ok_or_else(|| {
        let message = format!("'{}' is neither true nor false", value.text.trim());
        Diagnostic::error(value.entry.value_place(), message, "write true or false")
    })
}

/// Which kind of log [`read`] finds for the jail.
pub(crate) fn log_type(jails: &mut Jails<'_>, section: &str) -> LogType {
    let backend = jails.option(section, "backend").and_then(Result::ok);
    let backend = backend.and_then(|value| backend::parse(&value).ok());
    match backend {
        Some(Backend::Systemd(_)) => return LogType::Journal,
        Some(Backend::Bans) => return LogType::File,
        _ => {}
    }
    let mut reader = Reader {
        jails,
        section,
        services: "",
        incomplete: false,
        bans: None,
    };
    let mut jail = reader.resolve(LogType::File);
    if reader.counts_bans(&jail, &Backend::Auto).is_some() {
        return LogType::File;
    }
    let found = source::files(&mut jail.reading, true);
    match matches!(found, Found::Nothing) && matches!(jail.falls_back(), Fallback::Journal(_)) {
        true => LogType::Journal,
        false => LogType::File,
    }
}

/// A jail being read.
struct Reader<'a, 'b> {
    jails: &'a mut Jails<'b>,
    section: &'a str,
    services: &'a str,
    incomplete: bool,
    bans: Option<Place>,
}

impl Reader<'_, '_> {
    /// The settings, unless there is an error among the problems or the jail is not wanted here.
    fn read(&mut self) -> (Option<JailSettings>, Vec<Diagnostic>) {
        let (backend, problem) = match self.jails.option(self.section, "backend") {
            None => (Backend::Auto, None),
            Some(value) => match value.and_then(|value| backend::parse(&value)) {
                Ok(backend) => (backend, None),
                Err(problem) => (Backend::Auto, Some(problem)),
            },
        };
        let log = match backend {
            Backend::Systemd(_) => LogType::Journal,
            Backend::Auto | Backend::Polling | Backend::Bans => LogType::File,
        };
        let mut jail = self.resolve(log);
        if jail.reading.has_error() || problem.is_some() {
            // The rest is looked at for what else is wrong.
            let _ = jail.settings(&backend, Source::default(), self.services);
            jail.reading.problems.extend(problem);
            return (None, jail.reading.problems);
        }
        let Some(source) = self.source(&mut jail, &backend) else {
            return (None, jail.reading.problems);
        };
        self.bans.clone_from(&source.bans);
        let settings = jail.settings(&backend, source, self.services);
        (settings, jail.reading.problems)
    }

    /// Where the lines come from, nowhere after an error; `None` for a jail that is off.
    fn source(&mut self, jail: &mut Jail, backend: &Backend) -> Option<Source> {
        let bans = self.counts_bans(jail, backend);
        let found = match backend {
            Backend::Systemd(_) | Backend::Bans => Found::Nothing,
            Backend::Auto | Backend::Polling => source::files(&mut jail.reading, bans.is_none()),
        };
        let source = match (found, backend) {
            (Found::Files(files), _) => Some(Source {
                files,
                ..Source::default()
            }),
            (Found::Closed, _) => None,
            (Found::Nothing, _) if bans.is_some() => None,
            (Found::Nothing, Backend::Systemd(_)) => jail.journal(backend),
            (Found::Nothing, _) => match jail.falls_back() {
                Fallback::Journal(note) => {
                    *jail = self.resolve(LogType::Journal);
                    let source = jail.journal(backend);
                    if let (Some(note), Some(source)) = (note, &source) {
                        let because = source.because.map(|name| format!(", by {name}"));
                        let remedy = format!(
                            "the journal is read instead: {}{}",
                            source.matches,
                            because.unwrap_or_default()
                        );
                        jail.reading.problems.push(Diagnostic { remedy, ..note });
                    }
                    source
                }
                Fallback::Off => return None,
                Fallback::None => None,
            },
        };
        let mut source = source.unwrap_or_default();
        let by_match = || jail.reading.place_of("journalmatch");
        source.bans = bans.or_else(|| bans::are_meant(&source.matches).then(by_match));
        Some(source)
    }

    /// What says that the jail counts bans, if `backend` or `logpath` does.
    fn counts_bans(&mut self, jail: &Jail, backend: &Backend) -> Option<Place> {
        match backend {
            Backend::Bans => Some(jail.reading.place_of("backend")),
            Backend::Systemd(_) => None,
            Backend::Auto | Backend::Polling => {
                let target = self.jails.log_target();
                let mut lines = jail.reading.lines("logpath").into_iter();
                let line = lines.find(|(line, _)| bans::is_log(line, target.as_deref()));
                line.map(|(_, place)| place)
            }
        }
    }

    fn resolve(&mut self, log: LogType) -> Jail {
        let resolved = self.jails.resolve(self.section, log);
        self.incomplete |= resolved.incomplete;
        let mut problems = resolved.problems;
        if !resolved.filter.name.is_empty() {
            problems.extend(options::filter_slips(
                &self.jails.filter(&resolved.filter.name).tree,
            ));
        }
        let tree = &self.jails.layers.tree;
        let mut options = resolved.options;
        let names_filter = tree
            .table(self.section)
            .is_some_and(|own| own.entries().any(|e| e.key == "filter"));
        let place = options.get("filter").filter(|_| names_filter);
        let place = place.map_or(resolved.place, |value| value.entry.value_place().clone());
        options.extend(resolved.filter.options);
        Jail {
            name: resolved.name,
            filter: resolved.filter.name,
            daemon: resolved.filter.daemon,
            actions: resolved.actions,
            reading: Reading {
                place,
                options,
                problems,
            },
        }
    }
}

/// What a jail without files does.
enum Fallback {
    /// It reads the journal, and this is to be said.
    Journal(Option<Diagnostic>),
    /// It is off.
    Off,
    /// It fails: an error was noted.
    None,
}

/// A jail, resolved.
struct Jail {
    name: String,
    filter: String,
    daemon: Option<String>,
    actions: Vec<ResolvedAction>,
    reading: Reading,
}

impl Jail {
    /// What to do where `logpath` names no file.
    fn falls_back(&mut self) -> Fallback {
        let unit = self.unit();
        let reading = &mut self.reading;
        let Some(logpath) = reading.value("logpath") else {
            return Fallback::Journal(None);
        };
        let place = logpath.entry.value_place().clone();
        let paths: Vec<&str> = logpath.items().map(|(path, _)| path).collect();
        let message = format!("there is no log file {}", paths.join(", "));
        let is_said = reading.text("journalmatch").is_some();
        if reading.switch("systemd_if_nologs", true) && (is_said || unit.is_some()) {
            let is_sure = is_said || unit.is_some_and(|unit| unit.is_known);
            let level = if is_sure { Level::Note } else { Level::Warning };
            let note = Diagnostic::error(&place, message, "").at_level(level);
            return Fallback::Journal(Some(note));
        }
        if reading.switch("skip_if_nologs", false) {
            reading.note(&place, message, "the jail is off, as skip_if_nologs says");
            return Fallback::Off;
        }
        reading.error(
            &place,
            message,
            "correct 'logpath', or set journalmatch = _SYSTEMD_UNIT=name.service to read the journal",
        );
        Fallback::None
    }

    fn journal(&mut self, backend: &Backend) -> Option<Source> {
        let unit = self.unit();
        source::journal(&mut self.reading, backend, unit)
    }

    /// The unit that the jail is about, for want of a journalmatch.
    fn unit(&self) -> Option<Guess> {
        units::guess(&self.filter, self.daemon.as_deref(), &self.name)
    }

    fn settings(
        &mut self,
        backend: &Backend,
        source: Source,
        services: &str,
    ) -> Option<JailSettings> {
        let reading = &mut self.reading;
        let rules = rules::read(reading, &self.actions, services);
        let filter = spec::compile(&self.filter, reading);
        let escalation = escalation::read(reading);
        let spared = ignore::read(reading);
        let settings = JailSettings {
            description: reading.text("description").unwrap_or_default().to_owned(),
            matches: source.matches,
            journal: source.journal,
            trusts_senders: source::trusts_senders(reading),
            files: source.files,
            polls: *backend == Backend::Polling,
            encoding: reading.parsed("logencoding", encoding::encoding).flatten(),
            bans_of: BTreeSet::new(),
            filter: filter?,
            rules: rules?,
            max_retry: reading
                .parsed("maxretry", |text| value::number(text, 1, RETRY_MAX))
                .unwrap_or(3),
            find_time: reading
                .parsed("findtime", value::time)
                .unwrap_or(Span::from_secs(600)),
            ban_time: reading
                .parsed("bantime", value::ban_time)
                .unwrap_or(BanTime::For(Span::from_secs(600))),
            escalation,
            max_matches: reading
                .parsed("maxmatches", |text| value::number(text, 0, RETRY_MAX))
                .unwrap_or(5),
            ignore: spared.addresses.into_iter().collect(),
            ignore_names: spared.names,
            ignore_files: spared.files,
            ignore_self: reading.switch("ignoreself", true),
            ignore_command: reading.text("ignorecommand").map(str::to_owned),
            ignore_cache: reading.parsed("ignorecache", ignore::cache).flatten(),
        };
        Some(settings)
    }
}
