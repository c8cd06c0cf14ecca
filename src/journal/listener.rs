//! The reader's work, one turn after the other: read, filter, report, sleep.
//!
//! Comes in: entries of a [`LogSource`]. Goes out: [`Heard`], through an [`Outlet`]. A failure is reported
//! together with a position at or after its entry, or not at all and read again: so nothing is lost and
//! nothing doubled, whatever the source does. It must never spin on a broken source and never read a
//! clock: pauses are counted.

use std::collections::HashSet;
use std::error::Error;
use std::mem::{Discriminant, discriminant, take};
use std::time::Duration;

use crate::engine::filter::failure::Failure;
use crate::engine::filter::{Look, MEMORY_SPAN, Memory};
use crate::engine::record::{LogName, Position};
use crate::engine::time::{Span, Timestamp};
use crate::journal::matches::{Notice, Selector};
use crate::journal::{JournalError, LogSource, Start, Wake};
use crate::reader::task::Task;
use crate::reader::{Hangup, Heard, Outlet, Rest, Work};

/// One reading thread's state.
pub struct Listener<S, O> {
    source: S,
    outlet: O,
    log: LogName,
    selector: Selector,
    jobs: Vec<Job>,
    /// Everything up to here is reported, or about to be in `batch`.
    place: Start,
    batch: Batch,
    pace: Pace,
    health: Health,
    is_open: bool,
    /// What is open is being read for the sake of cold memories.
    is_warming: bool,
    is_caught_up: bool,
    since_open: usize,
}

/// One jail's task.
struct Job {
    task: Task,
    memory: Memory,
    /// The memory lacks what earlier entries would have left in it.
    is_cold: bool,
}

impl<S: LogSource, O: Outlet> Listener<S, O> {
    /// Reads nothing yet. `log` is what the daemon knows the source by.
    pub fn new(source: S, outlet: O, log: LogName, start: Start) -> Self {
        Self {
            source,
            outlet,
            log,
            selector: Selector::default(),
            jobs: Vec::new(),
            place: start,
            batch: Batch::default(),
            pace: Pace::default(),
            health: Health::default(),
            is_open: false,
            is_warming: false,
            is_caught_up: false,
            since_open: 0,
        }
    }

    /// Has these tasks done from the next entry on. A jail whose filter stays keeps its memory.
    #[must_use]
    pub fn with(mut self, tasks: Vec<Task>) -> Self {
        self.take(tasks);
        self
    }

    fn take(&mut self, tasks: Vec<Task>) {
        self.selector = Selector::new(tasks.iter());
        let mut before = take(&mut self.jobs);
        let mut job = |task: Task| {
            let same = |old: &Job| (&old.task.jail, &old.task.filter) == (&task.jail, &task.filter);
            match before.iter().position(same) {
                Some(place) => Job {
                    task,
                    ..before.swap_remove(place)
                },
                None => Job {
                    is_cold: task.filter.has_memory(),
                    memory: Memory::default(),
                    task,
                },
            }
        };
        self.jobs = tasks.into_iter().map(&mut job).collect();
    }

    fn read(&mut self) -> Result<Drained, Halt> {
        if !self.is_open {
            if self.warm_up()? == Drained::Partly {
                return Ok(Drained::Partly);
            }
            self.source.open(&self.place, self.selector.terms())?;
            self.is_open = true;
            self.since_open = 0;
        }
        for _ in 0..TURN {
            self.outlet.beat();
            match self.source.next(&mut self.selector)? {
                Some(time) => self.hear(time),
                None => return self.drained(),
            }
            if self.batch.is_full() || self.health.is_shaky() {
                break;
            }
        }
        self.settle()?;
        self.report()?;
        Ok(Drained::Partly)
    }

