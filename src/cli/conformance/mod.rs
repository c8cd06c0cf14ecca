//! `banishctl filter conformance`: do filters make of annotated lines what they should?
//!
//! Comes in: directories of filters and of annotated samples. Goes out: for each filter how many lines
//! came out as annotated, and each that did not with its place and the reason. It reads files only.

pub mod sample;
mod suite;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::conformance::suite::{Miss, Suite, Verdict};
use crate::cli::filter_test::TestError;
use crate::cli::render::plural;
use crate::config::alone;
use crate::config::files::Layout;

/// The arguments of `filter conformance`.
#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// A configuration directory with a filter.d in it, such as /etc/fail2ban; may be repeated
    #[arg(long, value_name = "DIR", required = true)]
    filters: Vec<PathBuf>,
    /// The samples: a file for each filter, of the same name
    #[arg(long, value_name = "DIR")]
    logs: PathBuf,
    /// Only this filter
    #[arg(value_name = "FILTER")]
    only: Option<String>,
}

/// All filters together.
#[derive(Debug, Default)]
struct Total {
    passed: usize,
    failed: usize,
    filters: usize,
    without_samples: Vec<String>,
}

impl Conformance {
    /// Runs every filter on its samples and hands out what is to be printed, piece by piece.
    pub(crate) fn run(
        &self,
        json: bool,
        print: &mut impl FnMut(&str) -> std::io::Result<()>,
    ) -> Result<ExitCode, TestError> {
        if !self.logs.is_dir() {
            let text = format!("There is no directory '{}'.", self.logs.display());
            return Err(TestError::Refused(text));
        }
        let mut total = Total::default();
        for directory in &self.filters {
            let layout = Layout::fail2ban(root(directory).to_owned());
            let names =
                alone::names(&layout).map_err(|problem| TestError::Refused(problem.to_string()))?;
            if names.is_empty() {
                let text = format!("There are no filters in '{}'.", directory.display());
                return Err(TestError::Refused(text));
            }
            for name in names.iter().filter(|name| self.wants(name)) {
                match Suite::run(&layout, name, &self.logs) {
                    None => total.without_samples.push(name.clone()),
                    Some(verdict) => {
                        total.filters += 1;
                        total.passed += verdict.passed;
                        total.failed += verdict.failed.len();
                        print(&shown(&verdict, json)).map_err(TestError::Output)?;
                    }
                }
            }
        }
        print(&total.shown(json)).map_err(TestError::Output)?;
        Ok(match (total.filters, total.failed) {
            (0, _) => ExitCode::from(2),
            (_, 0) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    /// What other filters are made of is none itself.
    fn wants(&self, name: &str) -> bool {
        match &self.only {
            Some(only) => name == only,
            None => !name.ends_with("common"),
        }
    }
}

/// The directory that `filter.d` lies in, if it is that itself which was named.
fn root(directory: &Path) -> &Path {
    match (directory.file_name(), directory.parent()) {
        (Some(name), Some(parent)) if name == "filter.d" => parent,
        _ => directory,
    }
}

fn shown(verdict: &Verdict, json: bool) -> String {
    if json {
        let text = serde_json::to_string(verdict).unwrap_or_default();
        return format!("{text}\n");
    }
    let mut text = format!("{:<28}{:>6} passed", verdict.filter, verdict.passed);
    // Writing to a string cannot fail.
    if !verdict.failed.is_empty() {
        let _ = write!(text, ", {} failed", verdict.failed.len());
    }
    text.push('\n');
    for Miss {
        file,
        line,
        options,
        reason,
    } in &verdict.failed
    {
        let _ = write!(text, "  {}", file.display());
        if *line > 0 {
            let _ = write!(text, ":{line}");
        }
        if !options.is_empty() {
            let options = options
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            let options: Vec<String> = options.collect();
            let _ = write!(text, " [{}]", options.join(", "));
        }
        let _ = writeln!(text, ": {reason}");
    }
    text
}

impl Total {
    fn shown(&self, json: bool) -> String {
        if json {
            let value = serde_json::json!({
                "filters": self.filters,
                "passed": self.passed,
                "failed": self.failed,
                "without_samples": self.without_samples,
            });
            return format!("{value}\n");
        }
        let mut text = format!(
            "{} passed, {} failed, in {}\n",
            self.passed,
            self.failed,
            plural(self.filters, "filter")
        );
        if !self.without_samples.is_empty() {
            let _ = writeln!(text, "without samples: {}", self.without_samples.join(", "));
        }
        text
    }
}
