//! Annotated logs: sample lines, each with what a filter is to make of it.
//!
//! Comes in: a file in the format of fail2ban's own samples, where a comment says what the next line
//! is (`failJSON`), which arguments the filter gets from here on (`filterOptions`, and for all later
//! ones of the file `fileOptions`), or which file belongs to it (`addFILE`). Goes out: the steps in
//! order. Nothing is judged here.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

/// One thing that a file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Try this line.
    Line(Sample),
    /// Go through this file.
    File {
        /// Its name.
        name: String,
        /// Where that is said.
        number: usize,
    },
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Its number in the file, from 1.
    pub(crate) number: usize,
    /// The line, without a newline.
    pub(crate) text: Vec<u8>,
    /// What is to come of it.
    pub(crate) expected: Expected,
    /// It is tried once with each of these.
    pub(crate) options: Rc<[Options]>,
}

/// What a filter is to make of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    /// Whether it is a failure. A line that nothing is said about is none.
    pub(crate) is_match: bool,
    /// Whose, as it stands in the line.
    pub(crate) host: Option<String>,
    /// When, in local time.
    pub(crate) time: Option<String>,
    /// How many lines tell of it.
    pub(crate) attempts: Option<u64>,
    /// What is captured; null for what is not.
    pub(crate) fields: BTreeMap<String, Value>,
    /// When this is to be believed; otherwise the line is left out.
    pub(crate) constraint: Option<Condition>,
}

/// With which arguments lines are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Options {
    /// The arguments of the filter.
    pub(crate) arguments: BTreeMap<String, String>,
    /// Put before each line of a journal.
    pub(crate) prefix: String,
    /// Another filter than the one the file is named after.
    pub(crate) filter: Option<String>,
    /// When lines are tried at all.
    pub(crate) condition: Option<Condition>,
}

/// `name == 'sshd'`, `opts.get('mode') != 'aggressive'`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    /// The argument that is looked at; `None` for the filter's name.
    argument: Option<String>,
    is_equal: bool,
    value: String,
}

impl Condition {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("the condition \"{text}\" is not understood");
        let (left, is_equal, right) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((left, right)), None) => (left, true, right),
            (None, Some((left, right))) => (left, false, right),
            _ => return Err(wrong()),
        };
        let argument = match left.trim() {
            "name" => None,
            other => {
                let call = other.strip_prefix("opts.get(");
                let inner = call.and_then(|rest| rest.strip_suffix(')'));
                Some(inner.and_then(unquoted).ok_or_else(wrong)?)
            }
        };
        Ok(Self {
            argument,
            is_equal,
            value: unquoted(right).ok_or_else(wrong)?,
        })
    }

    /// Whether it holds for the filter `name` with these arguments.
    pub(crate) fn holds(&self, name: &str, arguments: &BTreeMap<String, String>) -> bool {
        let left = match &self.argument {
            None => Some(name),
            Some(argument) => arguments.get(argument).map(String::as_str),
        };
        (left == Some(self.value.as_str())) == self.is_equal
    }
}

fn unquoted(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))?;
    Some(inner.to_owned())
}

/// The steps of a file. What is wrong is told with its line.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Step>, (usize, String)> {
    let mut reading = Reading::default();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        reading
            .line(line, number)
            .map_err(|reason| (number, reason))?;
    }
    Ok(reading.steps)
}

/// A file half read.
struct Reading {
    steps: Vec<Step>,
    file: Map<String, Value>,
    options: Rc<[Options]>,
    next: Option<Expected>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            file: Map::new(),
            options: Rc::new([Options::default()]),
            next: None,
        }
    }
}

