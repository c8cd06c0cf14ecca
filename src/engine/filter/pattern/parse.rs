//! The grammar: branches, sequences, repetitions. Groups, classes, escapes and tags have files of
//! their own. Comes in: a pattern's text. Goes out: its tree, or what is wrong and where; no text makes
//! it recurse without end.

use crate::engine::filter::pattern::ast::{Assertion, Mode, Node, Repeat};
use crate::engine::filter::pattern::class::{any, literal};
use crate::engine::filter::pattern::{Dialect, Lines, Pattern, PatternError};

/// A pattern's text.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Pattern, PatternError> {
    if text.len() > TEXT_MAX {
        return Err(PatternError {
            at: TEXT_MAX,
            what: format!("the pattern is longer than {TEXT_MAX} bytes: split it"),
        });
    }
    let mut flags = Flags {
        multi_line: dialect.lines == Lines::Many,
        ..Flags::default()
    };
    loop {
        let mut parser = Parser::new(text, dialect, flags);
        let root = parser.whole()?;
        // `(?i)` anywhere holds everywhere, as in Python before 3.11: the beginning is read again.
        if parser.global == flags {
            let groups = parser.groups.into_iter().map(|group| group.name);
            return Ok(Pattern {
                root,
                groups: groups.collect(),
            });
        }
        flags = parser.global;
    }
}

/// A pattern half read.
pub(super) struct Parser<'a> {
    /// What is being read: the pattern, or what a tag stands for.
    text: &'a str,
    at: usize,
    /// Where the tag stands whose meaning is being read.
    tag_at: Option<usize>,
    pub(super) dialect: Dialect,
    /// What holds here …
    pub(super) flags: Flags,
    /// … and what for the whole pattern.
    pub(super) global: Flags,
    /// The groups begun, the first one first.
    pub(super) groups: Vec<Group>,
    /// What waits to be closed, the innermost last.
    pub(super) open: Vec<Opener<'a>>,
    depth: usize,
}

/// The inline flags that change something; `a` and `u` do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_all: bool,
    pub(super) verbose: bool,
}

/// A group that captures.
pub(super) struct Group {
    pub(super) name: Option<Box<str>>,
    pub(super) is_closed: bool,
}

/// What waits to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener<'a> {
    Parenthesis,
    /// `<F-USER>`, by its name.
    Tag(&'a str),
}

/// A part of a sequence.
pub(super) enum Item {
    Node(Node),
    /// One that cannot be repeated.
    Assertion(Assertion),
    /// A comment, or flags.
    Nothing,
}

/// At least and at most so often.
type Count = (u32, Option<u32>);

