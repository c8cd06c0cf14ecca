//! Whether text that an attacker chooses, a user name say, can make a pattern pick another address.
//!
//! A pattern fixes its address from the left (anchored, nothing before the address can swallow
//! arbitrary text) or from the right (the same, seen from the end). One that does neither may find an
//! address that the attacker wrote.

use crate::engine::filter::pattern::ast::{Assertion, Class, Node};
use crate::engine::filter::pattern::{Dialect, Pattern};

/// Whether the `failregex` line `text` leaves the choice of the address to the text of the message.
/// `false` also for one that cannot be read.
#[must_use]
pub fn is_steerable(text: &str) -> bool {
    let Ok(pattern) = Pattern::parse(text, Dialect::default()) else {
        return false;
    };
    let names = ADDRESS_GROUPS.iter();
    let groups: Vec<usize> = names.filter_map(|name| pattern.group(name)).collect();
    let shape = shape(&pattern.root, &groups);
    let left = begins(&pattern.root) && !shape.before;
    let right = ends(&pattern.root) && !shape.after;
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

/// Patterns nest at most as deep as the parser lets them.
fn shape(node: &Node, groups: &[usize]) -> Shape {
    match node {
        Node::Empty
        | Node::Literal(_)
        | Node::Class(_)
        | Node::Assertion(_)
        | Node::Around { .. }
        | Node::Backreference { .. } => Shape::default(),
        Node::Atomic(node) => shape(node, groups),
        Node::Capture(group, node) => {
            let inner = shape(node, groups);
            Shape {
                address: inner.address || groups.contains(group),
                ..inner
            }
        }
        Node::Repeat(repeat) => {
            let inner = shape(&repeat.node, groups);
            let long = repeat.max.is_none_or(|max| max >= ADDRESS_MIN);
            Shape {
                anywhere: inner.anywhere || long && swallows(&repeat.node),
                ..inner
            }
        }
        Node::Concat(parts) => {
            let shapes = parts.iter().map(|part| shape(part, groups));
            shapes.fold(Shape::default(), follow)
        }
        Node::Alternate(branches) => {
            let shapes = branches.iter().map(|branch| shape(branch, groups));
            shapes.fold(Shape::default(), either)
        }
        Node::Condition { yes, no, .. } => either(shape(yes, groups), shape(no, groups)),
    }
}

/// Whether every match begins where a line does.
fn begins(node: &Node) -> bool {
    match node {
        Node::Assertion(assertion) => {
            matches!(assertion, Assertion::Start | Assertion::LineStart)
        }
        Node::Capture(_, node) | Node::Atomic(node) => begins(node),
        Node::Concat(parts) => parts.first().is_some_and(begins),
        Node::Alternate(branches) => branches.iter().all(begins),
        _ => false,
    }
}

/// Whether every match ends where a line does. Of a condition one branch suffices: it is there to tell
/// a user name from more text.
fn ends(node: &Node) -> bool {
    match node {
        Node::Assertion(assertion) => matches!(assertion, Assertion::End | Assertion::LineEnd),
        Node::Capture(_, node) | Node::Atomic(node) => ends(node),
        Node::Concat(parts) => parts.last().is_some_and(ends),
        Node::Alternate(branches) => branches.iter().all(ends),
        Node::Condition { yes, no, .. } => ends(yes) || ends(no),
        _ => false,
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

/// Whether what is repeated can be any text: blanks and digits, as in ` from 192.0.2.1`. Not if it
/// must not be something at each step, as in `(?! from ).`.
fn swallows(node: &Node) -> bool {
    let is_guard = |part: &Node| {
        matches!(
            part,
            Node::Around {
                is_negative: true,
                ..
            }
        )
    };
    match node {
        Node::Class(class) => takes(class, ' ') && takes(class, '1'),
        Node::Capture(_, node) | Node::Atomic(node) => swallows(node),
        Node::Repeat(repeat) => swallows(&repeat.node),
        Node::Concat(parts) => !parts.iter().any(is_guard) && parts.iter().any(swallows),
        Node::Alternate(branches) => branches.iter().any(swallows),
        Node::Condition { yes, no, .. } => swallows(yes) || swallows(no),
        _ => false,
    }
}

fn takes(class: &Class, char: char) -> bool {
    let mut ranges = class.set.iter();
    ranges.any(|range| (range.start()..=range.end()).contains(&char))
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
            ("^for (?:(?! from ).)* from <ADDR>", false),
            ("^(?P<n>x )?.* from <ADDR>(?(n) y|(?:(?! from ).)*$)", false),
            ("^(?P<n>x )?.* from <ADDR>(?(n) y| z)", true),
            ("(?:^a|b) .* <ADDR>(?: .*)?$", true),
        ] {
            assert_eq!(is_steerable(text), steerable, "{text}");
        }
    }
}