    /// Reads what led up to the place once more, for the filters that remember something of it: a failure
    /// may take several entries, and only some of them lie ahead. Where that cannot be read nothing is
    /// remembered, which is better than to be deaf.
    fn warm_up(&mut self) -> Result<Drained, JournalError> {
        let is_cold = self.jobs.iter().any(|job| job.is_cold);
        let result = match &self.place {
            Start::After(until) if is_cold => {
                let until = until.clone();
                self.warm_up_to(&until)
            }
            _ => Ok(Drained::Wholly),
        };
        match result {
            Ok(Drained::Partly) => return result,
            Err(_) if self.health.failures < WARM_TRIES => return result,
            _ => {}
        }
        self.is_warming = false;
        self.jobs.iter_mut().for_each(|job| job.is_cold = false);
        Ok(Drained::Wholly)
    }

    fn warm_up_to(&mut self, until: &Position) -> Result<Drained, JournalError> {
        if !self.is_warming {
            let since = Start::Since(until.time.minus(MEMORY_SPAN));
            self.source.open(&since, self.selector.terms())?;
            self.is_warming = true;
            let cold = self.jobs.iter_mut().filter(|job| job.is_cold);
            cold.for_each(|job| job.memory.forget());
        }
        for _ in 0..TURN {
            self.outlet.beat();
            let Some(time) = self.source.next(&mut self.selector)? else {
                return Ok(Drained::Wholly);
            };
            if time > until.time {
                return Ok(Drained::Wholly);
            }
            let (record, jails) = self.selector.record(time);
            for index in jails {
                if let Some(job) = self.jobs.get_mut(*index).filter(|job| job.is_cold) {
                    let _ = job.task.judge(&mut job.memory, &record, look(time, false));
                }
            }
            if time == until.time && self.source.cursor()? == until.cursor {
                return Ok(Drained::Wholly);
            }
        }
        Ok(Drained::Partly)
    }

    fn hear(&mut self, time: Timestamp) {
        self.since_open = self.since_open.saturating_add(1);
        self.batch.count(time);
        self.health.barren = 0;
        if let Some(notice) = self.selector.notice() {
            self.batch.notices.push(notice);
        }
        let failures = self.batch.failures.len();
        let (record, jails) = self.selector.record(time);
        for index in jails {
            let Some(Job { task, memory, .. }) = self.jobs.get_mut(*index) else {
                continue;
            };
            let failure = task.judge(memory, &record, look(time, self.is_caught_up));
            self.batch.failures.extend(failure);
            self.batch.complaints.extend(task.complaints(memory));
        }
        if !jails.is_empty() {
            self.pace.matched(self.batch.failures.len() > failures);
        } else if self.selector.is_refused() {
            self.outlet.refused();
        }
    }

    /// The end of the log, for now.
    fn drained(&mut self) -> Result<Drained, Halt> {
        self.settle()?;
        if self.batch.is_worth_telling() || !self.is_caught_up {
            self.report()?;
        }
        if !self.is_caught_up {
            self.is_caught_up = true;
            self.outlet.send(Heard::CaughtUp)?;
        }
        if self.health.drained() {
            self.outlet.send(Heard::Recovered(self.log.clone()))?;
        }
        if self.since_open >= REOPEN_AFTER {
            // Files changed, or a long read has mapped much of them. Look once more, then sleep.
            self.close();
            return Ok(Drained::Partly);
        }
        Ok(Drained::Wholly)
    }

    /// Learns where the last entry stands, while that can still be learnt.
    fn settle(&mut self) -> Result<(), Halt> {
        if self.batch.is_unsettled {
            self.place = Start::After(Position {
                cursor: self.source.cursor()?,
                time: self.batch.last,
            });
            self.batch.is_unsettled = false;
        }
        Ok(())
    }

    fn report(&mut self) -> Result<(), Hangup> {
        let Start::After(position) = &self.place else {
            return Ok(());
        };
        if self.batch.entries == 0 {
            return Ok(());
        }
        let position = position.clone();
        let notices = take(&mut self.batch.notices);
        let failures = take(&mut self.batch.failures);
        self.batch.entries = 0;
        self.batch.reported = self.batch.last;
        self.outlet.send(Heard::Progress {
            log: self.log.clone(),
            failures,
            position,
        })?;
        for Notice { unit, messages } in notices {
            self.outlet.send(Heard::Suppressed { unit, messages })?;
        }
        for complaint in take(&mut self.batch.complaints) {
            self.outlet.send(complaint)?;
        }
        Ok(())
    }

