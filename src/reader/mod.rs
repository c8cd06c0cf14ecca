//! LISTENS, what all logs have in common: the thread that reads them, what it tells the daemon, and how a
//! jail's filter is put to a record.
//!
//! Comes in: a [`Work`], which `journal` and `logfile` make, and the jails' [`Task`]s. Goes
//! out: [`Heard`], in the order of each log through a bounded channel, so that under load reading merely
//! happens later. It must never keep the daemon waiting and never lose what was handed over.

pub mod task;
pub mod worker;

use crate::engine::filter::failure::Failure;
use crate::engine::record::{LogName, Position};
use crate::engine::settings::JailName;
use crate::reader::task::Task;
use crate::sys::patterns::Beyond;

/// What a reader tells the daemon.
#[derive(Debug)]
pub enum Heard {
    /// Failures, oldest first, and the last record read; both may be all there is to say.
    Progress {
        /// The log that was read.
        log: LogName,
        /// Failures since the last message of this log.
        failures: Vec<Failure>,
        /// Everything up to here has been handed over.
        position: Position,
    },
    /// The log is no more: nobody needs its position.
    Gone(LogName),
    /// These file systems may never answer, and these patterns of files lead there: each wants a reader of
    /// its own. Replaces what this reader said before.
    Beyond(Beyond),
    /// The tasks of this generation took effect: everything heard before came from older ones.
    Switched(u64),
    /// Reading has reached the end of what there was for the first time.
    CaughtUp,
    /// journald dropped entries before anybody could read them (rate limit).
    Suppressed {
        /// Of this unit.
        unit: String,
        /// So many.
        messages: u64,
    },
    /// A log cannot be read; it is being tried again. Replaces what was said of it before.
    Trouble {
        /// Which.
        log: LogName,
        /// Who would have read it.
        jails: Vec<JailName>,
        /// What is wrong, and what mends it.
        text: String,
    },
    /// Some of what was logged can never be read, in words.
    Missed(String),
    /// A filter could not do its work on some record; told once.
    Complaint {
        /// Whose.
        jail: JailName,
        /// What is wrong, and what mends it.
        text: String,
    },
    /// The log can be read after all, or nobody wants it any more.
    Recovered(LogName),
}

/// What a reading thread does, one turn after the other.
pub trait Work {
    /// Reads some of what there is; where there is nothing, sleeps until there may be more or the
    /// thread is woken. False when there will never be more.
    ///
    /// # Errors
    /// The other end hung up.
    fn turn(&mut self) -> Result<bool, Hangup>;

    /// Takes other tasks from the next record on, and says so.
    ///
    /// # Errors
    /// The other end hung up.
    fn switch(&mut self, generation: u64, tasks: Vec<Task>) -> Result<(), Hangup>;
}

/// Where a reading thread reports to.
pub trait Outlet {
    /// Hands `heard` over; waits while there is no room.
    ///
    /// # Errors
    /// Nobody will ever take it.
    fn send(&mut self, heard: Heard) -> Result<(), Hangup>;

    /// Called for every record or some of them, and before every pause.
    fn beat(&mut self) {}

    /// Called before a sleep without end, and after it.
    fn rest(&mut self, _asleep: Rest) {}

    /// Counts records that only an unattested match selects and that are not root's.
    fn refused(&mut self) {}
}

/// The other end is gone or wants no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hangup;

/// For [`Outlet::rest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Falls asleep.
    Begins,
    /// Is awake again.
    Ends,
}
