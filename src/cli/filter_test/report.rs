//! What came of trying a filter, for people or as JSON.
//!
//! Comes in: each record with what the filter made of it. Goes out: text. Lines are somebody else's text:
//! what could move a terminal's cursor is written as an escape.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::filter_test::log::Log;
use crate::cli::filter_test::subject::Subject;
use crate::cli::render::{self, BOLD, RED, Style, YELLOW, plural};
use crate::config::LogType;
use crate::engine::filter::failure::Who;
use crate::engine::filter::{Filter, Hit, Machine, Part, Standing, Text, Trial};
use crate::engine::record::Record;
use crate::engine::time::Timestamp;

/// What a line is to the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A failure.
    Matched,
    /// Part of a connection, and no failure or not yet.
    Noted,
    /// It would be something, but `ignoreregex` matches.
    Ignored,
    /// Nothing.
    Missed,
}

/// So many lines of a kind are shown unasked.
const SHOWN_MAX: usize = 20;

/// A trial under way.
pub(crate) struct Report<'a> {
    filter: &'a Filter,
    is_json: bool,
    /// Only these kinds, and all of them; empty for some of each.
    asked: &'a [Kind],
    lines: usize,
    shown: usize,
    undated: usize,
    kinds: BTreeMap<Kind, usize>,
    prefix: usize,
    fail: BTreeMap<usize, usize>,
    ignore: BTreeMap<usize, usize>,
    /// How often each way to write a date was found.
    dates: BTreeMap<usize, usize>,
    style: Style,
}

/// A line as JSON.
#[derive(Serialize)]
struct Row<'a> {
    line: usize,
    matched: bool,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    time: u64,
    date: Option<&'a str>,
    fields: Option<&'a BTreeMap<String, String>>,
    pattern: Option<usize>,
    engine: Option<&'static str>,
    text: String,
}

impl<'a> Report<'a> {
    /// Nothing tried yet.
    pub(crate) fn new(filter: &'a Filter, is_json: bool, asked: &'a [Kind]) -> Self {
        Self {
            filter,
            is_json,
            asked,
            lines: 0,
            shown: 0,
            undated: 0,
            kinds: BTreeMap::new(),
            prefix: 0,
            fail: BTreeMap::new(),
            ignore: BTreeMap::new(),
            dates: BTreeMap::new(),
            style: Style::of_stdout(),
        }
    }

    /// So many failures were found.
    pub(crate) fn failures(&self) -> usize {
        self.count(Kind::Matched)
    }

