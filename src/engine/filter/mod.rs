//! Record to failure: the patterns of one filter, and whom the line they match tells of.
//!
//! Comes in: a [`Record`] and what the filter [remembers](Memory) of earlier ones. Goes out: a
//! [`Found`], if the record tells of a failed attempt. It does no I/O, is bounded in time and memory
//! whatever a record holds, and costs little on one that matches nothing.

mod banned;
pub mod date;
pub mod failure;
pub mod memory;
pub mod pattern;
pub mod rule;
pub mod steering;

mod buffer;
mod connection;
mod identity;
mod lines;
mod sight;
mod slots;
mod trial;

use std::collections::BTreeMap;
use std::fmt;
use std::mem::take;
use std::sync::Arc;

use crate::engine::filter::date::{DateMemory, Dates};
use crate::engine::filter::failure::Who;
use crate::engine::filter::memory::{Complaint, Complaints, Past, Scratch};
use crate::engine::filter::pattern::{Dialect, Lines, PatternError};
use crate::engine::filter::rule::Rule;
use crate::engine::filter::rule::rules::Rules;
use crate::engine::filter::sight::Compiled;
use crate::engine::filter::slots::Slots;
use crate::engine::record::Record;
use crate::engine::time::{Span, Timestamp};

/// The text of a filter, as written in `filter.d` and expanded by `config`.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterSpec {
    /// Its name, for messages.
    pub name: String,
    /// What the patterns are matched against (`matchtext`).
    pub text: Text,
    /// `prefregex`: tried first; a record that it does not match tells of nothing.
    pub prefix: Option<String>,
    /// `failregex`: one pattern each, first match wins.
    pub fail: Vec<String>,
    /// `ignoreregex`: a record that one of these matches tells of no failure.
    pub ignore: Vec<String>,
    /// `maxlines`: so many lines are matched together, at least 1.
    pub max_lines: usize,
    /// `datepattern`, one each; none for the usual ones. Only lines of files have dates.
    pub dates: Vec<String>,
    /// The time zone of dates that name none (`logtimezone`, or else the host's).
    pub zone: jiff::tz::TimeZone,
    /// What becomes of host names (`usedns`).
    pub names: Names,
}

impl Default for FilterSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            text: Text::default(),
            prefix: None,
            fail: Vec::new(),
            ignore: Vec::new(),
            max_lines: 1,
            dates: Vec::new(),
            zone: jiff::tz::TimeZone::UTC,
            names: Names::default(),
        }
    }
}

/// What patterns are matched against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Text {
    /// [`Record::message`].
    #[default]
    Message,
    /// [`Record::line`], as fail2ban's filters expect.
    Line,
}

/// What becomes of host names (`usedns`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// They are looked up (`yes`).
    LookUp,
    /// They are looked up with a warning in the log (`warn`).
    Warn,
    /// A pattern that wants an address does not match them (`no`).
    #[default]
    Never,
    /// They count as they stand (`raw`).
    Raw,
}

/// What a filter remembers from record to record: open connections (`<F-MLFID>`), the latest lines
/// (`maxlines`), the last date. One for each jail and log.
#[derive(Debug, Default)]
pub struct Memory {
    past: Past,
    complaints: Complaints,
    dates: DateMemory,
    last_date: Option<Timestamp>,
    scratch: Scratch,
}

impl Memory {
    /// Forgets all earlier records.
    pub fn forget(&mut self) {
        self.past = Past::default();
        self.last_date = None;
    }

    /// To be called where [`Filter::find`] panicked: what is remembered may be half done.
    pub fn forget_after_panic(&mut self) {
        self.forget();
        self.complaints.add(Complaint::Panicked);
    }

    /// What the filter could not do since this was last asked. Each complaint is made once.
    pub fn take_complaints(&mut self) -> Vec<Complaint> {
        take(&mut self.complaints.fresh)
    }
}

/// How a record is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The present.
    pub now: Timestamp,
    /// The record has just been written, so its date must be near `now`; otherwise it is from the past.
    pub is_live: bool,
    /// Older dates are of no interest to the jail.
    pub find_time: Span,
    /// So many lines are kept for [`Found::lines`].
    pub max_matches: usize,
}

