//! fail2ban's patterns: Python's regular expressions with tags (`<HOST>`, `<F-USER>…</F-USER>`).
//!
//! Comes in: one pattern as an administrator wrote it. Goes out: its syntax tree, and text with the
//! same meaning for the `regex` crate, where there is such a text; or what is wrong, and where. Nothing is
//! compiled or matched here, and no text, however odd, makes it panic or recurse without end.
//!
//! Texts are bytes: a class or `.` takes one byte, `\w`, `\d`, `\s` and `\b` know ASCII only, and a
//! character beyond ASCII in a pattern stands for its UTF-8.

pub mod ast;

mod class;
mod emit;
mod escape;
mod group;
mod parse;
pub(crate) mod tags;

use crate::engine::filter::pattern::ast::Node;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What it matches.
    pub root: Node,
    /// The names of its groups, those with none included: group 1 first.
    pub groups: Vec<Option<Box<str>>>,
}

/// What a pattern's text means depends on where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Which texts it is for.
    pub lines: Lines,
    /// Whether `<HOST>` stands for host names too (`usedns` is not `no`).
    pub has_names: bool,
}

/// Which texts a pattern is for. Every one of them ends in a newline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// One line, so no other newline is in it.
    #[default]
    One,
    /// Several lines (`maxlines` above 1): `^` and `$` mean each of them.
    Many,
}

/// Why a pattern cannot be used, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PatternError {
    /// Where in the pattern's text, in bytes from its beginning.
    pub at: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for people, and where.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        parse::parse(text, dialect)
    }

    /// The number of the group `name`, if there is one.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<usize> {
        let place = self
            .groups
            .iter()
            .position(|own| own.as_deref() == Some(name));
        place.map(|index| index + 1)
    }

    /// Text for `regex` with `unicode(false)` that means the same, or `None` if only back-tracking can
    /// match it.
    #[must_use]
    pub fn linear(&self) -> Option<String> {
        (!self.root.backtracks()).then(|| emit::superset(&self.root))
    }

    /// The text for `regex` of a pattern that matches wherever this one does, and maybe elsewhere.
    /// Its groups have the same numbers.
    #[must_use]
    pub fn superset(&self) -> String {
        emit::superset(&self.root)
    }
}

/// The groups of the lines that `<SKIPLINES>` passed over are named this and a number from 0.
pub const SKIPPED: &str = "skiplines";
