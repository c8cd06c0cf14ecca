//! All that is read: one reader for each journal that some jail wants, one for all files.
//!
//! Comes in: settings and how far each log is accounted for. Goes out: what the readers say, one word
//! after the other. During a reload a reader that has taken its new tasks is not heard before all have,
//! so that no record is judged by one configuration and counted by another.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::task::Poll;

use tokio::sync::mpsc::Receiver;
use tracing::info;

use crate::engine::record::{LogName, Position};
use crate::engine::settings::{JailSettings, Journal, Settings};
use crate::engine::time::Timestamp;
use crate::journal::{self, Start};
use crate::logfile;
use crate::reader::Heard;
use crate::reader::task::{DAY, Task};
use crate::reader::worker::Reader;

/// The readers there are.
#[derive(Debug, Default)]
pub struct Readers {
    sources: Vec<Source>,
    /// Whose turn it is to be heard first.
    turn: usize,
    /// The system's journal is the one in this directory.
    journal_dir: Option<PathBuf>,
}

/// What one reader reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A journal.
    Journal(Journal),
    /// Every file.
    Files,
}

#[derive(Debug)]
struct Source {
    origin: Origin,
    reader: Reader,
    heard: Receiver<Heard>,
    is_caught_up: bool,
    /// It has taken its new tasks and others have not.
    is_ahead: bool,
}

/// What is accounted for.
type Positions = BTreeMap<LogName, Position>;

impl Readers {
    /// None yet. `journal_dir` stands in for the system's journal.
    #[must_use]
    pub fn new(journal_dir: Option<PathBuf>) -> Self {
        Self {
            journal_dir,
            ..Self::default()
        }
    }

    /// Takes a reader in.
    pub fn add(&mut self, origin: Origin, (reader, heard): (Reader, Receiver<Heard>)) {
        self.sources.push(Source {
            origin,
            reader,
            heard,
            is_caught_up: false,
            is_ahead: false,
        });
    }

    /// Has everything read that is `wanted` and nothing else: starts what is missing where
    /// `positions` end, and stops what nobody needs. The others have been told by [`Readers::switch`].
    ///
    /// # Errors
    /// No thread or no descriptor is left.
    pub fn settle(
        &mut self,
        now: Timestamp,
        wanted: &BTreeMap<Origin, Vec<Task>>,
        positions: &Positions,
    ) -> io::Result<()> {
        self.sources
            .retain(|source| wanted.contains_key(&source.origin));
        for (origin, tasks) in wanted {
            if self.sources.iter().any(|source| source.origin == *origin) {
                continue;
            }
            let tasks = tasks.clone();
            let started = match origin {
                Origin::Journal(journal) => {
                    let log = LogName::of_journal(journal);
                    let start = first_entry(now, &tasks, positions.get(&log));
                    info!(log = %log, since = start.time().usec(), "reading {log}");
                    journal::listen(self.place(journal), log, start, tasks)?
                }
                Origin::Files => {
                    tasks.iter().for_each(tell_files);
                    logfile::listen(positions.clone(), tasks)?
                }
            };
            self.add(origin.clone(), started);
        }
        Ok(())
    }

    /// Whether a reader looks after this log.
    pub fn reads(&self, log: &LogName) -> bool {
        self.sources.iter().any(|source| match &source.origin {
            Origin::Journal(journal) => LogName::of_journal(journal) == *log,
            Origin::Files => log.file().is_some(),
        })
    }

    /// Has every reader take its part of the new tasks.
    pub fn switch(&mut self, generation: u64, wanted: &BTreeMap<Origin, Vec<Task>>) {
        for source in &self.sources {
            let tasks = wanted.get(&source.origin).cloned().unwrap_or_default();
            source.reader.switch(generation, tasks);
        }
    }

