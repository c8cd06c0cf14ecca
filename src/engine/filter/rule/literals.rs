//! The literal text that a pattern cannot match without.
//!
//! Comes in: the syntax tree of a pattern, or of one that matches more. Goes out: what a text must
//! begin with, and what must stand somewhere in it. It never turns down a text that matches.

use memchr::memmem::Finder;
use regex_syntax::hir::literal::{ExtractKind, Extractor, Literal};
use regex_syntax::hir::{Hir, HirKind, Look};

/// What a text must hold for a pattern to match.
#[derive(Debug)]
pub(crate) struct Literals {
    /// It begins with one of these; none listed, it may begin with anything.
    prefixes: Vec<Box<[u8]>>,
    /// One of these stands somewhere in it; none listed, it may be anything.
    required: Vec<Finder<'static>>,
}

impl Literals {
    /// What `hir` needs.
    pub(crate) fn of(hir: &Hir) -> Self {
        let prefixes = prefixes(hir);
        // A prefix is found faster than anything further on; only a longer text is worth a look.
        let shortest = prefixes.iter().map(|prefix| prefix.len()).min();
        let required = required(hir)
            .filter(|set| Some(length(set)) > shortest)
            .unwrap_or_default();
        Self {
            prefixes,
            required: required
                .iter()
                .map(|literal| Finder::new(literal).into_owned())
                .collect(),
        }
    }

    /// Whether `text` holds them.
    pub(crate) fn may_occur_in(&self, text: &[u8]) -> bool {
        let begins = self.prefixes.iter().any(|prefix| text.starts_with(prefix));
        let holds = || {
            self.required
                .iter()
                .any(|literal| literal.find(text).is_some())
        };
        (begins || self.prefixes.is_empty()) && (self.required.is_empty() || holds())
    }

    /// The texts of which a matching one begins with one; empty if there is no such list.
    pub(crate) fn prefixes(&self) -> &[Box<[u8]>] {
        &self.prefixes
    }

    /// Texts of which one stands somewhere in every match, the most telling ones that are known;
    /// empty if there is no such list.
    pub(crate) fn telling(&self) -> impl Iterator<Item = &[u8]> {
        let required = self.required.iter().map(Finder::needle);
        let prefixes = self.prefixes.iter().map(AsRef::as_ref);
        let known = self.required.is_empty();
        required.chain(prefixes.filter(move |_| known))
    }
}

/// The literals of which a matching text begins with one; empty if there is no such list.
fn prefixes(hir: &Hir) -> Vec<Box<[u8]>> {
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Vec::new();
    }
    let sequence = Extractor::new().kind(ExtractKind::Prefix).extract(hir);
    let literals = sequence.literals().unwrap_or_default();
    if literals.iter().any(Literal::is_empty) {
        return Vec::new();
    }
    literals
        .iter()
        .map(|literal| literal.as_bytes().into())
        .collect()
}

/// The literals of which one stands in every match: of several such lists the one whose shortest is
/// longest.
fn required(hir: &Hir) -> Option<Vec<Box<[u8]>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => None,
        HirKind::Literal(literal) => Some(vec![literal.0.clone()]),
        HirKind::Repetition(repetition) if repetition.min == 0 => None,
        HirKind::Repetition(repetition) => required(&repetition.sub),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Concat(parts) => {
            parts.iter().filter_map(required).reduce(|best, next| {
                match length(&next) > length(&best) {
                    true => next,
                    false => best,
                }
            })
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(required(branch)?);
            }
            (all.len() <= ALTERNATIVES_MAX).then_some(all)
        }
    }
}

/// The length of the shortest.
fn length(literals: &[Box<[u8]>]) -> usize {
    literals
        .iter()
        .map(|literal| literal.len())
        .min()
        .unwrap_or(0)
}

/// Looking for more alternatives than this costs more than it spares.
const ALTERNATIVES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::filter::pattern::{Dialect, Pattern};
    use crate::engine::filter::rule::superset;

    #[test]
    fn the_most_telling_literals_are_found() {
        for (pattern, prefixes, required) in [
            ("^Failed \\S+ for .* from", "Failed ", ""),
            ("^Failed (?:a|b) .*from", "Failed a |Failed b ", ""),
            ("^a .* not allowed because", "a ", " not allowed because"),
            ("^(?:Foo|Bar) x", "Foo x|Bar x", ""),
            ("x.*(?:longer|long)y?", "", "longer|long"),
            ("(?:abc|.)", "", ""),
            ("(?:abc)*", "", ""),
            ("(?:abc)+", "", "abc"),
            (".*", "", ""),
        ] {
            let literals = Literals::of(
                &superset(&Pattern::parse(pattern, Dialect::default()).unwrap()).unwrap(),
            );
            let join = |list: Vec<&[u8]>| String::from_utf8(list.join(&b'|')).unwrap();

            let begin = join(literals.prefixes.iter().map(AsRef::as_ref).collect());
            let inside = join(literals.required.iter().map(Finder::needle).collect());

            assert_eq!((&*begin, &*inside), (prefixes, required), "{pattern}");
        }
    }
}
