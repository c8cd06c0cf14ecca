//! What a filter's memory is made of: earlier lines, complaints, room to work in.
//!
//! All of it is bounded: see `Connections` and `Buffer`; each complaint is made once.

use std::fmt;

use crate::engine::filter::Part;
use crate::engine::filter::buffer::Buffer;
use crate::engine::filter::connection::Connections;
use crate::engine::filter::rule::{Groups, Search};

/// What earlier lines mean to later ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub(crate) connections: Connections,
    pub(crate) buffer: Buffer,
}

/// Room to work in, kept so that a record needs no new one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// What the patterns see.
    pub(crate) text: Vec<u8>,
    /// Where the groups of `prefregex` stand in it.
    pub(crate) prefix: Groups,
    /// Where the groups of the pattern that matched stand in its part of it.
    pub(crate) groups: Groups,
}

/// What a filter could not do with some record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A pattern gave up, which counts as not matching.
    GaveUp {
        /// Which option it stands in.
        part: Part,
        /// Which pattern of it, from 0.
        index: usize,
    },
    /// A line that has just been written says that it is from another time; it counts as now.
    Skewed,
    /// Our own mistake: looking at a record ended in a panic, and the record tells of nothing.
    Panicked,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GaveUp { part, index } => write!(
                f,
                "pattern {} of {part} takes too many steps on some lines, which count as not matching; \
                 make it simpler",
                index.saturating_add(1)
            ),
            Self::Skewed => f.write_str(
                "the date of a new line is more than a minute from now, so the line counts as now; \
                 if that is so of every line, see logtimezone and datepattern",
            ),
            Self::Panicked => f.write_str(
                "the filter failed inside banishd on some lines, which count as not matching; \
                 please report it",
            ),
        }
    }
}

/// What has been complained of.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    pub(crate) fresh: Vec<Complaint>,
    told: Vec<Complaint>,
}

impl Complaints {
    /// Whether a pattern matched; remembers those that gave up.
    pub(crate) fn heed(&mut self, part: Part, index: usize, search: Search) -> bool {
        if search == Search::GaveUp {
            self.add(Complaint::GaveUp { part, index });
        }
        search == Search::Yes
    }

    pub(crate) fn add(&mut self, complaint: Complaint) {
        if !self.told.contains(&complaint) {
            self.told.push(complaint);
            self.fresh.push(complaint);
        }
    }
}
