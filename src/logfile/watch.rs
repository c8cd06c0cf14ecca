//! What inotify watches for the listener: files that are read, directories in which names matter.
//!
//! Comes in: logs and directories. Goes out: which logs changed, which names came or went. Without inotify
//! everything is looked at now and then instead.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

use crate::logfile::log::Log;
use crate::logfile::tail::Tail;
use crate::sys::filesystem::is_mute;
use crate::sys::inotify::{Event, Inotify, Interest, Watch};
use crate::sys::patterns::Names;

/// All watches of one thread.
#[derive(Debug)]
pub(crate) struct Watches {
    inotify: Option<Inotify>,
    /// Why there is none.
    errno: i32,
    files: BTreeMap<Watch, BTreeSet<PathBuf>>,
    directories: BTreeMap<PathBuf, (Watch, Names)>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file of this log.
    Log(PathBuf),
    /// This path came, went or has other rights.
    Name(PathBuf),
    /// Look at everything.
    Anything,
}

impl Watches {
    pub(crate) fn new() -> Self {
        let inotify = Inotify::new();
        let error = inotify.as_ref().err();
        Self {
            errno: error.and_then(io::Error::raw_os_error).unwrap_or_default(),
            inotify: inotify.ok(),
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
        }
    }

    /// What can be read when something has happened.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.inotify.as_ref().map(|inotify| inotify.as_raw_fd())
    }

    /// Watches exactly these. Says whether one is new, and which cannot be watched.
    pub(crate) fn directories(
        &mut self,
        wanted: &BTreeMap<PathBuf, Names>,
    ) -> (bool, Vec<(PathBuf, io::Error)>) {
        let mut unwatched = Vec::new();
        let mut is_new = false;
        let Some(inotify) = &self.inotify else {
            let error = || io::Error::from_raw_os_error(self.errno);
            let named = wanted.iter().filter(|(_, names)| !names.is_empty());
            let unwatched = named.map(|(path, _)| (path.clone(), error()));
            return (false, unwatched.collect());
        };
        let before = std::mem::take(&mut self.directories);
        for (path, names) in wanted {
            let interest = match names.is_empty() {
                true => Interest::Itself,
                false => Interest::Names,
            };
            match inotify.watch(path, interest) {
                Ok(watch) => {
                    is_new |= before.get(path).is_none_or(|(old, _)| *old != watch);
                    self.directories
                        .insert(path.clone(), (watch, names.clone()));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => is_new = true,
                // A directory that may only be passed is seldom moved.
                Err(error)
                    if names.is_empty() && error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => unwatched.push((path.clone(), error)),
            }
        }
        let kept: BTreeSet<Watch> = self.directories.values().map(|(watch, _)| *watch).collect();
        for (watch, _) in before.values().filter(|(watch, _)| !kept.contains(watch)) {
            inotify.forget(*watch);
        }
        (is_new, unwatched)
    }

    /// Watches the files that are open and no others. Where that fails the log is polled.
    pub(crate) fn sync(&mut self, log: &mut Log) {
        let open: Vec<_> = log.tails().map(|tail| tail.id).collect();
        let mut watches = std::mem::take(&mut log.watches);
        let (kept, left) = watches.drain(..).partition(|(id, _)| open.contains(id));
        log.watches = kept;
        self.drop_all(left, &log.path);
        let is_new = |tail: &&Tail| log.watches.iter().all(|(id, _)| *id != tail.id);
        let new: Vec<_> = log
            .tails()
            .filter(is_new)
            .map(|tail| (tail.id, self.watch(tail), is_mute(&tail.file)))
            .collect();
        for (id, watch, is_mute) in new {
            log.is_mute |= watch.is_none() || is_mute;
            if let Some(watch) = watch {
                self.files
                    .entry(watch)
                    .or_default()
                    .insert(log.path.clone());
                log.watches.push((id, watch));
            }
        }
    }

    /// Watches nothing of this log any more.
    pub(crate) fn release(&mut self, log: &Log) {
        self.drop_all(log.watches.clone(), &log.path);
    }

    /// What has happened since the last call.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(inotify) = &mut self.inotify else {
            return changes;
        };
        let mut lost = Vec::new();
        let (files, directories) = (&self.files, &self.directories);
        let each = |event: Event<'_>| match event {
            Event::Content(watch) => {
                let logs = files.get(&watch).into_iter().flatten();
                changes.extend(logs.cloned().map(Change::Log));
                let mut watched = directories.iter();
                if let Some((path, _)) = watched.find(|(_, (own, _))| *own == watch) {
                    changes.push(Change::Name(path.clone()));
                }
            }
            Event::Name(watch, name) => {
                let name = String::from_utf8_lossy(name);
                let named = |(_, (own, names)): &(&PathBuf, &(Watch, Names))| {
                    *own == watch && names.matter(&name)
                };
                let paths = directories.iter().filter(named).map(|(path, _)| path);
                changes.extend(paths.map(|path| Change::Name(path.join(&*name))));
            }
            Event::Lost(watch) => lost.push(watch),
            Event::Anything => changes.push(Change::Anything),
        };
        if inotify.read(each).is_err() {
            changes.push(Change::Anything);
        }
        for watch in lost {
            inotify.forget(watch);
            self.files.remove(&watch);
            self.directories.retain(|_, (own, _)| *own != watch);
            changes.push(Change::Anything);
        }
        changes
    }

    fn watch(&self, tail: &Tail) -> Option<Watch> {
        self.inotify.as_ref()?.watch_file(&tail.file).ok()
    }

    fn drop_all<I>(&mut self, watches: Vec<(I, Watch)>, log: &PathBuf) {
        for (_, watch) in watches {
            let Some(logs) = self.files.get_mut(&watch) else {
                continue;
            };
            logs.remove(log);
            if logs.is_empty() {
                self.files.remove(&watch);
                if let Some(inotify) = &self.inotify {
                    inotify.forget(watch);
                }
            }
        }
    }
}