    fn sleep(&mut self) -> Result<Wake, Halt> {
        let pause = self.pace.pause();
        self.outlet.beat();
        if pause.is_none() {
            self.outlet.rest(Rest::Begins);
        }
        let wake = self.source.wait(pause);
        if pause.is_none() {
            self.outlet.rest(Rest::Ends);
        }
        Ok(wake?)
    }

    /// Forgets what has no place yet and so will be read again, tells of the trouble once, and waits
    /// before the next try. The place is not asked for: after an error libsystemd may stand at an
    /// entry that it has not given out.
    fn recover(&mut self, error: &JournalError) -> Result<(), Hangup> {
        if self.batch.is_unsettled {
            self.batch.clear();
            // What will be read again must not be remembered already.
            for Job {
                task,
                memory,
                is_cold,
            } in &mut self.jobs
            {
                memory.forget();
                *is_cold = task.filter.has_memory();
            }
        }
        self.close();
        if let Some(step) = self.health.step_over(error) {
            self.place = Start::Since(self.batch.last.plus(step));
        }
        let (is_news, pause) = self.health.failed(error);
        if is_news {
            self.outlet.send(Heard::Trouble {
                log: self.log.clone(),
                jails: self.jobs.iter().map(|job| job.task.jail.clone()).collect(),
                text: describe(error),
            })?;
        }
        self.outlet.rest(Rest::Begins);
        // With nothing open only the waker can end this early; if even that fails the next try comes
        // sooner, and the pauses have been growing.
        let _ = self.source.wait(Some(pause));
        self.outlet.rest(Rest::Ends);
        Ok(())
    }

    fn close(&mut self) {
        self.source.close();
        self.is_open = false;
        self.is_warming = false;
    }
}

impl<S: LogSource, O: Outlet> Work for Listener<S, O> {
    /// At most [`TURN`] entries.
    fn turn(&mut self) -> Result<bool, Hangup> {
        let result = self.read().and_then(|drained| match drained {
            Drained::Wholly => self.sleep(),
            Drained::Partly => Ok(Wake::Look),
        });
        match result {
            Ok(Wake::Look) => Ok(true),
            Ok(Wake::Reopen) => {
                self.since_open = REOPEN_AFTER;
                Ok(true)
            }
            Ok(Wake::Ended) => Ok(false),
            Err(Halt::Hangup(hangup)) => Err(hangup),
            Err(Halt::Journal(error)) => self.recover(&error).map(|()| true),
        }
    }

    fn switch(&mut self, generation: u64, tasks: Vec<Task>) -> Result<(), Hangup> {
        self.report()?;
        self.close();
        self.take(tasks);
        if self.health.is_shaky() {
            // Whoever reads it now is to hear of it.
            self.health = Health::default();
            self.outlet.send(Heard::Recovered(self.log.clone()))?;
        }
        self.outlet.send(Heard::Switched(generation))
    }
}

/// What has been read and not yet reported.
#[derive(Debug, Default)]
struct Batch {
    failures: Vec<Failure>,
    notices: Vec<Notice>,
    complaints: Vec<Heard>,
    entries: usize,
    last: Timestamp,
    /// `last` has no cursor yet.
    is_unsettled: bool,
    /// The time of the last position that was reported.
    reported: Timestamp,
}

impl Batch {
    fn count(&mut self, time: Timestamp) {
        self.entries = self.entries.saturating_add(1);
        self.last = time;
        self.is_unsettled = true;
    }

    fn is_full(&self) -> bool {
        self.failures.len() >= FAILURES || self.notices.len() >= FAILURES
    }

    /// Chatter without failures is reported now and then, only to move the position on.
    fn is_worth_telling(&self) -> bool {
        !self.failures.is_empty()
            || !self.notices.is_empty()
            || !self.complaints.is_empty()
            || self.entries >= CHATTER
            || self.last.since(self.reported) >= CHATTER_TIME
    }

