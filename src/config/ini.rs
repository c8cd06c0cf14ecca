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
    pub(crate) entries: Vec<Arc<Entry>>,
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
    let mut document = Document {
        sections: Vec::with_capacity(index.sections.len()),
        problems: index.problems,
        broken: index.broken,
    };
    for span in index.sections {
        let values = parsed.get(&span.name);
        let mut entries = Vec::with_capacity(span.keys.len());
        for key in span.keys {
            let Some(Some(text)) = values.and_then(|values| values.get(&key.key)) else {
                document.lost(&span.name, &key.place);
                continue;
            };
            entries.push(Arc::new(Entry {
                key: key.key.to_lowercase(),
                place: key.place,
                text: text.replace(SHIELD, ""),
                lines: key.lines,
            }));
        }
        document.sections.push(Section {
            name: span.name,
            place: span.place,
            entries,
        });
    }
    document
}

impl Document {
    /// An option that the index sees and `configparser` does not: nothing is dropped in silence.
    fn lost(&mut self, section: &str, place: &Place) {
        let message = "the option cannot be read";
        let reason = format!("{place}: {message}");
        self.broken.push((section.to_owned(), reason));
        let remedy = "write name = value, without control characters";
        self.problems
            .push(Diagnostic::error(place, message, remedy));
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

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source {
            name: "test".to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_file_is_read_as_python_reads_it() {
        let text = "\u{feff}[DEFAULT]\r\nKey With Blanks = a=b:c ; comment\n\
            url: http://x:1/;y\n# comment\nlist =\n  one\n\n  # gone\n ; gone\n  [two]\n\tthree ;x\n\n\
            [a[b]] # c\n  indented = 1\n   more\n  next = 2\n";

        let document = parse(&source(text));

        let mut shown = Vec::new();
        for section in &document.sections {
            shown.push(format!("[{}]", section.name));
            shown.extend(
                section
                    .entries
                    .iter()
                    .map(|e| format!("{}={:?}", e.key, e.text)),
            );
        }
        assert_eq!(document.problems, []);
        assert_eq!(
            shown.join("\n"),
            "[DEFAULT]\nkey with blanks=\"a=b:c\"\nurl=\"http://x:1/;y\"\n\
             list=\"\\none\\n\\n[two]\\nthree\"\n\
             [a[b]]\nindented=\"1\\nmore\"\nnext=\"2\""
        );
    }

    proptest! {
        /// The index and configparser see the same options with the same lines.
        #[test]
        fn every_line_of_every_value_has_its_place(text in "([\\[\\]=:;# \t\n\ra-c]|\\PC){0,80}") {
            let source = source(&format!("[a]\n{text}"));
            let document = parse(&source);
            prop_assert!(document.problems.iter().all(|p| !p.message.contains("cannot be read")));
            for entry in document.sections.iter().flat_map(|section| &section.entries) {
                if document.problems.is_empty() {
                    prop_assert_eq!(entry.text.split('\n').count(), entry.lines.len());
                }
            }
        }
    }
}
