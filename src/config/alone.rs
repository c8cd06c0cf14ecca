//! A filter without the jail around it, for people who try filters.
//!
//! Comes in: the name of a filter with its arguments, or of a jail, enabled or not. Goes out: the text
//! of its patterns, expanded but not compiled, and what is wrong with the files.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use jiff::tz::TimeZone;

use crate::config::LogType;
use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::files::Layout;
use crate::config::reading::Reading;
use crate::config::resolve::{self, Jails, ResolvedFilter};
use crate::config::source::with_aliases;
use crate::config::tree::Value;
use crate::config::{encoding, options, spec, value};
use crate::engine::filter::FilterSpec;
use crate::engine::settings::Matches;
use crate::engine::time::BanTime;

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
    alone(filter, BTreeMap::new(), problems)
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
    alone(jail.filter, jail.options, jail.problems)
}

/// The names of all jails, enabled or not.
#[must_use]
pub fn jails(layout: &Layout) -> Vec<String> {
    let jails = Jails::read(layout);
    let names = jails.sections().map(|(section, _)| section.to_owned());
    names.collect()
}

/// The name among `known` that `name` may be a slip for.
#[must_use]
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    options::nearest(name, known.iter().map(String::as_str))
}

/// What `text`, written like `journalmatch`, selects.
///
/// # Errors
/// Why it makes no sense.
pub fn matches(text: &str) -> Result<Matches, String> {
    value::matches(text)
}

/// The time that `text`, written like `bantime`, means.
///
/// # Errors
/// Why it makes no sense.
pub fn ban_time(text: &str) -> Result<BanTime, String> {
    value::ban_time(text)
}

/// The encoding that `text`, written like `logencoding`, names; `None` for UTF-8.
///
/// # Errors
/// There is none.
pub fn encoding(text: &str) -> Result<Option<&'static Encoding>, String> {
    encoding::encoding(text)
}

/// The time zone that `text`, written like `logtimezone`, names.
///
/// # Errors
/// There is none.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    encoding::zone(text)
}

/// The names of all filters.
///
/// # Errors
/// The directory cannot be read.
pub fn names(layout: &Layout) -> Result<Vec<String>, Diagnostic> {
    let names = layout.names("filter.d", ".conf")?;
    let stems = names.iter().filter_map(|name| {
        let stem = name.strip_prefix("filter.d/").unwrap_or(name);
        stem.strip_suffix(".conf")
    });
    Ok(stems.map(str::to_owned).collect())
}

/// `options` are those of the jail, if there is one.
fn alone(
    filter: ResolvedFilter,
    mut options: BTreeMap<String, Value>,
    problems: Vec<Diagnostic>,
) -> Result<Alone, Vec<Diagnostic>> {
    options.extend(filter.options);
    let mut reading = Reading {
        place: Place::file_named("filter.d"),
        options,
        problems,
    };
    let spec = spec::read(&filter.name, &mut reading);
    let matches = reading.parsed("journalmatch", value::matches);
    let mut errors = reading.problems;
    errors.retain(|problem| problem.level == Level::Error);
    match errors.is_empty() {
        true => Ok(Alone {
            spec,
            matches: with_aliases(matches.unwrap_or_default()),
        }),
        false => Err(errors),
    }
}
