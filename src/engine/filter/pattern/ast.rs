//! The syntax tree of a pattern. Flags are resolved in it: a letter that matches in either case is a
//! class, `.` is a class, `^` says which one it is.

use regex_syntax::hir::ClassUnicode;

/// A part of a pattern. Trees are at most `NEST_MAX` groups deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Nothing.
    Empty,
    /// A character; beyond ASCII, its UTF-8.
    Literal(char),
    /// One of several bytes or characters.
    Class(Class),
    /// A place.
    Assertion(Assertion),
    /// A group that captures, by its number.
    Capture(usize, Box<Node>),
    /// One after the other.
    Concat(Vec<Node>),
    /// The first that leads to a match.
    Alternate(Vec<Node>),
    /// Again and again.
    Repeat(Box<Repeat>),
    /// `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`.
    Around {
        /// Whether it looks ahead rather than behind.
        is_ahead: bool,
        /// Whether it must not match.
        is_negative: bool,
        /// What is looked for; behind, it has one length.
        node: Box<Node>,
    },
    /// `(?>…)`: once matched, never tried otherwise.
    Atomic(Box<Node>),
    /// The text of an earlier group again.
    Backreference {
        /// Its number.
        group: usize,
        /// Whether letters match in either case.
        ignores_case: bool,
    },
    /// `(?(1)yes|no)`: by whether a group took part.
    Condition {
        /// Its number.
        group: usize,
        /// If it did.
        yes: Box<Node>,
        /// If not.
        no: Box<Node>,
    },
}

/// What is repeated, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// What.
    pub node: Node,
    /// At least.
    pub min: u32,
    /// At most; `None` for any number.
    pub max: Option<u32>,
    /// Which number is tried first.
    pub mode: Mode,
}

/// Which number of repetitions is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The most.
    Greedy,
    /// The fewest.
    Lazy,
    /// The most, and no other.
    Possessive,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// The beginning of the text.
    Start,
    /// The beginning of a line.
    LineStart,
    /// The end of a line, before its newline; Python's `$`, as texts end in their only newline.
    LineEnd,
    /// The end of the text, after its newline.
    End,
    /// Between a word character and another.
    Boundary,
    /// Anywhere else.
    NoBoundary,
}

/// A set of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What is in it. Either nothing beyond ASCII, or all of it, stands for bytes; part of it, for
    /// characters.
    pub set: ClassUnicode,
}

impl Node {
    /// These one after the other.
    pub(super) fn concat(mut nodes: Vec<Self>) -> Self {
        match nodes.len() {
            0 => Self::Empty,
            1 => nodes.remove(0),
            _ => Self::Concat(nodes),
        }
    }

    /// One of these.
    pub(super) fn alternate(mut nodes: Vec<Self>) -> Self {
        match nodes.len() {
            1 => nodes.remove(0),
            _ => Self::Alternate(nodes),
        }
    }

    /// Whether it takes more than linear time can do.
    #[must_use]
    pub fn backtracks(&self) -> bool {
        match self {
            Self::Empty | Self::Literal(_) | Self::Class(_) | Self::Assertion(_) => false,
            Self::Capture(_, node) => node.backtracks(),
            Self::Concat(nodes) | Self::Alternate(nodes) => nodes.iter().any(Self::backtracks),
            Self::Repeat(repeat) => repeat.mode == Mode::Possessive || repeat.node.backtracks(),
            Self::Around { .. }
            | Self::Atomic(_)
            | Self::Backreference { .. }
            | Self::Condition { .. } => true,
        }
    }

    /// The number of bytes it takes, if it is always the same.
    pub(crate) fn width(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::Assertion(_) | Self::Around { .. } => Some(0),
            Self::Literal(char) => Some(char.len_utf8()),
            Self::Class(class) => class.width(),
            Self::Capture(_, node) | Self::Atomic(node) => node.width(),
            Self::Concat(nodes) => nodes
                .iter()
                .try_fold(0_usize, |sum, node| sum.checked_add(node.width()?)),
            Self::Alternate(nodes) => {
                let mut widths = nodes.iter().map(Self::width);
                let first = widths.next()??;
                widths.all(|width| width == Some(first)).then_some(first)
            }
            Self::Repeat(repeat) if repeat.max == Some(repeat.min) => repeat
                .node
                .width()?
                .checked_mul(repeat.min.try_into().ok()?),
            Self::Repeat(_) | Self::Backreference { .. } | Self::Condition { .. } => None,
        }
    }
}

impl Class {
    /// The ranges beyond ASCII.
    pub(crate) fn wide(&self) -> impl Iterator<Item = (char, char)> {
        let ranges = self.set.iter().map(|range| (range.start(), range.end()));
        ranges
            .filter(|(_, end)| !end.is_ascii())
            .map(|(start, end)| (start.max(FIRST_WIDE), end))
    }

    /// The ranges within ASCII.
    pub(crate) fn narrow(&self) -> impl Iterator<Item = (char, char)> {
        let ranges = self.set.iter().map(|range| (range.start(), range.end()));
        ranges
            .filter(|(start, _)| start.is_ascii())
            .map(|(start, end)| (start, end.min('\x7f')))
    }

    /// Whether everything beyond ASCII is in it.
    pub(crate) fn is_all_wide(&self) -> bool {
        self.wide().eq([(FIRST_WIDE, char::MAX)])
    }

    fn width(&self) -> Option<usize> {
        if self.is_all_wide() {
            return Some(1);
        }
        let ends = self
            .set
            .iter()
            .flat_map(|range| [range.start(), range.end()]);
        let mut widths = ends.map(char::len_utf8);
        let first = widths.next()?;
        widths.all(|width| width == first).then_some(first)
    }
}

/// The first character beyond ASCII.
pub(super) const FIRST_WIDE: char = '\u{80}';
