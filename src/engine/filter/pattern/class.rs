//! Sets of characters: `[…]`, `.`, `\d` and the like.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use crate::engine::filter::pattern::PatternError;
use crate::engine::filter::pattern::ast::{Class, FIRST_WIDE, Node};
use crate::engine::filter::pattern::escape::Escape;
use crate::engine::filter::pattern::parse::Parser;

impl Parser<'_> {
    /// A class; its `[` has been read.
    pub(super) fn class(&mut self) -> Result<Node, PatternError> {
        let start = self.place();
        let unclosed = || PatternError {
            at: start,
            what: "this '[' is never closed by a ']'".to_owned(),
        };
        self.next();
        let is_negated = self.take("^");
        // Not a set: that would be put in order again after each of them.
        let mut ranges = Vec::new();
        let mut is_first = true;
        loop {
            let at = self.place();
            let next = self.next().ok_or_else(unclosed)?;
            if next == ']' && !is_first {
                break;
            }
            is_first = false;
            let low = self.class_item(next, at)?;
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            if !is_range {
                match low {
                    Escape::Char(char) => ranges.push(ClassUnicodeRange::new(char, char)),
                    Escape::Class(set) => ranges.extend(set.iter().copied()),
                }
                continue;
            }
            self.next();
            let high_at = self.place();
            let high = self.next().ok_or_else(unclosed)?;
            let high = self.class_item(high, high_at)?;
            let (Escape::Char(low), Escape::Char(high)) = (low, high) else {
                return Err(PatternError {
                    at,
                    what: "a range in a class has a character at either end: put a '-' that stands for itself last".to_owned(),
                });
            };
            if low > high {
                return Err(PatternError {
                    at,
                    what: format!("the range {low}-{high} is the wrong way round"),
                });
            }
            ranges.push(ClassUnicodeRange::new(low, high));
        }
        let mut set = ClassUnicode::new(ranges);
        if self.flags.ignore_case {
            set = in_either_case(&set);
        }
        if is_negated {
            set.negate();
        }
        Ok(Node::Class(Class { set }))
    }

    fn class_item(&mut self, first: char, at: usize) -> Result<Escape, PatternError> {
        match first {
            '\\' => self.class_escape(at),
            other => Ok(Escape::Char(other)),
        }
    }
}

/// A character, in either case if `ignores_case`.
pub(super) fn literal(char: char, ignores_case: bool) -> Node {
    if !ignores_case {
        return Node::Literal(char);
    }
    let one = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
    let set = in_either_case(&one);
    match set == one {
        true => Node::Literal(char),
        false => Node::Class(Class { set }),
    }
}

/// `.`
pub(super) fn any(takes_newlines: bool) -> Node {
    let mut set = ClassUnicode::empty();
    if !takes_newlines {
        set.push(ClassUnicodeRange::new('\n', '\n'));
    }
    set.negate();
    Node::Class(Class { set })
}

/// `\d`, `\D`, `\s`, `\S`, `\w`, `\W`.
pub(super) fn category(letter: char) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
        'd' => &[('0', '9')],
        // Python's blanks include the four separators of ASCII.
        's' => &[('\t', '\r'), ('\x1c', ' ')],
        'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => return None,
    };
    let ranges = ranges
        .iter()
        .map(|(start, end)| ClassUnicodeRange::new(*start, *end));
    let mut set = ClassUnicode::new(ranges);
    if letter.is_ascii_uppercase() {
        set.negate();
    }
    Some(set)
}

/// The set with each letter's other case. Ranges beyond ASCII that are longer than any alphabet stay
/// as they are.
fn in_either_case(set: &ClassUnicode) -> ClassUnicode {
    let mut both = set.ranges().to_vec();
    for range in set.iter() {
        let end = match u32::from(range.end()) - u32::from(range.start()) < ALPHABET_MAX {
            true => range.end(),
            false => range.end().min(FIRST_WIDE),
        };
        for char in range.start()..=end {
            for other in [single(char.to_lowercase()), single(char.to_uppercase())] {
                let other = other.filter(|other| other.is_ascii() == char.is_ascii());
                both.extend(other.map(|other| ClassUnicodeRange::new(other, other)));
            }
        }
    }
    ClassUnicode::new(both)
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

const ALPHABET_MAX: u32 = 0x400;
