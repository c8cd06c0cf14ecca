//! What the listener tells of what it cannot read: once when it comes, once when it goes.
//!
//! Comes in: paths and what is wrong with them. Goes out: [`Heard::Trouble`] with the jails that it concerns, and
//! [`Heard::Recovered`]. It never says the same thing twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::record::LogName;
use crate::engine::settings::{JailName, LogFile};
use crate::logfile::listener::Listener;
use crate::logfile::log::Log;
use crate::logfile::trouble;
use crate::reader::task::Task;
use crate::reader::{Hangup, Heard, Outlet};
use crate::sys::patterns::means;

impl<O: Outlet> Listener<O> {
    /// Tells what is wrong with paths, and with jails that read nothing at all; and of what is not wrong
    /// any more.
    pub(crate) fn tell_all(&mut self, found: BTreeMap<PathBuf, String>) -> Result<(), Hangup> {
        let mut troubles = BTreeMap::new();
        for (path, text) in found {
            let jails = self.jails_of(&path);
            troubles.insert(LogName::of_file(&path), (jails, text));
        }
        for task in &self.tasks {
            let reads = |log: &Log| {
                let mut files = task.files.iter();
                files.any(|file| means(&file.pattern, &log.path))
            };
            let is_told = |(jails, _): &(Vec<JailName>, String)| jails.contains(&task.jail);
            let is_beyond = |file: &LogFile| {
                let mut patterns = self.beyond.values();
                patterns.any(|patterns| patterns.contains(&file.pattern))
            };
            if !task.matches.0.is_empty()
                || task.is_part
                || task.files.iter().any(is_beyond)
                || self.logs.values().any(reads)
                || troubles.values().any(is_told)
            {
                continue;
            }
            if let Some(file) = task.files.first() {
                let name = LogName::of_file(Path::new(&file.pattern));
                let text = trouble::missing(&task.jail, &task.files);
                let entry = troubles.entry(name).or_insert_with(|| (Vec::new(), text));
                entry.0.push(task.jail.clone());
            }
        }
        let is_open = |log: &LogName| log.file().is_some_and(|p| self.logs.contains_key(p));
        let over = self
            .told
            .keys()
            .filter(|log| !troubles.contains_key(*log) && !is_open(log));
        let over: Vec<LogName> = over.cloned().collect();
        for log in over {
            self.tell(log, None)?;
        }
        for (log, trouble) in troubles {
            self.tell(log, Some(trouble))?;
        }
        Ok(())
    }

    /// Tells what is wrong with a log now, or that nothing is, unless that was told before.
    pub(crate) fn tell(
        &mut self,
        log: LogName,
        trouble: Option<(Vec<JailName>, String)>,
    ) -> Result<(), Hangup> {
        match trouble {
            None if self.told.remove(&log).is_some() => self.outlet.send(Heard::Recovered(log)),
            Some(trouble) if self.told.get(&log) != Some(&trouble) => {
                let (jails, text) = trouble.clone();
                self.told.insert(log.clone(), trouble);
                self.outlet.send(Heard::Trouble { log, jails, text })
            }
            _ => Ok(()),
        }
    }

    /// Who reads what is at `path`, or below it.
    pub(crate) fn jails_of(&self, path: &Path) -> Vec<JailName> {
        let reads = |task: &&Task| {
            let mut files = task.files.iter();
            files.any(|file| {
                let pattern = Path::new(&file.pattern);
                means(&file.pattern, path)
                    || pattern
                        .ancestors()
                        .any(|above| above.to_str().is_some_and(|above| means(above, path)))
            })
        };
        let tasks = self.tasks.iter().filter(reads);
        tasks.map(|task| task.jail.clone()).collect()
    }
}
