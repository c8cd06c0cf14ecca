//! All files of one kind laid over each other, and `%(name)s` in them.
//!
//! Comes in: documents in their order, later ones first in rank. Goes out: the value of an option as
//! the language means it, expanded when it is read and not before, so that a later file changes what
//! an earlier one says. Loops end with an error, and so does text without end.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::ini::{Document, Entry};

/// Documents laid over each other.
#[derive(Default)]
pub(crate) struct Tree {
    sections: BTreeMap<String, Table>,
    /// Sections that cannot be trusted, with the reason; `DEFAULT` stands for all.
    pub(crate) broken: BTreeMap<String, String>,
}

/// One section: for each option its values, the one that counts last.
#[derive(Default)]
pub(crate) struct Table {
    /// The first header of this name.
    pub(crate) place: Option<Place>,
    options: BTreeMap<String, Vec<Entry>>,
}

/// Names of options to values that are given from elsewhere.
pub(crate) type Given = BTreeMap<String, String>;

/// A view of a tree from within one section.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The tree.
    pub(crate) tree: &'a Tree,
    /// The section.
    pub(crate) section: &'a str,
    /// What goes before everything in the tree.
    pub(crate) given: &'a Given,
}

/// An option's value, expanded.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The text.
    pub(crate) text: String,
    /// Where it was set.
    pub(crate) entry: Entry,
}

/// The section that all others inherit from.
pub(crate) const DEFAULT: &str = "DEFAULT";

/// The section that names further files.
pub(crate) const INCLUDES: &str = "INCLUDES";

/// So deep may values refer to each other.
const DEPTH_MAX: usize = 25;

/// So long may a value grow, in bytes.
pub(crate) const VALUE_MAX: usize = 256 * 1024;

impl Tree {
    /// Lays `document` over what is there.
    pub(crate) fn add(&mut self, document: Document) {
        for section in document.sections {
            let table = self.sections.entry(section.name).or_default();
            table.place.get_or_insert(section.place);
            for entry in section.entries {
                let values = table.options.entry(entry.key.clone()).or_default();
                values.push(entry);
            }
        }
        for (section, reason) in document.broken {
            self.broken.entry(section).or_insert(reason);
        }
    }

    /// The sections that inherit, by name.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&str, &Table)> {
        let own = |name: &str| name != DEFAULT && name != INCLUDES;
        self.sections
            .iter()
            .filter(move |(name, _)| own(name))
            .map(|(name, table)| (name.as_str(), table))
    }

    /// One section.
    pub(crate) fn table(&self, section: &str) -> Option<&Table> {
        self.sections.get(section)
    }

    /// The names that a `%(name)s` somewhere refers to.
    pub(crate) fn referenced(&self) -> BTreeSet<String> {
        let entries = self
            .sections
            .values()
            .flat_map(|table| table.options.values().flatten());
        let mut names = BTreeSet::new();
        for entry in entries {
            for part in entry.text.split("%(").skip(1) {
                let name = part.split(')').next().unwrap_or_default();
                let name = name.rsplit('/').next().unwrap_or_default();
                names.insert(name.to_lowercase());
            }
        }
        names
    }
}

impl Table {
    /// What counts for each option.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.options.values().filter_map(|values| values.last())
    }

    /// The value `age` steps before the one that counts.
    fn value(&self, key: &str, age: usize) -> Option<&Entry> {
        self.options.get(key)?.iter().rev().nth(age)
    }
}

impl Scope<'_> {
    /// The entry that sets `key`, in the section or in `[DEFAULT]`, unexpanded.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.aged(key, 0)
    }

    /// The value of `key`, expanded; `None` where nobody sets it.
    pub(crate) fn value(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let entry = self.entry(key)?;
        let mut walk = Walk {
            scope: *self,
            stack: vec![(key.to_owned(), 0)],
            size: 0,
        };
        let text = match self.given.get(key) {
            Some(text) => Ok(text.clone()),
            None => walk.expand(entry),
        };
        Some(text.map(|text| Value {
            text,
            entry: entry.clone(),
        }))
    }

    /// The keys of the section and of `[DEFAULT]`.
    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        let tables = [DEFAULT, self.section].map(|name| self.tree.table(name));
        let tables = tables.into_iter().flatten();
        tables
            .flat_map(|table| table.options.keys().map(String::as_str))
            .collect()
    }

    fn aged(&self, key: &str, age: usize) -> Option<&Entry> {
        let own = self.tree.table(self.section);
        let own = own.and_then(|table| table.value(key, age));
        own.or_else(|| self.tree.table(DEFAULT)?.value(key, 0))
    }
}

