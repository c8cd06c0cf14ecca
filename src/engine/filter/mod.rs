//! Record to failure: the patterns of one filter, and the address in the line they match.
//!
//! Comes in: a [`Record`]. Goes out: a [`Found`], if the record tells of a failed attempt. It looks at
//! one record at a time, keeps nothing, and costs little on a record that matches nothing.

pub mod failure;
pub mod pattern;
pub mod steering;

mod rule;

use std::sync::Arc;

use crate::engine::address::Offender;
use crate::engine::filter::rule::Rule;
use crate::engine::record::{MESSAGE_MAX, Record};

/// The text of a filter, as written in `filter.d` and expanded by `config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterSpec {
    /// Its name, for messages.
    pub name: String,
    /// `failregex`: one pattern each, first match wins.
    pub fail: Vec<String>,
    /// `ignoreregex`: a record that one of these matches tells of no failure.
    pub ignore: Vec<String>,
}

/// A compiled filter. Cloning is cheap; equality is that of the text.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Compiled>);

/// What a filter found in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who failed.
    pub offender: Offender,
    /// See [`failure::Failure::advance`].
    pub advance: bool,
    /// Which of `failregex` matched, from 0.
    pub rule: usize,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FilterError {
    /// Which pattern: the place in `fail`, or in `ignore` counted on from there.
    pub index: usize,
    /// What is wrong with it and what to do.
    pub reason: String,
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
                Err(reason) => errors.push(FilterError { index, reason }),
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
    pub fn find(&self, record: &Record<'_>) -> Option<Found> {
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
            offender,
            advance: hit.advance,
            rule,
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
