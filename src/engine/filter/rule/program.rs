//! A pattern that back-tracks, as a program for [`Backtracker`](super::backtrack::Backtracker).
//!
//! Comes in: a syntax tree. Goes out: a list of steps, each of which takes constant time or as many
//! bytes as it looks at. It never grows beyond [`SIZE_MAX`] steps and [`TEXT_MAX`] bytes of text.

use regex_syntax::utf8::Utf8Sequences;

use crate::engine::filter::pattern::Pattern;
use crate::engine::filter::pattern::ast::{Assertion, Class, Mode, Node, Repeat};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    /// How many positions it remembers: two for each group, the whole match first, then its marks.
    pub(crate) slots: usize,
    /// How many levels of the stack it remembers.
    pub(crate) levels: usize,
    /// How many groups it has, the whole match included.
    pub(crate) groups: usize,
    /// Whether a match can only begin at the beginning.
    pub(crate) is_anchored: bool,
    /// The bytes that a match can begin with; `None` for any, and for nothing at all.
    pub(crate) first: Option<Set>,
}

/// Some of the 256 bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set([u64; 4]);

impl Set {
    fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        for byte in bytes {
            set.insert(byte);
        }
        set
    }

    fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn union(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    pub(crate) fn contains(&self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte >> 6));
        word.is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }
}

/// What is done at a position of the text before going on to the next step.
#[derive(Debug)]
pub(crate) enum Step {
    /// These bytes follow.
    Bytes(Box<[u8]>),
    /// One of these bytes follows.
    OneOf(Set),
    /// So many of these bytes follow.
    Several(Several),
    /// This is such a place.
    Assert(Assertion),
    /// The position is remembered.
    Save(usize),
    /// Goes on at `first`; if that fails, at `second`.
    Split { first: usize, second: usize },
    /// Goes on there.
    Jump(usize),
    /// Goes on there if nothing has been taken since the mark.
    JumpIfStill { mark: usize, to: usize },
    /// Remembers the height of the stack and the position.
    Enter(usize),
    /// Forgets what could have been tried otherwise since.
    Commit(usize),
    /// The same, and goes back to the position.
    Return(usize),
    /// Remembers both and goes on; if that fails, at `otherwise`.
    EnterNot { level: usize, otherwise: usize },
    /// Fails, and so does everything since.
    FailAll(usize),
    /// Goes back by so many bytes.
    Back(usize),
    /// The text of a group follows again.
    Again { group: usize, ignores_case: bool },
    /// Goes on there if the group took no part.
    JumpUnless { group: usize, to: usize },
    /// The pattern has matched.
    Match,
}

/// A repetition of single bytes.
#[derive(Debug)]
pub(crate) struct Several {
    pub(crate) set: Set,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) mode: Mode,
}

impl Program {
    /// `None` if it would be too large.
    pub(crate) fn compile(pattern: &Pattern) -> Option<Self> {
        let groups = pattern.groups.len() + 1;
        let mut compiler = Compiler {
            program: Self {
                steps: Vec::new(),
                slots: groups * 2,
                levels: 0,
                groups,
                is_anchored: is_anchored(&pattern.root),
                first: None,
            },
            text: 0,
        };
        compiler.push(Step::Save(0))?;
        compiler.node(&pattern.root)?;
        compiler.push(Step::Save(1))?;
        compiler.push(Step::Match)?;
        let mut program = compiler.program;
        let mut first = Set::default();
        let is_bound = !can_be_empty(&pattern.root) && marks_first(&pattern.root, &mut first);
        program.first = is_bound.then_some(first);
        Some(program)
    }
}

