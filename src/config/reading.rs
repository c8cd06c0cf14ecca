//! The options of one jail or one filter, asked for one by one.
//!
//! Comes in: resolved text. Goes out: typed values; what makes no sense is collected with its place.
//! One that makes no sense reads as not set, and the error that is noted of it fails the jail.

use std::collections::BTreeMap;

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::tree::Value;
use crate::config::value;

/// Options being read.
pub(crate) struct Reading {
    /// Where to complain of what is not there.
    pub(crate) place: Place,
    /// The options that are set.
    pub(crate) options: BTreeMap<String, Value>,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
}

impl Reading {
    /// The value of `key`, if it is set and not blank.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.options
            .get(key)
            .filter(|value| !value.text.trim().is_empty())
    }

    /// Its text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).map(|value| value.text.trim())
    }

    /// Where its value stands.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        let value = self
            .value(key)
            .map(|value| value.entry.value_place().clone());
        value.unwrap_or_else(|| self.place.clone())
    }

    /// Its lines, each with its place.
    pub(crate) fn lines(&self, key: &str) -> Vec<(String, Place)> {
        let items = self.value(key).into_iter().flat_map(Value::items);
        items
            .map(|(line, place)| (line.to_owned(), place.clone()))
            .collect()
    }

    /// What `parse` makes of it.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.text(key)?) {
            Ok(parsed) => Some(parsed),
            Err(reason) => {
                self.error(&self.place_of(key), reason, format!("correct '{key}'"));
                None
            }
        }
    }

    /// A boolean. What is neither is taken for `otherwise`, and so is what is not set.
    pub(crate) fn switch(&mut self, key: &str, otherwise: bool) -> bool {
        let Some(text) = self.text(key) else {
            return otherwise;
        };
        let known = value::boolean(text);
        if known.is_none() {
            let message = format!("'{text}' is neither true nor false");
            let remedy = format!("taken for {otherwise}: write true or false");
            self.warn(&self.place_of(key), message, remedy);
        }
        known.unwrap_or(otherwise)
    }

    /// Something does not run.
    pub(crate) fn error(
        &mut self,
        at: &Place,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Diagnostic::error(at, message, remedy));
    }

    /// Something runs otherwise than it says.
    pub(crate) fn warn(
        &mut self,
        at: &Place,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems
            .push(Diagnostic::error(at, message, remedy).at_level(Level::Warning));
    }

    /// Something is good to know.
    pub(crate) fn note(
        &mut self,
        at: &Place,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems
            .push(Diagnostic::error(at, message, remedy).at_level(Level::Note));
    }

    /// Whether anything fails the jail.
    pub(crate) fn has_error(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.level == Level::Error)
    }
}