/// A compiled filter. Cloning is cheap; equality is that of the text.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Compiled>);

/// What a filter found in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who failed.
    pub who: Who,
    /// When: the record's time, or the date in its line.
    pub time: Timestamp,
    /// See [`failure::Failure::advance`].
    pub advance: bool,
    /// Which of `failregex` matched, from 0.
    pub rule: usize,
    /// See [`failure::Failure::lines`].
    pub lines: Vec<Box<str>>,
}

/// Everything there is to know of how a filter looks at a record, for `banishctl filter test`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// When, by the date in the line or the record; and whether a date was found and cut out.
    pub time: Timestamp,
    /// The date as it stands in the line.
    pub date: Option<String>,
    /// Which way to write a date it was found by, for [`Filter::date_pattern`].
    pub template: Option<usize>,
    /// Whether `prefregex` matched, or there is none.
    pub prefix: bool,
    /// Which of `ignoreregex` matched.
    pub ignored: Option<usize>,
    /// Each of `failregex` that matched, in order. Only the first counts for [`Filter::find`].
    pub hits: Vec<Hit>,
}

/// One pattern that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which of `failregex`, from 0.
    pub rule: usize,
    /// What becomes of it.
    pub standing: Standing,
    /// The failure, if it is one: not for [`Standing::Spared`] and the like, nor for what is no address.
    pub found: Option<Found>,
    /// So many lines tell of it.
    pub lines: usize,
    /// Who, as it stands in the text and not made canonical.
    pub id: Option<String>,
    /// All that was captured, by the name of its group: `user`, `ip4`, `mlfid`; of a connection, what
    /// earlier lines captured too. Several users are one text each under `users`, joined by newlines.
    pub fields: BTreeMap<String, String>,
}

/// What becomes of a record that a pattern of `failregex` matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is a failure.
    Failed,
    /// It is none by itself (`<F-NOFAIL>`, `<F-MLFGAINED>`).
    Spared,
    /// It is one, but nobody knows yet whose.
    Pending,
    /// One of `ignoreregex` matched as well.
    Ignored,
}

/// So long a filter remembers a connection, counted from its first record. To read the records of that
/// time again is to remember nearly the same.
pub const MEMORY_SPAN: Span = connection::KEPT_FOR;

/// Which machinery runs a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `regex`: linear time.
    Linear,
    /// Our own, for what `regex` cannot express: back-tracking, within limits.
    Backtracking,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FilterError {
    /// Which option it stands in.
    pub part: Part,
    /// Which pattern of it, from 0.
    pub index: usize,
    /// Where in its text, in bytes from its beginning.
    pub at: usize,
    /// What is wrong with it and what to do.
    pub reason: String,
}

/// The options of a filter that hold patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `prefregex`.
    Prefix,
    /// `failregex`.
    Fail,
    /// `ignoreregex`.
    Ignore,
    /// `datepattern`.
    Date,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "prefregex",
            Self::Fail => "failregex",
            Self::Ignore => "ignoreregex",
            Self::Date => "datepattern",
        })
    }
}

