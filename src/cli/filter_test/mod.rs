//! `banishctl filter test`: what a filter makes of lines.
//!
//! Comes in: a line, a file, stdin or a journal, and a filter, a jail or a bare pattern. Goes out: which
//! lines are failures, whose and why, and how often each pattern matched. It reads files and journals
//! only; nothing is counted and nobody is banned.

mod log;
mod report;
mod subject;

use std::io;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::cli::client;
use crate::cli::filter_test::log::Log;
use crate::cli::filter_test::report::{Kind, Report};
use crate::cli::filter_test::subject::Subject;
use crate::cli::tree::Tree;
use crate::config::alone;
use crate::engine::filter::{Filter, Look, Memory, Names};
use crate::engine::time::Span;

/// The arguments of `filter test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A file, - for stdin, 'journal', a directory or a file of a journal, or a line
    #[arg(value_hint = clap::ValueHint::FilePath)]
    log: String,
    /// A filter such as sshd, 'sshd[mode=aggressive]' or its file, a jail as jail:NAME, or a pattern
    filter: String,
    /// Take FILTER for the name of a jail
    #[arg(long)]
    jail: bool,
    /// Ignore lines that match this, too
    #[arg(long, value_name = "REGEX")]
    ignore: Vec<String>,
    /// Look for dates like this
    #[arg(long, value_name = "PATTERN")]
    date_pattern: Vec<String>,
    /// Match so many lines together
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_lines: Option<u16>,
    /// The zone of dates that name none, such as Europe/Berlin or UTC
    #[arg(long, value_name = "ZONE", value_parser = alone::zone, allow_hyphen_values = true)]
    time_zone: Option<TimeZone>,
    /// What becomes of host names
    #[arg(long, value_name = "MODE")]
    use_dns: Option<UseDns>,
    /// How files are encoded (default: utf-8)
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<Encoding>,
    /// Which entries of the journal to read (default: the filter's, or all)
    #[arg(long, value_name = "MATCH")]
    journal_match: Option<String>,
    /// Show all that are matched, noted, ignored or missed (default: at most 20 of each)
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    show: Vec<Kind>,
    #[command(flatten)]
    tree: Tree,
}

/// `logencoding`; nothing for UTF-8, whose bytes stay as they are.
#[derive(Clone, Copy, Debug)]
struct Encoding(Option<&'static encoding_rs::Encoding>);

/// `usedns`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UseDns {
    Yes,
    Warn,
    No,
    Raw,
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    /// The command line, or the configuration, makes no sense; the text says why.
    #[error("{0}")]
    Refused(String),
    /// A log cannot be read.
    #[error("Cannot read '{name}'")]
    Log {
        /// The log.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A journal cannot be read.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// What was found cannot be printed.
    #[error("cannot write")]
    Output(#[source] io::Error),
}

impl Test {
    /// Tries the filter on every line and hands out what is to be printed, piece by piece.
    pub(crate) fn run(
        &self,
        json: bool,
        print: &mut impl FnMut(&str) -> io::Result<()>,
    ) -> Result<ExitCode, TestError> {
        let log = Log::open(&self.log, self.encoding.and_then(|wanted| wanted.0))?;
        let mut subject = Subject::find(&self.filter, self.jail, &self.tree, log.log_type())?;
        self.adjust(&mut subject)?;
        let filter = Filter::compile(subject.spec.clone()).map_err(|errors| {
            let errors = errors.iter().map(|error| {
                let number = error.index + 1;
                format!("{} {number}: {error}", error.part)
            });
            TestError::Refused(errors.collect::<Vec<String>>().join("\n"))
        })?;
        let now = client::now();
        let look = Look {
            now,
            is_live: false,
            find_time: Span::from_usec(u64::MAX),
            max_matches: usize::from(u16::MAX),
        };
        let mut memory = Memory::default();
        let mut report = Report::new(&filter, json, &self.show);
        print(&report.heading(&subject, &log)).map_err(TestError::Output)?;
        log.each(&filter, &subject.matches, now, &mut |record| {
            let trial = filter.trial(&mut memory, record, &look);
            let text = report.line(record, &trial);
            print(&text).map_err(TestError::Output)
        })?;
        let nothing = || log.nothing(&subject.matches);
        print(&report.ending(nothing)).map_err(TestError::Output)?;
        Ok(match report.failures() {
            0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        })
    }

    /// What the command line says goes before what the filter says.
    fn adjust(&self, subject: &mut Subject) -> Result<(), TestError> {
        if let Some(text) = &self.journal_match {
            subject.matches = alone::matches(text).map_err(TestError::Refused)?;
        }
        let spec = &mut subject.spec;
        spec.ignore.extend(self.ignore.iter().cloned());
        if !self.date_pattern.is_empty() {
            spec.dates.clone_from(&self.date_pattern);
        }
        if let Some(count) = self.max_lines {
            spec.max_lines = usize::from(count);
        }
        if let Some(zone) = &self.time_zone {
            spec.zone = zone.clone();
        }
        if let Some(mode) = self.use_dns {
            spec.names = match mode {
                UseDns::Yes => Names::LookUp,
                UseDns::Warn => Names::Warn,
                UseDns::No => Names::Never,
                UseDns::Raw => Names::Raw,
            };
        }
        Ok(())
    }
}

fn encoding(text: &str) -> Result<Encoding, String> {
    alone::encoding(text).map(Encoding)
}
