//! All that is read: one reader for each journal that some jail wants, one for all files, and one for each
//! mount with files that may hang.
//!
//! Comes in: settings and how far each log is accounted for. Goes out: what the readers say, one word
//! after the other. During a reload a reader that has taken its new tasks is not heard before all have,
//! so that no record is judged by one configuration and counted by another. A reader of a mount is never
//! waited for: whenever it would have to be, it is told to end, and another one goes on once it has.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::mem::take;
use std::path::{Path, PathBuf};
use std::task::Poll;

use tokio::sync::mpsc::Receiver;
use tracing::info;

use crate::engine::record::{LogName, Position};
use crate::engine::settings::{JailName, JailSettings, Journal, LogFile, Settings};
use crate::engine::time::Timestamp;
use crate::journal::{self, Start};
use crate::logfile;
use crate::reader::Heard;
use crate::reader::task::{DAY, Task};
use crate::reader::worker::Reader;
use crate::sys::patterns::Beyond;

/// The readers there are.
#[derive(Debug, Default)]
pub struct Readers {
    wanted: BTreeMap<Origin, Vec<Task>>,
    sources: Vec<Source>,
    /// Readers of mounts that were told to end.
    leaving: Vec<Leaving>,
    /// Logs that somebody had trouble with who is not there any more.
    forgotten: Vec<LogName>,
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
    /// Every file that is on no mount that may hang.
    Files,
    /// Files on this one.
    Mount(PathBuf),
}

#[derive(Debug)]
struct Source {
    origin: Origin,
    /// Of a mount, what is read there.
    tasks: Vec<Task>,
    reader: Reader,
    heard: Receiver<Heard>,
    is_caught_up: bool,
    /// It has taken its new tasks and others have not.
    is_ahead: bool,
    /// It has not moved for a while.
    is_hung: bool,
    /// Where it says that others have to read.
    beyond: Beyond,
    /// Logs it has trouble with.
    troubled: BTreeSet<LogName>,
}

/// A reader that was told to end, which it does as soon as it can.
#[derive(Debug)]
struct Leaving {
    mount: PathBuf,
    heard: Receiver<Heard>,
    is_hung: bool,
}

/// What is heard.
#[derive(Debug)]
pub enum Said {
    /// One of the readers says this.
    Word(usize, Heard),
    /// A reader ended that was not told to.
    Ended,
    /// One ended that was told to; [`Readers::settle`] is due.
    Left,
}

