//! What a filter's memory is made of: earlier lines, complaints, room to work in.
//!
//! All of it is bounded: see [`Connections`] and [`Buffer`]; each pattern complains once.

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

/// A pattern gave up on some record, which counts as not matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Which option it stands in.
    pub part: Part,
    /// Which pattern of it, from 0.
    pub index: usize,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, index } = self;
        let number = index.saturating_add(1);
        write!(
            f,
            "{part} {number} takes too many steps on some lines, which count as not matching: \
             make it simpler"
        )
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
        let complaint = Complaint { part, index };
        if search == Search::GaveUp && !self.told.contains(&complaint) {
            self.told.push(complaint);
            self.fresh.push(complaint);
        }
        search == Search::Yes
    }
}
