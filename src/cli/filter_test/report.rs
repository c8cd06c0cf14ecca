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
use crate::cli::render::{self, plain};
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
    undated: usize,
    kinds: BTreeMap<Kind, usize>,
    prefix: usize,
    fail: BTreeMap<usize, usize>,
    ignore: BTreeMap<usize, usize>,
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
            undated: 0,
            kinds: BTreeMap::new(),
            prefix: 0,
            fail: BTreeMap::new(),
            ignore: BTreeMap::new(),
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
        match self.is_json {
            true => String::new(),
            false => format!("Trying {} on {}\n\n", subject.label, log.label()),
        }
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
        match is_shown {
            true => self.block(kind, trial, hit, &text),
            false => String::new(),
        }
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
        let name = match kind {
            Kind::Matched => "failure",
            Kind::Noted => "noted",
            Kind::Ignored => "ignored",
            Kind::Missed => "missed",
        };
        let mut out = format!("{:>6}  {name:<8}", self.lines);
        // Writing to a string cannot fail.
        if kind == Kind::Matched || kind == Kind::Noted {
            let who = hit.and_then(|hit| hit.found.as_ref());
            let who = who.map(|found| found.who.to_string());
            let who = who.or_else(|| hit.and_then(|hit| hit.id.clone()));
            let _ = write!(out, "  {:<15}", plain(who.as_deref().unwrap_or("-")));
            let _ = write!(out, "  {}", self.clock(trial.time));
        }
        let numbers: Vec<String> = trial
            .hits
            .iter()
            .map(|hit| (hit.rule + 1).to_string())
            .collect();
        if !numbers.is_empty() {
            let _ = write!(out, "  by {}", numbers.join(", "));
        }
        if let Some(index) = trial.ignored {
            let _ = write!(out, "  by {}", index + 1);
        }
        let fields = hit.into_iter().flat_map(|hit| &hit.fields);
        for (name, value) in fields.filter(|(name, _)| !is_who(name)) {
            let _ = write!(out, "  {name}={}", plain(value));
        }
        let _ = write!(out, "\n        {}\n", plain(text));
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

    /// How often each pattern matched, and the sums.
    pub(crate) fn ending(&self) -> String {
        if self.is_json {
            return String::new();
        }
        let mut out = String::new();
        let spec = self.filter.spec();
        if let Some(prefix) = &spec.prefix {
            let hits = BTreeMap::from([(0, self.prefix)]);
            self.patterns(&mut out, Part::Prefix, std::slice::from_ref(prefix), &hits);
        }
        self.patterns(&mut out, Part::Fail, &spec.fail, &self.fail);
        self.patterns(&mut out, Part::Ignore, &spec.ignore, &self.ignore);
        let lines = match self.lines {
            1 => "1 line".to_owned(),
            lines => format!("{lines} lines"),
        };
        let counts = [
            (Kind::Matched, "failures"),
            (Kind::Noted, "noted"),
            (Kind::Ignored, "ignored"),
            (Kind::Missed, "missed"),
        ];
        let counts = counts.map(|(kind, name)| format!("{} {name}", self.count(kind)));
        let _ = write!(out, "\n{lines}: {}", counts.join(", "));
        if self.undated > 0 {
            let _ = write!(out, "; {} without a date", self.undated);
        }
        out.push('\n');
        out
    }

    fn patterns(
        &self,
        out: &mut String,
        part: Part,
        patterns: &[String],
        hits: &BTreeMap<usize, usize>,
    ) {
        if patterns.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n{part}");
        for (index, count) in hits {
            let Some(pattern) = patterns.get(*index) else {
                continue;
            };
            let engine = self.engine(part, *index).unwrap_or_default();
            let number = index + 1;
            let _ = writeln!(
                out,
                "{number:>6}  {count:>6} hits  {engine:<12}  {}",
                plain(pattern)
            );
        }
        let others = patterns.len().saturating_sub(hits.len());
        if others > 0 {
            let _ = writeln!(out, "        {others} more without a hit");
        }
    }
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
