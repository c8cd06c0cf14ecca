//! READS: fail2ban's configuration language into settings plus diagnostics.
//!
//! Comes in: the directories. Goes out: settings that are valid, everything that is wrong with the
//! files, and which jails that costs. One broken jail never stops another, and nothing here ends the
//! process, starts one, or looks a name up.
//!
//! ```text
//! files ─▶ spans, ini ─▶ layers ─▶ tree ─▶ resolve ─▶ jail, global ─▶ Settings
//! └──────────────────── text ────────────────────┘   └──── types ────┘
//! ```

pub mod diagnostic;
pub mod files;

mod ini;
mod spans;

mod action;
pub mod alone;
mod compose;
mod definition;
pub mod dump;
mod layers;
mod tags;
mod tree;

mod arguments;
pub mod resolve;

mod reading;
mod span;
mod value;

mod options;

mod encoding;
mod escalation;
mod ignore;
mod ports;
mod rules;
mod spec;

mod backend;
mod bans;
mod logs;
mod source;
mod units;

mod global;
mod jail;

use std::collections::BTreeMap;

use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::files::Layout;
use crate::config::jail::Outcome;
use crate::config::resolve::Jails;
use crate::engine::settings::{JailName, Settings};

/// Which kind of log a filter is for; fail2ban's `logtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogType {
    /// Lines of files.
    File,
    /// Entries of the journal.
    Journal,
}

/// Reads the whole configuration. The diagnostics are sorted by place and free of repetitions.
#[must_use]
pub fn load(layout: &Layout) -> (Settings, Vec<Diagnostic>) {
    let mut settings = Settings::default();
    let mut problems = Vec::new();
    for name in layout.shipped() {
        if layout.read(name).is_none() {
            problems.push(absent(layout, name));
            settings.incomplete = true;
        }
    }
    let layers = layers::read(layout, layout.global);
    problems.extend(layers.problems);
    settings.global = global::read(&layers.tree, &mut problems);
    jails(layout, &mut settings, &mut problems);
    (settings, folded(problems))
}

/// The problems by place, each once. A note that is to be said at many places is said at the first.
fn folded(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    problems.sort();
    problems.dedup();
    let mut notes: BTreeMap<(String, String), usize> = BTreeMap::new();
    let of = |problem: &Diagnostic| (problem.message.clone(), problem.remedy.clone());
    problems.retain(|problem| {
        let count = notes.entry(of(problem)).or_default();
        *count += 1;
        problem.level != Level::Note || *count == 1
    });
    for note in problems
        .iter_mut()
        .filter(|problem| problem.level == Level::Note)
    {
        match notes.get(&of(note)) {
            Some(2) => note.message.push_str(" (and at one more place)"),
            Some(count @ 3..) => note
                .message
                .push_str(&format!(" (and at {} more places)", count - 1)),
            _ => {}
        }
    }
    problems
}

/// The text of an option of an enabled jail that holds a command, for whoever runs it. A file that cannot
/// be read, or must not be believed, could hold another text: then there is none.
///
/// # Errors
/// Why there is no such command, for people.
pub fn command(layout: &Layout, jail: &JailName, option: &str) -> Result<String, String> {
    let jails = Jails::read(layout);
    let layers = &jails.layers;
    if layers.incomplete {
        let errors = layers.problems.iter().filter(|p| p.level == Level::Error);
        return Err(errors.min().map(ToString::to_string).unwrap_or_default());
    }
    let broken = &layers.tree.broken;
    if let Some(reason) = broken.get(&**jail).or(broken.get(tree::DEFAULT)) {
        return Err(reason.clone());
    }
    if layers.tree.table(jail).is_none() {
        return Err(format!("no jail '{jail}' is configured"));
    }
    match jail::enabled(&jails, jail) {
        Ok(true) => {}
        Ok(false) => return Err(format!("jail '{jail}' is not enabled")),
        Err(problem) => return Err(problem.to_string()),
    }
    match jails.option(jail, option) {
        Some(Ok(value)) if !value.text.trim().is_empty() => Ok(value.text),
        Some(Err(problem)) => Err(problem.to_string()),
        Some(Ok(_)) | None => Err(format!("jail '{jail}' has no '{option}'")),
    }
}

/// How many values there are in `text`, read as the files `jail.conf`, `filter.d/f.conf`,
/// `action.d/x.conf` and `common.conf`, each up to a line that begins with `==`: for fuzzing.
#[must_use]
pub fn parse_only(text: &str) -> usize {
    let layout = Layout {
        admin: "/nonexistent".into(),
        vendor: "/nonexistent".into(),
        ..Layout::default()
    };
    let names = [
        "jail.conf",
        "filter.d/f.conf",
        "action.d/x.conf",
        "common.conf",
    ];
    let texts = text.split("\n==").map(str::to_owned);
    let files = names.into_iter().zip(texts).map(|(name, text)| {
        let name = name.to_owned();
        Arc::new(diagnostic::Source { name, text })
    });
    let mut jails = Jails::of(&layout, files);
    let names: Vec<String> = jails.sections().map(|(name, _)| name.to_owned()).collect();
    let mut count = 0;
    for name in names {
        let jail = jails.resolve(&name, LogType::Journal);
        let properties = jail.actions.iter().map(|action| action.properties.len());
        count += jail.options.len() + jail.filter.options.len() + properties.sum::<usize>();
    }
    count
}

fn jails(layout: &Layout, settings: &mut Settings, problems: &mut Vec<Diagnostic>) {
    let mut jails = Jails::read(layout);
    problems.append(&mut jails.layers.problems);
    settings.incomplete |= jails.layers.incomplete;
    let services = layout.services();
    let referenced = jails.layers.tree.referenced();
    let sections = jails
        .sections()
        .map(|(section, place)| (section.to_owned(), place.clone()));
    let sections: Vec<(String, Place)> = sections.collect();
    let mut counting = Vec::new();
    for (section, place) in sections {
        let Some(name) = JailName::new(&section) else {
            problems.push(Diagnostic::error(
                &place,
                "this is no name for a jail",
                "use 1 to 64 letters, digits, '-', '_' and '.'",
            ));
            continue;
        };
        let read = jail::read(&mut jails, &section, &services);
        problems.extend(read.problems);
        settings.incomplete |= read.incomplete;
        match read.outcome {
            Outcome::Disabled => continue,
            Outcome::Ready(jail) => {
                counting.extend(read.bans.map(|place| (name.clone(), place)));
                settings.jails.insert(name, *jail);
            }
            Outcome::Failed(reason) => drop(settings.failed.insert(name, reason)),
        }
        problems.extend(options::slips(&jails.layers.tree, &section, &referenced));
    }
    bans::assign(&mut settings.jails, counting, problems);
}

/// A file of the package is gone.
fn absent(layout: &Layout, name: &str) -> Diagnostic {
    let place: Place = layout.vendor_place(name);
    let remedy = "install banishd again, or create the file";
    Diagnostic::error(&place, "there is no such file", remedy)
}
