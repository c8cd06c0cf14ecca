//! Failure to verdict: one jail counts.
//!
//! Comes in: failures that its filter found. Goes out: a [`Verdict`]. It knows who failed how often,
//! never who is banned; its memory is bounded by `max_failing` windows of `maxretry` entries.

pub mod window;

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Offender;
use crate::engine::filter::failure::Failure;
use crate::engine::jail::window::{Entry, Window};
use crate::engine::settings::{JailRules, JailSettings};
use crate::engine::time::{Boottime, Timestamp};
use crate::engine::view::JailState;

/// What a jail says to one failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does not count: the offender is on `ignoreip`, is the host itself, or cannot be banned.
    Ignore,
    /// It counts, but is not enough.
    Watch,
    /// Enough. These are the failures; the jail has forgotten them.
    Enough(Window),
}

/// One jail: its settings, its counters, the failures it remembers.
#[derive(Clone, Debug)]
pub struct Jail {
    /// Absent while its configuration is broken.
    pub settings: Option<JailSettings>,
    /// The traffic it drops, remembered where the configuration is broken.
    pub rules: JailRules,
    /// Whether it counts.
    pub state: JailState,
    /// Bans since the store was made.
    pub bans_total: u64,
    /// Failures since the store was made.
    pub failures_total: u64,
    /// Not counted or not banned, since start.
    pub spared_total: u64,
    /// Of nobody with an address, since start.
    pub unresolved_total: u64,
    /// When its latest ban began.
    pub last_ban: Option<(Timestamp, Boottime)>,
    windows: BTreeMap<Offender, Window>,
    /// Every window once, by its last failure: the first gives way when memory is full.
    /// Those that are due are not in it.
    stale: BTreeSet<(Timestamp, Offender)>,
    /// What the lines in all windows take.
    line_bytes: usize,
    /// What is captured takes, in all that are not due.
    capture_bytes: usize,
}

/// The lines of all windows of a jail take at most this much and one failure more; beyond it, lines are
/// not kept.
const LINES_MAX: usize = 4 << 20;

/// What is captured takes at most this much, those whose verdict waits apart: the windows that failed longest
/// ago give way, since a command that is asked without it could be asked anything.
const CAPTURES_MAX: usize = 8 << 20;

impl Jail {
    /// A jail that has seen nothing.
    #[must_use]
    pub fn new(settings: Option<JailSettings>, rules: JailRules, state: JailState) -> Self {
        Self {
            settings,
            rules,
            state,
            bans_total: 0,
            failures_total: 0,
            spared_total: 0,
            unresolved_total: 0,
            last_ban: None,
            windows: BTreeMap::new(),
            stale: BTreeSet::new(),
            line_bytes: 0,
            capture_bytes: 0,
        }
    }

    /// Whether its bans are in the firewall.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.state != JailState::Inactive
    }

    /// Counts one failure at `time`, `weight` times. `own` tells whether the offender is this host.
    pub fn judge(
        &mut self,
        failure: &Failure,
        (offender, time): (Offender, Timestamp),
        weight: u32,
        own: bool,
    ) -> Verdict {
        let Some(settings) = self
            .settings
            .as_ref()
            .filter(|_| self.state == JailState::Active)
        else {
            return Verdict::Ignore;
        };
        if settings.ignore.touches(&offender)
            || (settings.ignore_self && own)
            || offender.unbannable().is_some()
        {
            self.spared_total += 1;
            return Verdict::Ignore;
        }
        let max_retry = usize::try_from(settings.max_retry).unwrap_or(usize::MAX);
        let (find_time, enough) = (settings.find_time, settings.max_retry);
        let max_matches = usize::try_from(settings.max_matches).unwrap_or(usize::MAX);
        let mut window = self.forget(&offender).unwrap_or_default();
        let entry = Entry {
            time,
            advance_of: failure.pid.filter(|_| failure.advance),
            captures: failure.captures.clone(),
        };
        let again = Entry {
            advance_of: None,
            ..entry.clone()
        };
        if window.push(entry, failure.pid, find_time, max_retry) {
            self.failures_total += 1;
            (1..weight).for_each(|_| window.add(again.clone(), max_retry));
        }
        if !failure.lines.is_empty() && self.line_bytes < LINES_MAX {
            window.note(&failure.lines, max_matches);
        }
        if window.count() >= enough {
            return Verdict::Enough(window);
        }
        self.remember(offender, window);
        Verdict::Watch
    }

    /// Takes over a window, from the store or after it changed.
    pub fn remember(&mut self, offender: Offender, window: Window) {
        let Some(last) = window.last() else { return };
        self.forget(&offender);
        if !window.is_due {
            self.stale.insert((last, offender));
            self.capture_bytes += window.capture_bytes();
        }
        self.line_bytes += window.line_bytes();
        self.windows.insert(offender, window);
    }

    /// Forgets the failures of one offender and returns them.
    pub fn forget(&mut self, offender: &Offender) -> Option<Window> {
        let window = self.windows.remove(offender)?;
        if let Some(last) = window.last() {
            self.stale.remove(&(last, *offender));
        }
        if !window.is_due {
            self.capture_bytes -= window.capture_bytes();
        }
        self.line_bytes -= window.line_bytes();
        Some(window)
    }

    /// Forgets windows that cannot matter any more at `time`, then the stalest beyond `limit`, but not
    /// that of `newest`; returns whose.
    pub fn prune(&mut self, time: Timestamp, limit: usize, newest: &Offender) -> Vec<Offender> {
        let cutoff = self.cutoff(time);
        let mut pruned = Vec::new();
        while let Some(&(last, offender)) = self.stale.iter().find(|(_, other)| other != newest) {
            let fits = self.windows.len() <= limit && self.capture_bytes <= CAPTURES_MAX;
            if last > cutoff && fits {
                break;
            }
            self.forget(&offender);
            pruned.push(offender);
        }
        pruned
    }

    /// The failures of one offender.
    #[must_use]
    pub fn window(&self, offender: &Offender) -> Option<&Window> {
        self.windows.get(offender)
    }

    /// All windows, by offender.
    pub fn windows(&self) -> impl Iterator<Item = (&Offender, &Window)> {
        self.windows.iter()
    }

    /// Those whose verdict waits for answers.
    pub fn due(&self) -> impl Iterator<Item = &Offender> {
        let due = self.windows.iter().filter(|(_, window)| window.is_due);
        due.map(|(offender, _)| offender)
    }

    /// How many offenders have failures that still count at `time`.
    #[must_use]
    pub fn failing(&self, time: Timestamp) -> u32 {
        let cutoff = self.cutoff(time);
        // Counted from the short end: every failure prunes what is over, and this is asked after each
        // change.
        let over = self
            .stale
            .iter()
            .take_while(|(last, _)| *last <= cutoff)
            .count();
        u32::try_from(self.windows.len().saturating_sub(over)).unwrap_or(u32::MAX)
    }

    /// Follows a wall clock that was set by `step` microseconds.
    pub fn shift(&mut self, step: i64) {
        for window in self.windows.values_mut() {
            window.shift(step);
        }
        let pruned = self.windows.iter().filter(|(_, window)| !window.is_due);
        self.stale = pruned
            .filter_map(|(offender, window)| Some((window.last()?, *offender)))
            .collect();
    }

    /// Failures at or before this do not count at `time`.
    fn cutoff(&self, time: Timestamp) -> Timestamp {
        self.settings
            .as_ref()
            .map_or(Timestamp::default(), |settings| {
                time.minus(settings.find_time)
            })
    }
}
