//! Record to failure: the patterns of one filter, and whom the line they match tells of.
//!
//! Comes in: a [`Record`] and what the filter [remembers](Memory) of earlier ones. Goes out: a
//! [`Found`], if the record tells of a failed attempt. It does no I/O, is bounded in time and memory
//! whatever a record holds, and costs little on one that matches nothing.

pub mod failure;
pub mod pattern;
pub mod rule;
pub mod steering;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::Offender;
use crate::engine::filter::failure::Who;
use crate::engine::filter::pattern::{Dialect, PatternError};
use crate::engine::filter::rule::rules::Rules;
use crate::engine::filter::rule::{ADDRESS_GROUPS, Groups, Rule, Search};
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

impl Filter {
    /// Compiles every pattern.
    ///
    /// # Errors
    /// All patterns that cannot be used, not only the first.
    pub fn compile(spec: FilterSpec) -> Result<Self, Vec<FilterError>> {
        let dialect = Dialect::default();
        let mut errors = Vec::new();
        let mut compile = |part: Part, texts: &[String]| {
            let mut rules = Vec::with_capacity(texts.len());
            for (index, text) in texts.iter().enumerate() {
                match Rule::compile(text, dialect).and_then(|rule| located(part, rule)) {
                    Ok(rule) => rules.push(rule),
                    Err(PatternError { at, what }) => errors.push(FilterError {
                        part,
                        index,
                        at,
                        reason: what,
                    }),
                }
            }
            Rules::new(rules)
        };
        let fail = compile(Part::Fail, &spec.fail);
        let ignore = compile(Part::Ignore, &spec.ignore);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self(Arc::new(Compiled { fail, ignore, spec })))
    }

    /// The failure that `record` tells of, if any. One newline at the end of the message does not
    /// count as part of it, and of a message longer than [`MESSAGE_MAX`] only the beginning is seen.
    #[must_use]
    pub fn find(&self, _memory: &mut Memory, record: &Record<'_>, _look: &Look) -> Option<Found> {
        let Self(filter) = self;
        let message = record.message.get(..MESSAGE_MAX).unwrap_or(record.message);
        let message = message.strip_suffix(b"\n").unwrap_or(message);
        let mut groups = Groups::default();
        let (index, rule) = filter
            .fail
            .candidates(message)
            .find(|(_, rule)| rule.search(message, &mut groups) == Search::Yes)?;
        let offender = offender(rule, &groups, message)?;
        let matches = |(_, rule): (usize, &Rule)| rule.is_match(message) == Search::Yes;
        if filter.ignore.candidates(message).any(matches) {
            return None;
        }
        let advance = rule.group("advance");
        Some(Found {
            who: Who::Address(offender),
            time: record.time,
            advance: advance.is_some_and(|group| groups.span(group).is_some()),
            rule: index,
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

/// A line of `failregex` must say where the address is.
fn located(part: Part, rule: Rule) -> Result<Rule, PatternError> {
    let has_address = ADDRESS_GROUPS.iter().any(|name| rule.group(name).is_some());
    if part == Part::Fail && !has_address {
        return Err(PatternError {
            at: 0,
            what: "the pattern does not say where the address is: put <ADDR> there".to_owned(),
        });
    }
    Ok(rule)
}

/// The address that a match tells of; `None` if the captured text is none (`999.1.2.3`).
fn offender(rule: &Rule, groups: &Groups, text: &[u8]) -> Option<Offender> {
    let captured = |name: &str| groups.text(rule.group(name)?, text);
    let address = ADDRESS_GROUPS.iter().find_map(|name| captured(name))?;
    let address = std::str::from_utf8(address).ok()?;
    match captured("cidr") {
        None => address.parse().ok(),
        Some(length) => {
            let length = std::str::from_utf8(length).ok()?;
            format!("{address}/{length}").parse().ok()
        }
    }
}

/// Everything a filter needs to look at a record.
#[derive(Debug)]
struct Compiled {
    fail: Rules,
    ignore: Rules,
    spec: FilterSpec,
}
