//! All files of one kind laid over each other, and `%(name)s` in them.
//!
//! Comes in: documents in their order, later ones first in rank. Goes out: the value of an option as
//! the language means it, expanded when it is read and not before, so that a later file changes what
//! an earlier one says. Loops end with an error, and so does text without end.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::compose::Composer;
use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::ini::{Document, Entry, Section};

/// Documents laid over each other.
#[derive(Default)]
pub(crate) struct Tree {
    sections: BTreeMap<String, Table>,
    presets: BTreeMap<String, Arc<Entry>>,
    /// Sections that cannot be trusted, with the reason; `DEFAULT` stands for all.
    pub(crate) broken: BTreeMap<String, String>,
}

/// One section: for each option its values, the one that counts last.
#[derive(Default)]
pub(crate) struct Table {
    /// The first header of this name.
    pub(crate) place: Option<Place>,
    options: BTreeMap<String, Vec<Arc<Entry>>>,
}

/// Names of options to values that are given from elsewhere and are final.
pub(crate) type Given = BTreeMap<String, Value>;

/// A view of a tree from within one section.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The tree.
    pub(crate) tree: &'a Tree,
    /// The section.
    pub(crate) section: &'a str,
    /// What goes before everything in the tree.
    pub(crate) given: &'a Given,
    /// What expansions from this view may cost together.
    pub(crate) fuel: &'a Fuel,
}

/// How much text may still be put together.
pub(crate) struct Fuel(Cell<usize>);

/// An option's value, expanded.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The text.
    pub(crate) text: String,
    /// Where each line of the text comes from.
    pub(crate) lines: Vec<Place>,
    /// What sets the option.
    pub(crate) entry: Arc<Entry>,
}

/// The section that all others inherit from.
pub(crate) const DEFAULT: &str = "DEFAULT";

/// The section that names further files.
pub(crate) const INCLUDES: &str = "INCLUDES";

/// So deep may values refer to each other.
const DEPTH_MAX: usize = 25;

/// So long may a value grow, in bytes.
pub(crate) const VALUE_MAX: usize = 256 * 1024;

/// So much may all values of a jail, its filter and its actions cost together, in bytes.
const FUEL: usize = 32 * 1024 * 1024;

impl Default for Fuel {
    /// Enough for one jail, its filter and its actions.
    fn default() -> Self {
        Self(Cell::new(FUEL))
    }
}

impl Fuel {
    /// Enough for all jails together.
    pub(crate) fn for_all() -> Self {
        Self(Cell::new(64 * FUEL))
    }

    /// Takes out what one jail gets.
    pub(crate) fn share(&self) -> Self {
        let share = self.0.get().min(FUEL);
        self.0.set(self.0.get() - share);
        Self(Cell::new(share))
    }

    /// Puts back what is left of a share.
    pub(crate) fn put_back(&self, share: &Self) {
        self.0.set(self.0.get() + share.0.take());
    }

    /// Takes account of `text` with its places, for the value of `entry`.
    ///
    /// # Errors
    /// Nothing is left.
    fn burn(&self, text: &str, lines: &[Place], entry: &Entry) -> Result<(), Diagnostic> {
        // Every step counts, also one from which no text comes.
        let cost = 1 + text.len() + size_of_val(lines);
        let left = self.0.get().checked_sub(cost);
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| endless(entry))
    }
}

impl Value {
    /// What `entry` says, word for word.
    pub(crate) fn literal(entry: Arc<Entry>) -> Self {
        Self {
            text: entry.text.clone(),
            lines: entry.lines.clone(),
            entry,
        }
    }

    /// The same again.
    ///
    /// # Errors
    /// The fuel does not suffice.
    pub(crate) fn copy(&self, fuel: &Fuel) -> Result<Self, Diagnostic> {
        fuel.burn(&self.text, &self.lines, &self.entry)?;
        Ok(self.clone())
    }

    /// A text that is in no file, `origin` says where instead.
    pub(crate) fn said(origin: &str, text: &str) -> Self {
        let place = Place::file_named(origin);
        Self::literal(Arc::new(Entry {
            key: String::new(),
            lines: vec![place.clone(); text.matches('\n').count() + 1],
            place,
            text: text.to_owned(),
        }))
    }

