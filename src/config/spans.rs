//! Where everything in an INI file stands, and what `configparser` says nothing about.
//!
//! Comes in: the text of one file. Goes out: the text as `configparser` must see it to read it as
//! Python does, and an index of sections, keys and value lines beside it, with the duplicates, keys
//! without a value and lines before the first section that Python refuses. No value is interpreted.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Place, Source};

/// What stands where in one file.
pub(crate) struct Index {
    /// The text for `configparser`, with as many lines as the file.
    pub(crate) prepared: String,
    /// The sections in their order; one for each header.
    pub(crate) sections: Vec<SectionSpan>,
    /// What Python would refuse.
    pub(crate) problems: Vec<Diagnostic>,
    /// The sections that those problems concern, with the reason. Text before the first header
    /// concerns `DEFAULT`.
    pub(crate) broken: Vec<(String, String)>,
}

/// One section.
pub(crate) struct SectionSpan {
    /// Its name as in the prepared text.
    pub(crate) name: String,
    /// Its header.
    pub(crate) place: Place,
    /// The keys in their order.
    pub(crate) keys: Vec<KeySpan>,
}

/// One key with its value.
pub(crate) struct KeySpan {
    /// As written; the language does not tell case apart.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) place: Place,
    /// Where each line of the value begins.
    pub(crate) lines: Vec<Place>,
}

/// Hides a `[` that begins a continuation line; `configparser` would take it for a section.
pub(crate) const SHIELD: char = '\u{1}';

/// Takes the place of the name of what is no option.
const NOTHING: char = '\u{2}';

/// Indexes a file.
pub(crate) fn index(source: &Arc<Source>) -> Index {
    let mut scan = Scan {
        source,
        index: Index {
            prepared: String::with_capacity(source.text.len()),
            sections: Vec::new(),
            problems: Vec::new(),
            broken: Vec::new(),
        },
        seen: BTreeSet::new(),
        indent: None,
        lost: false,
        blank: Vec::new(),
    };
    for (number, line) in (1..).zip(source.text.lines()) {
        let line = scan.line(number, line);
        scan.index.prepared.push_str(&line);
        scan.index.prepared.push('\n');
    }
    scan.index
}

/// A scan in progress.
struct Scan<'a> {
    source: &'a Arc<Source>,
    index: Index,
    /// The headers and, with their section, the keys seen so far.
    seen: BTreeSet<(String, Option<String>)>,
    /// The indentation of the key whose value may go on; `None` after a header.
    indent: Option<usize>,
    /// That value belongs to a line that is no option.
    lost: bool,
    /// The blank lines since the last line of that value.
    blank: Vec<Place>,
}

impl Scan<'_> {
    /// Takes in one line and returns it as `configparser` must see it.
    fn line(&mut self, number: usize, raw: &str) -> String {
        let raw = match number {
            1 => raw.strip_prefix('\u{feff}').unwrap_or(raw),
            _ => raw,
        };
        if raw.trim_start().starts_with(['#', ';']) {
            return String::from("#");
        }
        let cut = without_comment(raw);
        let text = cut.trim();
        let indent = cut.len() - cut.trim_start().len();
        let column = cut.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let place = Place::at(self.source, number, column);
        if text.is_empty() {
            self.blank.push(place);
            return String::new();
        }
        let goes_on = self.indent.is_some_and(|key| indent > key);
        let blank = std::mem::take(&mut self.blank);
        if goes_on {
            let sections = self.index.sections.last_mut().filter(|_| !self.lost);
            if let Some(key) = sections.and_then(|section| section.keys.last_mut()) {
                key.lines.extend(blank);
                key.lines.push(place);
            }
            return match text.starts_with('[') {
                true => cut.replacen('[', &format!("{SHIELD}["), 1),
                false => cut.to_owned(),
            };
        }
        match text.strip_prefix('[') {
            Some(header) => self.header(header, place),
            None => self.key(cut, indent, &place),
        }
    }

    /// A section header, without its `[`.
    fn header(&mut self, text: &str, place: Place) -> String {
        self.indent = None;
        let (name, closed) = match text.rfind(']') {
            Some(end) => (text.get(..end).unwrap_or_default().trim(), true),
            None => (text.trim(), false),
        };
        if !closed || name.is_empty() {
            self.refuse(
                &place,
                name,
                "the section header has no name or no closing ']'",
                "write [name]",
            );
        } else if !self.seen.insert((name.to_owned(), None)) {
            self.refuse(
                &place,
                name,
                &format!("the section [{name}] is in this file twice"),
                "put its options into the first one",
            );
        }
        self.index.sections.push(SectionSpan {
            name: name.to_owned(),
            place,
            keys: Vec::new(),
        });
        format!("[{name}]")
    }

    /// A line that begins an option, or should.
    fn key(&mut self, line: &str, indent: usize, place: &Place) -> String {
        let text = line.trim();
        let (key, value) = match text.find(['=', ':']) {
            Some(at) => {
                let (key, rest) = text.split_at(at);
                (key.trim(), Some(rest.get(1..).unwrap_or_default()))
            }
            None => (text, None),
        };
        let Some(section) = self.index.sections.last().map(|s| s.name.clone()) else {
            self.refuse(
                place,
                "DEFAULT",
                "there is text before the first section header",
                "write [DEFAULT] or the name of a jail above it",
            );
            return String::from("#");
        };
        self.indent = Some(indent);
        let Some(value) = value.filter(|_| !key.is_empty()) else {
            let shown: String = text.chars().take(40).collect();
            self.refuse(
                place,
                &section,
                &format!("'{shown}' is no option: it has no name or no '='"),
                "write name = value; a line that continues a value must be indented",
            );
            // Its continuation lines belong to it and not to the option before.
            self.lost = true;
            return format!("{}{NOTHING} =", " ".repeat(indent));
        };
        self.lost = false;
        if !self
            .seen
            .insert((section.clone(), Some(key.to_lowercase())))
        {
            self.refuse(
                place,
                &section,
                &format!("the option '{key}' is in the section [{section}] twice"),
                "remove one of them",
            );
        }
        let skipped = text.len() - value.trim_start().len();
        let skipped = text.get(..skipped).unwrap_or_default().chars().count();
        let lines = vec![place.right(skipped)];
        self.push(key.to_owned(), place.clone(), lines);
        line.to_owned()
    }

    fn push(&mut self, key: String, place: Place, lines: Vec<Place>) {
        if let Some(section) = self.index.sections.last_mut() {
            section.keys.push(KeySpan { key, place, lines });
        }
    }

    fn refuse(&mut self, place: &Place, section: &str, message: &str, remedy: &str) {
        let problem = Diagnostic::error(place, message, remedy);
        self.index
            .broken
            .push((section.to_owned(), format!("{place}: {message}")));
        self.index.problems.push(problem);
    }
}

/// The line up to a `;` that follows white space, as Python cuts it.
fn without_comment(line: &str) -> &str {
    let mut blank = true;
    for (at, c) in line.char_indices() {
        if c == ';' && blank {
            return line.get(..at).unwrap_or(line);
        }
        blank = c.is_whitespace();
    }
    line
}
