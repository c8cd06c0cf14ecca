//! The work on files, one turn after the other: find them, read a piece of one, report, sleep.
//!
//! Comes in: tasks, positions of an earlier run, files that change. Goes out: [`Heard`], through an
//! [`Outlet`]. A failure is reported together with a position at or after its line, or not at all and read
//! again: so nothing is lost and nothing doubled. Idle, nothing wakes it; a file that cannot be read is
//! told of once and tried again when it changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::mem::take;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::filter::Memory;
use crate::engine::record::{LogName, Position};
use crate::engine::settings::JailName;
use crate::engine::time::Timestamp;
use crate::logfile::lines::{Decoder, Lines, Unit};
use crate::logfile::log::{self, Begin, Log, Which};
use crate::logfile::progress::{look, record};
use crate::logfile::trouble;
use crate::logfile::watch::{Change, Watches};
use crate::reader::task::{DAY, Task};
use crate::reader::{Hangup, Heard, Outlet, Rest, Work};
use crate::sys::clock;
use crate::sys::filesystem::is_mute;
use crate::sys::mounts::Mounts;
use crate::sys::patterns::{Beyond, Found, means};
use crate::sys::waker::Waker;

/// One thread's state.
#[derive(Debug)]
pub struct Listener<O> {
    pub(crate) outlet: O,
    waker: Waker,
    /// The mount that is read; without one, every file on none that may hang.
    own: Option<PathBuf>,
    mounts: Mounts,
    watches: Watches,
    pub(crate) tasks: Vec<Task>,
    pub(crate) logs: BTreeMap<PathBuf, Log>,
    /// Logs to look at, each once, in this order.
    due: VecDeque<PathBuf>,
    /// Files may have come or gone.
    must_search: bool,
    /// The tasks have not been searched for yet: what is there now was there before.
    is_first: bool,
    /// Some directory is looked at every second.
    polls: bool,
    /// When what polls was last looked at, on the clock that does not step.
    ticked: u64,
    /// Something was read since the last sleep.
    has_read: bool,
    is_caught_up: bool,
    /// Where logs were left that are not open.
    known: BTreeMap<LogName, Position>,
    /// What was told to be for others to read.
    pub(crate) beyond: Beyond,
    /// What was told to be wrong.
    pub(crate) told: BTreeMap<LogName, (Vec<JailName>, String)>,
    buffer: Vec<u8>,
    decoder: Decoder,
}

impl<O: Outlet> Listener<O> {
    /// Reads nothing yet. Files go on where `known` says; of what is no file there it takes no notice.
    pub fn new(
        outlet: O,
        waker: Waker,
        own: Option<PathBuf>,
        mut known: BTreeMap<LogName, Position>,
        tasks: Vec<Task>,
    ) -> Self {
        known.retain(|log, _| log.file().is_some());
        Self {
            outlet,
            waker,
            own,
            mounts: Mounts::new(),
            watches: Watches::new(),
            tasks,
            logs: BTreeMap::new(),
            due: VecDeque::new(),
            must_search: true,
            is_first: true,
            polls: false,
            ticked: 0,
            has_read: false,
            is_caught_up: false,
            known,
            beyond: Beyond::new(),
            told: BTreeMap::new(),
            buffer: vec![0; BUFFER],
            decoder: Decoder::default(),
        }
    }

    /// Finds the files there are and opens new ones.
    fn search(&mut self) -> Result<(), Hangup> {
        self.must_search = false;
        let (mut found, unwatched) = self.find()?;
        self.polls = self.polls_any(&found, &unwatched);
        if self.beyond != found.beyond {
            self.beyond = take(&mut found.beyond);
            self.outlet.send(Heard::Beyond(self.beyond.clone()))?;
        }
        self.revisit(&found.files);
        let mut troubles = BTreeMap::new();
        for (path, error) in &found.refused {
            troubles.insert(path.clone(), trouble::refused(path, error));
        }
        for (path, real) in found.files {
            if self.logs.contains_key(&path) {
                continue;
            }
            // Where users may make files, they could take all descriptors there are, or fill the log.
            if self.logs.len() + troubles.len() >= LOGS_MAX {
                troubles.insert(path.clone(), trouble::too_many(&path, LOGS_MAX));
                break;
            }
            if let Err(error) = self.open(&path, real)? {
                troubles.insert(path.clone(), trouble::unreadable(&path, &error));
            }
        }
        for (path, error) in unwatched {
            // A directory that may be entered but not listed is looked at every second, and that will do.
            if error.kind() != io::ErrorKind::PermissionDenied {
                let text = trouble::unwatched(&path, &error);
                troubles.entry(path).or_insert(text);
            }
        }
        self.is_first = false;
        self.tell_all(troubles)?;
        self.forget_old()
    }

