//! Record to failure: the patterns of one filter, and whom the line they match tells of.
//!
//! Comes in: a [`Record`] and what the filter [remembers](Memory) of earlier ones. Goes out: a
//! [`Found`], if the record tells of a failed attempt. It does no I/O, is bounded in time and memory
//! whatever a record holds, and costs little on one that matches nothing.

pub mod failure;
pub mod pattern;
pub mod steering;

mod rule;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::filter::failure::Who;
use crate::engine::filter::rule::Rule;
use crate::engine::record::{MESSAGE_MAX, Record};
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
pub struct Memory {}

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
    /// The failure, unless the record belongs to a connection that has not failed (yet).
    pub found: Option<Found>,
    /// Who, as it stands in the text and not made canonical.
    pub id: Option<String>,
    /// All that was captured, by the name of its group: `user`, `ip4`, `mlfid`; of a connection, what
    /// earlier lines captured too. Several users are one text each under `users`, joined by newlines.
    pub fields: BTreeMap<String, String>,
}

/// Which machinery runs a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `regex`: linear time.
    Linear,
    /// `fancy-regex`: back-tracking, within limits.
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

impl Filter {
    /// Compiles every pattern.
    ///
    /// # Errors
    /// All patterns that cannot be used, not only the first.
    pub fn compile(spec: FilterSpec) -> Result<Self, Vec<FilterError>> {
        let mut errors = Vec::new();
        let fail = spec.fail.iter().map(|text| Rule::failure(text));
        let ignore = spec.ignore.iter().map(|text| Rule::ignore(text));
        let mut rules: Vec<Rule> = Vec::with_capacity(spec.fail.len() + spec.ignore.len());
        for (index, rule) in fail.chain(ignore).enumerate() {
            match rule {
                Ok(rule) => rules.push(rule),
                Err(reason) => errors.push(match index.checked_sub(spec.fail.len()) {
                    None => FilterError {
                        part: Part::Fail,
                        index,
                        reason,
                    },
                    Some(index) => FilterError {
                        part: Part::Ignore,
                        index,
                        reason,
                    },
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let ignore = rules.split_off(spec.fail.len());
        let mut beginnings = [false; 256];
        for rule in &rules {
            rule.mark_beginnings(&mut beginnings);
        }
        Ok(Self(Arc::new(Compiled {
            fail: rules,
            ignore,
            beginnings,
            spec,
        })))
    }

    /// The failure that `record` tells of, if any. One newline at the end of the message does not
    /// count as part of it, and of a message longer than [`MESSAGE_MAX`] only the beginning is seen.
    #[must_use]
    pub fn find(&self, _memory: &mut Memory, record: &Record<'_>, _look: &Look) -> Option<Found> {
        let Self(filter) = self;
        let message = record.message.get(..MESSAGE_MAX).unwrap_or(record.message);
        let message = message.strip_suffix(b"\n").unwrap_or(message);
        // Without a first byte only a pattern that marked them all can match.
        let first = usize::from(message.first().copied().unwrap_or(b'\n'));
        if !*filter.beginnings.get(first)? {
            return None;
        }
        let (rule, hit) = filter
            .fail
            .iter()
            .enumerate()
            .find_map(|(index, rule)| rule.find(message).map(|hit| (index, hit)))?;
        let offender = hit.offender?;
        if filter.ignore.iter().any(|rule| rule.matches(message)) {
            return None;
        }
        Some(Found {
            who: Who::Address(offender),
            time: record.time,
            advance: hit.advance,
            rule,
            lines: Vec::new(),
        })
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

/// Everything a filter needs to look at a record.
#[derive(Debug)]
struct Compiled {
    fail: Vec<Rule>,
    ignore: Vec<Rule>,
    /// The first bytes with which a message can match one of `fail`.
    beginnings: [bool; 256],
    spec: FilterSpec,
}