impl Program {
    /// Whether going on at `step` can lead to anything, `next` being the byte that follows. A quick
    /// look; `true` where that does not tell.
    #[inline]
    pub(crate) fn may_go_on(&self, step: usize, next: Option<u8>) -> bool {
        // No budget is spent here, so a row of groups must not make it long.
        for step in step..step.saturating_add(AHEAD_MAX) {
            let set = match self.steps.get(step) {
                Some(Step::Save(_)) => continue,
                Some(Step::Bytes(bytes)) => return bytes.first().copied() == next,
                Some(Step::OneOf(set)) => set,
                Some(Step::Several(several)) if several.min > 0 => &several.set,
                _ => return true,
            };
            return next.is_some_and(|next| set.contains(next));
        }
        true
    }
}

struct Compiler {
    program: Program,
    /// How many bytes of text its steps hold.
    text: usize,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Option<usize> {
        let place = self.here();
        (place < SIZE_MAX).then(|| self.program.steps.push(step))?;
        Some(place)
    }

    /// The place of the next step.
    fn here(&self) -> usize {
        self.program.steps.len()
    }

    fn put(&mut self, place: usize, step: Step) {
        if let Some(slot) = self.program.steps.get_mut(place) {
            *slot = step;
        }
    }

    fn mark(&mut self) -> usize {
        self.program.slots += 1;
        self.program.slots - 1
    }

    fn level(&mut self) -> usize {
        self.program.levels += 1;
        self.program.levels - 1
    }