    /// What the tasks' patterns mean now, all of it watched; and what could not be.
    fn find(&mut self) -> Result<(Found, Vec<(PathBuf, io::Error)>), Hangup> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let mut found = Found::default();
            for file in self.tasks.iter().flat_map(|task| &task.files) {
                self.outlet.beat();
                found.look_for(&file.pattern, &self.mounts, self.own.as_deref());
            }
            // What came while a directory was not watched yet would be missed.
            let (is_new, unwatched) = self.watches.directories(&found.watched);
            if !is_new || tries == 0 {
                return Ok((found, unwatched));
            }
        }
    }

    /// Of the logs that are open, looks at those that are gone or lead elsewhere, and leaves those that are
    /// on a mount by now that is not for us to touch.
    fn revisit(&mut self, files: &BTreeMap<PathBuf, PathBuf>) {
        let mut due = Vec::new();
        let mut left = Vec::new();
        for (path, log) in &mut self.logs {
            match files.get(path) {
                Some(real) if *real == log.real => {}
                Some(real) => {
                    log.real.clone_from(real);
                    due.push(path.clone());
                }
                None if self.mounts.resolve(path).mount == self.own => due.push(path.clone()),
                None => left.push(path.clone()),
            }
        }
        self.is_due(due);
        for path in left {
            if let Some(log) = self.logs.remove(&path) {
                self.put_away(log);
            }
        }
    }

    /// Has a log read no further.
    fn put_away(&mut self, log: Log) {
        self.watches.release(&log);
        self.due.retain(|due| *due != log.path);
        if let Some(position) = log.position() {
            self.known.insert(log.name, position);
        }
    }

    fn polls_any(&self, found: &Found, unwatched: &[(PathBuf, io::Error)]) -> bool {
        let mute = |path: &PathBuf| std::fs::File::open(path).is_ok_and(|file| is_mute(&file));
        let named = found.watched.iter().filter(|(_, names)| !names.is_empty());
        self.own.is_some()
            || !unwatched.is_empty()
            || self.tasks.iter().any(|task| task.polls)
            || named.map(|(path, _)| path).any(mute)
    }

    /// Opens a log. The inner error says why that could not be.
    fn open(&mut self, path: &Path, real: PathBuf) -> Result<io::Result<()>, Hangup> {
        self.outlet.beat();
        let name = LogName::of_file(path);
        let wants = |task: &Task| task.files.iter().any(|file| means(&file.pattern, path));
        let is_tail = |task: &Task| {
            let mut files = task.files.iter();
            files.any(|file| file.is_tail && means(&file.pattern, path))
        };
        let wanted: Vec<&Task> = self.tasks.iter().filter(|task| wants(task)).collect();
        let begin = match self.is_first && wanted.iter().any(|task| is_tail(task)) {
            true => Begin::Tail,
            false => Begin::Head,
        };
        let mut log = match Log::open(path, self.known.get(&name), begin) {
            Ok(log) => log,
            Err(error) => return Ok(Err(error)),
        };
        let now = now();
        if log.is_new {
            let span = wanted.iter().map(|task| task.look_back).max();
            log.reached = now.minus(span.unwrap_or_default());
        }
        self.assign(&mut log, &[]);
        match begin {
            Begin::Head if log.is_new => log.seek(&self.tasks, now),
            _ => log.warm_up(&self.tasks, now),
        }
        log.real = real;
        self.watches.sync(&mut log);
        for text in log.take_missed() {
            self.outlet.send(Heard::Missed(text))?;
        }
        self.known.remove(&name);
        if log.is_new
            && let Some(position) = log.position()
        {
            // From here on it is known, even if it never fails.
            log.reported = now;
            self.outlet.send(Heard::Progress {
                log: name,
                failures: Vec::new(),
                position,
            })?;
        }
        self.logs.insert(path.to_owned(), log);
        self.is_due([path.to_owned()]);
        Ok(Ok(()))
    }

    /// Has the log read by whom it concerns. A jail whose filter is among `before` keeps its memory.
    fn assign(&self, log: &mut Log, before: &[Task]) {
        let mut memories: Vec<(usize, Memory)> = take(&mut log.readers);
        let mut memory = |task: &Task| {
            let same = |(index, _): &(usize, Memory)| {
                let old = before.get(*index);
                old.is_some_and(|old| (&old.jail, &old.filter) == (&task.jail, &task.filter))
            };
            let place = memories.iter().position(same)?;
            Some(memories.swap_remove(place).1)
        };
        for (index, task) in self.tasks.iter().enumerate() {
            if task
                .files
                .iter()
                .any(|file| means(&file.pattern, &log.path))
            {
                log.readers.push((index, memory(task).unwrap_or_default()));
            }
        }
        let wanted = log.readers.iter().filter_map(|(i, _)| self.tasks.get(*i));
        log.encoding = wanted.clone().find_map(|task| task.encoding);
        log.polls = wanted.clone().any(|task| task.polls);
    }

    /// Reads one piece of a log; looks again later where there may be more.
    fn look(&mut self, path: &Path) -> Result<(), Hangup> {
        self.outlet.beat();
        let Some(log) = self.logs.get_mut(path) else {
            return Ok(());
        };
        log.is_due = false;
        // A link may have been turned a moment ago.
        if !self.mounts.are_harmless() && self.mounts.resolve(path).mount != self.own {
            self.must_search = true;
            return Ok(());
        }
        let look = log.look(&mut self.buffer);
        for text in log.take_missed() {
            self.outlet.send(Heard::Missed(text))?;
        }
        match look {
            Ok(log::Look::Piece(which, count)) => {
                self.read(path, which, count)?;
                self.has_read = true;
            }
            Ok(log::Look::Moved) => self.watches.sync(log),
            Ok(log::Look::End) => return self.drained(path),
            Err(error) => {
                log.lose();
                let (name, text) = (log.name.clone(), trouble::unreadable(path, &error));
                let jails = self.jails_of(path);
                return self.tell(name, Some((jails, text)));
            }
        }
        self.is_due([path.to_owned()]);
        // A log that grows faster than it is read must not hide what happens to the others.
        self.take_note();
        Ok(())
    }

    /// Puts the lines of a piece to the filters.
    fn read(&mut self, path: &Path, which: Which, count: usize) -> Result<(), Hangup> {
        let Some(log) = self.logs.get_mut(path) else {
            return Ok(());
        };
        let wanted = log.encoding;
        let Some(tail) = log.tail(which) else {
            return Ok(());
        };
        let encoding = tail.encoding(wanted);
        let marked = tail.encoding(None);
        // Where lines end they agree on, what their letters are need not.
        let theirs = |task: &Task| {
            let own = marked.or(task.encoding);
            match Unit::of(own) == Unit::of(encoding) {
                true => own,
                false => encoding,
            }
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        let mut lines = Lines::new(bytes, Unit::of(encoding), tail.is_within());
        let (mut failures, mut told) = (Vec::new(), 0);
        let now = now();
        while let Some(line) = lines.next() {
            self.outlet.beat();
            let mut text = self.decoder.decode(line, encoding);
            let mut decoded = encoding;
            for (index, memory) in &mut log.readers {
                let Some(task) = self.tasks.get(*index) else {
                    continue;
                };
                let wanted = theirs(task);
                if decoded != wanted {
                    text = self.decoder.decode(line, wanted);
                    decoded = wanted;
                }
                let find_time = if log.is_new { task.look_back } else { DAY };
                let look = look(now, log.is_live, find_time);
                failures.extend(task.judge(memory, &record(now, text), look));
            }
            if failures.len() >= FAILURES {
                log.advance(which, bytes.get(told..lines.done), lines.is_within);
                told = lines.done;
                log.report(now, take(&mut failures), &mut self.outlet)?;
            }
        }
        log.advance(which, bytes.get(told..lines.done), lines.is_within);
        if !failures.is_empty() || log.is_worth_telling(now) {
            log.report(now, failures, &mut self.outlet)?;
        }
        for (index, memory) in &mut log.readers {
            let complaints = self.tasks.get(*index).map(|task| task.complaints(memory));
            for complaint in complaints.into_iter().flatten() {
                self.outlet.send(complaint)?;
            }
        }
        Ok(())
    }

    /// The end of a log, for now.
    fn drained(&mut self, path: &Path) -> Result<(), Hangup> {
        let Some(log) = self.logs.get_mut(path) else {
            return Ok(());
        };
        log.is_live = true;
        let now = now();
        if log.is_worth_telling(now) {
            log.report(now, Vec::new(), &mut self.outlet)?;
        }
        let name = log.name.clone();
        // Of a file that has no name any more, and whose path nobody else has, nothing can come but from
        // a service that does not know it yet; what is read of it is as lost as it.
        let is_gone = log.is_deleted() && path.symlink_metadata().is_err();
        self.tell(name.clone(), None)?;
        if is_gone && let Some(log) = self.logs.remove(path) {
            self.watches.release(&log);
            self.must_search = true;
            self.outlet.send(Heard::Gone(name))?;
        }
        Ok(())
    }

    /// Sleeps until something changes; where the kernel does not tell of changes, for a second. Nothing
    /// follows in the same turn, because whoever wakes the thread wants to be seen.
    fn sleep(&mut self) -> Result<(), Hangup> {
        self.outlet.beat();
        if take(&mut self.has_read) {
            // A busy log is read a few lines at a time rather than woken for each.
            let _ = self.waker.sleep(None, Some(BREATH));
            self.take_note();
            return Ok(());
        }
        let polls = self.polls || self.logs.values().any(Log::polls);
        let left = TICK.saturating_sub(clock::monotonic().saturating_sub(self.ticked));
        let pause = polls.then_some(Duration::from_micros(left).max(Duration::from_millis(1)));
        self.outlet.rest(Rest::Begins);
        let (files, mounts) = (self.watches.descriptor(), self.mounts.descriptor());
        let changed = self.waker.sleep_beside(files, mounts, pause);
        if changed.is_err() {
            // Never seen; without a pause it would be seen often.
            let _ = self.waker.sleep(None, Some(BREATH));
        }
        self.outlet.rest(Rest::Ends);
        if matches!(changed, Ok([_, true])) && self.mounts.refresh() {
            self.must_search = true;
            self.is_due(self.logs.keys().cloned().collect::<Vec<PathBuf>>());
        }
        self.take_note();
        let now = clock::monotonic();
        if polls && now.saturating_sub(self.ticked) >= TICK {
            self.ticked = now;
            self.must_search |= self.polls;
            let polled = self.logs.values().filter(|log| log.polls());
            let paths: Vec<PathBuf> = polled.map(|log| log.path.clone()).collect();
            self.is_due(paths);
        }
        Ok(())
    }

    fn take_note(&mut self) {
        let mut due = BTreeSet::new();
        for change in self.watches.changes() {
            match change {
                Change::Log(path) => drop(due.insert(path)),
                Change::Name(path) => {
                    self.must_search = true;
                    let touched =
                        |log: &&Log| log.path.starts_with(&path) || log.real.starts_with(&path);
                    due.extend(self.logs.values().filter(touched).map(|l| l.path.clone()));
                }
                Change::Anything => {
                    self.must_search = true;
                    due.extend(self.logs.keys().cloned());
                }
            }
        }
        self.is_due(due);
    }

    fn is_due(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            if let Some(log) = self.logs.get_mut(&path)
                && !std::mem::replace(&mut log.is_due, true)
            {
                self.due.push_back(path);
            }
        }
    }

    /// A log that nobody has read for a day can as well be found anew.
    fn forget_old(&mut self) -> Result<(), Hangup> {
        let horizon = now().minus(DAY);
        let old = self.known.iter().filter(|(_, p)| p.time < horizon);
        let old: Vec<LogName> = old.map(|(log, _)| log.clone()).collect();
        for log in old {
            self.known.remove(&log);
            self.outlet.send(Heard::Gone(log))?;
        }
        Ok(())
    }
}

