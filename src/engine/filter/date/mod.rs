//! The date in a line of a log file.
//!
//! Comes in: `datepattern`, the time zone of dates that name none, then lines and the present. Goes
//! out: when a line was written, and where in it the date stands, which is cut out before any pattern
//! of a filter sees the line. It reads no clock, and the time a line takes is linear in its length.

mod builtin;
mod moment;
mod quick;
mod template;
mod token;
mod zone;

use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::engine::filter::date::moment::Moment;
use crate::engine::filter::date::template::{End, Start, Template};
use crate::engine::filter::rule::Groups;
use crate::engine::time::Timestamp;

/// The dates that a filter knows (`datepattern`).
#[derive(Clone, Debug)]
pub struct Dates {
    templates: Vec<Arc<Template>>,
    /// A line may have no date (`{NONE}`).
    has_none: bool,
    zone: TimeZone,
}

/// What is remembered from line to line, for the sake of speed. One for each log.
#[derive(Debug, Default)]
pub struct DateMemory {
    /// The template that matched last, and where.
    latest: Option<(usize, usize)>,
    /// What a date meant at some present: many lines are written in the same second.
    resolved: Option<((Moment, Timestamp), Option<Timestamp>)>,
    groups: Groups,
}

/// What was found out about a line's date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dated {
    /// When; `None` where the line has no date on purpose, or names a day that does not exist.
    pub time: Option<Timestamp>,
    /// What to cut out of the line.
    pub cut: Range<usize>,
    /// Which template matched, for [`Dates::name`]; none where a line need have no date.
    pub template: Option<usize>,
}