/// The latest part of a sequence, as a repetition sees it.
enum Latest {
    None,
    Assertion,
    Repeat,
    Other,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, dialect: Dialect, flags: Flags) -> Self {
        Self {
            text,
            at: 0,
            tag_at: None,
            dialect,
            flags,
            global: flags,
            groups: Vec::new(),
            open: Vec::new(),
            depth: 0,
        }
    }

    fn whole(&mut self) -> Result<Node, PatternError> {
        let node = self.branches()?;
        match self.rest().is_empty() {
            true => Ok(node),
            false => Err(PatternError {
                at: self.place(),
                what: r"this ')' closes nothing: '\)' stands for one".to_owned(),
            }),
        }
    }

    /// `a|b|c`, up to what closes it.
    pub(super) fn branches(&mut self) -> Result<Node, PatternError> {
        let mut branches = vec![self.sequence()?];
        while self.take("|") {
            branches.push(self.sequence()?);
        }
        Ok(Node::alternate(branches))
    }

    /// One branch, up to what ends it.
    pub(super) fn sequence(&mut self) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > NEST_MAX {
            return Err(PatternError {
                at: self.place(),
                what: format!("groups are more than {NEST_MAX} deep here"),
            });
        }
        let mut nodes = Vec::new();
        let mut latest = Latest::None;
        while !self.is_at_end()? {
            if self.flags.verbose && self.skips_blank() {
                continue;
            }
            let at = self.place();
            if let Some((min, max)) = self.count()? {
                let node = match (latest, nodes.pop()) {
                    (Latest::Other, Some(node)) => node,
                    (Latest::Repeat, _) => {
                        return Err(error(
                            at,
                            "this repeats a repetition: put (?:…) around the first",
                        ));
                    }
                    _ => {
                        return Err(error(
                            at,
                            "there is nothing to repeat: a backslash before it makes it a character",
                        ));
                    }
                };
                let mode = self.mode();
                nodes.push(Node::Repeat(Box::new(Repeat {
                    node,
                    min,
                    max,
                    mode,
                })));
                latest = Latest::Repeat;
                continue;
            }
            match self.item()? {
                Item::Nothing => {}
                Item::Node(node) => {
                    nodes.push(node);
                    latest = Latest::Other;
                }
                Item::Assertion(assertion) => {
                    nodes.push(Node::Assertion(assertion));
                    latest = Latest::Assertion;
                }
            }
        }
        self.depth -= 1;
        Ok(Node::concat(nodes))
    }

    fn item(&mut self) -> Result<Item, PatternError> {
        let Some(first) = self.peek() else {
            return Ok(Item::Nothing);
        };
        match first {
            '\\' => return self.escape(),
            '[' => return self.class().map(Item::Node),
            '(' => return self.group(),
            '<' => {
                if let Some(node) = self.tag()? {
                    return Ok(Item::Node(node));
                }
            }
            _ => {}
        }
        self.next();
        Ok(match first {
            '.' => Item::Node(any(self.flags.dot_all)),
            '^' if self.flags.multi_line => Item::Assertion(Assertion::LineStart),
            '^' => Item::Assertion(Assertion::Start),
            '$' => Item::Assertion(Assertion::LineEnd),
            other => Item::Node(literal(other, self.flags.ignore_case)),
        })
    }

    /// Whether the sequence ends here.
    fn is_at_end(&self) -> Result<bool, PatternError> {
        match self.peek() {
            None | Some('|') => Ok(true),
            Some(')') => match self.open.last() {
                Some(Opener::Tag(name)) => Err(PatternError {
                    at: self.place(),
                    what: format!("the tag <{name}> is not closed before this ')'"),
                }),
                _ => Ok(true),
            },
            Some('<') => self.is_at_closing_tag(),
            Some(_) => Ok(false),
        }
    }

    /// How often what stands before is to be repeated. A `{` that begins no count is a character.
    fn count(&mut self) -> Result<Option<Count>, PatternError> {
        let (length, bounds) = match self.peek() {
            Some('*') => (1, (0, None)),
            Some('+') => (1, (1, None)),
            Some('?') => (1, (0, Some(1))),
            Some('{') => match self.braces()? {
                Some(braces) => braces,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.skip(length);
        Ok(Some(bounds))
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`, `{,}`: its length and what it says.
    fn braces(&self) -> Result<Option<(usize, Count)>, PatternError> {
        let Some((inner, _)) = self.rest().get(1..).and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if inner.is_empty() || !digits(low) || !digits(high) {
            return Ok(None);
        }
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number <= COUNT_MAX => Ok(number),
            _ => Err(PatternError {
                at: self.place(),
                what: format!("a repeat count is at most {COUNT_MAX}"),
            }),
        };
        let min = match low {
            "" => 0,
            low => number(low)?,
        };
        let max = match high {
            "" => None,
            high => Some(number(high)?),
        };
        if max.is_some_and(|max| max < min) {
            return Err(error(
                self.place(),
                "the repeat counts are the wrong way round",
            ));
        }
        Ok(Some((inner.len() + 2, (min, max))))
    }

    fn mode(&mut self) -> Mode {
        if self.take("?") {
            Mode::Lazy
        } else if self.take("+") {
            Mode::Possessive
        } else {
            Mode::Greedy
        }
    }

    /// Takes a blank or a comment of a verbose pattern.
    fn skips_blank(&mut self) -> bool {
        match self.peek() {
            Some(' ' | '\t'..='\r') => self.skip(1),
            Some('#') => {
                let rest = self.rest();
                self.skip(rest.find('\n').map_or(rest.len(), |end| end + 1));
            }
            _ => return false,
        }
        true
    }

    /// Reads `text` as if it stood here, errors blamed on the tag at `place` that it is the meaning of.
    pub(super) fn meaning(
        &mut self,
        text: &'static str,
        place: usize,
    ) -> Result<Node, PatternError> {
        let outside = (self.text, self.at, self.tag_at);
        (self.text, self.at, self.tag_at) = (text, 0, Some(place));
        let node = self.branches();
        (self.text, self.at, self.tag_at) = outside;
        node
    }

    /// What is not yet read.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes `text` if it stands here.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let stands = self.rest().starts_with(text);
        if stands {
            self.at += text.len();
        }
        stands
    }

    /// Goes on by so many bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Where an error is to be shown.
    pub(super) fn place(&self) -> usize {
        self.tag_at.unwrap_or(self.at)
    }
}

/// An error with a fixed text.
pub(super) fn error(at: usize, what: &str) -> PatternError {
    PatternError {
        at,
        what: what.to_owned(),
    }
}

/// The longest pattern. fail2ban's own have at most some thousand bytes.
const TEXT_MAX: usize = 64 * 1024;

/// The deepest nesting of groups: what reads the tree recurses as deep.
pub(super) const NEST_MAX: usize = 50;

/// The largest repeat count; what is compiled is limited by its size as well.
const COUNT_MAX: u32 = 65_535;
