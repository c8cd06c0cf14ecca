//! What is tried: a filter, the filter of a jail, or a pattern on its own.
//!
//! Comes in: what stands for it on the command line. Goes out: its patterns, and which journal entries
//! are for it. Nothing is compiled here.

use std::path::Path;

use jiff::tz::TimeZone;

use crate::cli::filter_test::TestError;
use crate::cli::tree::Tree;
use crate::config::LogType;
use crate::config::alone::{self, Alone};
use crate::config::diagnostic::Diagnostic;
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
    /// Looks for what `text` names in `tree`, or in the file that it is itself.
    pub(crate) fn find(
        text: &str,
        is_jail: bool,
        tree: &Tree,
        log: LogType,
    ) -> Result<Self, TestError> {
        let file = in_file(text);
        let (text, root) = match &file {
            Some((text, root)) => (text.as_str(), Some(*root)),
            None => (text, None),
        };
        let layout = tree.layout(root);
        let layout = layout.map_err(|error| TestError::Refused(error.to_string()))?;
        let directory = layout.admin.display();
        let jail = match text.strip_prefix("jail:") {
            Some(name) => Some(name),
            None => is_jail.then_some(text),
        };
        if let Some(name) = jail {
            let found = alone::jail(&layout, name, log);
            let none = || {
                let hint = hint(name, &alone::jails(&layout));
                format!("There is no jail '{name}' in {directory}{hint}")
            };
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
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !name.is_empty() && name.chars().all(is_word) {
            return Err(TestError::Refused(match hint(name, &names).as_str() {
                "." => format!(
                    "There is no filter '{name}' in {directory}, and a pattern says with <HOST> \
                     where the address is."
                ),
                hint => format!("There is no filter '{name}' in {directory}{hint}"),
            }));
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

/// The name and arguments of the filter in the file that `text` begins with, and the directory that
/// its `filter.d` is in.
fn in_file(text: &str) -> Option<(String, &Path)> {
    let (path, arguments) = text.split_at(text.find('[').unwrap_or(text.len()));
    let path = Path::new(path);
    let has_suffix = |suffix| path.extension().is_some_and(|found| found == suffix);
    let name = path.file_stem()?.to_str()?;
    let directory = path.parent()?;
    let is_filter = (has_suffix("conf") || has_suffix("local")) && path.is_file();
    if !is_filter || !directory.ends_with("filter.d") {
        return None;
    }
    let root = match directory.parent()? {
        root if root.as_os_str().is_empty() => Path::new("."),
        root => root,
    };
    Some((format!("{name}{arguments}"), root))
}

/// What was probably meant, and the end of the sentence.
fn hint(name: &str, known: &[String]) -> String {
    let near = alone::nearest(name, known);
    near.map_or(".".to_owned(), |near| format!("; did you mean '{near}'?"))
}

/// The problems, or `otherwise` if there are none to tell of.
fn refused(problems: &[Diagnostic], otherwise: impl FnOnce() -> String) -> TestError {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    TestError::Refused(match texts.is_empty() {
        true => otherwise(),
        false => texts.join("\n"),
    })
}
