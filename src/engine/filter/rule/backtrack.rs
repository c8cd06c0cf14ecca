//! Runs a [`Program`]: tries what it says in its order, and goes back on its steps where that fails.
//!
//! Comes in: a program and a text. Goes out: where the groups stand, that nothing matches, or that it
//! took too long to find out. Its time is bounded by [`Budget`], its memory by [`STACK_MAX`]; it
//! allocates only while its stack grows beyond what any search before needed.
//!
//! The order of trials is that of Python's `re`, and so are the groups: `tests/patterns.rs` compares
//! them.

use crate::engine::filter::pattern::ast::{Assertion, Mode};
use crate::engine::filter::rule::Search;
use crate::engine::filter::rule::program::{Program, Several, Step};

/// The memory of a search, kept for the next one.
#[derive(Debug, Default)]
pub(crate) struct Backtracker {
    /// What could be tried otherwise, the latest last.
    stack: Vec<Frame>,
    /// The positions that the program remembers.
    slots: Vec<Option<usize>>,
    /// The levels of the stack that it remembers, each with a position.
    levels: Vec<(usize, usize)>,
}

/// What to do when a trial fails.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Go on from another step.
    Try { step: usize, at: usize },
    /// Remember what was remembered before, and look further down.
    Restore { slot: usize, old: Option<usize> },
    /// Take one byte less, but not fewer than up to `low`.
    Less { step: usize, low: usize, at: usize },
    /// Take one byte more, but no more than up to `high`.
    More { step: usize, at: usize, high: usize },
}

/// What is left to be spent: one for each step and each byte looked at.
struct Budget(usize);

/// It is spent.
struct Spent;

impl Budget {
    fn spend(&mut self, cost: usize) -> Result<(), Spent> {
        self.0 = self.0.checked_sub(cost).ok_or(Spent)?;
        Ok(())
    }
}

impl Backtracker {
    /// The leftmost match of `program`.
    pub(crate) fn search(&mut self, program: &Program, text: &[u8]) -> Search {
        let mut budget = Budget(BUDGET_LEAST + BUDGET_EACH.saturating_mul(text.len()));
        let last = if program.is_anchored { 0 } else { text.len() };
        self.stack.clear();
        self.stack.shrink_to(STACK_KEPT);
        // Once is enough: a search that fails undoes whatever it did.
        self.slots.clear();
        self.slots.resize(program.slots, None);
        self.levels.clear();
        self.levels.resize(program.levels, (0, 0));
        for start in 0..=last {
            if let Some(first) = &program.first
                && !text.get(start).is_some_and(|byte| first.contains(*byte))
            {
                continue;
            }
            match self.search_at(program, text, start, &mut budget) {
                Ok(false) => {}
                Ok(true) => return Search::Yes,
                Err(Spent) => return Search::GaveUp,
            }
        }
        Search::No
    }

    /// Where the groups stand after a search that found something.
    pub(crate) fn spans(&self, program: &Program) -> impl Iterator<Item = Option<(usize, usize)>> {
        let groups = self.slots.chunks_exact(2).take(program.groups);
        groups.map(|span| match span {
            [Some(start), Some(end)] => Some((*start, *end)),
            _ => None,
        })
    }

    fn search_at(
        &mut self,
        program: &Program,
        text: &[u8],
        start: usize,
        budget: &mut Budget,
    ) -> Result<bool, Spent> {
        let mut place = Some((0, start));
        while let Some((index, at)) = place {
            budget.spend(1)?;
            let Some(step) = program.steps.get(index) else {
                return Ok(false);
            };
            if matches!(step, Step::Match) {
                return Ok(true);
            }
            place = match self.step((program, step), (index, at), text, budget)? {
                Some(next) => Some(next),
                None => self.back(program, text, budget)?,
            };
            if self.stack.len() > STACK_MAX {
                return Err(Spent);
            }
        }
        Ok(false)
    }

