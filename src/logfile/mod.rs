//! LISTENS to files: one thread reads all files of all jails, but for those on file systems that may hang, of
//! which each has a thread of its own.
//!
//! Comes in: the [`Task`]s of the jails that read files, and how far each was read. Goes out:
//! [`Heard`], for each file in the order of its lines, through every kind of rotation. It
//! never counts, never bans, and never writes to a file.

pub mod listener;

mod lines;
mod log;
mod packed;
mod place;
mod progress;
mod report;
mod rotation;
mod tail;
mod trouble;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use tokio::sync::mpsc::Receiver;

use crate::engine::record::{LogName, Position};
use crate::logfile::listener::Listener;
use crate::reader::Heard;
use crate::reader::task::Task;
use crate::reader::worker::Reader;

/// Reads the files of `tasks` that are on this mount, or those that are on none that may hang; each from where
/// `known` says.
///
/// # Errors
/// No thread or no descriptor is left. Trouble with files is told by [`Heard::Trouble`].
pub fn listen(
    mount: Option<PathBuf>,
    known: BTreeMap<LogName, Position>,
    tasks: Vec<Task>,
) -> io::Result<(Reader, Receiver<Heard>)> {
    Reader::spawn("files", |waker, valve| {
        Listener::new(valve, waker, mount, known, tasks)
    })
}
