//! Record to failure: the patterns of one filter, and the address in the line they match.
//!
//! Comes in: a [`Record`]. Goes out: a [`Found`], if the record tells of a failed attempt. It looks at
//! one record at a time, keeps nothing, and costs little on a record that matches nothing.

pub mod failure;
pub mod pattern;

use crate::engine::address::Offender;
use crate::engine::record::Record;

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
pub struct Filter {
    spec: FilterSpec,
}

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
        Ok(Self { spec })
    }

    /// The failure that `record` tells of, if any.
    #[must_use]
    pub fn find(&self, _record: &Record<'_>) -> Option<Found> {
        None
    }

    /// The text it was made of.
    #[must_use]
    pub fn spec(&self) -> &FilterSpec {
        &self.spec
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
