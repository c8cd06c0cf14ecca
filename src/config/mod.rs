//! READS: fail2ban's configuration language into settings plus diagnostics.
//!
//! Comes in: the directories. Goes out: settings that are valid, everything that is wrong with the
//! files, and which jails that costs. One broken jail never stops another, and nothing here ends the
//! process, starts one, or looks a name up.
//!
//! ```text
//! files ─▶ spans, ini ─▶ layers ─▶ tree ─▶ jail, filter, global ─▶ Settings
//! ```

pub mod diagnostic;
pub mod files;

mod ini;
mod spans;

mod action;
mod compose;
mod definition;
pub mod dump;
mod layers;
mod tags;
#[expect(dead_code, reason = "the types side is about to use it")]
mod tree;

#[expect(dead_code, reason = "the types side is about to use it")]
mod resolve;

mod arguments;
mod span;
mod value;

mod filter;
mod global;
mod jail;
mod options;

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::files::Layout;
use crate::config::jail::{Outcome, Reader};
use crate::config::resolve::Jails;
use crate::config::tree::{Fuel, Given, Scope};
use crate::engine::settings::{JailName, Settings};

/// Reads the whole configuration. The diagnostics are sorted by place and free of repetitions.
#[must_use]
pub fn load(layout: &Layout) -> (Settings, Vec<Diagnostic>) {
    let mut settings = Settings::default();
    let mut problems = Vec::new();
    for name in ["banishd.conf", "jail.conf"] {
        if layout.read(name).is_none() {
            problems.push(absent(layout, name));
            settings.incomplete = true;
        }
    }
    let banishd = layers::read(layout, "banishd");
    problems.extend(banishd.problems);
    settings.global = global::read(&banishd.tree, &mut problems);
    jails(layout, &mut settings, &mut problems);
    problems.sort();
    problems.dedup();
    (settings, problems)
}

/// The text of an option of a jail that holds a command, for whoever runs it. A file that cannot be
/// read, or must not be believed, could hold another text: then there is none.
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
    match jails.option(jail, option) {
        _ if layers.tree.table(jail).is_none() => Err(format!("no jail '{jail}' is configured")),
        Some(Ok(value)) if !value.text.trim().is_empty() => Ok(value.text),
        Some(Err(problem)) => Err(problem.to_string()),
        Some(Ok(_)) | None => Err(format!("jail '{jail}' has no '{option}'")),
    }
}

/// Whether `text` can be read as a configuration file, and the values in it: for fuzzing.
#[must_use]
pub fn parse_only(text: &str) -> usize {
    let source = std::sync::Arc::new(diagnostic::Source {
        name: String::new(),
        text: text.to_owned(),
    });
    let mut tree = tree::Tree::default();
    tree.add(&ini::parse(&source));
    let given = Given::new();
    let mut count = 0;
    for (section, _) in tree.sections() {
        let scope = Scope {
            tree: &tree,
            section,
            given: &given,
            fuel: &Fuel::default(),
        };
        count += scope
            .keys()
            .iter()
            .filter(|key| matches!(scope.value(key), Some(Ok(_))))
            .count();
    }
    count
}

fn jails(layout: &Layout, settings: &mut Settings, problems: &mut Vec<Diagnostic>) {
    let mut layers = layers::read(layout, "jail");
    layers
        .tree
        .preset("fail2ban_version", env!("CARGO_PKG_VERSION"));
    layers
        .tree
        .preset("fail2ban_confpath", &layout.admin.display().to_string());
    problems.extend(layers.problems);
    settings.incomplete |= layers.incomplete;
    let services = layout.services();
    let given = Given::new();
    for (section, place) in jail::sections(&layers.tree) {
        let Some(name) = JailName::new(section) else {
            problems.push(Diagnostic::error(
                &place,
                "this is no name for a jail",
                "use 1 to 64 letters, digits, '-', '_' and '.'",
            ));
            continue;
        };
        let mut reader = Reader {
            layout,
            services: &services,
            scope: Scope {
                tree: &layers.tree,
                section,
                given: &given,
                fuel: &Fuel::default(),
            },
            place,
            problems: Vec::new(),
            incomplete: false,
        };
        match reader.read() {
            Outcome::Disabled => {}
            Outcome::Ready(jail) => drop(settings.jails.insert(name, *jail)),
            Outcome::Failed(reason) => drop(settings.failed.insert(name, reason)),
        }
        settings.incomplete |= reader.incomplete;
        problems.extend(reader.problems);
    }
}

/// A file of the package is gone.
fn absent(layout: &Layout, name: &str) -> Diagnostic {
    let place: Place = layout.vendor_place(name);
    let remedy = "install banishd again, or create the file";
    Diagnostic::error(&place, "there is no such file", remedy)
}