    fn count(&self, kind: Kind) -> usize {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    /// What is about to be done.
    pub(crate) fn heading(&self, subject: &Subject, log: &Log) -> String {
        if self.is_json {
            return String::new();
        }
        let entries = match log.log_type() {
            LogType::Journal if !subject.matches.0.is_empty() => {
                format!(", entries that match {}", subject.matches)
            }
            _ => String::new(),
        };
        format!("Trying {} on {}{entries}\n", subject.label, log.label())
    }

    /// What came of a record.
    pub(crate) fn line(&mut self, record: &Record<'_>, trial: &Trial) -> String {
        let kind = kind(trial);
        self.lines += 1;
        *self.kinds.entry(kind).or_default() += 1;
        self.prefix += usize::from(trial.prefix);
        self.undated += usize::from(record.is_dated && trial.date.is_none());
        for hit in &trial.hits {
            *self.fail.entry(hit.rule).or_default() += 1;
        }
        if let Some(index) = trial.ignored {
            *self.ignore.entry(index).or_default() += 1;
        }
        if let Some(index) = trial.template {
            *self.dates.entry(index).or_default() += 1;
        }
        let text = match self.filter.spec().text {
            Text::Message => record.message,
            Text::Line => record.line,
        };
        let text = String::from_utf8_lossy(text);
        let hit = trial.hits.first();
        if self.is_json {
            return render::to_json(&self.row(kind, trial, &text));
        }
        let is_shown = match self.asked {
            [] => self.count(kind) <= SHOWN_MAX,
            kinds => kinds.contains(&kind),
        };
        if !is_shown {
            return String::new();
        }
        self.shown += 1;
        self.block(kind, trial, hit, &text)
    }

    fn row<'t>(&self, kind: Kind, trial: &'t Trial, text: &str) -> Row<'t> {
        let hit = trial.hits.first();
        let who = hit
            .and_then(|hit| hit.found.as_ref())
            .map(|found| &found.who);
        let (address, id) = match who {
            Some(who @ Who::Address(_)) => (Some(who.to_string()), None),
            Some(who) => (None, Some(who.to_string())),
            None => (None, hit.and_then(|hit| hit.id.clone())),
        };
        Row {
            line: self.lines,
            matched: kind == Kind::Matched,
            kind,
            address,
            id,
            time: trial.time.usec(),
            date: trial.date.as_deref(),
            fields: hit.map(|hit| &hit.fields),
            pattern: hit.map(|hit| hit.rule + 1),
            engine: hit.and_then(|hit| self.engine(Part::Fail, hit.rule)),
            text: text.to_owned(),
        }
    }

    /// A line for people: number, kind, who, when, by which pattern, and below it the line itself.
    fn block(&self, kind: Kind, trial: &Trial, hit: Option<&Hit>, text: &str) -> String {
        let (name, colour) = match kind {
            Kind::Matched => ("failure", RED),
            Kind::Noted => ("noted", YELLOW),
            Kind::Ignored => ("ignored", BOLD),
            Kind::Missed => ("missed", BOLD),
        };
        let gap = if self.shown == 1 { "\n" } else { "" };
        let name = self.style.paint(colour, &format!("{name:<8}"));
        let mut out = format!("{gap}{:>6}  {name}", self.lines);
        // Writing to a string cannot fail.
        if kind == Kind::Matched || kind == Kind::Noted {
            let who = hit.and_then(|hit| hit.found.as_ref());
            let who = who.map(|found| found.who.to_string());
            let who = who.or_else(|| hit.and_then(|hit| hit.id.clone()));
            let _ = write!(
                out,
                "  {:<15}",
                render::plain(who.as_deref().unwrap_or("-"))
            );
            let _ = write!(out, "  {}", self.clock(trial.time));
        }
        let rules: Vec<usize> = trial.hits.iter().map(|hit| hit.rule + 1).collect();
        if let [first, others @ ..] = rules.as_slice() {
            let _ = write!(out, "  by {first}");
            for other in others {
                let _ = write!(out, ", {other}");
            }
        }
        if let Some(index) = trial.ignored {
            let _ = write!(out, "  ignoreregex {}", index + 1);
        }
        let fields = hit.map(|hit| &hit.fields);
        let user = fields.and_then(|fields| fields.get("user"));
        for (name, value) in fields
            .into_iter()
            .flatten()
            .filter(|(name, _)| !is_who(name))
        {
            // One user is not told twice.
            if name != "users" || Some(value) != user {
                let _ = write!(out, "  {name}={}", render::plain(value));
            }
        }
        let _ = write!(out, "\n        {}\n", render::plain(text));
        out
    }

    fn clock(&self, time: Timestamp) -> String {
        let micros = i64::try_from(time.usec()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
        let civil = self.filter.spec().zone.to_datetime(time);
        civil.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    fn engine(&self, part: Part, index: usize) -> Option<&'static str> {
        Some(match self.filter.machines(part).nth(index)? {
            Machine::Linear => "linear",
            Machine::Backtracking => "backtracking",
        })
    }

    /// How often each pattern matched, and the sums; or that there was `nothing` to match.
    pub(crate) fn ending(&self, nothing: impl FnOnce() -> String) -> String {
        let parts = self.parts();
        if self.is_json {
            return render::to_json(&serde_json::json!({ "summary": self.summary(&parts) }));
        }
        if self.lines == 0 {
            return nothing() + "\n";
        }
        let mut out = String::new();
        for (part, patterns) in &parts {
            section(&mut out, *part, patterns);
        }
        let counts = [
            plural(self.count(Kind::Matched), "failure"),
            format!("{} noted", self.count(Kind::Noted)),
            format!("{} ignored", self.count(Kind::Ignored)),
            format!("{} missed", self.count(Kind::Missed)),
        ];
        let lines = plural(self.lines, "line");
        let _ = write!(out, "\n{lines}: {}", counts.join(", "));
        if self.undated > 0 {
            let _ = write!(out, "; {} without a date", self.undated);
        }
        out.push('\n');
        out
    }

    /// Every pattern that could have matched, and how often it did; of dates those that did.
    fn parts(&self) -> Vec<(Part, Vec<Counted<'_>>)> {
        let spec = self.filter.spec();
        let prefix = BTreeMap::from([(0, self.prefix)]);
        let patterns = |part, patterns: &'a [String], hits: &BTreeMap<usize, usize>| {
            let counted = patterns.iter().enumerate().map(|(index, regex)| Counted {
                pattern: Some(index + 1),
                hits: hits.get(&index).copied().unwrap_or(0),
                engine: self.engine(part, index),
                regex,
            });
            (part, counted.collect())
        };
        let dates = self.dates.iter().filter_map(|(template, hits)| {
            Some(Counted {
                pattern: None,
                hits: *hits,
                engine: None,
                regex: self.filter.date_pattern(*template)?,
            })
        });
        vec![
            patterns(Part::Prefix, spec.prefix.as_slice(), &prefix),
            patterns(Part::Fail, &spec.fail, &self.fail),
            patterns(Part::Ignore, &spec.ignore, &self.ignore),
            (Part::Date, dates.collect()),
        ]
    }

    fn summary(&self, parts: &[(Part, Vec<Counted<'_>>)]) -> serde_json::Value {
        let mut summary = serde_json::json!({
            "lines": self.lines,
            "matched": self.count(Kind::Matched),
            "noted": self.count(Kind::Noted),
            "ignored": self.count(Kind::Ignored),
            "missed": self.count(Kind::Missed),
            "undated": self.undated,
        });
        if let Some(fields) = summary.as_object_mut() {
            let parts = parts.iter();
            fields.extend(parts.map(|(part, all)| (part.to_string(), serde_json::json!(all))));
        }
        summary
    }
}

/// How often a pattern matched.
#[derive(Serialize)]
struct Counted<'a> {
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<usize>,
    hits: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'static str>,
    regex: &'a str,
}

