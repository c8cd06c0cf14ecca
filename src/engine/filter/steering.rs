//! Whether text that an attacker chooses, a user name say, can make a pattern pick another address.
//!
//! A pattern fixes its address from the left (anchored, nothing before the address can swallow
//! arbitrary text) or from the right (the same, seen from the end). One that does neither may find an
//! address that the attacker wrote.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::engine::filter::pattern::{Dialect, Pattern};
use crate::engine::filter::rule::superset;

/// Whether the `failregex` line `text` leaves the choice of the address to the text of the message.
/// `false` also for one that does not compile.
#[must_use]
pub fn is_steerable(text: &str) -> bool {
    let Ok(pattern) = Pattern::parse(text, Dialect::default()) else {
        return false;
    };
    let Some(hir) = superset(&pattern) else {
        return false;
    };
    let groups = ADDRESS_GROUPS
        .iter()
        .filter_map(|name| pattern.group(name))
        .collect::<Vec<_>>();
    let shape = shape(&hir, &groups);
    let properties = hir.properties();
    let begin = properties.look_set_prefix();
    let end = properties.look_set_suffix();
    let left = (begin.contains(Look::Start) || begin.contains(Look::StartLF)) && !shape.before;
    let right = (end.contains(Look::End) || end.contains(Look::EndLF)) && !shape.after;
    shape.address && !left && !right
}

/// Where arbitrary text can stand.
#[derive(Default)]
struct Shape {
    /// The address is in here.
    address: bool,
    /// Arbitrary text can stand before it …
    before: bool,
    /// … after it …
    after: bool,
    /// … or anywhere in here.
    anywhere: bool,
}

/// Patterns nest at most as deep as `parse` lets them.
fn shape(hir: &Hir, groups: &[usize]) -> Shape {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {
            Shape::default()
        }
        HirKind::Capture(capture) => {
            let inner = shape(&capture.sub, groups);
            let is_address = groups
                .iter()
                .any(|group| u32::try_from(*group) == Ok(capture.index));
            Shape {
                address: inner.address || is_address,
                ..inner
            }
        }
        HirKind::Repetition(repetition) => {
            let inner = shape(&repetition.sub, groups);
            let long = repetition.max.is_none_or(|max| max >= ADDRESS_MIN);
            Shape {
                anywhere: inner.anywhere || long && swallows(&repetition.sub),
                ..inner
            }
        }
        HirKind::Concat(parts) => parts
            .iter()
            .map(|part| shape(part, groups))
            .fold(Shape::default(), follow),
        HirKind::Alternation(branches) => branches
            .iter()
            .map(|part| shape(part, groups))
            .fold(Shape::default(), either),
    }
}

fn follow(done: Shape, next: Shape) -> Shape {
    let anywhere = done.anywhere || next.anywhere;
    match (done.address, next.address) {
        (false, false) => Shape { anywhere, ..done },
        (true, false) => Shape {
            after: done.after || next.anywhere,
            anywhere,
            ..done
        },
        (false, true) => Shape {
            before: done.anywhere || next.before,
            anywhere,
            ..next
        },
        // Two addresses: which one counts is anybody's guess.
        (true, true) => Shape {
            address: true,
            before: true,
            after: true,
            anywhere,
        },
    }
}

fn either(one: Shape, other: Shape) -> Shape {
    Shape {
        address: one.address || other.address,
        before: one.before || other.before,
        after: one.after || other.after,
        anywhere: one.anywhere || other.anywhere,
    }
}

/// Whether what is repeated can be any text: blanks and digits, as in ` from 192.0.2.1`.
fn swallows(hir: &Hir) -> bool {
    let takes = |byte: u8| match hir.kind() {
        HirKind::Class(Class::Bytes(class)) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&byte)),
        HirKind::Class(Class::Unicode(class)) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&char::from(byte))),
        _ => false,
    };
    match hir.kind() {
        HirKind::Capture(capture) => swallows(&capture.sub),
        HirKind::Repetition(repetition) => swallows(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(swallows),
        _ => takes(b' ') && takes(b'1'),
    }
}

/// The groups that can hold the address.
const ADDRESS_GROUPS: [&str; 3] = ["ip4", "ip6", "fid"];

/// The shortest text that is an address, `::1` or `::`.
const ADDRESS_MIN: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_fixes_its_address_at_neither_end_is_steerable() {
        for (text, steerable) in [
            ("^Invalid user .* from <ADDR> port \\d+$", false),
            ("Invalid user .* from <ADDR> port \\d+$", false),
            ("^from <ADDR>", false),
            ("^from <ADDR> user .*$", false),
            ("from <ADDR>", true),
            ("^user .* from <ADDR>", true),
            ("^user \\S+ from <ADDR>", false),
            ("^user .* from <HOST>.*$", true),
            ("^user [^']* from <HOST>(?: .*)?$", true),
            ("^user .*(?: from <ADDR>| at <ADDR>)", false),
            ("^(?:.x)+ <ADDR>", true),
        ] {
            let compiles =
                crate::engine::filter::rule::Rule::compile(text, Default::default()).is_ok();
            assert_eq!(is_steerable(text), steerable && compiles, "{text}");
        }
    }
}