    /// Where the character at `offset` of the text comes from, as far as that is known.
    pub(crate) fn place_at(&self, offset: usize) -> Place {
        let above = self.text.get(..offset).unwrap_or_default();
        let place = self.lines.get(above.matches('\n').count());
        let place = place.unwrap_or_else(|| self.entry.value_place());
        // A line with something put into it has other columns than its file.
        let line = above.rsplit('\n').next().unwrap_or_default();
        let raw = self.entry.lines.iter().position(|own| own == place);
        let raw = raw.and_then(|at| self.entry.text.split('\n').nth(at));
        match raw.is_some_and(|raw| raw.starts_with(line)) {
            true => place.right(line.chars().count()),
            false => place.clone(),
        }
    }

    /// The lines that are not blank, each with its place.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&str, &Place)> {
        let places = self.lines.iter();
        let places = places.chain(std::iter::repeat(self.entry.value_place()));
        let lines = self.text.split('\n').map(str::trim).zip(places);
        lines.filter(|(line, _)| !line.is_empty())
    }
}

impl Tree {
    /// Lays `document` over what is there.
    pub(crate) fn add(&mut self, document: &Document) {
        for section in &document.sections {
            self.add_section(section);
        }
        for (section, reason) in &document.broken {
            let (section, _) = conditional(section);
            let broken = self.broken.entry(section.to_owned());
            broken.or_insert_with(|| reason.clone());
        }
    }

    /// Lays one section over what is there. The options of `[Init?family=inet6]` go into `[Init]`, as
    /// `option?family=inet6`.
    pub(crate) fn add_section(&mut self, section: &Section) {
        let (name, condition) = conditional(&section.name);
        let table = self.sections.entry(name.to_owned()).or_default();
        table.place.get_or_insert_with(|| section.place.clone());
        for entry in &section.entries {
            let key = format!("{}{condition}", entry.key);
            let values = table.options.entry(key).or_default();
            values.push(Arc::clone(entry));
        }
    }

    /// Sets an option as if the last of all files did so in `[DEFAULT]`.
    pub(crate) fn preset(&mut self, key: &str, text: &str) {
        let entry = Value::said("built in", text).entry;
        self.presets.insert(key.to_owned(), entry);
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
        let tables = self.sections.values();
        let entries = tables.flat_map(|table| table.options.values().flatten());
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
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.options.values().filter_map(|values| values.last())
    }

    /// What counts for `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Arc<Entry>> {
        self.options.get(key)?.last()
    }

    /// The names of its options.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.options.keys().map(String::as_str)
    }

    fn values(&self, key: &str) -> &[Arc<Entry>] {
        self.options.get(key).map_or(&[], Vec::as_slice)
    }
}

impl<'a> Scope<'a> {
    /// The entry that sets `key`, in the section or in `[DEFAULT]`, unexpanded.
    pub(crate) fn entry(&self, key: &str) -> Option<&'a Arc<Entry>> {
        self.aged(key, 0)
    }

    /// The value of `key`, expanded; `None` where nobody sets it.
    pub(crate) fn value(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        if let Some(value) = self.given.get(key) {
            return Some(Ok(value.clone()));
        }
        self.own_value(key)
    }

    /// The same, whatever is given.
    pub(crate) fn own_value(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let entry = self.entry(key)?;
        Some(self.expanded(key, 0, entry))
    }

    /// The value that `key` had before the latest file set it; in a section that does not set it, what
    /// `[DEFAULT]` says.
    pub(crate) fn known(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let age = self.known_age(key);
        let entry = self.aged(key, age)?;
        Some(self.expanded(key, age, entry))
    }

    /// The keys of the section and of `[DEFAULT]`.
    pub(crate) fn keys(&self) -> BTreeSet<&'a str> {
        let tables = [DEFAULT, self.section].map(|name| self.tree.table(name));
        let tables = tables.into_iter().flatten();
        tables.flat_map(Table::keys).collect()
    }

    fn expanded(&self, key: &str, age: usize, entry: &Arc<Entry>) -> Result<Value, Diagnostic> {
        let mut walk = Walk {
            scope: *self,
            stack: vec![(key.to_owned(), age)],
        };
        let (text, lines) = walk.expand(entry)?;
        Ok(Value {
            text,
            lines,
            entry: Arc::clone(entry),
        })
    }

    fn own(&self, key: &str) -> &'a [Arc<Entry>] {
        let table = self.tree.table(self.section);
        table.map_or(&[], |table| table.values(key))
    }

    /// Every value that `key` was ever given, the one that counts first: those of the section, the
    /// preset, those of `[DEFAULT]`.
    fn aged(&self, key: &str, age: usize) -> Option<&'a Arc<Entry>> {
        let default = self.tree.table(DEFAULT).filter(|_| self.section != DEFAULT);
        let default = default.map_or(&[][..], |table| table.values(key));
        let default = self
            .tree
            .presets
            .get(key)
            .into_iter()
            .chain(default.iter().rev());
        self.own(key).iter().rev().chain(default).nth(age)
    }

    fn known_age(&self, key: &str) -> usize {
        usize::from(!self.own(key).is_empty())
    }
}

