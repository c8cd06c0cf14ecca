//! A syntax tree as text for `regex`. Only what cannot be misread is written: no names, no flags but
//! `(?m:…)` and `(?s:…)`, classes and odd characters by their bytes.

use std::fmt::Write;

use regex_syntax::utf8::Utf8Sequences;

use crate::engine::filter::pattern::ast::{Assertion, Class, Mode, Node, Repeat};

/// Text that matches what `node` does, and where that is beyond `regex`, more.
pub(super) fn superset(node: &Node) -> String {
    let mut writer = Writer::default();
    writer.node(node);
    writer.out
}

#[derive(Default)]
struct Writer {
    out: String,
}

impl Writer {
    fn node(&mut self, node: &Node) {
        match node {
            Node::Empty => {}
            Node::Literal(char) => {
                let mut bytes = [0; 4];
                for byte in char.encode_utf8(&mut bytes).bytes() {
                    self.byte(byte);
                }
            }
            Node::Class(class) => self.class(class),
            Node::Assertion(assertion) => self.push(match assertion {
                Assertion::Start => r"\A",
                Assertion::LineStart => "(?m:^)",
                Assertion::LineEnd => "(?m:$)",
                Assertion::End => r"\z",
                Assertion::Boundary => r"\b",
                Assertion::NoBoundary => r"\B",
            }),
            Node::Capture(_, node) => self.within("(", node),
            Node::Concat(nodes) => {
                for node in nodes {
                    match node {
                        Node::Alternate(_) => self.within("(?:", node),
                        _ => self.node(node),
                    }
                }
            }
            Node::Alternate(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    if index > 0 {
                        self.push("|");
                    }
                    self.node(node);
                }
            }
            Node::Repeat(repeat) => self.repeat(repeat),
            Node::Around { .. } => self.push("(?:)"),
            Node::Backreference { .. } => self.push("(?s:.*?)"),
            Node::Atomic(node) => self.within("(?:", node),
            Node::Condition { yes, no, .. } => {
                self.push("(?:");
                self.node(yes);
                self.push("|");
                self.node(no);
                self.push(")");
            }
        }
    }

    fn repeat(&mut self, repeat: &Repeat) {
        match &repeat.node {
            node @ (Node::Class(_) | Node::Capture(..)) => self.node(node),
            node @ Node::Literal(char) if char.is_ascii() => self.node(node),
            node => self.within("(?:", node),
        }
        // Writing to a string cannot fail.
        let _ = match (repeat.min, repeat.max) {
            (0, None) => write!(self.out, "*"),
            (1, None) => write!(self.out, "+"),
            (0, Some(1)) => write!(self.out, "?"),
            (min, None) => write!(self.out, "{{{min},}}"),
            (min, Some(max)) if min == max => write!(self.out, "{{{min}}}"),
            (min, Some(max)) => write!(self.out, "{{{min},{max}}}"),
        };
        match repeat.mode {
            Mode::Greedy | Mode::Possessive => {}
            Mode::Lazy => self.push("?"),
        }
    }

    fn class(&mut self, class: &Class) {
        let is_bytes = class.is_all_wide() || class.wide().next().is_none();
        if is_bytes {
            self.bytes(class);
            return;
        }
        let mut bar = "(?:";
        if class.narrow().next().is_some() {
            self.push(bar);
            self.bytes(class);
            bar = "|";
        }
        for (start, end) in class.wide() {
            for sequence in Utf8Sequences::new(start, end) {
                self.push(bar);
                bar = "|";
                for range in &sequence {
                    let _ = write!(self.out, r"[\x{:02X}-\x{:02X}]", range.start, range.end);
                }
            }
        }
        self.push(")");
    }

    /// The part of a class that is one byte each.
    fn bytes(&mut self, class: &Class) {
        let is_negated = class.is_all_wide();
        let mut set = class.set.clone();
        if is_negated {
            set.negate();
        }
        let class = Class { set };
        if class.narrow().next().is_none() {
            self.push(if is_negated {
                "(?s:.)"
            } else {
                r"[^\x00-\xFF]"
            });
            return;
        }
        self.push(if is_negated { "[^" } else { "[" });
        for (start, end) in class.narrow() {
            self.ascii(start);
            if start != end {
                self.push("-");
                self.ascii(end);
            }
        }
        self.push("]");
    }

    fn ascii(&mut self, char: char) {
        let mut bytes = [0; 4];
        for byte in char.encode_utf8(&mut bytes).bytes() {
            self.byte(byte);
        }
    }

    /// One byte. What could mean something to one of the crates goes by its number.
    fn byte(&mut self, byte: u8) {
        let plain = byte.is_ascii_alphanumeric() || b" _,:;/'\"=%@!".contains(&byte);
        if plain {
            self.out.push(char::from(byte));
            return;
        }
        // Writing to a string cannot fail.
        let _ = write!(self.out, r"\x{byte:02X}");
    }

    fn within(&mut self, head: &str, node: &Node) {
        self.push(head);
        self.node(node);
        self.push(")");
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }
}
