//! `name[option=value, …]`, as in `filter = sshd[mode=normal]`; several of them in `action =`.
//!
//! Comes in: the value. Goes out: names and their arguments, each with its place, or what is wrong with
//! the syntax. Pure.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::ini::Entry;
use crate::config::tree::Value;

/// A name with arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// The arguments by their names as written; of two with the same name the later one.
    pub(crate) arguments: BTreeMap<String, Value>,
}

/// Takes `value` apart.
///
/// # Errors
/// From where on it makes no sense.
pub(crate) fn parse(value: &Value) -> Result<Vec<Call>, Diagnostic> {
    let mut scan = Scan {
        value,
        rest: &value.text,
        count: 0,
    };
    let mut calls = Vec::new();
    while let Some(call) = scan.call()? {
        calls.push(call);
    }
    Ok(calls)
}

/// A value being taken apart.
#[derive(Clone)]
struct Scan<'a> {
    value: &'a Value,
    rest: &'a str,
    /// How many names and arguments there were.
    count: usize,
}

/// So many names and arguments may one value have.
const COUNT_MAX: usize = 500;

impl<'a> Scan<'a> {
    /// The next name with its groups; `None` at the end.
    fn call(&mut self) -> Result<Option<Call>, Diagnostic> {
        self.skip();
        let place = self.place();
        let name = self.take(|c| c.is_whitespace() || c == '[');
        if name.is_empty() {
            return match self.rest {
                "" => Ok(None),
                _ => Err(self.wrong()),
            };
        }
        self.count += 1;
        let mut call = Call {
            name: name.to_owned(),
            place,
            arguments: BTreeMap::new(),
        };
        while self.rest.trim_start().starts_with('[') {
            self.skip();
            self.eat("[");
            self.group(&mut call.arguments)?;
        }
        let ended = self.rest.is_empty() || self.rest.starts_with(char::is_whitespace);
        match ended && self.count <= COUNT_MAX {
            false => Err(self.wrong()),
            true => Ok(Some(call)),
        }
    }

    /// One group, after its `[` and up to and including its `]`.
    fn group(&mut self, arguments: &mut BTreeMap<String, Value>) -> Result<(), Diagnostic> {
        loop {
            self.skip();
            if self.eat("]") {
                return Ok(());
            }
            self.count += 1;
            if self.count > COUNT_MAX {
                return Err(self.wrong());
            }
            let before = self.clone();
            let (name, value) = self.argument().ok_or_else(|| before.wrong())?;
            arguments.insert(name, value);
            self.skip();
            if !self.eat(",") && !self.rest.starts_with(']') {
                return Err(self.wrong());
            }
        }
    }

    /// `name=value`, the value in quotes or up to `,` or `]`.
    fn argument(&mut self) -> Option<(String, Value)> {
        let place = self.place();
        let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mut name = self.take(|c| !word(c)).to_owned();
        if name.is_empty() {
            return None;
        }
        if self.eat("?") {
            let field = self.take(|c| !word(c));
            let value = self.eat("=").then(|| self.take(|c| !word(c)))?;
            name = format!("{name}?{field}={value}");
        }
        self.skip();
        if !self.eat("=") {
            return None;
        }
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            let (text, _) = self.rest.strip_prefix(quote)?.split_once(quote)?;
            Some(text.len())
        });
        // A quote that never ends is part of the value.
        let (from, end, after) = match quoted {
            Some(length) => (self.at() + 1, self.at() + 1 + length, 1),
            None => (self.at(), self.at() + self.rest.find([',', ']'])?, 0),
        };
        self.rest = self.value.text.get(end + after..)?;
        Some((name.clone(), self.part(name, place, from..end)))
    }

    /// A part of the text as the value of an option of its own.
    fn part(&self, key: String, place: Place, range: Range<usize>) -> Value {
        let text = self.value.text.get(range.clone()).unwrap_or_default();
        let from = range.start + text.len() - text.trim_start().len();
        let text = text.trim();
        let count = text.matches('\n').count();
        let first = self.value.place_at(from);
        let above = self.value.text.get(..from).unwrap_or_default();
        let later = self
            .value
            .lines
            .iter()
            .skip(above.matches('\n').count() + 1);
        let lines: Vec<Place> = std::iter::once(first)
            .chain(later.take(count).cloned())
            .collect();
        Value::literal(Arc::new(Entry {
            key,
            place,
            text: text.to_owned(),
            lines,
        }))
    }

    /// The text up to the first character that `ends` it.
    fn take(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn at(&self) -> usize {
        self.value.text.len() - self.rest.len()
    }

    fn place(&self) -> Place {
        self.value.place_at(self.at())
    }

    fn wrong(&self) -> Diagnostic {
        let rest: String = self.rest.trim().chars().take(40).collect();
        Diagnostic::error(
            &self.place(),
            match rest.as_str() {
                _ if self.count > COUNT_MAX => {
                    format!("there are more than {COUNT_MAX} names and arguments")
                }
                "" => "something is missing at its end".to_owned(),
                rest => format!("'{rest}' makes no sense there"),
            },
            "write name or name[option=value, option=\"value\"]",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_like_fail2bans() {
        for (text, name, arguments) in [
            ("sshd", "sshd", ""),
            (" sshd[] ", "sshd", ""),
            ("sshd[mode=aggressive]", "sshd", "mode=aggressive"),
            ("a[x=1, y=\"v, ]w\"][Z='q\"', ]", "a", "Z=q\";x=1;y=v, ]w"),
            ("a[x=1,x= 2 ]", "a", "x=2"),
            ("a[x=\"1]", "a", "x=\"1"),
            ("a[x=<tag>] [y=]", "a", "x=<tag>;y="),
            ("a/b[x=\"1\n2\"]", "a/b", "x=1\n2"),
        ] {
            let calls = parse(&Value::said("test", text)).unwrap();
            let [call] = calls.as_slice() else {
                panic!("{text}: {calls:?}");
            };
            let pairs = call.arguments.iter();
            let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.text)).collect();
            assert_eq!(
                (call.name.as_str(), pairs.join(";").as_str()),
                (name, arguments)
            );
        }
        for text in ["[x=1]", "a[x]", "a[x=1", "a[x=1]b", "a[x=\"1\"y]"] {
            assert!(parse(&Value::said("test", text)).is_err(), "{text}");
        }
    }
}
