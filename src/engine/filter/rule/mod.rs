//! One compiled pattern: whether a text matches it, and where its groups stand then.
//!
//! Comes in: a pattern in fail2ban's dialect of Python's syntax, then texts, bytes of any kind. Goes
//! out: the spans of its groups. A search is bounded in time and memory whatever the pattern and the
//! text hold: in linear time by the size of the pattern, else by a number of steps. And
//! most texts are turned down by literal text that they lack, before a regular expression is asked.

pub mod rules;

mod backtrack;
mod literals;
mod program;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use crate::engine::filter::Machine;
use crate::engine::filter::pattern::{Dialect, Pattern, PatternError};
use crate::engine::filter::rule::backtrack::Backtracker;
use crate::engine::filter::rule::literals::Literals;
use crate::engine::filter::rule::program::Program;

/// A pattern ready to be matched.
#[derive(Debug)]
pub struct Rule {
    engine: Engine,
    /// Literal text without which nothing matches.
    literals: Literals,
    /// The named groups, in the order of the text.
    names: Vec<(Box<str>, usize)>,
}

/// What runs a pattern.
#[derive(Debug)]
enum Engine {
    Linear {
        regex: Regex,
        /// Slots of the latest search, kept so that the next one need not allocate.
        slots: Mutex<Option<CaptureLocations>>,
    },
    Backtracking {
        program: Program,
        /// The memory of the latest search, kept likewise.
        memory: Mutex<Backtracker>,
    },
}

impl Rule {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for people, and where.
    pub fn compile(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        let pattern = Pattern::parse(text, dialect)?;
        let too_large = || PatternError {
            at: 0,
            what: "the pattern is too large: use smaller repeat counts, or split it".to_owned(),
        };
        let hir = superset(&pattern).ok_or_else(too_large)?;
        let linear = pattern
            .linear()
            .and_then(|text| Engine::linear(&text, pattern.groups.len()));
        let engine = linear.or_else(|| {
            Some(Engine::Backtracking {
                program: Program::compile(&pattern)?,
                memory: Mutex::default(),
            })
        });
        let names = pattern.groups.into_iter().zip(1..);
        Ok(Self {
            engine: engine.ok_or_else(too_large)?,
            literals: Literals::of(&hir),
            names: names
                .filter_map(|(name, group)| Some((name?, group)))
                .collect(),
        })
    }

    /// Which machinery runs it.
    #[must_use]
    pub fn machine(&self) -> Machine {
        match self.engine {
            Engine::Linear { .. } => Machine::Linear,
            Engine::Backtracking { .. } => Machine::Backtracking,
        }
    }

    /// The named groups in the order of the text, each with its number for [`Groups`].
    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(|(name, group)| (&**name, *group))
    }

    /// The number of the group `name`, if there is one.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<usize> {
        self.names()
            .find_map(|(own, group)| (own == name).then_some(group))
    }

    /// `false` for a text that cannot match, found out in a few nanoseconds; `true` for one worth a
    /// [search](Self::search).
    #[must_use]
    pub fn may_match(&self, text: &[u8]) -> bool {
        self.literals.may_occur_in(text)
    }

    /// Searches `text` for the leftmost match; `groups` then tells where its groups stand. Costs
    /// the regular expression even where [`Self::may_match`] would have said no.
    pub fn search(&self, text: &[u8], groups: &mut Groups) -> Search {
        groups.spans.clear();
        match &self.engine {
            Engine::Linear { regex, slots } => {
                let spare = slots.lock().unwrap_or_else(PoisonError::into_inner).take();
                let mut locations = spare.unwrap_or_else(|| regex.capture_locations());
                let found = regex.captures_read(&mut locations, text).is_some();
                if found {
                    let spans = (0..locations.len()).map(|group| locations.get(group));
                    groups.spans.extend(spans);
                }
                *slots.lock().unwrap_or_else(PoisonError::into_inner) = Some(locations);
                Search::of(found)
            }
            Engine::Backtracking { program, memory } => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                let found = memory.search(program, text);
                if found == Search::Yes {
                    groups.spans.extend(memory.spans(program));
                }
                found
            }
        }
    }

    /// Whether `text` matches, without telling where.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> Search {
        match &self.engine {
            _ if !self.may_match(text) => Search::No,
            Engine::Linear { regex, .. } => Search::of(regex.is_match(text)),
            Engine::Backtracking { program, memory } => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.search(program, text)
            }
        }
    }
}

impl Engine {
    /// `None` if it would be too large: its time is its size times that of the text, and the memory
    /// of a search its size times its groups.
    fn linear(text: &str, groups: usize) -> Option<Self> {
        let regex = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(SIZE_MAX.min(WEIGHT_MAX / (groups + 1)))
            .build();
        Some(Self::Linear {
            regex: regex.ok()?,
            slots: Mutex::new(None),
        })
    }
}

/// The syntax tree of a pattern that matches wherever this one does; `None` if it is too large.
pub(crate) fn superset(pattern: &Pattern) -> Option<Hir> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    parser.parse(&pattern.superset()).ok()
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Nothing matches.
    No,
    /// There is a match.
    Yes,
    /// It took too many steps and was given up; to be taken for [`Self::No`] and told of, once.
    GaveUp,
}

impl Search {
    fn of(found: bool) -> Self {
        match found {
            true => Self::Yes,
            false => Self::No,
        }
    }
}

/// Where the groups of the latest match stand. Made once and used for every search.
#[derive(Debug, Default)]
pub struct Groups {
    spans: Vec<Option<(usize, usize)>>,
}

impl Groups {
    /// The place of a group in the text searched; group 0 is the whole match. `None` for a group that
    /// took no part, and for all of them where nothing matched.
    #[must_use]
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        let (start, end) = (*self.spans.get(group)?)?;
        Some(start..end)
    }

    /// How many there are, the whole match included; 0 where nothing matched.
    #[must_use]
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// What a group holds; `text` is the text that was searched.
    #[must_use]
    pub fn text<'t>(&self, group: usize, text: &'t [u8]) -> Option<&'t [u8]> {
        text.get(self.span(group)?)
    }
}

/// The most bytes of a pattern that runs in linear time, twice what the largest of fail2ban's own
/// needs; a larger one back-tracks, within that machine's budget.
const SIZE_MAX: usize = 160 * 1024;

/// The most bytes times groups; fail2ban's own need 400 KiB at most.
const WEIGHT_MAX: usize = 1024 * 1024;
