//! A filter as configured: `filter.d/NAME.conf`, its arguments, and what the jail puts in its place.
//!
//! Comes in: the text of `filter =` and the jail's own options. Goes out: patterns with their places,
//! `<name>` expanded, ready for `engine::filter`. A tag that names no option stays for the engine.

use std::collections::BTreeMap;

use crate::config::arguments::{self, Call};
use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::files::Layout;
use crate::config::layers::{self, Layers};
use crate::config::options::{self, nearest};
use crate::config::tree::{Fuel, Given, Scope, VALUE_MAX, Value};
use crate::engine::filter::{Filter, FilterSpec, Part, steering};

/// A filter's files, read, with the arguments of one jail.
pub(crate) struct FilterFile {
    name: String,
    layers: Layers,
    given: Given,
    arguments: Given,
}

/// What one jail makes of a filter.
pub(crate) struct Resolved {
    /// The compiled filter, if every pattern can be used.
    pub(crate) filter: Option<Filter>,
    /// `journalmatch`, if anybody sets it.
    pub(crate) matches: Option<Value>,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
}

const DEFINITION: &str = "Definition";
const INIT: &str = "Init";

/// So deep may tags stand for other tags.
const PASSES_MAX: usize = 25;

impl FilterFile {
    /// Reads the filter that `value`, the text of `filter =`, names.
    /// `place` is where to complain of it.
    pub(crate) fn read(
        layout: &Layout,
        value: &Value,
        place: &Place,
        given: &Given,
    ) -> Result<Self, Diagnostic> {
        let call = arguments::parse(value)?.into_iter().next();
        let call = call.unwrap_or_else(|| Call {
            name: String::new(),
            place: place.clone(),
            arguments: BTreeMap::new(),
        });
        let mut layers = Layers::default();
        if !call.name.is_empty() {
            layers = layers::read(layout, &format!("filter.d/{}", call.name));
            if layers.count == 0 && !layers.incomplete {
                return Err(missing(layout, &call.name, place));
            }
        }
        let mut given = given.clone();
        given.extend(call.arguments.clone());
        Ok(Self {
            name: call.name,
            layers,
            given,
            arguments: call.arguments,
        })
    }

    /// Whether a file of it could not be read.
    pub(crate) fn incomplete(&self) -> bool {
        self.layers.incomplete
    }