    /// The next word, and who says it; `None` from one who will say nothing more. May be dropped and
    /// called again.
    pub async fn hear(&mut self) -> (usize, Option<Heard>) {
        poll_fn(|context| {
            let count = self.sources.len();
            for step in 0..count {
                let index = self.turn.wrapping_add(step) % count;
                let Some(source) = self.sources.get_mut(index).filter(|s| !s.is_ahead) else {
                    continue;
                };
                if let Poll::Ready(word) = source.heard.poll_recv(context) {
                    self.turn = index.wrapping_add(1);
                    return Poll::Ready((index, word));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Another word of the same reader, if it has said one.
    pub fn more(&mut self, index: usize) -> Option<Heard> {
        let source = self.sources.get_mut(index).filter(|s| !s.is_ahead)?;
        source.heard.try_recv().ok()
    }

    /// This one has its new tasks. True when everybody has; then all are heard again.
    pub fn switched(&mut self, index: usize) -> bool {
        if let Some(source) = self.sources.get_mut(index) {
            source.is_ahead = true;
        }
        let all = self.sources.iter().all(|source| source.is_ahead);
        if all {
            self.sources.iter_mut().for_each(|s| s.is_ahead = false);
        }
        all
    }

    /// This one has read to the end.
    pub fn caught_up(&mut self, index: usize) {
        if let Some(source) = self.sources.get_mut(index) {
            source.is_caught_up = true;
        }
    }

    /// This one cannot read some log. A journal is not waited for then; of files the others go on.
    pub fn troubled(&mut self, index: usize) {
        if let Some(source) = self.sources.get_mut(index) {
            source.is_caught_up |= matches!(source.origin, Origin::Journal(_));
        }
    }

    /// Whether all have.
    #[must_use]
    pub fn are_caught_up(&self) -> bool {
        self.sources.iter().all(|source| source.is_caught_up)
    }

    /// Whether nothing is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether every thread is well; see [`Reader::is_alive`].
    #[must_use]
    pub fn are_alive(&self) -> bool {
        // Every one is asked, because asking is remembered.
        let ill = self.sources.iter().filter(|s| !s.reader.is_alive());
        ill.count() == 0
    }

    /// Ends all of them.
    pub fn stop(self) {
        for source in self.sources {
            source.reader.stop();
        }
    }

    fn place(&self, journal: &Journal) -> Journal {
        match (journal, &self.journal_dir) {
            (Journal::System, Some(directory)) => Journal::Directory(directory.clone()),
            _ => journal.clone(),
        }
    }
}

/// Who reads what. A jail may read a journal and files.
#[must_use]
pub fn tasks(settings: &Settings) -> BTreeMap<Origin, Vec<Task>> {
    let mut tasks: BTreeMap<Origin, Vec<Task>> = BTreeMap::new();
    for (name, jail) in &settings.jails {
        for origin in origins(jail) {
            tasks.entry(origin).or_default().push(Task::of(name, jail));
        }
    }
    tasks
}

fn origins(jail: &JailSettings) -> BTreeSet<Origin> {
    let journal = (!jail.matches.0.is_empty()).then(|| Origin::Journal(jail.journal.clone()));
    let files = (!jail.files.is_empty()).then_some(Origin::Files);
    journal.into_iter().chain(files).collect()
}

fn tell_files(task: &Task) {
    let patterns: Vec<&str> = task.files.iter().map(|f| f.pattern.as_str()).collect();
    let files = patterns.join(" ");
    info!(jail = %task.jail, files, "jail {} reads {files}", task.jail);
}

/// Where reading begins: behind what is accounted for; at first, and after a long absence, far enough
/// back that whoever would be banned now is.
fn first_entry(now: Timestamp, tasks: &[Task], position: Option<&Position>) -> Start {
    match position {
        Some(position) => Start::after(position.clone(), now.minus(DAY)),
        None => {
            let needed = tasks.iter().map(|task| task.look_back).max();
            Start::Since(now.minus(needed.unwrap_or_default()))
        }
    }
}
