//! What a filter is tried on: one line, a file, stdin, or a journal.
//!
//! Comes in: what stands for it on the command line. Goes out: records, one by one, as the daemon would
//! make them of the same lines.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;

use crate::cli::filter_test::TestError;
use crate::cli::lines::Lines;
use crate::config::LogType;
use crate::engine::filter::Filter;
use crate::engine::record::Record;
use crate::engine::settings::{Journal, Matches};
use crate::engine::time::Timestamp;
use crate::journal::once;

/// Where lines come from.
#[derive(Debug)]
pub(crate) struct Log {
    /// As the command line names it.
    name: String,
    kind: Kind,
    encoding: Option<&'static Encoding>,
}

#[derive(Debug)]
enum Kind {
    Line,
    Stdin,
    File(PathBuf),
    Journal(Journal),
}

impl Log {
    /// What `name` stands for: what is no file, no directory and looks like no path is a line.
    pub(crate) fn open(name: &str, encoding: Option<&'static Encoding>) -> Result<Self, TestError> {
        let path = Path::new(name);
        // What cannot be looked at fails when it is opened.
        let is_there = path.try_exists().unwrap_or(true);
        let kind = match name {
            "-" => Kind::Stdin,
            "journal" | "systemd-journal" => Kind::Journal(Journal::System),
            _ if path.is_dir() => Kind::Journal(Journal::Directory(path.to_owned())),
            _ if is_there => match path.extension() {
                Some(suffix) if suffix == "journal" => {
                    Kind::Journal(Journal::Files(vec![path.to_owned()]))
                }
                _ => Kind::File(path.to_owned()),
            },
            _ if is_path(name) => {
                return Err(TestError::Refused(format!(
                    "There is no file '{name}'; 'journal' stands for the system's journal."
                )));
            }
            _ => Kind::Line,
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
            encoding,
        })
    }

    /// For people.
    pub(crate) fn label(&self) -> &str {
        match &self.kind {
            Kind::Line => "the line given",
            Kind::Stdin => "standard input",
            Kind::Journal(Journal::System) => "the system's journal",
            Kind::File(_) | Kind::Journal(_) => &self.name,
        }
    }

    /// That there was nothing to try, and what that may be due to.
    pub(crate) fn nothing(&self, matches: &Matches) -> String {
        let label = self.label();
        match (&self.kind, matches.0.is_empty()) {
            (Kind::Journal(_), true) => {
                format!("There is no entry in {label} that you may read.")
            }
            (Kind::Journal(_), false) => format!(
                "There is no entry in {label} that you may read and that matches {matches}; \
                 --journal-match selects others."
            ),
            _ => format!("There is no line in {label}."),
        }
    }

    /// What filters call it.
    pub(crate) fn log_type(&self) -> LogType {
        match self.kind {
            Kind::Journal(_) => LogType::Journal,
            Kind::Line | Kind::Stdin | Kind::File(_) => LogType::File,
        }
    }

    /// Hands every record to `visit`. `now` is when lines without a date were written.
    pub(crate) fn each(
        &self,
        filter: &Filter,
        matches: &Matches,
        now: Timestamp,
        visit: &mut impl FnMut(&Record<'_>) -> Result<(), TestError>,
    ) -> Result<(), TestError> {
        let failed = |source| TestError::Log {
            name: self.name.clone(),
            source,
        };
        let mut lines = Lines::new(filter, self.encoding);
        match &self.kind {
            Kind::Journal(journal) => once::each(journal, matches, filter, visit),
            // On the command line it is UTF-8 already.
            Kind::Line => {
                let mut lines = Lines::new(filter, None);
                lines.each(self.name.as_bytes(), now, failed, visit)
            }
            Kind::Stdin => lines.each(io::stdin().lock(), now, failed, visit),
            Kind::File(path) => {
                let file = File::open(path).map_err(failed)?;
                lines.each(BufReader::new(file), now, failed, visit)
            }
        }
    }
}

/// Whether nobody would write this for a line of a log.
fn is_path(text: &str) -> bool {
    let begins = ["/", "./", "../", "~/"];
    begins.iter().any(|begin| text.starts_with(begin)) && !text.contains(char::is_whitespace)
}