    /// The filter as a jail wants it: `jail` holds what it sets itself, which goes before the file.
    /// `place` is where to complain of what is missing.
    pub(crate) fn resolve(&mut self, jail: &BTreeMap<String, Value>, place: &Place) -> Resolved {
        let mut problems = std::mem::take(&mut self.layers.problems);
        let broken: Vec<String> = self.layers.tree.broken.values().cloned().collect();
        let mut option = |key: &str| match self.option(key, jail) {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err(problem)) => {
                problems.push(problem);
                None
            }
        };
        let [fail, ignore, matches] = ["failregex", "ignoreregex", "journalmatch"].map(&mut option);
        let [text, prefix, lines] = ["matchtext", "prefregex", "maxlines"].map(&mut option);
        problems.extend(self.unsupported(text, prefix, lines, place));
        problems.extend(self.slips());
        let fail = items(fail);
        let errors = problems.iter().any(|problem| problem.level == Level::Error);
        if fail.is_empty() && !errors {
            problems.push(Diagnostic::error(
                place,
                "there is no failregex: nothing would count as a failure",
                "set 'failregex' in the filter's [Definition] or in the jail",
            ));
        }
        let filter = self.compile(fail, items(ignore), &mut problems);
        let usable = broken.is_empty() && !problems.iter().any(|p| p.level == Level::Error);
        Resolved {
            filter: filter.filter(|_| usable),
            matches,
            problems,
        }
    }

    fn compile(
        &self,
        fail: Vec<(String, Place)>,
        ignore: Vec<(String, Place)>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Filter> {
        for (text, place) in &fail {
            if steering::is_steerable(text) {
                let warning = Diagnostic::error(
                    place,
                    "text in the message, a user name for example, can make this pattern find another address",
                    "anchor it: '^' at its beginning and no '.*' before the address, or '$' at its end and no '.*' after it",
                );
                problems.push(warning.at_level(Level::Warning));
            }
        }
        let texts = |list: &[(String, Place)]| list.iter().map(|(text, _)| text.clone()).collect();
        let spec = FilterSpec {
            name: self.name.clone(),
            fail: texts(&fail),
            ignore: texts(&ignore),
            ..FilterSpec::default()
        };
        let errors = match Filter::compile(spec) {
            Ok(filter) => return Some(filter),
            Err(errors) => errors,
        };
        for error in errors {
            let list = if error.part == Part::Fail {
                &fail
            } else {
                &ignore
            };
            if let Some((_, place)) = list.get(error.index) {
                problems.push(Diagnostic::error(
                    place,
                    error.reason,
                    "correct the pattern",
                ));
            }
        }
        None
    }

    /// What the filter asks for that is not there.
    fn unsupported(
        &self,
        text: Option<Value>,
        prefix: Option<Value>,
        lines: Option<Value>,
        place: &Place,
    ) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if text
            .as_ref()
            .is_none_or(|value| value.text.trim() != "message")
        {
            let place = match &text {
                Some(value) => value.entry.value_place().clone(),
                None => self.definition().unwrap_or_else(|| place.clone()),
            };
            problems.push(Diagnostic::error(
                &place,
                "the patterns are for a line of a log file, and here they meet bare journal messages",
                "write them for the message alone and set 'matchtext = message' beside them",
            ));
        }
        if let Some(value) = prefix.filter(|value| !value.text.trim().is_empty()) {
            problems.push(Diagnostic::error(
                &value.entry.place,
                "'prefregex' is not supported",
                "put it into each line of 'failregex'",
            ));
        }
        if let Some(value) = lines.filter(|value| value.text.trim() != "1") {
            problems.push(Diagnostic::error(
                &value.entry.place,
                "'maxlines' is not supported: one message is matched at a time",
                "write a pattern for each message",
            ));
        }
        problems
    }

    /// Options that nobody refers to and whose names are nearly those of others.
    fn slips(&self) -> Vec<Diagnostic> {
        let tree = &self.layers.tree;
        let referenced = tree.referenced();
        let entries = tree
            .sections()
            .filter(|(name, _)| [DEFINITION, INIT].contains(name));
        let mut slips = Vec::new();
        for entry in entries.flat_map(|(_, table)| table.entries()) {
            let key = entry.key.as_str();
            let known = options::FILTER.contains(&key) || referenced.contains(key);
            let near = nearest(key, options::FILTER).filter(|_| !known);
            if let Some(near) = near {
                let slip = Diagnostic::error(
                    &entry.place,
                    format!("the option '{key}' means nothing to a filter"),
                    format!("did you mean '{near}'?"),
                );
                slips.push(slip.at_level(Level::Warning));
            }
        }
        slips
    }

    fn definition(&self) -> Option<Place> {
        self.layers.tree.table(DEFINITION)?.place.clone()
    }

    /// The value of `key` with its tags expanded.
    fn option(
        &self,
        key: &str,
        jail: &BTreeMap<String, Value>,
    ) -> Option<Result<Value, Diagnostic>> {
        let value = match jail.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.own(key)?,
        };
        Some(value.and_then(|value| {
            let text = self.substitute(&value)?;
            Ok(Value { text, ..value })
        }))
    }

    /// The value of `key` in the file: `[Init]` goes before `[Definition]`, an argument before both.
    fn own(&self, key: &str) -> Option<Result<Value, Diagnostic>> {
        let tree = &self.layers.tree;
        let initial = tree
            .table(INIT)
            .is_some_and(|table| table.entries().any(|e| e.key == key));
        let scope = Scope {
            tree,
            section: if initial { INIT } else { DEFINITION },
            given: &self.given,
            fuel: &Fuel::default(),
        };
        scope.value(key)
    }

    /// Expands `<name>`, the innermost first, until nothing changes.
    fn substitute(&self, value: &Value) -> Result<String, Diagnostic> {
        let mut text = value.text.clone();
        for _ in 0..PASSES_MAX {
            let mut out = String::with_capacity(text.len());
            let mut rest = text.as_str();
            let mut changed = false;
            while let Some((before, name, after)) = innermost(rest) {
                out.push_str(before);
                match self.tag(name) {
                    Some(found) => {
                        out.push_str(&found?);
                        changed = true;
                    }
                    None => out.push_str(&format!("<{name}>")),
                }
                rest = after;
            }
            out.push_str(rest);
            if !changed {
                return Ok(out);
            }
            if out.len() > VALUE_MAX {
                break;
            }
            text = out;
        }
        Err(Diagnostic::error(
            value.entry.value_place(),
            "the tags in this value refer to themselves",
            "break the circle",
        ))
    }

    /// What `<name>` stands for.
    fn tag(&self, name: &str) -> Option<Result<String, Diagnostic>> {
        let key = name.to_lowercase();
        if let Some(text) = self.arguments.get(&key) {
            return Some(Ok(text.text.clone()));
        }
        let value = match name.rsplit_once('/') {
            Some((section, option)) if !section.is_empty() => Scope {
                tree: &self.layers.tree,
                section,
                given: &self.given,
                fuel: &Fuel::default(),
            }
            .value(&option.to_lowercase())
            .filter(|_| self.layers.tree.table(section).is_some()),
            // Keys are in lower case, `<HOST>` and `<F-USER>` are not options.
            _ if key != name => None,
            _ => self.own(&key),
        };
        value.map(|value| value.map(|value| value.text))
    }
}