    /// Does one step: where to go on, or `None` if it fails.
    #[inline]
    fn step(
        &mut self,
        (program, step): (&Program, &Step),
        (index, at): (usize, usize),
        text: &[u8],
        budget: &mut Budget,
    ) -> Result<Option<(usize, usize)>, Spent> {
        let next = index + 1;
        let rest = text.get(at..).unwrap_or_default();
        let goes_on = |fits: bool, length: usize| fits.then_some((next, at + length));
        Ok(match step {
            Step::Bytes(bytes) => {
                budget.spend(bytes.len())?;
                goes_on(rest.starts_with(bytes), bytes.len())
            }
            Step::OneOf(set) => goes_on(rest.first().is_some_and(|byte| set.contains(*byte)), 1),
            Step::Several(several) => return self.several(several, (index, at), rest, budget),
            Step::Assert(assertion) => goes_on(holds(*assertion, text, at), 0),
            Step::Save(slot) => {
                self.remember(*slot, Some(at));
                Some((next, at))
            }
            Step::Again {
                group,
                ignores_case,
            } => {
                let again = self
                    .group(*group)
                    .and_then(|(start, end)| text.get(start..end));
                budget.spend(again.map_or(0, <[u8]>::len))?;
                again.and_then(|again| {
                    let found = rest.get(..again.len())?;
                    let fits = match ignores_case {
                        true => found.eq_ignore_ascii_case(again),
                        false => found == again,
                    };
                    goes_on(fits, again.len())
                })
            }
            Step::Back(width) => at.checked_sub(*width).map(|at| (next, at)),
            Step::Split { first, second } => {
                let ahead = rest.first().copied();
                let other = program.may_go_on(*second, ahead);
                if !program.may_go_on(*first, ahead) {
                    return Ok(other.then_some((*second, at)));
                }
                if other {
                    self.stack.push(Frame::Try { step: *second, at });
                }
                Some((*first, at))
            }
            _ => return self.flow(step, next, at, budget),
        })
    }

    /// As many of a set's bytes as are there or wanted first; other numbers are left to be tried.
    fn several(
        &mut self,
        several: &Several,
        (step, at): (usize, usize),
        rest: &[u8],
        budget: &mut Budget,
    ) -> Result<Option<(usize, usize)>, Spent> {
        let Several {
            set,
            min,
            max,
            mode,
        } = several;
        let most = rest.len().min(*max);
        let limit = if *mode == Mode::Lazy { *min } else { most };
        let bytes = rest.iter().take(limit);
        let count = bytes.take_while(|byte| set.contains(**byte)).count();
        budget.spend(count)?;
        if count < *min {
            return Ok(None);
        }
        match mode {
            Mode::Greedy if count > *min => self.stack.push(Frame::Less {
                step: step + 1,
                low: at + min,
                at: at + count,
            }),
            Mode::Lazy if most > *min => self.stack.push(Frame::More {
                step,
                at: at + min,
                high: at + most,
            }),
            _ => {}
        }
        Ok(Some((step + 1, at + count)))
    }

    /// A step that takes nothing: where to go on.
    fn flow(
        &mut self,
        step: &Step,
        next: usize,
        at: usize,
        budget: &mut Budget,
    ) -> Result<Option<(usize, usize)>, Spent> {
        Ok(match step {
            Step::Jump(to) => Some((*to, at)),
            Step::JumpIfStill { mark, to } => {
                let is_still = self.slots.get(*mark) == Some(&Some(at));
                Some((if is_still { *to } else { next }, at))
            }
            Step::JumpUnless { group, to } => {
                let to = if self.group(*group).is_none() {
                    *to
                } else {
                    next
                };
                Some((to, at))
            }
            Step::Enter(level) => {
                self.enter(*level, at);
                Some((next, at))
            }
            Step::EnterNot { level, otherwise } => {
                self.enter(*level, at);
                self.stack.push(Frame::Try {
                    step: *otherwise,
                    at,
                });
                Some((next, at))
            }
            Step::Commit(level) => {
                self.commit(*level, budget)?;
                Some((next, at))
            }
            Step::Return(level) => {
                let at = self.commit(*level, budget)?;
                Some((next, at))
            }
            Step::FailAll(level) => {
                let (height, _) = self.level(*level);
                while self.stack.len() > height {
                    budget.spend(1)?;
                    self.undo();
                }
                None
            }
            _ => None,
        })
    }

