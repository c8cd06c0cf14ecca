//! What a backslash means.

use regex_syntax::hir::ClassUnicode;

use crate::engine::filter::pattern::PatternError;
use crate::engine::filter::pattern::ast::{Assertion, Class, Node};
use crate::engine::filter::pattern::class::{category, literal};
use crate::engine::filter::pattern::parse::{Item, Parser};

/// What an escape in a class stands for.
pub(super) enum Escape {
    /// One character.
    Char(char),
    /// Several.
    Class(ClassUnicode),
}

impl Parser<'_> {
    /// An escape outside a class; its backslash has not been read.
    pub(super) fn escape(&mut self) -> Result<Item, PatternError> {
        let at = self.place();
        self.next();
        let next = self.next().ok_or_else(|| dangling(at))?;
        let assertion = match next {
            'A' => Some(Assertion::Start),
            'Z' => Some(Assertion::End),
            'b' => Some(Assertion::Boundary),
            'B' => Some(Assertion::NoBoundary),
            _ => None,
        };
        if let Some(assertion) = assertion {
            return Ok(Item::Assertion(assertion));
        }
        if let Some(set) = category(next) {
            return Ok(Item::Node(Node::Class(Class { set })));
        }
        if next.is_ascii_digit() && next != '0' {
            return self.numbered(next, at);
        }
        let char = self.character(next, at)?;
        Ok(Item::Node(literal(char, self.flags.ignore_case)))
    }

    /// An escape in a class; its backslash has been read.
    pub(super) fn class_escape(&mut self, at: usize) -> Result<Escape, PatternError> {
        let next = self.next().ok_or_else(|| dangling(at))?;
        if next == 'b' {
            return Ok(Escape::Char('\x08'));
        }
        if let Some(set) = category(next) {
            return Ok(Escape::Class(set));
        }
        self.character(next, at).map(Escape::Char)
    }

    /// `\1`, or a character by three octal digits.
    fn numbered(&mut self, first: char, at: usize) -> Result<Item, PatternError> {
        let octal = |char: char| char.is_digit(8);
        let mut following = self.rest().chars();
        let second = following.next();
        let is_octal =
            octal(first) && second.is_some_and(octal) && following.next().is_some_and(octal);
        if is_octal {
            let char = self.character(first, at)?;
            return Ok(Item::Node(literal(char, self.flags.ignore_case)));
        }
        let mut number = first.to_digit(10).unwrap_or_default();
        if let Some(digit) = second.and_then(|char| char.to_digit(10)) {
            self.next();
            number = number * 10 + digit;
        }
        let group = usize::try_from(number).unwrap_or(usize::MAX);
        self.backreference(group, at).map(Item::Node)
    }

    /// The one character that an escape stands for.
    fn character(&mut self, letter: char, at: usize) -> Result<char, PatternError> {
        Ok(match letter {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.hexadecimal(2, at)?,
            'u' => self.hexadecimal(4, at)?,
            'U' => self.hexadecimal(8, at)?,
            'N' => {
                return Err(PatternError {
                    at,
                    what: r"\N{…} is not supported: write the character itself, or \u and its four hexadecimal digits".to_owned(),
                });
            }
            '0'..='7' => self.octal(letter, at)?,
            letter if letter.is_ascii_alphanumeric() => {
                return Err(PatternError {
                    at,
                    what: format!(
                        r"\{letter} means nothing: without the backslash it is the character"
                    ),
                });
            }
            other => other,
        })
    }

    fn hexadecimal(&mut self, digits: usize, at: usize) -> Result<char, PatternError> {
        let wrong = || PatternError {
            at,
            what: format!("{digits} hexadecimal digits of a character must follow"),
        };
        let text = self.rest().get(..digits).ok_or_else(wrong)?;
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let char = u32::from_str_radix(text, 16).ok().and_then(char::from_u32);
        self.skip(digits);
        char.ok_or_else(wrong)
    }

    /// Up to three digits in all.
    fn octal(&mut self, first: char, at: usize) -> Result<char, PatternError> {
        let mut value = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(8)) else {
                break;
            };
            self.next();
            value = value * 8 + digit;
        }
        match char::from_u32(value) {
            Some(char) if value <= 0o377 => Ok(char),
            _ => Err(PatternError {
                at,
                what: r"an octal character is at most \377".to_owned(),
            }),
        }
    }
}

fn dangling(at: usize) -> PatternError {
    PatternError {
        at,
        what: r"nothing follows the backslash: '\\' stands for one".to_owned(),
    }
}
