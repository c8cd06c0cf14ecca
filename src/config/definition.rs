//! What a file of `filter.d` or `action.d` says once it has its arguments: its options and its tags.
//!
//! Comes in: the tree of the file, the arguments in brackets, the options of the jail. Goes out: the
//! value of an option or of a tag, where an argument goes before `[Init]`, that before `[Definition]`,
//! and what the jail says before what `[Definition]` says. What the options are for is not known here.

use std::collections::BTreeMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::tags;
use crate::config::tree::{DEFAULT, Fuel, Given, Scope, Tree, Value};

/// The section of commands and patterns.
pub(crate) const DEFINITION: &str = "Definition";

/// The section of what arguments set.
pub(crate) const INIT: &str = "Init";

/// A file with its arguments.
pub(crate) struct Definition<'a> {
    tree: &'a Tree,
    /// The arguments, by their names as written.
    arguments: &'a BTreeMap<String, Value>,
    /// The options of the jail and the arguments, by names in lower case: variables.
    given: Given,
    /// `[Init]`, where conditional options are `option?family=inet6`.
    initial: BTreeMap<String, Value>,
    /// Tags that stay, because they mean something only when a command runs.
    late: &'a [&'a str],
    fuel: &'a Fuel,
}

impl<'a> Definition<'a> {
    /// Lays `arguments` and the options of a `jail` over a file. The problems are those of `[Init]`.
    pub(crate) fn new(
        tree: &'a Tree,
        arguments: &'a BTreeMap<String, Value>,
        jail: &Given,
        fuel: &'a Fuel,
    ) -> (Self, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let mut given = Given::new();
        let lower = arguments
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value));
        for (name, value) in jail
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .chain(lower)
        {
            match value.copy(fuel) {
                Ok(value) => drop(given.insert(name, value)),
                Err(problem) => problems.push(problem),
            }
        }
        let mut definition = Self {
            tree,
            arguments,
            given,
            initial: BTreeMap::new(),
            late: &[],
            fuel,
        };
        let keys = tree.table(INIT).into_iter().flat_map(|table| table.keys());
        for key in keys {
            match definition.bare(INIT).value(key) {
                Some(Ok(value)) => drop(definition.initial.insert(key.to_owned(), value)),
                Some(Err(problem)) => problems.push(problem),
                None => {}
            }
        }
        (definition, problems)
    }

    /// Leaves these tags alone.
    pub(crate) fn leaving(self, late: &'a [&'a str]) -> Self {
        Self { late, ..self }
    }

    /// Lets `%(name)s` in `[Definition]` see `[Init]`, as filters do.
    pub(crate) fn seeing_initial(mut self) -> Self {
        for (key, value) in &self.initial {
            let given = self.given.entry(key.clone());
            given.or_insert_with(|| value.clone());
        }
        self
    }

    /// Everything that commands may refer to when they run: the arguments and `[Init]`. An argument
    /// also goes before what `[Init]` says for one family of addresses.
    ///
    /// # Errors
    /// It is too much.
    pub(crate) fn properties(&self) -> Result<BTreeMap<String, Value>, Diagnostic> {
        let mut properties = BTreeMap::new();
        for (key, value) in &self.initial {
            let plain = key.split('?').next().unwrap_or_default();
            let value = self.arguments.get(plain).unwrap_or(value);
            properties.insert(key.clone(), value.copy(self.fuel)?);
        }
        for (key, value) in self.arguments {
            properties.insert(key.clone(), value.copy(self.fuel)?);
        }
        Ok(properties)
    }

    /// The value of an option with its tags replaced; `None` where nobody sets it.
    pub(crate) fn option(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let value = self.variable(key)?;
        Some(value.and_then(|value| tags::replace(value, |name| self.tag(name))))
    }

    /// The same, whatever the jail says.
    pub(crate) fn own_option(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let set = self.arguments.get(key).or_else(|| self.initial.get(key));
        let value = match set {
            Some(value) => value.copy(self.fuel),
            None => self.scope().own_value(&key.to_lowercase())?,
        };
        Some(value.and_then(|value| tags::replace(value, |name| self.tag(name))))
    }

    /// The value of an option before its tags are replaced.
    fn variable(&self, name: &str) -> Option<Result<Value, Diagnostic>> {
        let set = self.arguments.get(name).or_else(|| self.initial.get(name));
        match set {
            Some(value) => Some(value.copy(self.fuel)),
            None => self.scope().value(&name.to_lowercase()),
        }
    }

    /// What `<name>` stands for.
    fn tag(&self, name: &str) -> Option<Result<Value, Diagnostic>> {
        if self.late.contains(&name) || self.is_conditional(name) {
            return None;
        }
        match name.rsplit_once('/') {
            None => self.variable(name),
            Some(("known", option)) => self.known(option),
            Some(("default", option)) => self.bare(DEFAULT).value(&option.to_lowercase()),
            Some((section, option)) => {
                let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                let exists = section.chars().all(word) && self.tree.table(section).is_some();
                exists.then(|| self.bare(section).value(&option.to_lowercase()))?
            }
        }
    }

    /// What the file says itself: of an option that is set from elsewhere, what it would be without; of
    /// another one what it was before the latest file set it, if there was anything.
    fn known(&self, option: &str) -> Option<Result<Value, Diagnostic>> {
        let key = option.to_lowercase();
        if let Some(value) = self.initial.get(&key) {
            return Some(value.copy(self.fuel));
        }
        let scope = self.scope();
        let known = Some(&scope).filter(|_| !self.given.contains_key(&key));
        let known = known.and_then(|scope| scope.known(&key));
        known.or_else(|| scope.own_value(&key))
    }

    /// What an option means depends on the family of the address.
    fn is_conditional(&self, name: &str) -> bool {
        let prefix = format!("{name}?");
        let has = |table: &BTreeMap<String, Value>| {
            let mut from = table.range(prefix.clone()..);
            from.next().is_some_and(|(key, _)| key.starts_with(&prefix))
        };
        has(&self.initial) || has(self.arguments)
    }

    /// The variables of `[Definition]`.
    fn scope(&self) -> Scope<'_> {
        Scope {
            given: &self.given,
            ..self.bare(DEFINITION)
        }
    }

    /// A section of the file alone.
    fn bare<'b>(&'b self, section: &'b str) -> Scope<'b> {
        Scope {
            tree: self.tree,
            section,
            given: &NOTHING,
            fuel: self.fuel,
        }
    }
}

static NOTHING: Given = Given::new();