    fn node(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Literal(char) => self.text(&mut char.to_string())?,
            Node::Class(class) => self.class(class)?,
            Node::Assertion(assertion) => {
                self.push(Step::Assert(*assertion))?;
            }
            Node::Capture(group, node) => {
                self.push(Step::Save(group * 2))?;
                self.node(node)?;
                self.push(Step::Save(group * 2 + 1))?;
            }
            Node::Concat(nodes) => self.concat(nodes)?,
            Node::Alternate(nodes) => self.alternate(nodes, Self::node)?,
            Node::Repeat(repeat) => self.repeat(repeat)?,
            Node::Around {
                is_ahead,
                is_negative,
                node,
            } => {
                let back = if *is_ahead { 0 } else { node.width()? };
                match is_negative {
                    true => self.around_not(node, back)?,
                    false => self.committed(node, Some(back))?,
                }
            }
            Node::Atomic(node) => self.committed(node, None)?,
            Node::Backreference {
                group,
                ignores_case,
            } => {
                self.push(Step::Again {
                    group: *group,
                    ignores_case: *ignores_case,
                })?;
            }
            Node::Condition { group, yes, no } => {
                let unless = self.push(Step::Match)?;
                self.node(yes)?;
                let jump = self.push(Step::Match)?;
                let to = self.here();
                self.node(no)?;
                self.put(unless, Step::JumpUnless { group: *group, to });
                self.put(jump, Step::Jump(self.here()));
            }
        }
        Some(())
    }

    /// One after the other, characters in a row at once.
    fn concat(&mut self, nodes: &[Node]) -> Option<()> {
        let mut row = String::new();
        for node in nodes {
            if let Node::Literal(char) = node {
                row.push(*char);
                continue;
            }
            self.text(&mut row)?;
            self.node(node)?;
        }
        self.text(&mut row)
    }

    fn text(&mut self, row: &mut String) -> Option<()> {
        if !row.is_empty() {
            self.text += row.len();
            (self.text <= TEXT_MAX).then_some(())?;
            self.push(Step::Bytes(row.as_bytes().into()))?;
            row.clear();
        }
        Some(())
    }

    fn class(&mut self, class: &Class) -> Option<()> {
        let mut choices: Vec<Vec<Set>> = Vec::new();
        let narrow = one_byte(class);
        if !narrow.is_empty() || class.set.ranges().is_empty() {
            choices.push(vec![narrow]);
        }
        if !class.is_all_wide() {
            for (start, end) in class.wide() {
                choices.extend(Utf8Sequences::new(start, end).map(|sequence| {
                    let ranges = sequence.as_slice().iter();
                    ranges
                        .map(|range| Set::of(range.start..=range.end))
                        .collect()
                }));
            }
        }
        self.alternate(&choices, |compiler, sets| {
            for set in sets {
                compiler.push(Step::OneOf(set.clone()))?;
            }
            Some(())
        })
    }

    fn alternate<T>(
        &mut self,
        branches: &[T],
        compile: impl Fn(&mut Self, &T) -> Option<()>,
    ) -> Option<()> {
        let mut jumps = Vec::new();
        let Some((last, before)) = branches.split_last() else {
            return Some(());
        };
        for branch in before {
            let split = self.push(Step::Match)?;
            compile(self, branch)?;
            jumps.push(self.push(Step::Match)?);
            let (first, second) = (split + 1, self.here());
            self.put(split, Step::Split { first, second });
        }
        compile(self, last)?;
        for jump in jumps {
            self.put(jump, Step::Jump(self.here()));
        }
        Some(())
    }

    fn repeat(&mut self, repeat: &Repeat) -> Option<()> {
        let Repeat {
            node,
            min,
            max,
            mode,
        } = repeat;
        let min = usize::try_from(*min).ok()?;
        let max = max.map(usize::try_from).transpose().ok()?;
        if let Some(set) = single_byte(node) {
            let (max, mode) = (max.unwrap_or(usize::MAX), *mode);
            self.push(Step::Several(Several {
                set,
                min,
                max,
                mode,
            }))?;
            return Some(());
        }
        let level = (*mode == Mode::Possessive).then(|| self.level());
        if let Some(level) = level {
            self.push(Step::Enter(level))?;
        }
        for _ in 0..min {
            let before = self.here();
            self.node(node)?;
            // What takes no step would not reach the limit of steps either, however often it is repeated.
            if self.here() == before {
                break;
            }
        }
        match max {
            None => self.star(node, *mode)?,
            Some(max) => self.up_to(max.saturating_sub(min), node, *mode)?,
        }
        if let Some(level) = level {
            self.push(Step::Commit(level))?;
        }
        Some(())
    }

    /// Any number of times. A round that takes nothing is the last, as in Python.
    fn star(&mut self, node: &Node, mode: Mode) -> Option<()> {
        let split = self.push(Step::Match)?;
        let check = self.round(node)?;
        self.push(Step::Jump(split))?;
        let end = self.here();
        self.put(split, either(split + 1, end, mode));
        self.finish(check, end);
        Some(())
    }

    fn up_to(&mut self, count: usize, node: &Node, mode: Mode) -> Option<()> {
        let mut rounds = Vec::new();
        for _ in 0..count {
            let split = self.push(Step::Match)?;
            rounds.push((split, self.round(node)?));
        }
        let end = self.here();
        for (split, check) in rounds {
            self.put(split, either(split + 1, end, mode));
            self.finish(check, end);
        }
        Some(())
    }

    /// One round of a loop; where it might take nothing, also a step that is to find out.
    fn round(&mut self, node: &Node) -> Option<Option<(usize, usize)>> {
        if !can_be_empty(node) {
            self.node(node)?;
            return Some(None);
        }
        let mark = self.mark();
        self.push(Step::Save(mark))?;
        self.node(node)?;
        let check = self.push(Step::Match)?;
        Some(Some((check, mark)))
    }

    fn finish(&mut self, check: Option<(usize, usize)>, to: usize) {
        if let Some((place, mark)) = check {
            self.put(place, Step::JumpIfStill { mark, to });
        }
    }

    /// What is not tried otherwise once it has matched; with `back`, looked for so many bytes back and
    /// not taken.
    fn committed(&mut self, node: &Node, back: Option<usize>) -> Option<()> {
        let level = self.level();
        self.push(Step::Enter(level))?;
        self.push(Step::Back(back.unwrap_or(0)))?;
        self.node(node)?;
        self.push(match back {
            Some(_) => Step::Return(level),
            None => Step::Commit(level),
        })?;
        Some(())
    }

    fn around_not(&mut self, node: &Node, back: usize) -> Option<()> {
        let level = self.level();
        let enter = self.push(Step::Match)?;
        self.push(Step::Back(back))?;
        self.node(node)?;
        self.push(Step::FailAll(level))?;
        let otherwise = self.here();
        self.put(enter, Step::EnterNot { level, otherwise });
        Some(())
    }
}

