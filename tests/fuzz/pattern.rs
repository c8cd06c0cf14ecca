//! Patterns, and what they match.

use banishd::engine::filter::pattern::{Dialect, Lines, Pattern};
use banishd::engine::filter::rule::{Groups, Rule, Search};
use banishd::engine::filter::steering::is_steerable;

/// The first line is a pattern, the rest a message. Both engines find the same, and where a rule says that
/// a text cannot match, it does not.
pub(crate) fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, message) = text.split_once('\n').unwrap_or((&text, ""));
    let _ = is_steerable(pattern);
    for lines in [Lines::One, Lines::Many] {
        for has_names in [false, true] {
            compare(pattern, message.as_bytes(), Dialect { lines, has_names });
        }
    }
}

fn compare(pattern: &str, message: &[u8], dialect: Dialect) {
    let Ok(parsed) = Pattern::parse(pattern, dialect) else {
        return;
    };
    let Ok(rule) = Rule::compile(pattern, dialect) else {
        return;
    };
    let mut found = Groups::default();
    let search = rule.search(message, &mut found);
    let spans = spans(&found, message);
    match search {
        Search::Yes => assert!(rule.may_match(message) && spans.len() == parsed.groups.len() + 1),
        Search::No | Search::GaveUp => assert!(spans.is_empty()),
    }
    // An empty atomic group changes nothing but the engine.
    let Ok(other) = Rule::compile(&format!("(?>){pattern}"), dialect) else {
        return;
    };
    let mut others = Groups::default();
    match other.search(message, &mut others) {
        Search::GaveUp => {}
        verdict => {
            assert_eq!(verdict, search, "{pattern}");
            let others = self::spans(&others, message);
            match repeats_a_group(pattern) {
                true => assert_eq!(others.first(), spans.first(), "{pattern}"),
                false => assert_eq!(others, spans, "{pattern}"),
            }
        }
    }
}

/// Of the last round of `(a*)*`, which takes nothing, `regex` forgets where the group stands; Python and our
/// own engine do not. Linear time is worth that. A comment may hide what is repeated.
fn repeats_a_group(pattern: &str) -> bool {
    let mut ends = pattern.match_indices([')', '>']);
    let repeats = |(at, _)| pattern[at + 1..].trim_start().starts_with(['*', '+', '{']);
    ends.any(repeats) || pattern.contains('#')
}

/// Where the groups stand: within the text.
fn spans(groups: &Groups, text: &[u8]) -> Vec<Option<std::ops::Range<usize>>> {
    let spans: Vec<_> = (0..groups.count())
        .map(|group| groups.span(group))
        .collect();
    for span in spans.iter().flatten() {
        assert!(text.get(span.clone()).is_some());
    }
    spans
}
