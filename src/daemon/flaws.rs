//! What is wrong with a configuration: enough of it to say so, and to tell whether another one has more.
//!
//! Comes in: settings with their diagnostics. Goes out: one sentence, and a comparison. Lines do not
//! count in it, for they move while a file is edited.

use std::collections::BTreeMap;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::engine::settings::Settings;

/// The errors of a configuration.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    /// How often each file has each error.
    errors: BTreeMap<(String, String), usize>,
    /// That there are errors which no failed jail tells of.
    trouble: Option<String>,
}

impl Flaws {
    /// Of `settings`, which gave rise to `diagnostics`.
    pub(super) fn of(settings: &Settings, diagnostics: &[Diagnostic]) -> Self {
        let mut flaws = Self::default();
        for error in diagnostics.iter().filter(|it| it.level == Level::Error) {
            let key = (error.place.file().to_owned(), error.message.clone());
            *flaws.errors.entry(key).or_default() += 1;
            let brief = error.brief();
            if !settings.failed.values().any(|why| *why == brief) {
                flaws
                    .trouble
                    .get_or_insert(format!("the configuration has errors, such as {brief}"));
            }
        }
        flaws
    }

    /// Whether every error in `other` is in here as well.
    pub(super) fn cover(&self, other: &Self) -> bool {
        let known = |key| self.errors.get(key).copied().unwrap_or_default();
        other.errors.iter().all(|(key, count)| *count <= known(key))
    }

    /// What to tell beside the jails that failed.
    pub(super) fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Place;

    /// The flaws of a configuration with these errors, each a file and a message.
    fn flaws(errors: &[(&str, &str)]) -> Flaws {
        let error = |(file, message): &(&str, &str)| {
            Diagnostic::error(&Place::file_named(*file), *message, "")
        };
        let diagnostics: Vec<Diagnostic> = errors.iter().map(error).collect();
        Flaws::of(&Settings::default(), &diagnostics)
    }

    #[test]
    fn only_errors_that_did_not_stand_before_are_news() {
        let (a, b) = (("jail.local", "no file"), ("jail.local", "no time"));
        for (before, after, covered) in [
            (vec![], vec![], true),
            (vec![a], vec![], true),
            (vec![a, b], vec![b], true),
            (vec![a], vec![a], true),
            (vec![], vec![a], false),
            (vec![a], vec![b], false),
            (vec![a], vec![a, a], false),
            (vec![a], vec![("jail.conf", "no file")], false),
        ] {
            let covers = flaws(&before).cover(&flaws(&after));
            assert_eq!(covers, covered, "{before:?} {after:?}");
        }
    }
}