/// An expansion in progress.
struct Walk<'a> {
    scope: Scope<'a>,
    /// The options being expanded, each with the age of its value.
    stack: Vec<(String, usize)>,
    /// How much text has been put in so far.
    size: usize,
}

impl Walk<'_> {
    fn expand(&mut self, entry: &Entry) -> Result<String, Diagnostic> {
        let mut out = String::with_capacity(entry.text.len());
        let mut rest = entry.text.as_str();
        while let Some((plain, tail)) = rest.split_once('%') {
            out.push_str(plain);
            if let Some(after) = tail.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let reference = tail
                .strip_prefix('(')
                .and_then(|inner| inner.split_once(")s"));
            let Some((name, after)) = reference else {
                let near: String = tail.chars().take(12).collect();
                return Err(Diagnostic::error(
                    &entry.place_of(&format!("%{near}")),
                    format!("'%{near}' is no reference"),
                    "write %% for a percent sign, or %(name)s for the value of an option",
                ));
            };
            out.push_str(&self.reference(name, entry)?);
            rest = after;
        }
        out.push_str(rest);
        self.size = self.size.saturating_add(out.len());
        if self.size > VALUE_MAX {
            return Err(Diagnostic::error(
                entry.value_place(),
                "the value grows without end",
                "options refer to each other too often: simplify them",
            ));
        }
        Ok(out)
    }

    /// The text for `%(name)s` in `entry`.
    fn reference(&mut self, name: &str, entry: &Entry) -> Result<String, Diagnostic> {
        let place = || entry.place_of(&format!("%({name})s"));
        let key = name.to_lowercase();
        if key == "__name__" {
            return Ok(self.scope.section.to_owned());
        }
        if let Some(text) = self.scope.given.get(&key) {
            return Ok(text.clone());
        }
        let current = self.stack.last().cloned().unwrap_or_default();
        let (step, found) = match name.rsplit_once('/') {
            None => ((key.clone(), 0), self.scope.entry(&key)),
            Some(("known", _)) => {
                let key = key.trim_start_matches("known/");
                let age = if current.0 == key { current.1 + 1 } else { 1 };
                ((key.to_owned(), age), self.scope.aged(key, age))
            }
            Some((section, option)) => {
                let section = if section == "default" {
                    DEFAULT
                } else {
                    section
                };
                let option = option.to_lowercase();
                let tree = self.scope.tree;
                let found = tree.table(section).map(|own| {
                    let default = || tree.table(DEFAULT)?.value(&option, 0);
                    own.value(&option, 0).or_else(default)
                });
                let found = found.flatten();
                ((format!("{section}/{option}"), 0), found)
            }
        };
        let Some(found) = found.cloned() else {
            return Err(Diagnostic::error(
                &place(),
                format!("'%({name})s' refers to an option that is not set"),
                format!(
                    "set '{key}' in this section or in [DEFAULT], or write %% for a percent sign"
                ),
            ));
        };
        if self.stack.contains(&step) || self.stack.len() >= DEPTH_MAX {
            let chain = self.stack.iter().map(|(key, _)| key.as_str());
            let chain: Vec<&str> = chain.chain([step.0.as_str()]).collect();
            return Err(Diagnostic::error(
                &place(),
                format!(
                    "options refer to each other in a circle: {}",
                    chain.join(" -> ")
                ),
                "break the circle",
            ));
        }
        self.stack.push(step);
        let text = self.expand(&found);
        self.stack.pop();
        text
    }
}