fn section(out: &mut String, part: Part, patterns: &[Counted<'_>]) {
    if patterns.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(out, "\n{part}");
    let hit = patterns.iter().filter(|pattern| pattern.hits > 0);
    for pattern in hit.clone() {
        let number = pattern.pattern.map(|number| number.to_string());
        let noun = if pattern.hits == 1 { "hit" } else { "hits" };
        let number = number.unwrap_or_default();
        let _ = write!(out, "{number:>6}  {:>6} {noun:<4}", pattern.hits);
        if let Some(engine) = pattern.engine {
            let _ = write!(out, "  {engine:<12}");
        }
        let _ = writeln!(out, "  {}", render::plain(pattern.regex));
    }
    let (all, others) = (patterns.len(), patterns.len() - hit.count());
    let _ = match others {
        0 => Ok(()),
        _ if all == others && all == 1 => writeln!(out, "        it does not match"),
        _ if all == others => writeln!(out, "        none of {all} matches"),
        1 => writeln!(out, "        1 more does not match"),
        _ => writeln!(out, "        {others} more do not match"),
    };
}

fn kind(trial: &Trial) -> Kind {
    let standings = || trial.hits.iter().map(|hit| hit.standing);
    if trial.ignored.is_some() {
        Kind::Ignored
    } else if standings().any(|standing| standing == Standing::Failed) {
        Kind::Matched
    } else if standings().next().is_some() {
        Kind::Noted
    } else {
        Kind::Missed
    }
}

/// The groups that say who, and those that are marks.
fn is_who(name: &str) -> bool {
    ["ip4", "ip6", "dns", "fid", "mlfid", "content"].contains(&name)
}
