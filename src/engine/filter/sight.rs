//! One record through the patterns of a filter, in fail2ban's order: the text, the early `ignoreregex`,
//! `prefregex`, `failregex`, `ignoreregex`, the connection, the identity.
//!
//! Comes in: a record and what earlier ones left in the memory. Goes out: what the patterns that match
//! make of it. A record that matches nothing is let go before anything is allocated.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::ops::{Deref, Range};

use memchr::memchr_iter;

use crate::engine::filter::buffer::Line;
use crate::engine::filter::connection::{Connection, Turn};
use crate::engine::filter::date::{Dated, Dates};
use crate::engine::filter::identity::{Identity, identify};
use crate::engine::filter::lines::{Lines, render};
use crate::engine::filter::memory::{Complaint, Complaints, Past, Scratch};
use crate::engine::filter::pattern::SKIPPED;
use crate::engine::filter::rule::rules::Rules;
use crate::engine::filter::rule::{Groups, Rule, Search};
use crate::engine::filter::slots::{Places, Slots, Values, text};
use crate::engine::filter::{FilterSpec, Found, Look, Memory, Part, Standing, Text};
use crate::engine::record::{MESSAGE_MAX, Record};
use crate::engine::time::{Span, Timestamp};

/// Everything a filter needs to look at a record.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) prefix: Option<(Places, Rule)>,
    pub(crate) fail: Rules,
    /// One for each of `fail`.
    pub(crate) places: Vec<Places>,
    pub(crate) ignore: Rules,
    pub(crate) slots: Slots,
    pub(crate) dates: Dates,
    pub(crate) spec: FilterSpec,
}

/// A record, read.
#[derive(Clone, Debug)]
pub(crate) struct Reading<'r> {
    /// As it stands in the log, without a newline.
    pub(crate) line: &'r [u8],
    /// Its date therein.
    pub(crate) date: Range<usize>,
    /// Which way to write a date that is.
    pub(crate) template: Option<usize>,
    /// When.
    pub(crate) time: Timestamp,
    is_dated: bool,
}

/// A record that passed `prefregex`.
pub(crate) struct Sight<'s> {
    pub(crate) filter: &'s Compiled,
    pub(crate) look: &'s Look,
    pub(crate) reading: Reading<'s>,
    /// What the patterns see: the line, or the latest ones; and perhaps the content once more.
    pub(crate) text: &'s [u8],
    /// Where the groups of `prefregex` stand in it.
    pub(crate) prefix: &'s Groups,
    pub(crate) content: Content,
}

/// The part of the text that `failregex` is matched against.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    place: Range<usize>,
    /// Where it stands in the line; elsewhere than `place` only if it had to be copied.
    origin: usize,
}

/// What is to be made of a record because a pattern matched.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) standing: Standing,
    /// Which of `ignoreregex` matched.
    pub(crate) ignored: Option<usize>,
    pub(crate) identity: Option<Identity>,
    advance: bool,
    pub(crate) lines: Lines,
}

impl Compiled {
    /// The failure that `record` tells of.
    pub(crate) fn find(
        &self,
        memory: &mut Memory,
        scratch: &mut Scratch,
        (record, look): (&Record<'_>, &Look),
    ) -> Option<Found> {
        let reading = self.read(memory, scratch, (record, look))?;
        if !self.fail.may_match_within(&scratch.text) {
            return None;
        }
        let complaints = &mut memory.complaints;
        if self.ignores_early() && self.ignores(complaints, &scratch.text).is_some() {
            return None;
        }
        let content = self.content(complaints, scratch)?;
        let sight = Sight {
            filter: self,
            look,
            reading,
            text: &scratch.text,
            prefix: &scratch.prefix,
            content,
        };
        let groups = &mut scratch.groups;
        let text = sight.content();
        let (index, _) = self
            .fail
            .candidates(text)
            .find(|(index, rule)| complaints.heed(Part::Fail, *index, rule.search(text, groups)))?;
        let judgement = sight.judge((&mut memory.past, complaints), (index, groups), None);
        judgement.found(index, sight.reading.time.min(look.now))
    }

    /// Writes what the patterns see of a record to `scratch`. `None` if it is too old to matter.
    pub(crate) fn read<'r>(
        &self,
        memory: &mut Memory,
        scratch: &mut Scratch,
        (record, look): (&Record<'r>, &Look),
    ) -> Option<Reading<'r>> {
        let line = match self.spec.text {
            Text::Message => record.message,
            Text::Line => record.line,
        };
        let line = line.get(..MESSAGE_MAX).unwrap_or(line);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (dated, time) = match record.is_dated {
            false => (Dated::default(), record.time),
            true => self.date(memory, line, look)?,
        };
        let date = dated.cut;
        scratch.text.clear();
        append(&mut scratch.text, line, &date);
        if self.spec.max_lines > 1 {
            let line = Line {
                whole: line.into(),
                text: scratch.text.as_slice().into(),
                time,
            };
            memory.past.buffer.push(self.spec.max_lines, line);
            memory.past.buffer.join(&mut scratch.text);
        }
        Some(Reading {
            line,
            date,
            template: dated.template,
            time,
            is_dated: record.is_dated,
        })
    }