impl Filter {
    /// Compiles every pattern.
    ///
    /// # Errors
    /// All patterns that cannot be used, not only the first.
    pub fn compile(spec: FilterSpec) -> Result<Self, Vec<FilterError>> {
        let one = Dialect {
            lines: Lines::One,
            has_names: spec.names != Names::Never,
        };
        let many = Dialect {
            lines: if spec.max_lines > 1 {
                Lines::Many
            } else {
                Lines::One
            },
            ..one
        };
        let mut errors = Vec::new();
        let prefix = compile_all(Part::Prefix, spec.prefix.as_slice(), one, &mut errors);
        let fail = compile_all(Part::Fail, &spec.fail, many, &mut errors);
        let ignore = compile_all(Part::Ignore, &spec.ignore, one, &mut errors);
        let dates = Dates::compile(&spec.dates, &spec.zone);
        if let Err(bad) = &dates {
            errors.extend(bad.iter().map(|(index, reason)| FilterError {
                part: Part::Date,
                index: *index,
                at: 0,
                reason: reason.clone(),
            }));
        }
        let in_prefix = prefix.iter().any(locates);
        for (index, rule) in fail.iter().enumerate() {
            if !in_prefix && !locates(rule) {
                errors.push(FilterError {
                    part: Part::Fail,
                    index,
                    at: 0,
                    reason: "the pattern does not say where the address is: put <ADDR> there"
                        .to_owned(),
                });
            }
        }
        let (true, Ok(dates)) = (errors.is_empty(), dates) else {
            errors.sort_by_key(|error| (error.part, error.index));
            return Err(errors);
        };
        let slots = Slots::of(prefix.iter().chain(&fail));
        let prefix = prefix.into_iter().next();
        Ok(Self(Arc::new(Compiled {
            places: fail.iter().map(|rule| slots.places(rule)).collect(),
            prefix: prefix.map(|rule| (slots.places(&rule), rule)),
            fail: Rules::new(fail),
            ignore: Rules::new(ignore),
            slots,
            dates,
            spec,
        })))
    }

    /// The failure that `record` tells of, if any. One newline at the end of the text does not count
    /// as part of it, and of one longer than [`MESSAGE_MAX`] only the beginning is seen.
    ///
    /// [`MESSAGE_MAX`]: crate::engine::record::MESSAGE_MAX
    #[must_use]
    pub fn find(&self, memory: &mut Memory, record: &Record<'_>, look: &Look) -> Option<Found> {
        let mut scratch = take(&mut memory.scratch);
        let found = self.0.find(memory, &mut scratch, (record, look));
        memory.scratch = scratch;
        found
    }

    /// The same, telling everything. The memory is afterwards as after [`Self::find`].
    #[must_use]
    pub fn trial(&self, memory: &mut Memory, record: &Record<'_>, look: &Look) -> Trial {
        let mut scratch = take(&mut memory.scratch);
        let trial = self.0.trial(memory, &mut scratch, (record, look));
        memory.scratch = scratch;
        trial
    }

    /// A way to write a date that a [`Trial`] found one by, as its author wrote it.
    #[must_use]
    pub fn date_pattern(&self, template: usize) -> Option<&str> {
        self.0.dates.name(template)
    }

    /// The date in a line of a file, where it has one.
    #[must_use]
    pub fn date(&self, line: &[u8], now: Timestamp) -> Option<Timestamp> {
        self.0
            .dates
            .find(&mut DateMemory::default(), line, now)?
            .time
    }

    /// Whether what a record means depends on earlier ones.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        self.0.slots.connection.is_some() || self.0.spec.max_lines > 1
    }

    /// Which machinery runs each pattern of an option.
    pub fn machines(&self, part: Part) -> impl Iterator<Item = Machine> {
        let Compiled {
            prefix,
            fail,
            ignore,
            ..
        } = &*self.0;
        let rules: Vec<&Rule> = match part {
            Part::Prefix => prefix.iter().map(|(_, rule)| rule).collect(),
            Part::Fail => fail.as_slice().iter().collect(),
            Part::Ignore => ignore.as_slice().iter().collect(),
            Part::Date => Vec::new(),
        };
        rules.into_iter().map(Rule::machine)
    }

    /// The text it was made of.
    #[must_use]
    pub fn spec(&self) -> &FilterSpec {
        &self.0.spec
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.spec() == other.spec()
    }
}

/// The patterns of one option that can be used; the others are added to `errors`.
fn compile_all(
    part: Part,
    texts: &[String],
    dialect: Dialect,
    errors: &mut Vec<FilterError>,
) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match Rule::compile(text, dialect) {
            Ok(rule) => rules.push(rule),
            Err(PatternError { at, what }) => errors.push(FilterError {
                part,
                index,
                at,
                reason: what,
            }),
        }
    }
    rules
}

/// Whether a match can say who failed, by itself or by an earlier line of its connection.
fn locates(rule: &Rule) -> bool {
    ["ip4", "ip6", "dns", "fid", "mlfid"]
        .iter()
        .any(|name| rule.group(name).is_some())
}