    /// What is to be tried next, after a failure.
    fn back(
        &mut self,
        program: &Program,
        text: &[u8],
        budget: &mut Budget,
    ) -> Result<Option<(usize, usize)>, Spent> {
        loop {
            budget.spend(1)?;
            match self.undo() {
                None => return Ok(None),
                Some(Frame::Restore { .. }) => {}
                Some(Frame::Try { step, at }) => return Ok(Some((step, at))),
                Some(Frame::Less { step, low, at }) => {
                    // Where what follows cannot begin there is no need to go.
                    let mut before = (low..at).rev();
                    let fits = |at: &usize| program.may_go_on(step, text.get(*at).copied());
                    let Some(less) = before.find(fits) else {
                        budget.spend(at - low)?;
                        continue;
                    };
                    budget.spend(at - less)?;
                    if less > low {
                        self.stack.push(Frame::Less {
                            step,
                            low,
                            at: less,
                        });
                    }
                    return Ok(Some((step, less)));
                }
                Some(Frame::More { step, at, high }) => {
                    let set = match program.steps.get(step) {
                        Some(Step::Several(several)) => &several.set,
                        _ => return Ok(None),
                    };
                    if !text.get(at).is_some_and(|byte| set.contains(*byte)) {
                        continue;
                    }
                    let at = at + 1;
                    if at < high {
                        self.stack.push(Frame::More { step, at, high });
                    }
                    return Ok(Some((step + 1, at)));
                }
            }
        }
    }

    /// Takes the top off the stack.
    fn undo(&mut self) -> Option<Frame> {
        let frame = self.stack.pop()?;
        if let Frame::Restore { slot, old } = frame
            && let Some(value) = self.slots.get_mut(slot)
        {
            *value = old;
        }
        Some(frame)
    }

    fn remember(&mut self, slot: usize, position: Option<usize>) {
        if let Some(value) = self.slots.get_mut(slot) {
            let old = std::mem::replace(value, position);
            self.stack.push(Frame::Restore { slot, old });
        }
    }

    fn enter(&mut self, level: usize, at: usize) {
        let height = self.stack.len();
        if let Some(value) = self.levels.get_mut(level) {
            *value = (height, at);
        }
    }

    fn level(&self, level: usize) -> (usize, usize) {
        self.levels.get(level).copied().unwrap_or_default()
    }

    /// Keeps only what is to be remembered of the stack above a level; the position it was entered at.
    fn commit(&mut self, level: usize, budget: &mut Budget) -> Result<usize, Spent> {
        let (height, at) = self.level(level);
        let mut kept = height;
        for index in height..self.stack.len() {
            budget.spend(1)?;
            if let Some(frame @ Frame::Restore { .. }) = self.stack.get(index).copied()
                && let Some(place) = self.stack.get_mut(kept)
            {
                *place = frame;
                kept += 1;
            }
        }
        self.stack.truncate(kept);
        Ok(at)
    }

    /// Where a group stands, if it took part.
    fn group(&self, group: usize) -> Option<(usize, usize)> {
        let start = *self.slots.get(group * 2)?;
        let end = *self.slots.get(group * 2 + 1)?;
        Some((start?, end?))
    }
}

fn holds(assertion: Assertion, text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|index| text.get(index));
    let after = text.get(at);
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match assertion {
        Assertion::Start => at == 0,
        Assertion::LineStart => before.is_none_or(|byte| *byte == b'\n'),
        Assertion::LineEnd => after.is_none_or(|byte| *byte == b'\n'),
        Assertion::End => after.is_none(),
        Assertion::Boundary => is_word(before) != is_word(after),
        Assertion::NoBoundary => is_word(before) == is_word(after),
    }
}

/// What any search may spend …
const BUDGET_LEAST: usize = 500_000;

/// … and what it may spend besides for each byte of the text: some milliseconds for a record.
const BUDGET_EACH: usize = 32;

/// The highest stack, 8 MiB …
const STACK_MAX: usize = 256 * 1024;

/// … and how much of it is kept for the next search.
const STACK_KEPT: usize = 4 * 1024;