    /// The date in a line of a file, and what it counts as. A line without one belongs to the
    /// line before. `None` for one that is too old to matter.
    fn date(&self, memory: &mut Memory, line: &[u8], look: &Look) -> Option<(Dated, Timestamp)> {
        let found = self.dates.find(&mut memory.dates, line, look.now);
        let dated = found.unwrap_or_default();
        let time = dated.time;
        memory.last_date = time.or(memory.last_date);
        let known = memory.last_date;
        let known = known.filter(|last| !look.is_live || look.now.since(*last) < SKEW_MAX);
        let time = time.or(known).unwrap_or(look.now);
        let skew = time.since(look.now).max(look.now.since(time));
        match look.is_live {
            true if skew > SKEW_MAX => {
                memory.complaints.add(Complaint::Skewed);
                Some((dated, look.now))
            }
            false if look.now.since(time) > look.find_time => None,
            _ => Some((dated, time)),
        }
    }

    /// Whether `ignoreregex` is asked first, on the whole text, because that is less work.
    pub(crate) fn ignores_early(&self) -> bool {
        let count = self.ignore.as_slice().len();
        count > 0 && count.saturating_add(2) < self.fail.as_slice().len()
    }

    /// Which of `ignoreregex` matches.
    pub(crate) fn ignores(&self, complaints: &mut Complaints, text: &[u8]) -> Option<usize> {
        let mut candidates = self.ignore.candidates(text);
        let hit = candidates
            .find(|(index, rule)| complaints.heed(Part::Ignore, *index, rule.is_match(text)));
        hit.map(|(index, _)| index)
    }

    /// What `failregex` gets to see; `None` if `prefregex` does not match.
    pub(crate) fn content(
        &self,
        complaints: &mut Complaints,
        scratch: &mut Scratch,
    ) -> Option<Content> {
        let Scratch { text, prefix, .. } = scratch;
        let whole = Content {
            place: 0..text.len(),
            origin: 0,
        };
        let Some((_, rule)) = &self.prefix else {
            return Some(whole);
        };
        let search = match rule.may_match(text) {
            true => rule.search(text, prefix),
            false => Search::No,
        };
        if !complaints.heed(Part::Prefix, 0, search) {
            return None;
        }
        let place = rule.group("content").and_then(|group| prefix.span(group));
        let Some(mut place) = place.filter(|place| !place.is_empty()) else {
            return Some(whole);
        };
        let origin = place.start;
        if text.get(place.end) == Some(&b'\n') {
            place.end = place.end.saturating_add(1);
        } else if text.get(place.clone()).is_some_and(|c| !c.ends_with(b"\n")) {
            let start = text.len();
            text.extend_from_within(place);
            text.push(b'\n');
            place = start..text.len();
        }
        Some(Content { place, origin })
    }
}