impl Dates {
    /// The templates of `patterns`; without any the usual ones.
    ///
    /// # Errors
    /// Which patterns cannot be used, counted from 0, and why.
    pub fn compile(patterns: &[String], zone: &TimeZone) -> Result<Self, Vec<(usize, String)>> {
        let mut dates = Self {
            templates: Vec::new(),
            has_none: false,
            zone: zone.clone(),
        };
        let mut errors = Vec::new();
        if patterns.is_empty() {
            dates.add("{DEFAULT}").map_err(|reason| vec![(0, reason)])?;
        }
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(reason) = dates.add(pattern.trim()) {
                errors.push((index, reason));
            }
        }
        match errors.is_empty() {
            true => Ok(dates),
            false => Err(errors),
        }
    }

    /// Takes in one line of `datepattern`.
    fn add(&mut self, pattern: &str) -> Result<(), String> {
        let Frame { start, body, end } = Frame::of(pattern);
        let (special, place) = match body.strip_prefix('^') {
            Some(word) => (word, Start::Line),
            None => (body, start),
        };
        match special {
            "" if place == Start::Line => self.templates.extend_from_slice(builtin::at_beginning()),
            "" => {}
            "{NONE}" => self.has_none = true,
            "{DEFAULT}" => {
                self.templates.extend_from_slice(builtin::at_beginning());
                self.templates.extend_from_slice(builtin::elsewhere());
            }
            _ if special.eq_ignore_ascii_case("epoch") => {
                self.add_epoch(pattern, "{EPOCH}", place)?
            }
            _ if special.eq_ignore_ascii_case("lepoch") => {
                self.add_epoch(pattern, "{LEPOCH}", place)?;
            }
            _ if special.eq_ignore_ascii_case("tai64n") => {
                self.push(Template::new(pattern, place, "{TAI64N}", end)?);
            }
            _ if special.eq_ignore_ascii_case("iso8601") => {
                self.push(Template::new(pattern, place, builtin::ISO, end)?);
            }
            _ => self.add_custom(pattern, Frame { start, body, end })?,
        }
        Ok(())
    }

    /// Seconds since 1970 stand at the beginning of lines, or where the kernel's audit writes them.
    fn add_epoch(&mut self, pattern: &str, number: &str, place: Start) -> Result<(), String> {
        self.push(Template::new(pattern, Start::Line, number, End::Word)?);
        if place != Start::Line {
            let audit = format!(r"audit\(({number}):");
            self.push(Template::new(pattern, place, &audit, End::Word)?);
        }
        Ok(())
    }

    /// A pattern in its author's own words, or with `{DATE}` in it one for each usual date.
    fn add_custom(&mut self, pattern: &str, frame: Frame<'_>) -> Result<(), String> {
        let Frame { start, body, end } = frame;
        if !body.contains("{DATE}") {
            let template = Template::new(pattern, start, body, end)?;
            template.check()?;
            self.push(template);
            return Ok(());
        }
        for (index, format) in builtin::within_patterns().enumerate() {
            let name = pattern.replace("{DATE}", format);
            let template = Template::new(&name, start, &body.replace("{DATE}", format), end)?;
            if index == 0 {
                template.check()?;
            }
            self.push(template);
        }
        Ok(())
    }

    fn push(&mut self, template: Template) {
        self.templates.push(Arc::new(template));
    }

    /// The date in `line`. `None` where there is none and there should be one.
    #[must_use]
    pub fn find(&self, memory: &mut DateMemory, line: &[u8], now: Timestamp) -> Option<Dated> {
        if let Some((latest, start)) = memory.latest
            && let Some(dated) = self.try_template(latest, memory, line, now)
            && dated.time.is_some()
            && (dated.cut.start <= start || self.is_anchored(latest))
        {
            return Some(dated);
        }
        let found = self.search(memory, line, now);
        if let Some(dated) = &found {
            memory.latest = dated.template.map(|template| (template, dated.cut.start));
        }
        found.or_else(|| self.has_none.then(Dated::default))
    }

    /// Of all the dates in `line` the first, and one of a day that exists before any other.
    fn search(&self, memory: &mut DateMemory, line: &[u8], now: Timestamp) -> Option<Dated> {
        let mut best: Option<Dated> = None;
        for template in 0..self.templates.len() {
            let Some(dated) = self.try_template(template, memory, line, now) else {
                continue;
            };
            if dated.time.is_some() && dated.cut.start <= NEAR {
                return Some(dated);
            }
            let rank = |dated: &Dated| (dated.time.is_none(), dated.cut.start);
            if best.as_ref().is_none_or(|best| rank(&dated) < rank(best)) {
                best = Some(dated);
            }
        }
        best
    }

    fn try_template(
        &self,
        index: usize,
        memory: &mut DateMemory,
        line: &[u8],
        now: Timestamp,
    ) -> Option<Dated> {
        let (cut, moment) = self.templates.get(index)?.find(line, &mut memory.groups)?;
        let time = match cut.is_empty() {
            true => None,
            false => match memory.resolved {
                Some((key, time)) if key == (moment, now) => time,
                _ => {
                    let time = moment.resolve(&self.zone, now);
                    memory.resolved = Some(((moment, now), time));
                    time
                }
            },
        };
        Some(Dated {
            time,
            cut,
            template: Some(index),
        })
    }

    fn is_anchored(&self, index: usize) -> bool {
        self.templates
            .get(index)
            .is_some_and(|template| template.is_anchored())
    }

    /// The template of a [`Dated`], as its author wrote it.
    #[must_use]
    pub fn name(&self, template: usize) -> Option<&str> {
        Some(self.templates.get(template)?.name())
    }
}

/// A date that begins before this is at the line's beginning.
const NEAR: usize = 3;

/// A pattern without the marks around it that say where it may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame<'a> {
    start: Start,
    body: &'a str,
    end: End,
}

impl<'a> Frame<'a> {
    fn of(pattern: &'a str) -> Self {
        let mut frame = Self {
            start: Start::Word,
            body: pattern,
            end: End::Word,
        };
        if let Some(body) = frame.body.strip_prefix("{UNB}") {
            (frame.start, frame.body, frame.end) = (Start::Own, body, End::Own);
        }
        if let Some(body) = frame.body.strip_prefix("{^LN-BEG}") {
            (frame.start, frame.body) = (Start::Line, body);
        }
        if let Some(body) = frame.body.strip_prefix("**") {
            (frame.start, frame.body) = (Start::Own, body);
        }
        if let Some(body) = frame.body.strip_suffix("**") {
            (frame.body, frame.end) = (body, End::Own);
        }
        if frame.body.starts_with('^') {
            frame.start = Start::Own;
        }
        frame
    }
}
