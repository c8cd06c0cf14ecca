//! What is tried: a filter, the filter of a jail, or a pattern on its own.
//!
//! Comes in: what stands for it on the command line. Goes out: its patterns, and which journal entries
//! are for it. Nothing is compiled here.

use std::path::Path;

use jiff::tz::TimeZone;

use crate::cli::filter_test::TestError;
use crate::config::alone::{self, Alone};
use crate::config::diagnostic::Diagnostic;
use crate::config::files::Layout;
use crate::config::resolve::LogType;
use crate::engine::filter::{FilterSpec, Names, Text};
use crate::engine::settings::Matches;

/// What is tried.
pub(crate) struct Subject {
    /// For people: `filter sshd`.
    pub(crate) label: String,
    /// Its patterns.
    pub(crate) spec: FilterSpec,
    /// `journalmatch`.
    pub(crate) matches: Matches,
}

impl Subject {
    /// Looks for what `text` names, in `directory` or where banishd would look.
    pub(crate) fn find(
        text: &str,
        is_jail: bool,
        directory: Option<&Path>,
        log: LogType,
    ) -> Result<Self, TestError> {
        let layout = Layout::choose(directory, Path::new("/usr/lib/banishd"));
        let jail = match text.strip_prefix("jail:") {
            Some(name) => Some(name),
            None => is_jail.then_some(text),
        };
        if let Some(name) = jail {
            let found = alone::jail(&layout, name, log);
            let none = || format!("there is no jail '{name}' in {}", layout.admin.display());
            return Ok(Self::of(
                format!("jail {name}"),
                found.map_err(|p| refused(&p, none))?,
            ));
        }
        let name = text.split('[').next().unwrap_or_default().trim_end();
        let names = alone::names(&layout).map_err(|problem| refused(&[problem], String::new))?;
        if names.iter().any(|known| known == name) {
            let found = alone::filter(&layout, text, log);
            let found = found.map_err(|problems| refused(&problems, String::new))?;
            return Ok(Self::of(format!("filter {text}"), found));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !name.is_empty() && name.chars().all(is_word) {
            let directory = layout.admin.display();
            return Err(TestError::Refused(format!(
                "there is no filter '{name}' in {directory}, and it is no pattern either: \
                 a pattern says with <HOST> where the address is"
            )));
        }
        let spec = FilterSpec {
            name: "pattern".to_owned(),
            text: Text::Line,
            fail: vec![text.to_owned()],
            names: Names::Warn,
            zone: TimeZone::system(),
            ..FilterSpec::default()
        };
        Ok(Self {
            label: "pattern".to_owned(),
            spec,
            matches: Matches::default(),
        })
    }

    fn of(label: String, alone: Alone) -> Self {
        Self {
            label,
            spec: alone.spec,
            matches: alone.matches,
        }
    }
}

/// The problems, or `otherwise` if there are none to tell of.
fn refused(problems: &[Diagnostic], otherwise: impl FnOnce() -> String) -> TestError {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    TestError::Refused(match texts.is_empty() {
        true => otherwise(),
        false => texts.join("\n"),
    })
}