/// A reader and its words.
type Running = (Reader, Receiver<Heard>);

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
    pub fn add(&mut self, origin: Origin, tasks: Vec<Task>, (reader, heard): Running) {
        self.sources.push(Source {
            // The past of a mount may be a long time coming.
            is_caught_up: matches!(origin, Origin::Mount(_)),
            origin,
            tasks,
            reader,
            heard,
            is_ahead: false,
            is_hung: false,
            beyond: Beyond::new(),
            troubled: BTreeSet::new(),
        });
    }

    /// From now on everything is to be read that is `wanted` and nothing else. The readers there are have been
    /// told by [`Readers::switch`], and [`Readers::settle`] does the rest.
    pub fn want(&mut self, wanted: BTreeMap<Origin, Vec<Task>>) {
        self.wanted = wanted;
    }

    /// Starts what is missing where `positions` end, and stops what nobody needs.
    ///
    /// # Errors
    /// No thread or no descriptor is left. All that could be started was.
    pub fn settle(&mut self, now: Timestamp, positions: &Positions) -> io::Result<()> {
        let wanted = self.wanted();
        let is_wanted = |source: &Source| match (&source.origin, wanted.get(&source.origin)) {
            (Origin::Mount(_), Some(tasks)) => source.tasks == *tasks,
            (_, tasks) => tasks.is_some(),
        };
        self.dismiss(is_wanted);
        let mut result = Ok(());
        for (origin, tasks) in wanted {
            let is_late = match &origin {
                Origin::Mount(mount) => {
                    self.leaving.len() >= MOUNTS_MAX
                        || self.leaving.iter().any(|leaving| leaving.mount == *mount)
                }
                _ => false,
            };
            if is_late || self.sources.iter().any(|source| source.origin == origin) {
                continue;
            }
            match self.start(&origin, now, &tasks, positions) {
                Ok(running) => self.add(origin, tasks, running),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    fn start(
        &self,
        origin: &Origin,
        now: Timestamp,
        tasks: &[Task],
        positions: &Positions,
    ) -> io::Result<Running> {
        let tasks = tasks.to_vec();
        match origin {
            Origin::Journal(journal) => {
                let log = LogName::of_journal(journal);
                let start = first_entry(now, &tasks, positions.get(&log));
                info!(log = %log, since = start.time().usec(), "reading {log}");
                journal::listen(self.place(journal), log, start, tasks)
            }
            Origin::Files => {
                tasks.iter().for_each(tell_files);
                logfile::listen(None, positions.clone(), tasks)
            }
            Origin::Mount(mount) => {
                info!(mount = %mount.display(), "reading '{}' by itself", mount.display());
                logfile::listen(Some(mount.clone()), positions.clone(), tasks)
            }
        }
    }

    /// Everything that is to be read, mounts too.
    fn wanted(&self) -> BTreeMap<Origin, Vec<Task>> {
        let mut wanted = self.wanted.clone();
        let files = self.wanted.get(&Origin::Files);
        let mut beyond = Beyond::new();
        for (mount, patterns) in self.sources.iter().flat_map(|source| &source.beyond) {
            let all = beyond.entry(mount.clone()).or_default();
            all.extend(patterns.iter().cloned());
        }
        for (mount, patterns) in beyond.into_iter().take(MOUNTS_MAX) {
            let tasks = files.into_iter().flatten();
            let tasks = tasks.filter_map(|task| part(task, &mount, &patterns));
            let tasks: Vec<Task> = tasks.collect();
            if !tasks.is_empty() {
                wanted.insert(Origin::Mount(mount), tasks);
            }
        }
        wanted
    }

    /// Keeps these readers only, and waits for none of a mount.
    fn dismiss(&mut self, is_kept: impl Fn(&Source) -> bool) {
        let (kept, left) = take(&mut self.sources).into_iter().partition(is_kept);
        self.sources = kept;
        for source in left {
            self.forgotten.extend(source.troubled);
            match source.origin {
                Origin::Mount(mount) => {
                    source.reader.leave();
                    self.leaving.push(Leaving {
                        mount,
                        heard: source.heard,
                        is_hung: false,
                    });
                }
                _ => source.reader.stop(),
            }
        }
    }

    /// Whether a reader looks after this log.
    pub fn reads(&self, log: &LogName) -> bool {
        self.sources.iter().any(|source| match &source.origin {
            Origin::Journal(journal) => LogName::of_journal(journal) == *log,
            Origin::Files => log.file().is_some(),
            Origin::Mount(_) => false,
        })
    }

    /// Has every reader take its part of the new tasks. Those of mounts might never, so others begin anew.
    pub fn switch(&mut self, generation: u64, wanted: &BTreeMap<Origin, Vec<Task>>) {
        self.dismiss(|source| !matches!(source.origin, Origin::Mount(_)));
        for source in &mut self.sources {
            source.beyond.clear();
            let tasks = wanted.get(&source.origin).cloned().unwrap_or_default();
            source.reader.switch(generation, tasks);
        }
    }

    /// The next word, and who says it. May be dropped and called again.
    pub async fn hear(&mut self) -> Said {
        poll_fn(|context| {
            for (place, leaving) in self.leaving.iter_mut().enumerate() {
                // What it had still to say is read again by the next one.
                while let Poll::Ready(word) = leaving.heard.poll_recv(context) {
                    if word.is_none() {
                        self.leaving.remove(place);
                        return Poll::Ready(Said::Left);
                    }
                }
            }
            let count = self.sources.len();
            for step in 0..count {
                let index = self.turn.wrapping_add(step) % count;
                let Some(source) = self.sources.get_mut(index).filter(|s| !s.is_ahead) else {
                    continue;
                };
                if let Poll::Ready(word) = source.heard.poll_recv(context) {
                    self.turn = index.wrapping_add(1);
                    let said = word.map_or(Said::Ended, |word| Said::Word(index, word));
                    return Poll::Ready(said);
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
    pub fn troubled(&mut self, index: usize, log: &LogName) {
        if let Some(source) = self.sources.get_mut(index) {
            source.is_caught_up |= matches!(source.origin, Origin::Journal(_));
            source.troubled.insert(log.clone());
        }
    }

    /// This one can read it again.
    pub fn recovered(&mut self, index: usize, log: &LogName) {
        if let Some(source) = self.sources.get_mut(index) {
            source.troubled.remove(log);
        }
    }

    /// This one says that these are for others to read; [`Readers::settle`] is due.
    pub fn beyond(&mut self, index: usize, beyond: Beyond) {
        if let Some(source) = self.sources.get_mut(index) {
            source.beyond = beyond;
        }
    }

    /// Logs that somebody had trouble with who is not there any more, each once.
    pub fn take_forgotten(&mut self) -> Vec<LogName> {
        take(&mut self.forgotten)
    }

    /// The mounts that do not answer, and the jails that have logs there.
    #[must_use]
    pub fn hung(&self) -> BTreeMap<PathBuf, Vec<JailName>> {
        let hung = self.sources.iter().filter(|source| source.is_hung);
        let hung = hung.map(|source| source.origin.clone());
        let left = self.leaving.iter().filter(|leaving| leaving.is_hung);
        let left = left.map(|leaving| Origin::Mount(leaving.mount.clone()));
        let hung: BTreeSet<Origin> = hung.chain(left).collect();
        let hung = self.wanted().into_iter().filter(|(o, _)| hung.contains(o));
        let jails = |tasks: Vec<Task>| tasks.into_iter().map(|task| task.jail).collect();
        let hung = hung.filter_map(|(origin, tasks)| match origin {
            Origin::Mount(mount) => Some((mount, jails(tasks))),
            _ => None,
        });
        hung.collect()
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

    /// Whether every thread is well that must be; see [`Reader::is_alive`]. A mount may keep its own from it.
    #[must_use]
    pub fn are_alive(&mut self) -> bool {
        // Every one is asked, because asking is remembered.
        for source in &mut self.sources {
            source.is_hung = !source.reader.is_alive();
        }
        self.leaving.iter_mut().for_each(|it| it.is_hung = true);
        let mut ill = self.sources.iter().filter(|source| source.is_hung);
        ill.all(|source| matches!(source.origin, Origin::Mount(_)))
    }

    /// Ends all of them, and waits for those that will not hang.
    pub fn stop(mut self) {
        self.dismiss(|_| false);
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

/// What of a task is on a mount to which these patterns lead.
fn part(task: &Task, mount: &Path, patterns: &BTreeSet<String>) -> Option<Task> {
    let mut task = task.clone();
    let count = task.files.len();
    task.files.retain(|file| patterns.contains(&file.pattern));
    let is_elsewhere = |file: &LogFile| !Path::new(&file.pattern).starts_with(mount);
    task.is_part = task.files.len() < count || task.files.iter().any(is_elsewhere);
    Some(task).filter(|task| !task.files.is_empty())
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

/// So many mounts have a reader of their own, and none begins while as many were left that hang: users may be
/// able to mount, and threads are few.
const MOUNTS_MAX: usize = 16;
