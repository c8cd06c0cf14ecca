//! One compiled pattern: what it captures, and the literal text a message must begin with before the
//! regular expression is asked at all.

use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, Look};

use crate::engine::address::Offender;
use crate::engine::filter::pattern::expand;

/// A pattern ready to be matched.
#[derive(Debug)]
pub(crate) struct Rule {
    regex: Regex,
    /// A message that matches begins with one of these; none listed, it may begin with anything.
    prefixes: Vec<Box<[u8]>>,
    groups: Groups,
}

/// What a pattern found in a message.
pub(crate) struct Hit {
    /// The address; `None` if the captured text is none (`999.1.2.3`).
    pub(crate) offender: Option<Offender>,
    /// Whether the group `advance` took part.
    pub(crate) advance: bool,
}

/// Which capture holds what.
#[derive(Debug)]
struct Groups {
    address: Vec<usize>,
    cidr: Option<usize>,
    advance: Option<usize>,
}

/// A compiled pattern may need this much memory; fail2ban's own need about 30 KiB each.
const SIZE_MAX: usize = 2 * 1024 * 1024;

/// Nesting of a pattern's groups.
const NEST_MAX: u32 = 100;

impl Rule {
    /// A line of `failregex`: it must say where the address is.
    pub(crate) fn failure(text: &str) -> Result<Self, String> {
        let rule = Self::ignore(text)?;
        if rule.groups.address.is_empty() {
            return Err(
                "the pattern does not say where the address is: put <ADDR> there".to_owned(),
            );
        }
        Ok(rule)
    }

    /// A line of `ignoreregex`.
    pub(crate) fn ignore(text: &str) -> Result<Self, String> {
        let expanded = expand(text)?;
        let hir = parse(&expanded)?;
        let regex = RegexBuilder::new(&expanded)
            .unicode(false)
            .size_limit(SIZE_MAX)
            .nest_limit(NEST_MAX)
            .build()
            .map_err(|_| "the pattern is too large: use smaller repeat counts".to_owned())?;
        let place = |name: &str| regex.capture_names().position(|group| group == Some(name));
        let groups = Groups {
            address: ADDRESS_GROUPS
                .iter()
                .filter_map(|name| place(name))
                .collect(),
            cidr: place("cidr"),
            advance: place("advance"),
        };
        Ok(Self {
            prefixes: prefixes(&hir),
            groups,
            regex,
        })
    }

    /// Marks the bytes a matching message can begin with.
    pub(crate) fn mark_beginnings(&self, beginnings: &mut [bool; 256]) {
        if self.prefixes.is_empty() {
            beginnings.fill(true);
        }
        for prefix in &self.prefixes {
            let first = prefix
                .first()
                .and_then(|byte| beginnings.get_mut(usize::from(*byte)));
            if let Some(mark) = first {
                *mark = true;
            }
        }
    }

    /// What the pattern finds in `message`, if it matches.
    pub(crate) fn find(&self, message: &[u8]) -> Option<Hit> {
        if !self.may_match(message) {
            return None;
        }
        let captures = self.regex.captures(message)?;
        Some(Hit {
            offender: self.offender(&captures),
            advance: self
                .groups
                .advance
                .is_some_and(|group| captures.get(group).is_some()),
        })
    }

    /// Whether the pattern matches.
    pub(crate) fn matches(&self, message: &[u8]) -> bool {
        self.may_match(message) && self.regex.is_match(message)
    }

    fn may_match(&self, message: &[u8]) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|p| message.starts_with(p))
    }

    fn offender(&self, captures: &Captures<'_>) -> Option<Offender> {
        let address = self
            .groups
            .address
            .iter()
            .find_map(|group| captures.get(*group))?;
        let text = std::str::from_utf8(address.as_bytes()).ok()?;
        let length = self.groups.cidr.and_then(|group| captures.get(group));
        match length {
            None => text.parse().ok(),
            Some(length) => {
                let length = std::str::from_utf8(length.as_bytes()).ok()?;
                format!("{text}/{length}").parse().ok()
            }
        }
    }
}

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

/// The literals of which a matching message begins with one; empty if there is no such list.
fn prefixes(hir: &Hir) -> Vec<Box<[u8]>> {
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Vec::new();
    }
    let sequence = Extractor::new().kind(ExtractKind::Prefix).extract(hir);
    let literals = sequence.literals().unwrap_or_default();
    if literals
        .iter()
        .any(regex_syntax::hir::literal::Literal::is_empty)
    {
        return Vec::new();
    }
    literals
        .iter()
        .map(|literal| literal.as_bytes().into())
        .collect()
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
