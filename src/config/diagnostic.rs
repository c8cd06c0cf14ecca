//! What is wrong in a configuration file: where, what, and what to do.
//!
//! Comes in: places in files and text. Goes out: lines for people. Nothing is read or decided here.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// One thing to know about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// Where.
    pub place: Place,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it, or what is done instead.
    pub remedy: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not run: a jail, a file.
    Error,
    /// Something runs otherwise than it says.
    Warning,
    /// Something is said that means nothing here.
    Note,
}

/// A file, or a line and a column of it.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<Source>,
    /// From 1; 0 for the file as a whole.
    line: usize,
    /// From 1, in characters.
    column: usize,
}

/// A file that was read, or could not be.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Its path, for people.
    pub(crate) name: String,
    /// What is in it; empty if it could not be read.
    pub(crate) text: String,
}

impl Diagnostic {
    /// An error at `place`.
    pub(crate) fn error(
        place: &Place,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Error,
            place: place.clone(),
            message: shown(&message.into()),
            remedy: shown(&remedy.into()),
        }
    }

    /// The same, less bad.
    pub(crate) fn at_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Where and what, without the remedy.
    #[must_use]
    pub fn brief(&self) -> String {
        format!("{}: {}", self.place, self.message)
    }

    /// The diagnostic, the line it is about and a caret below the place: several lines for a terminal,
    /// the last without a newline.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let mut text = format!("{}: {}: {}", self.place, self.level, self.message);
        if let Some(line) = self.place.text() {
            let number = self.place.line.to_string();
            let gutter = " ".repeat(number.len());
            let shown: String = line.chars().map(visible).take(SHOWN_MAX).collect();
            let caret = " ".repeat(self.place.column.saturating_sub(1).min(SHOWN_MAX));
            text.push_str(&format!("\n {number} | {shown}\n {gutter} | {caret}^"));
        }
        if !self.remedy.is_empty() {
            text.push_str(&format!("\n  = {}", self.remedy));
        }
        text
    }
}

/// On one line: `jail.conf:3:8: error: … (what to do)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.level, self.message)?;
        match self.remedy.as_str() {
            "" => Ok(()),
            remedy => write!(f, " ({remedy})"),
        }
    }
}

/// By place, then the worst first.
impl Ord for Diagnostic {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |it: &Self| (it.place.line, it.place.column, it.level);
        let file = |it: &Self| it.place.file().to_owned();
        file(self)
            .cmp(&file(other))
            .then(key(self).cmp(&key(other)))
            .then_with(|| self.message.cmp(&other.message))
            .then_with(|| self.remedy.cmp(&other.remedy))
    }
}

impl PartialOrd for Diagnostic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Place {
    /// A line and a column, both from 1.
    pub(crate) fn at(source: &Arc<Source>, line: usize, column: usize) -> Self {
        Self {
            source: Arc::clone(source),
            line,
            column,
        }
    }

    /// The file as a whole, which need not exist.
    pub(crate) fn file_named(name: impl Into<String>) -> Self {
        let source = Source {
            name: name.into(),
            text: String::new(),
        };
        Self::at(&Arc::new(source), 0, 0)
    }

    /// `chars` further right.
    pub(crate) fn right(&self, chars: usize) -> Self {
        Self::at(&self.source, self.line, self.column.saturating_add(chars))
    }

    /// The path of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The line, from 1; 0 for the file as a whole.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1, in characters; 0 for the file as a whole.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// The text of the line.
    fn text(&self) -> Option<&str> {
        self.source.text.lines().nth(self.line.checked_sub(1)?)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        (self.file(), self.line, self.column) == (other.file(), other.line, other.column)
    }
}

impl Eq for Place {}

/// `file:line:column`, or the file alone.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.file()),
            line => write!(f, "{}:{line}:{}", self.file(), self.column),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Text on one line, whatever was quoted from a file.
fn shown(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Control characters must not reach a terminal; a tab takes one column, as the caret assumes.
fn visible(c: char) -> char {
    match c {
        '\t' | '\n' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Longer lines are cut.
const SHOWN_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_from_a_file_moves_no_cursor() {
        let message = "'a\u{1b}[2J\n\tb' is no option";
        let place = Place::file_named("jail.conf");

        let diagnostic = Diagnostic::error(&place, message, "remove '\r'");

        let shown = "jail.conf: error: 'a\u{fffd}[2J  b' is no option (remove '\u{fffd}')";
        assert_eq!(diagnostic.to_string(), shown);
    }
}