    fn clear(&mut self) {
        self.failures.clear();
        self.notices.clear();
        self.entries = 0;
        self.is_unsettled = false;
    }
}

/// How soon to look again. journald wakes its readers up to 250 ms late; under attack that is too long.
#[derive(Debug, Default)]
struct Pace {
    looks: u32,
    every: Duration,
}

impl Pace {
    fn matched(&mut self, is_failure: bool) {
        let (every, looks) = match is_failure {
            true => ATTACKED,
            false => BUSY,
        };
        if is_failure || self.looks < looks {
            (self.every, self.looks) = (every, looks);
        }
    }

    fn pause(&mut self) -> Option<Duration> {
        self.looks = self.looks.checked_sub(1)?;
        Some(self.every)
    }
}

/// What has gone wrong lately.
#[derive(Debug, Default)]
struct Health {
    told: HashSet<Discriminant<JournalError>>,
    failures: u32,
    /// Failures since the last entry.
    barren: u32,
    drains: u32,
}

impl Health {
    /// Whether this kind is new, and how long to wait: twice as long each time, up to half a minute.
    fn failed(&mut self, error: &JournalError) -> (bool, Duration) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8));
        self.failures = self.failures.saturating_add(1);
        self.barren = self.barren.saturating_add(1);
        self.drains = 0;
        (self.told.insert(discriminant(error)), pause)
    }

    /// Whether every entry should be settled by itself, so that the place comes up to the bad one.
    fn is_shaky(&self) -> bool {
        self.failures > 0
    }

    /// The same entry fails again and again: how much of the log to leave behind, at first a second
    /// and each time twice as much, rather than be deaf for good.
    fn step_over(&self, error: &JournalError) -> Option<Span> {
        let stuck = matches!(error, JournalError::Read(_))
            && self.barren > 0
            && self.barren.is_multiple_of(STUCK_AFTER);
        let steps = (self.barren / STUCK_AFTER).saturating_sub(1).min(20);
        stuck.then(|| Span::from_secs(1 << steps))
    }

    /// Reading came to the end of the log. True when that came often enough in a row: all is well again.
    fn drained(&mut self) -> bool {
        self.drains = self.drains.saturating_add(1);
        let recovers = self.drains >= WELL_AFTER && self.failures > 0;
        if recovers {
            *self = Self::default();
        }
        recovers
    }
}

#[derive(PartialEq)]
enum Drained {
    Wholly,
    Partly,
}

/// Why a turn broke off.
enum Halt {
    Hangup(Hangup),
    Journal(JournalError),
}

impl From<Hangup> for Halt {
    fn from(hangup: Hangup) -> Self {
        Self::Hangup(hangup)
    }
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Entries have the journal's own time: they are of their time, not of ours.
fn look(time: Timestamp, is_live: bool) -> Look {
    Look {
        now: time,
        is_live,
        ..Look::default()
    }
}

fn describe(error: &JournalError) -> String {
    let cause = error
        .source()
        .map_or_else(String::new, |c| format!(": {c}"));
    format!("{error}{cause}, trying again from the last entry read")
}

/// The most entries between two looks at what the daemon wants.
pub const TURN: usize = 4096;
const FAILURES: usize = 256;
const CHATTER: usize = 1024;
const CHATTER_TIME: Span = Span::from_secs(5);
/// libsystemd keeps every file it has looked into mapped until it is closed.
const REOPEN_AFTER: usize = 16_384;
/// 15 s.
const ATTACKED: (Duration, u32) = (Duration::from_millis(4), 3750);
/// 2 s.
const BUSY: (Duration, u32) = (Duration::from_millis(10), 200);
const FIRST_PAUSE: Duration = Duration::from_millis(125);
const STUCK_AFTER: u32 = 8;
const WELL_AFTER: u32 = 16;
/// So often what is remembered is worth another try.
const WARM_TRIES: u32 = 3;
