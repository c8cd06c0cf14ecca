//! What a reader is to do for one jail.
//!
//! Comes in: the jail's settings. Goes out: a [`Failure`] for each record that tells of one. Whatever a
//! record holds, it must never end the thread that reads it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use encoding_rs::Encoding;

use crate::engine::facts;
use crate::engine::filter::failure::Failure;
use crate::engine::filter::{Filter, Look, Memory, Text};
use crate::engine::record::Record;
use crate::engine::settings::{JailName, JailSettings, LogFile, Matches};
use crate::engine::time::{BanTime, Span};
use crate::reader::Heard;

/// One jail's part of the reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The jail.
    pub jail: JailName,
    /// What counts as a failure.
    pub filter: Filter,
    /// Older records can lead to no ban that is still in force; a day at most.
    pub look_back: Span,
    /// So many lines are kept with a failure.
    pub max_matches: usize,
    /// The groups of the filter whose texts are kept with a failure.
    pub captures: BTreeSet<String>,
    /// The journal entries it reads.
    pub matches: Matches,
    /// Whether entries count that anybody could have written.
    pub trusts_senders: bool,
    /// The files it reads.
    pub files: Vec<LogFile>,
    /// Whether another reader looks after more of the jail's files: to find none here is nothing to tell of.
    pub is_part: bool,
    /// Whether these are looked at every second, whatever the kernel tells.
    pub polls: bool,
    /// How the bytes of files are to be read; `None` for UTF-8.
    pub encoding: Option<&'static Encoding>,
}

impl Task {
    /// A task that reads nothing yet and looks back a day.
    #[must_use]
    pub fn new(jail: JailName, filter: Filter) -> Self {
        Self {
            jail,
            filter,
            look_back: DAY,
            max_matches: 0,
            captures: BTreeSet::new(),
            matches: Matches::default(),
            trusts_senders: false,
            files: Vec::new(),
            is_part: false,
            polls: false,
            encoding: None,
        }
    }

    /// That of a jail.
    #[must_use]
    pub fn of(jail: &JailName, settings: &JailSettings) -> Self {
        let look_back = match settings.ban_time {
            BanTime::For(span) => settings.find_time.plus(span).min(DAY),
            BanTime::Forever => DAY,
        };
        Self {
            jail: jail.clone(),
            filter: settings.filter.clone(),
            look_back,
            max_matches: usize::try_from(settings.max_matches).unwrap_or(usize::MAX),
            captures: facts::wanted(settings),
            matches: settings.matches.clone(),
            trusts_senders: settings.trusts_senders,
            files: settings.files.clone(),
            is_part: false,
            polls: settings.polls,
            encoding: settings.encoding,
        }
    }

    /// Whether its filter looks at [`Record::line`].
    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.filter.spec().text == Text::Line
    }

    /// The failure that `record` tells of, if any.
    pub fn judge(&self, memory: &mut Memory, record: &Record<'_>, look: Look) -> Option<Failure> {
        let look = Look {
            max_matches: self.max_matches,
            wants_fields: !self.captures.is_empty(),
            ..look
        };
        // Nothing that somebody logs may end the process, which would read it again.
        let found = catch_unwind(AssertUnwindSafe(|| self.filter.find(memory, record, &look)));
        let found = found.unwrap_or_else(|_| {
            memory.forget_after_panic();
            None
        })?;
        Some(Failure {
            jail: self.jail.clone(),
            captures: found.captures(&self.captures),
            who: found.who,
            time: found.time,
            pid: record.pid,
            advance: found.advance,
            lines: found.lines,
        })
    }

    /// What the filter could not do since this was last asked.
    pub fn complaints(&self, memory: &mut Memory) -> impl Iterator<Item = Heard> {
        let told = memory.take_complaints().into_iter();
        told.map(|complaint| Heard::Complaint {
            jail: self.jail.clone(),
            text: complaint.to_string(),
        })
    }
}

/// No restart and no first start looks back further.
pub const DAY: Span = Span::from_secs(86_400);
