//! A filter without the jail around it, for people who try filters.
//!
//! Comes in: the name of a filter with its arguments, or of a jail, enabled or not. Goes out: the text
//! of its patterns, expanded but not compiled, and what is wrong with the files.

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::files::Layout;
use crate::config::resolve::{self, Jails, LogType, ResolvedFilter};
use crate::config::tree::Value;
use crate::config::value;
use crate::engine::filter::{FilterSpec, Names, Text};
use crate::engine::settings::Matches;

/// A filter, and which journal entries are for it.
#[derive(Clone, Debug, Default)]
pub struct Alone {
    /// Its patterns.
    pub spec: FilterSpec,
    /// `journalmatch`; empty where nobody says.
    pub matches: Matches,
}

/// The filter that `text`, the value of `filter =`, names.
///
/// # Errors
/// Everything that is wrong with it.
pub fn filter(layout: &Layout, text: &str, log: LogType) -> Result<Alone, Vec<Diagnostic>> {
    let (filter, problems) = resolve::filter(layout, text, log);
    usable(&problems).map(|()| alone(&filter))
}

/// The filter of a jail.
///
/// # Errors
/// Everything that is wrong with the jail; nothing, if there is no such jail.
pub fn jail(layout: &Layout, name: &str, log: LogType) -> Result<Alone, Vec<Diagnostic>> {
    let mut jails = Jails::read(layout);
    if !jails.sections().any(|(section, _)| section == name) {
        return Err(Vec::new());
    }
    let jail = jails.resolve(name, log);
    usable(&jail.problems).map(|()| alone(&jail.filter))
}

/// What `text`, written like `journalmatch`, selects.
///
/// # Errors
/// Why it makes no sense.
pub fn matches(text: &str) -> Result<Matches, String> {
    value::matches(text)
}

/// The names of all filters.
///
/// # Errors
/// The directory cannot be read.
pub fn names(layout: &Layout) -> Result<Vec<String>, Diagnostic> {
    let names = layout.names("filter.d", "conf")?;
    let stems = names.iter().filter_map(|name| {
        let stem = name.strip_prefix("filter.d/").unwrap_or(name);
        stem.strip_suffix(".conf")
    });
    Ok(stems.map(str::to_owned).collect())
}

fn usable(problems: &[Diagnostic]) -> Result<(), Vec<Diagnostic>> {
    let errors = problems.iter().filter(|p| p.level == Level::Error);
    let errors: Vec<Diagnostic> = errors.cloned().collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors),
    }
}

fn alone(filter: &ResolvedFilter) -> Alone {
    let text = |key: &str| {
        let value = filter.options.get(key).map(|value| value.text.trim());
        value.filter(|text| !text.is_empty())
    };
    let lines = |key: &str| {
        let items = filter.options.get(key).into_iter().flat_map(Value::items);
        items.map(|(line, _)| line.to_owned()).collect()
    };
    Alone {
        matches: text("journalmatch")
            .and_then(|text| value::matches(text).ok())
            .unwrap_or_default(),
        spec: FilterSpec {
            name: filter.name.clone(),
            text: match text("matchtext") {
                Some("message") => Text::Message,
                _ => Text::Line,
            },
            prefix: text("prefregex").map(str::to_owned),
            fail: lines("failregex"),
            ignore: lines("ignoreregex"),
            max_lines: text("maxlines")
                .and_then(|text| text.parse().ok())
                .unwrap_or(1),
            dates: lines("datepattern"),
            names: match text("usedns") {
                Some("no") => Names::Never,
                Some("raw") => Names::Raw,
                Some("yes") => Names::LookUp,
                _ => Names::Warn,
            },
            ..FilterSpec::default()
        },
    }
}
