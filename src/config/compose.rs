//! Text put together from several places, every line with the one it comes from.
//!
//! Comes in: pieces of one value, and other values that stand in it. Goes out: the text and a place
//! for each of its lines. Pure.

use crate::config::diagnostic::Place;

/// A text being put together.
pub(crate) struct Composer<'a> {
    text: String,
    /// One for each line of `text`.
    lines: Vec<Place>,
    /// The places of the lines of the value itself that are still to come.
    own: &'a [Place],
}

impl<'a> Composer<'a> {
    /// Begins a text; `own` are the places of the value's own lines.
    pub(crate) fn new(own: &'a [Place]) -> Self {
        let (first, rest) = own.split_at(own.len().min(1));
        Self {
            text: String::new(),
            lines: first.to_vec(),
            own: rest,
        }
    }

    /// Adds text of the value itself.
    pub(crate) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        for _ in piece.matches('\n') {
            if let Some((next, rest)) = self.own.split_first() {
                self.lines.push(next.clone());
                self.own = rest;
            } else {
                self.lines.extend(self.lines.last().cloned());
            }
        }
    }

    /// Adds another value; `rest` is what follows it. Its first line counts as its own only where
    /// nothing else stands on that line: a pattern that begins with a variable stays where it is.
    pub(crate) fn insert(&mut self, text: &str, lines: &[Place], rest: &str) {
        let blank = |text: &str| text.trim().is_empty();
        let before = self.text.rsplit('\n').next().unwrap_or_default();
        let alone = blank(before)
            && (text.contains('\n') || blank(rest.split('\n').next().unwrap_or_default()));
        if alone && let (Some(last), Some(first)) = (self.lines.last_mut(), lines.first()) {
            *last = first.clone();
        }
        self.text.push_str(text);
        self.lines.extend(lines.iter().skip(1).cloned());
    }

    /// How long it is so far.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The text and a place for each of its lines.
    pub(crate) fn finish(self) -> (String, Vec<Place>) {
        (self.text, self.lines)
    }
}