impl Reading {
    fn line(&mut self, line: &[u8], number: usize) -> Result<(), String> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        if line.first() != Some(&b'#') {
            self.steps.push(Step::Line(Sample {
                number,
                text: line.to_vec(),
                expected: self.next.take().unwrap_or_default(),
                options: Rc::clone(&self.options),
            }));
            return Ok(());
        }
        let comment = String::from_utf8_lossy(line);
        let comment = comment.trim_start_matches(['#', ' ']);
        let Some((directive, value)) = comment.split_once(':') else {
            return Ok(());
        };
        match directive.trim_end() {
            "failJSON" => self.next = Some(expected(json(value)?)?),
            "filterOptions" => self.options = self.all_options(json(value)?)?,
            "fileOptions" => self.file = object(json(value)?)?,
            "addFILE" => self.steps.push(Step::File {
                name: unquoted(value).ok_or("addFILE names a file in quotes")?,
                number,
            }),
            _ => {}
        }
        Ok(())
    }

    /// One set of options or several, each over those of the file.
    fn all_options(&self, value: Value) -> Result<Rc<[Options]>, String> {
        let sets = match value {
            Value::Array(sets) => sets,
            one => vec![one],
        };
        let sets = sets.into_iter().map(|set| {
            let mut all = self.file.clone();
            all.extend(object(set)?);
            options(all)
        });
        sets.collect()
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text.trim()).map_err(|error| format!("this is no JSON: {error}"))
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("an object {…} is expected".to_owned()),
    }
}

fn options(map: Map<String, Value>) -> Result<Options, String> {
    let mut options = Options::default();
    for (key, value) in map {
        let text = text(value);
        match key.as_str() {
            "test.condition" => options.condition = Some(Condition::parse(&text)?),
            "test.prefix-line" => options.prefix = text,
            "test.filter-name" => options.filter = Some(text),
            _ => drop(options.arguments.insert(key, text)),
        }
    }
    Ok(options)
}

fn expected(value: Value) -> Result<Expected, String> {
    let mut expected = Expected::default();
    for (key, value) in object(value)? {
        match key.as_str() {
            "host" | "time" | "attempts" | "constraint" if value.is_null() => {}
            "match" => expected.is_match = value.as_bool().ok_or("'match' is true or false")?,
            "host" => expected.host = Some(text(value)),
            "time" => expected.time = Some(text(value)),
            "attempts" => expected.attempts = value.as_u64(),
            "constraint" => expected.constraint = Some(Condition::parse(&text(value))?),
            "desc" => {}
            _ => drop(expected.fields.insert(key, value)),
        }
    }
    Ok(expected)
}

/// A value as an argument or a field has it.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_say_what_lines_are() {
        let text = b"# words: only\n\n# failJSON: {\"match\": true, \"host\": \"192.0.2.1\", \"user\": null}\n\
                     bad 192.0.2.1\n# fileOptions: {\"logtype\": \"journal\"}\ngood\n\
                     # filterOptions: [{\"mode\": \"a\"}, {\"test.condition\": \"name == 'x'\"}]\nlast\n\
                     # addFILE: \"other\"\n";

        let steps = parse(text).unwrap();

        let [
            Step::Line(bad),
            Step::Line(good),
            Step::Line(last),
            Step::File { name, number: 9 },
        ] = steps.as_slice()
        else {
            panic!("{steps:?}");
        };
        assert_eq!(name, "other");
        assert_eq!((bad.number, bad.expected.is_match), (4, true));
        assert_eq!(bad.expected.fields.get("user"), Some(&Value::Null));
        assert_eq!(good.expected, Expected::default());
        assert_eq!(*good.options, [Options::default()]);
        let [first, second] = &*last.options else {
            panic!("{:?}", last.options);
        };
        assert_eq!(first.arguments.len(), 2);
        assert_eq!(second.arguments.get("logtype").unwrap(), "journal");
        let condition = second.condition.as_ref().unwrap();
        assert!(condition.holds("x", &BTreeMap::new()));
        assert!(!condition.holds("y", &BTreeMap::new()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, number) in [
            ("a\n# failJSON: {\n", 2),
            ("# failJSON: []", 1),
            ("# filterOptions: {\"test.condition\": \"x > 1\"}", 1),
            ("# addFILE: x", 1),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().0, number, "{text}");
        }
    }
}