/// The name of a section without its condition, and the condition with its `?`.
fn conditional(name: &str) -> (&str, &str) {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    match name.find('?') {
        Some(at) if at > 0 && name.chars().take_while(|c| *c != '?').all(word) => name.split_at(at),
        _ => (name, ""),
    }
}

/// An expansion in progress.
struct Walk<'a> {
    scope: Scope<'a>,
    /// The options being expanded, each with the age of its value.
    stack: Vec<(String, usize)>,
}

impl Walk<'_> {
    fn expand(&mut self, entry: &Entry) -> Result<(String, Vec<Place>), Diagnostic> {
        self.scope.fuel.burn(&entry.text, &[], entry)?;
        let mut out = Composer::new(&entry.lines);
        let mut rest = entry.text.as_str();
        while let Some((plain, tail)) = rest.split_once('%') {
            out.push(plain);
            if let Some(after) = tail.strip_prefix('%') {
                out.push("%");
                rest = after;
                continue;
            }
            let reference = tail.strip_prefix('(');
            let reference = reference.and_then(|inner| inner.split_once(")s"));
            let Some((name, after)) = reference else {
                let near: String = tail.chars().take(12).collect();
                return Err(Diagnostic::error(
                    &entry.place_of(&format!("%{near}")),
                    format!("'%{near}' is no reference"),
                    "write %% for a percent sign, or %(name)s for the value of an option",
                ));
            };
            let (text, lines) = self.reference(name, entry)?;
            out.insert(&text, &lines, after);
            if out.len() > VALUE_MAX {
                return Err(endless(entry));
            }
            rest = after;
        }
        out.push(rest);
        let (text, lines) = out.finish();
        self.scope.fuel.burn(&text, &lines, entry)?;
        match text.len() > VALUE_MAX {
            true => Err(endless(entry)),
            false => Ok((text, lines)),
        }
    }

    /// The text for `%(name)s` in `entry`.
    fn reference(&mut self, name: &str, entry: &Entry) -> Result<(String, Vec<Place>), Diagnostic> {
        let place = || entry.place_of(&format!("%({name})s"));
        let key = name.to_lowercase();
        if key == "__name__" {
            return Ok((self.scope.section.to_owned(), vec![place()]));
        }
        if let Some(value) = self.scope.given.get(&key) {
            return Ok((value.text.clone(), value.lines.clone()));
        }
        let (step, found) = self.find(name, &key);
        let Some(found) = found else {
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

    /// What `name` refers to, and how to call that.
    fn find(&self, name: &str, key: &str) -> ((String, usize), Option<Arc<Entry>>) {
        let scope = self.scope;
        let aged = |key: &str, age| ((key.to_owned(), age), scope.aged(key, age).cloned());
        match name.rsplit_once('/') {
            None => aged(key, 0),
            Some(("known", _)) => {
                let key = key.strip_prefix("known/").unwrap_or(key);
                let current = self.stack.last().filter(|(current, _)| current == key);
                aged(
                    key,
                    current.map_or_else(|| scope.known_age(key), |(_, age)| age + 1),
                )
            }
            Some(("default" | DEFAULT, _)) => {
                let key = key.strip_prefix("default/").unwrap_or(key);
                aged(key, scope.own(key).len())
            }
            Some((section, option)) => {
                let option = option.to_lowercase();
                let found = scope.tree.table(section).and_then(|_| {
                    let there = Scope { section, ..scope };
                    there.aged(&option, 0).cloned()
                });
                ((format!("{section}/{option}"), 0), found)
            }
        }
    }
}

fn endless(entry: &Entry) -> Diagnostic {
    Diagnostic::error(
        entry.value_place(),
        "the value grows without end",
        "options refer to each other too often: simplify them",
    )
}