/// The text before the first tag that holds no other, its name, and the text after it.
fn innermost(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(length) = text.get(from..)?.find('>') {
        let end = from + length;
        // A '<' before `from` belongs to a tag that was looked at already.
        let head = text.get(from..end)?;
        let name = head
            .rfind('<')
            .and_then(|start| Some((from + start, head.get(start + 1..)?)));
        if let Some((start, name)) = name
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
        {
            return Some((text.get(..start)?, name, text.get(end + 1..)?));
        }
        from = end + 1;
    }
    None
}

/// The lines of a list, each with its place.
fn items(value: Option<Value>) -> Vec<(String, Place)> {
    let Some(value) = value else {
        return Vec::new();
    };
    let raw: Vec<&str> = value.entry.text.split('\n').map(str::trim).collect();
    let filled = |line: &&str| !line.is_empty();
    // Line by line as long as no expansion has added lines.
    let parallel = raw.iter().copied().filter(filled).count()
        == value.text.split('\n').map(str::trim).filter(filled).count();
    let mut places = raw
        .iter()
        .zip(&value.entry.lines)
        .filter(|(line, _)| filled(line));
    let lines = value.text.split('\n').map(str::trim).filter(filled);
    lines
        .map(|line| {
            let place = places.next().map(|(_, place)| place).filter(|_| parallel);
            let place = place.unwrap_or_else(|| value.entry.value_place());
            (line.to_owned(), place.clone())
        })
        .collect()
}

fn missing(layout: &Layout, name: &str, place: &Place) -> Diagnostic {
    let files = layout.names("filter.d", ".conf").unwrap_or_default();
    let names = files
        .iter()
        .filter_map(|file| file.strip_prefix("filter.d/")?.strip_suffix(".conf"));
    let remedy = match nearest(name, names) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!(
            "create {}, or write 'filter =' for a jail that has its own failregex",
            layout.admin.join(format!("filter.d/{name}.conf")).display()
        ),
    };
    Diagnostic::error(place, format!("there is no filter '{name}'"), remedy)
}
