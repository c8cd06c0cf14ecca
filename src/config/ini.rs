//! One INI file, parsed by `configparser`, every value with its place.
//!
//! Comes in: the text of a file. Goes out: sections and options in their order, plus what is wrong.
//! What is good in a bad file is kept; the sections that a problem concerns are named.

use std::collections::HashMap;
use std::sync::Arc;

use configparser::ini::{Ini, IniDefault};

use crate::config::diagnostic::{Diagnostic, Place, Source};
use crate::config::spans::{self, SHIELD};

/// A file, taken apart.
pub(crate) struct Document {
    /// In their order.
    pub(crate) sections: Vec<Section>,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// The sections it concerns, each with the reason.
    pub(crate) broken: Vec<(String, String)>,
}

/// A section.
#[derive(Clone)]
pub(crate) struct Section {
    /// As written: case counts.
    pub(crate) name: String,
    /// Its header.
    pub(crate) place: Place,
    /// Its options.
    pub(crate) entries: Vec<Entry>,
}

/// An option with its value as written, the lines joined by newlines.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// In lower case.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) place: Place,
    /// The value.
    pub(crate) text: String,
    /// Where each line of the value begins; as many as `text` has.
    pub(crate) lines: Vec<Place>,
}

impl Entry {
    /// Where the value begins.
    pub(crate) fn value_place(&self) -> &Place {
        let filled = self.text.split('\n').zip(&self.lines);
        filled
            .filter(|(line, _)| !line.is_empty())
            .map(|(_, place)| place)
            .next()
            .unwrap_or(&self.place)
    }

    /// Where `needle` stands in the value, or else the value.
    pub(crate) fn place_of(&self, needle: &str) -> Place {
        let found = self
            .text
            .split('\n')
            .zip(&self.lines)
            .find_map(|(line, place)| {
                let before = line.get(..line.find(needle)?)?;
                Some(place.right(before.chars().count()))
            });
        found.unwrap_or_else(|| self.value_place().clone())
    }
}

/// Takes a file apart.
pub(crate) fn parse(source: &Arc<Source>) -> Document {
    let mut index = spans::index(source);
    let mut ini = Ini::new_from_defaults(python());
    let parsed = match ini.read(index.prepared) {
        Ok(parsed) => parsed,
        Err(message) => {
            // The index has taken out all that configparser is known to refuse.
            let place = Place::at(source, 1, 1);
            index.broken.push(("DEFAULT".to_owned(), message.clone()));
            index.problems.push(Diagnostic::error(&place, message, ""));
            Default::default()
        }
    };
    let sections = index.sections.into_iter().map(|span| {
        let values = parsed.get(&span.name);
        let entries = span.keys.into_iter().filter_map(|key| {
            let text = values?.get(&key.key)?.as_deref()?;
            Some(Entry {
                key: key.key.to_lowercase(),
                place: key.place,
                text: text.replace(SHIELD, ""),
                lines: key.lines,
            })
        });
        Section {
            entries: entries.collect(),
            name: span.name,
            place: span.place,
        }
    });
    Document {
        sections: sections.collect(),
        problems: index.problems,
        broken: index.broken,
    }
}

/// The settings that make `configparser` read what Python's module of that name reads.
fn python() -> IniDefault {
    let mut settings = IniDefault::default();
    settings.default_section = "__none__".to_owned();
    settings.comment_symbols = vec!['#', ';'];
    settings.inline_comment_symbols = Some(vec![';']);
    settings.delimiters = vec!['=', ':'];
    settings.boolean_values = HashMap::new();
    settings.case_sensitive = true;
    settings.multiline = true;
    settings.enable_inline_comments = false;
    settings
}