impl<O: Outlet> Work for Listener<O> {
    fn turn(&mut self) -> Result<bool, Hangup> {
        if self.must_search {
            self.search()?;
        } else if let Some(path) = self.due.pop_front() {
            self.look(&path)?;
        } else if !self.is_caught_up {
            self.is_caught_up = true;
            self.outlet.send(Heard::CaughtUp)?;
        } else {
            self.sleep()?;
        }
        Ok(true)
    }

    fn switch(&mut self, generation: u64, tasks: Vec<Task>) -> Result<(), Hangup> {
        let before = std::mem::replace(&mut self.tasks, tasks);
        for (path, mut log) in take(&mut self.logs) {
            self.assign(&mut log, &before);
            if !log.readers.is_empty() {
                self.logs.insert(path, log);
                continue;
            }
            self.put_away(log);
        }
        self.beyond.clear();
        self.is_first = true;
        self.must_search = true;
        self.outlet.send(Heard::Switched(generation))
    }
}

fn now() -> Timestamp {
    Timestamp::from_usec(clock::realtime())
}

/// So much is read at once.
const BUFFER: usize = 256 * 1024;
/// So many failures are told at once.
const FAILURES: usize = 256;
/// Between two wake-ups for a log that is being written.
const BREATH: Duration = Duration::from_millis(4);
/// Between two looks at what the kernel tells nothing of, in microseconds.
const TICK: u64 = 1_000_000;
/// So many files are read.
const LOGS_MAX: usize = 4096;
/// So often are files looked for while directories come and go.
const TRIES: u32 = 8;
