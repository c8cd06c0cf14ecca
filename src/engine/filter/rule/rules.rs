//! The patterns of one option, in their order: which of them are worth a search.
//!
//! Comes in: a text. Goes out: the few rules that may match it, found by its first byte and by literal
//! text. It never leaves out a rule that matches, and never changes their order.

use aho_corasick::AhoCorasick;

use crate::engine::filter::rule::Rule;

/// Rules in order.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Under each first byte the rules that a text beginning with it may match, in order.
    by_first: Vec<Box<[usize]>>,
    /// The rules that an empty text may match.
    by_nothing: Box<[usize]>,
    /// For each rule, texts of which one stands in every match; `None` if a rule has no such list.
    telling: Option<AhoCorasick>,
}

impl Rules {
    /// These rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let begins = |first: Option<u8>| {
            let fits = |rule: &Rule| {
                let prefixes = rule.literals.prefixes();
                prefixes.is_empty() || prefixes.iter().any(|p| p.first().copied() == first)
            };
            let fitting = rules.iter().enumerate().filter(|(_, rule)| fits(rule));
            fitting.map(|(index, _)| index).collect()
        };
        // A part of a line gets a newline of its own, which is not in the line.
        let within = |text: &'_ [u8]| text.strip_suffix(b"\n").unwrap_or(text).to_vec();
        let lists: Vec<Vec<Vec<u8>>> = rules
            .iter()
            .map(|rule| rule.literals.telling().map(within).collect())
            .collect();
        let all_tell = lists
            .iter()
            .all(|list| !list.is_empty() && !list.iter().any(Vec::is_empty));
        Self {
            by_first: (0..=u8::MAX).map(|first| begins(Some(first))).collect(),
            by_nothing: begins(None),
            telling: all_tell
                .then(|| AhoCorasick::new(lists.concat()).ok())
                .flatten(),
            rules,
        }
    }

    /// All of them, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.rules
    }

    /// Those that may match `text`, in order, each with its place in the whole list.
    pub fn candidates<'r>(&'r self, text: &'r [u8]) -> impl Iterator<Item = (usize, &'r Rule)> {
        let fitting = match text.first() {
            Some(first) => self.by_first.get(usize::from(*first)),
            None => Some(&self.by_nothing),
        };
        fitting
            .into_iter()
            .flatten()
            .filter_map(|index| Some((*index, self.rules.get(*index)?)))
            .filter(|(_, rule)| rule.may_match(text))
    }

    /// `false` if no part of `line` can match one of the rules: a line of which only a part is to be
    /// matched (`prefregex`) need not be taken apart then.
    #[must_use]
    pub fn may_match_within(&self, line: &[u8]) -> bool {
        self.telling
            .as_ref()
            .is_none_or(|telling| telling.is_match(line))
    }
}
