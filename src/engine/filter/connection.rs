//! Failures that take several lines of one connection (`<F-MLFID>`): one line says who, another that it
//! failed, a third that it has been forgiven.
//!
//! Comes in: what a line captured. Goes out: whether its connection has failed now, and what all of its
//! lines together say. The rules are fail2ban's. Whoever may connect chooses how many connections there
//! are and what they say, so no more than [`CONNECTIONS_MAX`] are known at a time, each for [`KEPT_FOR`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::engine::filter::lines::Lines;
use crate::engine::filter::slots::{Slots, Values, text};
use crate::engine::time::{Span, Timestamp};

/// The open connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    known: HashMap<Arc<[u8]>, Connection>,
    /// The same by age, oldest first.
    ages: BTreeSet<(Timestamp, Arc<[u8]>)>,
}

/// What is known of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// When its first line was written.
    since: Timestamp,
    /// What its lines captured, later ones over earlier ones.
    pub(crate) values: Vec<Option<Box<[u8]>>>,
    /// Whom it tried to be.
    pub(crate) users: BTreeSet<Box<[u8]>>,
    /// Its latest line was no failure by itself.
    is_spared: bool,
    /// It has failed, but nobody knows who it is.
    pub(crate) is_pending: bool,
    /// The lines of the failure.
    pub(crate) lines: Lines,
    /// The lines that were no failures by themselves; part of the next one.
    spared: Lines,
}

/// What a line does to its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// It is no failure by itself.
    nofail: bool,
    /// It is a success.
    gained: bool,
    /// It is the connection's last.
    pub(crate) forget: bool,
}

impl Turn {
    /// Reads it off what the line captured, and takes the marks of a last line away.
    pub(crate) fn of(slots: &Slots, values: &mut Values<'_>) -> Self {
        let has = |slot| text(values, slot).is_some();
        let gained = has(slots.gained);
        let turn = Self {
            nofail: gained || has(slots.nofail),
            gained,
            forget: has(slots.forget),
        };
        if let Some(mark) = slots.forget.and_then(|slot| values.get_mut(slot)) {
            *mark = None;
        }
        turn
    }
}

impl Connections {
    /// The connection that a line belongs to, if it is known.
    pub(crate) fn find(&mut self, key: &[u8], now: Timestamp) -> Option<&mut Connection> {
        let key = shorten(key);
        if !is_fresh(self.known.get(key)?.since, now) {
            self.forget(key);
        }
        self.known.get_mut(key)
    }

    /// Adds one that is not known.
    pub(crate) fn add(&mut self, key: &[u8], connection: Connection, now: Timestamp) {
        if self.known.len() >= CONNECTIONS_MAX {
            self.forget_oldest(now);
        }
        let key: Arc<[u8]> = shorten(key).into();
        self.ages.insert((connection.since, Arc::clone(&key)));
        self.known.insert(key, connection);
    }

    /// Forgets one.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        if let Some((key, connection)) = self.known.remove_entry(shorten(key)) {
            self.ages.remove(&(connection.since, key));
        }
    }

    /// Forgets those whose time is over, and one more if there are none.
    fn forget_oldest(&mut self, now: Timestamp) {
        while let Some((since, _)) = self.ages.first()
            && (self.known.len() >= CONNECTIONS_MAX || !is_fresh(*since, now))
            && let Some((_, key)) = self.ages.pop_first()
        {
            self.known.remove(&key);
        }
    }
}

impl Connection {
    /// A connection of which nothing is known.
    pub(crate) fn new(since: Timestamp) -> Self {
        Self {
            since,
            values: Vec::new(),
            users: BTreeSet::new(),
            is_spared: false,
            is_pending: false,
            lines: Lines::default(),
            spared: Lines::default(),
        }
    }

    /// Lays a line over the earlier ones. True if the connection has failed with it, whoever it is;
    /// `lines` then holds all that tell of that.
    pub(crate) fn merge(
        &mut self,
        turn: Turn,
        (slots, values): (&Slots, &Values<'_>),
        (line, max_lines): (Lines, usize),
    ) -> bool {
        if turn.gained {
            self.is_pending = false;
        }
        if !self.is_spared && !self.is_pending {
            // They have been told.
            self.lines = Lines::default();
        }
        if let Some(user) = text(values, slots.user)
            && self.users.len() < USERS_MAX
        {
            self.users.insert(shorten(user).into());
        }
        self.values.resize(slots.count(), None);
        self.unmark(slots);
        for (old, new) in self.values.iter_mut().zip(values) {
            if let Some(new) = new {
                *old = Some(shorten(new).into());
            }
        }
        // A failure for want of a name, or trying several of them, is not undone by a success.
        let has_failed = std::mem::take(&mut self.is_pending) || self.users.len() > 1;
        self.is_spared = turn.nofail && !has_failed;
        if !self.is_spared {
            self.unmark(slots);
            let known = std::mem::take(&mut self.lines);
            self.lines = std::mem::take(&mut self.spared);
            self.lines.append(max_lines, known);
            self.lines.append(max_lines, line);
        } else if !turn.forget {
            self.spared.append(max_lines, line);
        }
        !self.is_spared
    }

    fn unmark(&mut self, slots: &Slots) {
        for slot in [slots.nofail, slots.gained].into_iter().flatten() {
            if let Some(mark) = self.values.get_mut(slot) {
                *mark = None;
            }
        }
    }
}

/// Whether a connection is still known.
fn is_fresh(since: Timestamp, now: Timestamp) -> bool {
    now.since(since) < KEPT_FOR
}

/// What is remembered of anything captured.
fn shorten(text: &[u8]) -> &[u8] {
    text.get(..VALUE_MAX).unwrap_or(text)
}

/// Of more than that the oldest are forgotten.
pub(crate) const CONNECTIONS_MAX: usize = 100;
/// So long a connection is known, counted from its first line.
pub(crate) const KEPT_FOR: Span = Span::from_secs(300);
/// More than one is an attack; the rest is for people.
const USERS_MAX: usize = 16;
/// No address, user or connection that means something is longer.
const VALUE_MAX: usize = 1024;