fn either(inside: usize, end: usize, mode: Mode) -> Step {
    let (first, second) = match mode {
        Mode::Lazy => (end, inside),
        Mode::Greedy | Mode::Possessive => (inside, end),
    };
    Step::Split { first, second }
}

/// The part of a class that is one byte each.
fn one_byte(class: &Class) -> Set {
    let narrow = class.narrow().flat_map(|(start, end)| start..=end);
    let mut set = Set::of(narrow.filter_map(|char| u8::try_from(char).ok()));
    if class.is_all_wide() {
        set.union(&Set::of(0x80..=u8::MAX));
    }
    set
}

/// The bytes that a part takes one of, if that is all it does.
fn single_byte(node: &Node) -> Option<Set> {
    match node {
        Node::Literal(char) if char.is_ascii() => Some(Set::of(u8::try_from(*char))),
        Node::Class(class) if class.is_all_wide() || class.wide().next().is_none() => {
            Some(one_byte(class))
        }
        _ => None,
    }
}

/// Whether it can match without taking anything.
fn can_be_empty(node: &Node) -> bool {
    match node {
        Node::Literal(_) | Node::Class(_) => false,
        Node::Empty | Node::Assertion(_) | Node::Around { .. } | Node::Backreference { .. } => true,
        Node::Capture(_, node) | Node::Atomic(node) => can_be_empty(node),
        Node::Concat(nodes) => nodes.iter().all(can_be_empty),
        Node::Alternate(nodes) => nodes.iter().any(can_be_empty),
        Node::Repeat(repeat) => repeat.min == 0 || can_be_empty(&repeat.node),
        Node::Condition { yes, no, .. } => can_be_empty(yes) || can_be_empty(no),
    }
}

/// Marks the bytes that a part can begin with; `false` if they are not known.
fn marks_first(node: &Node, set: &mut Set) -> bool {
    match node {
        Node::Empty | Node::Assertion(_) | Node::Around { .. } => true,
        Node::Backreference { .. } => false,
        Node::Literal(char) => {
            let mut bytes = [0; 4];
            set.union(&Set::of(char.encode_utf8(&mut bytes).bytes().take(1)));
            true
        }
        Node::Class(class) => {
            set.union(&one_byte(class));
            // The heads of longer characters.
            if class.wide().next().is_some() {
                set.union(&Set::of(0x80..=u8::MAX));
            }
            true
        }
        Node::Capture(_, node) | Node::Atomic(node) => marks_first(node, set),
        Node::Concat(nodes) => {
            let taken = nodes.iter().position(|node| !can_be_empty(node));
            let mut begin = nodes
                .iter()
                .take(taken.map_or(nodes.len(), |place| place + 1));
            begin.all(|node| marks_first(node, set))
        }
        Node::Alternate(nodes) => nodes.iter().all(|node| marks_first(node, set)),
        Node::Repeat(repeat) => marks_first(&repeat.node, set),
        Node::Condition { yes, no, .. } => marks_first(yes, set) && marks_first(no, set),
    }
}

/// Whether it matches at the beginning of the text only.
fn is_anchored(node: &Node) -> bool {
    match node {
        Node::Assertion(assertion) => *assertion == Assertion::Start,
        Node::Capture(_, node) | Node::Atomic(node) => is_anchored(node),
        Node::Concat(nodes) => nodes.first().is_some_and(is_anchored),
        Node::Alternate(nodes) => nodes.iter().all(is_anchored),
        _ => false,
    }
}

/// So many steps are looked at to find out whether going on is worth it.
const AHEAD_MAX: usize = 4;

/// The most steps of a program.
const SIZE_MAX: usize = 20_000;

/// The most bytes of text in its steps: repeated, a long text would fill the memory in few of them.
const TEXT_MAX: usize = 1024 * 1024;
