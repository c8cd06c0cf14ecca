//! One compiled pattern: whether a text matches it, and where its groups stand then.
//!
//! Comes in: a pattern in fail2ban's dialect of Python's syntax, then texts, bytes of any kind. Goes
//! out: the spans of its groups. A search is bounded in time and memory whatever the text holds, and
//! most texts are turned down by literal text that they lack, before a regular expression is asked.

pub mod rules;

mod literals;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use crate::engine::filter::Machine;
use crate::engine::filter::pattern::{Dialect, PatternError, expand};
use crate::engine::filter::rule::literals::Literals;

/// A pattern ready to be matched.
#[derive(Debug)]
pub struct Rule {
    regex: Regex,
    /// Slots of the latest search, kept so that the next one need not allocate.
    slots: Mutex<Option<CaptureLocations>>,
    /// Literal text without which nothing matches.
    literals: Literals,
    /// The named groups, in the order of the text.
    names: Vec<(Box<str>, usize)>,
}

impl Rule {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for people, and where.
    pub fn compile(text: &str, _dialect: Dialect) -> Result<Self, PatternError> {
        let error = |what| PatternError { at: 0, what };
        let expanded = expand(text).map_err(error)?;
        let hir = parse(&expanded).map_err(error)?;
        let regex = RegexBuilder::new(&expanded)
            .unicode(false)
            .size_limit(SIZE_MAX)
            .nest_limit(NEST_MAX)
            .build()
            .map_err(|_| error("the pattern is too large: use smaller repeat counts".to_owned()))?;
        let names = regex
            .capture_names()
            .enumerate()
            .filter_map(|(group, name)| Some((name?.into(), group)))
            .collect();
        Ok(Self {
            literals: Literals::of(&hir),
            slots: Mutex::new(None),
            names,
            regex,
        })
    }

    /// Which machinery runs it.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::Linear
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
        let mut slots = self
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| self.regex.capture_locations());
        let found = self.regex.captures_read(&mut slots, text).is_some();
        if found {
            groups
                .spans
                .extend((0..slots.len()).map(|group| slots.get(group)));
        }
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = Some(slots);
        match found {
            true => Search::Yes,
            false => Search::No,
        }
    }

    /// Whether `text` matches, without telling where.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> Search {
        match self.may_match(text) && self.regex.is_match(text) {
            true => Search::Yes,
            false => Search::No,
        }
    }
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

    /// What a group holds; `text` is the text that was searched.
    #[must_use]
    pub fn text<'t>(&self, group: usize, text: &'t [u8]) -> Option<&'t [u8]> {
        text.get(self.span(group)?)
    }
}

/// A compiled pattern may need this much memory; fail2ban's own need about 30 KiB each.
const SIZE_MAX: usize = 2 * 1024 * 1024;

/// Nesting of a pattern's groups.
const NEST_MAX: u32 = 100;

/// The groups that can hold the address, in the order they are asked.
pub(crate) const ADDRESS_GROUPS: [&str; 3] = ["ip4", "ip6", "fid"];

/// The syntax tree of an expanded pattern.
pub(crate) fn parse(expanded: &str) -> Result<Hir, String> {
    ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(NEST_MAX)
        .build()
        .parse(expanded)
        .map_err(|error| explain(&error))
}

/// What is wrong with a pattern's syntax, on one line, with the place.
fn explain(error: &regex_syntax::Error) -> String {
    use regex_syntax::ast::ErrorKind;
    let (what, place, text) = match error {
        regex_syntax::Error::Parse(error) => {
            let what = match error.kind() {
                ErrorKind::UnsupportedLookAround => {
                    "look-around, (?=…) or (?<…), is not supported: write the cases as patterns of their own".to_owned()
                }
                ErrorKind::UnsupportedBackreference => {
                    "back-references are not supported: write the cases as patterns of their own".to_owned()
                }
                ErrorKind::GroupNameDuplicate { .. } => {
                    "a tag or a named group stands there twice: write two patterns".to_owned()
                }
                kind => kind.to_string(),
            };
            (what, error.span().start.offset, error.pattern())
        }
        regex_syntax::Error::Translate(error) => (
            error.kind().to_string(),
            error.span().start.offset,
            error.pattern(),
        ),
        _ => return error.to_string().replace('\n', " "),
    };
    let near: String = text.get(place..).unwrap_or("").chars().take(20).collect();
    if near.is_empty() {
        return format!("{what}, at its end");
    }
    format!("{what}, at '{near}'")
}