impl Sight<'_> {
    /// What `failregex` gets to see.
    pub(crate) fn content(&self) -> &[u8] {
        self.text
            .get(self.content.place.clone())
            .unwrap_or_default()
    }

    /// What a pattern that matched makes of the record; what it captured goes to `fields`, if anybody
    /// wants to know.
    pub(crate) fn judge(
        &self,
        (past, complaints): (&mut Past, &mut Complaints),
        (index, groups): (usize, &Groups),
        fields: Option<&mut BTreeMap<String, String>>,
    ) -> Judgement {
        let slots = &self.filter.slots;
        let taken = self.take_lines(past, (index, groups));
        let mut values = self.values((index, groups));
        let mut judgement = Judgement {
            standing: Standing::Failed,
            ignored: self.ignored(complaints, &taken),
            identity: None,
            advance: text(&values, slots.advance).is_some(),
            lines: Lines::default(),
        };
        let key = slots.connection.and_then(|slot| *values.get(slot)?);
        match (judgement.ignored, key) {
            (None, Some(key)) => {
                let turn = Turn::of(slots, &mut values);
                let now = self.reading.time;
                let mut new = Connection::new(now);
                let known = past.connections.find(key, now);
                let is_known = known.is_some();
                let connection = known.unwrap_or(&mut new);
                self.merge(connection, (turn, &values), &taken, &mut judgement);
                tell(fields, slots, &connection.values, &connection.users);
                match (is_known, turn.forget) {
                    (false, false) => past.connections.add(key, new, now),
                    (true, true) => past.connections.forget(key),
                    _ => {}
                }
            }
            (ignored, _) => {
                if ignored.is_some() {
                    judgement.standing = Standing::Ignored;
                }
                judgement.lines = self.lines(&taken);
                judgement.identity = identify(slots, &values, self.filter.spec.names);
                tell(fields, slots, &values, &BTreeSet::new());
            }
        }
        judgement
    }

    /// Which of `ignoreregex` matches the content, or the lines that the match consists of.
    fn ignored(&self, complaints: &mut Complaints, taken: &[Line]) -> Option<usize> {
        if self.filter.ignore.as_slice().is_empty() {
            return None;
        }
        if taken.is_empty() {
            return self.filter.ignores(complaints, self.content());
        }
        let texts: Vec<&[u8]> = taken.iter().map(|line| &*line.text).collect();
        self.filter.ignores(complaints, &texts.concat())
    }

    /// Takes the lines that a match consists of out of the buffer, where there is one.
    fn take_lines(&self, past: &mut Past, (index, groups): (usize, &Groups)) -> Vec<Line> {
        if self.filter.spec.max_lines <= 1 {
            return Vec::new();
        }
        let moved = |span: Range<usize>| {
            let shift = |at: usize| at.saturating_add(self.content.origin);
            shift(span.start)..shift(span.end)
        };
        let rule = self.filter.fail.as_slice().get(index);
        let skipped: Vec<Range<usize>> = rule
            .into_iter()
            .flat_map(Rule::names)
            .filter(|(name, _)| name.starts_with(SKIPPED))
            .filter_map(|(_, group)| groups.span(group).map(moved))
            .collect();
        let matched = groups.span(0).map_or(0..0, moved);
        past.buffer.take(&matched, &skipped)
    }

    /// What `prefregex` and a pattern captured.
    fn values(&self, (index, groups): (usize, &Groups)) -> Values<'_> {
        let slots = &self.filter.slots;
        let mut values = Values::new();
        if let Some((places, _)) = &self.filter.prefix {
            slots.lay(&mut values, places, (self.prefix, self.text));
        }
        if let Some(places) = self.filter.places.get(index) {
            slots.lay(&mut values, places, (groups, self.content()));
        }
        slots.fill(&mut values);
        values
    }

    /// Lays what was captured over what is known of its connection.
    fn merge(
        &self,
        connection: &mut Connection,
        (turn, values): (Turn, &Values<'_>),
        taken: &[Line],
        judgement: &mut Judgement,
    ) {
        let Self { filter, look, .. } = self;
        let lines = (self.lines(taken), look.max_matches);
        let has_failed = connection.merge(turn, (&filter.slots, values), lines);
        judgement.identity = identify(&filter.slots, &connection.values, filter.spec.names);
        judgement.standing = match (has_failed, &judgement.identity) {
            (false, _) => Standing::Spared,
            (true, None) => {
                connection.is_pending = true;
                Standing::Pending
            }
            (true, Some(_)) => {
                judgement.lines = take(&mut connection.lines);
                Standing::Failed
            }
        };
    }

    /// The lines that tell of the match: those of the buffer, or the one there is.
    fn lines(&self, taken: &[Line]) -> Lines {
        let max = self.look.max_matches;
        let render = |line: &[u8], time| {
            let undated = (!self.reading.is_dated).then_some((time, &self.filter.spec.zone));
            render(line, undated)
        };
        let mut lines = Lines::default();
        for line in taken {
            lines.push(max, || render(&line.whole, line.time));
        }
        if taken.is_empty() {
            lines.push(max, || render(self.reading.line, self.reading.time));
        }
        lines
    }
}

impl Judgement {
    /// The failure, if it is one and somebody's.
    pub(crate) fn found(self, rule: usize, time: Timestamp) -> Option<Found> {
        if self.standing != Standing::Failed {
            return None;
        }
        Some(Found {
            who: self.identity?.who?,
            time,
            advance: self.advance,
            rule,
            lines: self.lines.into_vec(),
        })
    }
}

/// Adds to `text` a line without its date: newlines within become the two characters `\n`, so that the
/// only one is that at the end.
fn append(text: &mut Vec<u8>, line: &[u8], date: &Range<usize>) {
    let parts = [line.get(..date.start), line.get(date.end..)];
    for part in parts.into_iter().flatten() {
        let mut start = 0;
        for newline in memchr_iter(b'\n', part) {
            text.extend_from_slice(part.get(start..newline).unwrap_or_default());
            text.extend_from_slice(b"\\n");
            start = newline.saturating_add(1);
        }
        text.extend_from_slice(part.get(start..).unwrap_or_default());
    }
    text.push(b'\n');
}

/// Writes down what was captured, as text.
fn tell<V: Deref<Target = [u8]>>(
    fields: Option<&mut BTreeMap<String, String>>,
    slots: &Slots,
    values: &[Option<V>],
    users: &BTreeSet<Box<[u8]>>,
) {
    let Some(fields) = fields else {
        return;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = slots.pairs(values);
    fields.extend(pairs.map(|(name, value)| (name.to_owned(), text(value))));
    if !users.is_empty() {
        let users: Vec<String> = users.iter().map(|user| text(user)).collect();
        fields.insert("users".to_owned(), users.join("\n"));
    }
}

/// A live line that is further than this from now has a wrong date, or is late: it counts as now.
const SKEW_MAX: Span = Span::from_secs(60);
