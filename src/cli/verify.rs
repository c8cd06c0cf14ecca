//! `banishctl verify`: everything that a start would say of the configuration, without a daemon.
//!
//! Comes in: a directory, or none for the one that the service reads. Goes out: diagnostics with their
//! lines, a summary, an exit code. Run by root it first becomes what the service is, because files that
//! only root can read are the commonest mistake.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::render::{self, BOLD, RED, Style, YELLOW};
use crate::cli::tree::Tree;
use crate::cli::unit::Unit;
use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::files::{Layout, Trust};
use crate::config::{command, load};
use crate::engine::settings::Settings;
use crate::sys::service_view::{self, View, ViewError};
use crate::sys::user;

/// The arguments of `verify`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Verify {
    /// The same as --config-dir DIR
    #[arg(value_name = "DIR", conflicts_with = "config_dir", value_hint = clap::ValueHint::DirPath)]
    directory: Option<PathBuf>,
    #[command(flatten)]
    tree: Tree,
}

/// What a configuration comes to.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// For stdout.
    pub(crate) text: String,
    /// For stderr: how far the judgement goes.
    pub(crate) remark: Option<String>,
    /// The exit code: 1 where there is an error.
    pub(crate) code: u8,
}

impl Verdict {
    /// The command line names what is not there.
    pub(crate) fn slip(error: &dyn std::error::Error) -> Self {
        Self {
            text: String::new(),
            remark: Some(error.to_string()),
            code: 2,
        }
    }
}

impl Verify {
    /// Reads and judges. To be called before the process has threads.
    pub(crate) fn run(&self, json: bool) -> Verdict {
        let remark = match user::effective() {
            0 => become_service(&Unit::under(Path::new("/"))),
            _ => Some(
                "Judged by your own rights: only root can judge by those of the service."
                    .to_owned(),
            ),
        };
        let layout = match self.tree.layout(self.directory.as_deref()) {
            Ok(layout) => layout,
            Err(error) => return Verdict::slip(&error),
        };
        let (settings, mut problems) = load(&layout);
        problems.extend(unrun(&layout, &settings));
        let report = Report::new(&layout, &settings, &problems);
        Verdict {
            text: match json {
                true => render::to_json(&report),
                false => report.text(&problems, Style::of_stdout()),
            },
            remark,
            code: u8::from(report.errors > 0),
        }
    }
}

/// Commands that banishd-action would refuse to run, because others than root could have written them.
fn unrun(layout: &Layout, settings: &Settings) -> Vec<Diagnostic> {
    let strict = Layout {
        trust: Trust::Root,
        ..layout.clone()
    };
    let place = Place::file_named(layout.admin.display().to_string());
    let jails = settings.jails.iter();
    let asking = jails.filter(|(_, jail)| jail.ignore_command.is_some());
    let refused = asking.filter_map(|(name, _)| {
        let why = command(&strict, name, "ignorecommand").err()?;
        let message = format!("the ignorecommand of jail '{name}' is not run: {why}");
        let warning = Diagnostic::error(&place, message, "nobody is spared by it");
        Some(warning.at_level(Level::Warning))
    });
    refused.collect()
}

/// Sees what the service sees from here on; what is left out of that.
fn become_service(unit: &Unit) -> Option<String> {
    let view = View {
        user: &unit.user,
        group: unit.group.as_deref(),
        groups: &unit.groups,
        reads_all: unit.reads_all(),
        closed: &unit.closed(),
        private: &unit.private(),
    };
    match service_view::take(&view) {
        Err(error) => Some(unjudged(&error)),
        Ok(()) if unit.unjudged.is_empty() => None,
        Ok(()) => Some(format!(
            "Judged without what banishd.service says with {}=.",
            unit.unjudged.join("=, ")
        )),
    }
}

fn unjudged(error: &ViewError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let whose = match error {
        ViewError::NoUser(_) => "Judged by root's rights",
        ViewError::Mount(_) => "Judged by the rights of the service's user, but in full view",
        ViewError::User(..) => "Judged by other rights than the service's",
    };
    format!(
        "{whose}, so files that the service cannot read may go unnoticed: {error}{}.",
        cause.unwrap_or_default()
    )
}

/// All of it, for JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    configuration_directory: String,
    errors: usize,
    warnings: usize,
    notes: usize,
    jails: Vec<String>,
    failed: Vec<Failed<'a>>,
    diagnostics: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    jail: String,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    level: String,
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
    remedy: &'a str,
}

impl<'a> Report<'a> {
    fn new(layout: &Layout, settings: &'a Settings, problems: &'a [Diagnostic]) -> Self {
        let count = |level| {
            problems
                .iter()
                .filter(|problem| problem.level == level)
                .count()
        };
        let failed = settings.failed.iter();
        Self {
            configuration_directory: layout.admin.display().to_string(),
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            notes: count(Level::Note),
            jails: settings.jails.keys().map(ToString::to_string).collect(),
            failed: failed
                .map(|(jail, reason)| Failed {
                    jail: jail.to_string(),
                    reason,
                })
                .collect(),
            diagnostics: problems.iter().map(Line::of).collect(),
        }
    }

    fn text(&self, problems: &[Diagnostic], style: Style) -> String {
        let mut text = String::new();
        for problem in problems {
            let code = match problem.level {
                Level::Error => RED,
                Level::Warning => YELLOW,
                Level::Note => BOLD,
            };
            let level = format!(" {}: ", problem.level);
            let painted = format!(" {}: ", style.paint(code, &problem.level.to_string()));
            let _ = writeln!(
                text,
                "{}\n",
                problem.excerpt().replacen(&level, &painted, 1)
            );
        }
        let counts = [
            (self.errors, "error"),
            (self.warnings, "warning"),
            (self.notes, "note"),
        ];
        let counts = counts.map(|(count, name)| plural(count, name));
        let mut jails = format!("{} would run", plural(self.jails.len(), "jail"));
        if !self.failed.is_empty() {
            let names: Vec<&str> = self
                .failed
                .iter()
                .map(|failed| failed.jail.as_str())
                .collect();
            let _ = write!(jails, ", {} would not: {}", names.len(), names.join(", "));
        }
        let _ = writeln!(
            text,
            "{}: {}; {jails}",
            self.configuration_directory,
            counts.join(", ")
        );
        text
    }
}

impl<'a> Line<'a> {
    fn of(problem: &'a Diagnostic) -> Self {
        Self {
            level: problem.level.to_string(),
            file: problem.place.file(),
            line: problem.place.line(),
            column: problem.place.column(),
            message: &problem.message,
            remedy: &problem.remedy,
        }
    }
}

fn plural(count: usize, name: &str) -> String {
    match count {
        0 => format!("no {name}s"),
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}
