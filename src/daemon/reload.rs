//! A reload: read, check, have every reader take its new tasks, and only then the engine the new
//! settings, so that every record is judged by one configuration.
//!
//! Comes in: somebody who wants one. Goes out, when it is in force: what was warned of, or why not.
//!
//! A configuration with errors that the old one did not have changes nothing: the old one stays and
//! whoever asked reads why. Errors that stood already keep nobody from changing something else.

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::config::diagnostic::Level;
use crate::config::load;
use crate::daemon::clock;
use crate::daemon::flaws::Flaws;
use crate::daemon::readers::{Readers, tasks};
use crate::daemon::run::Daemon;
use crate::daemon::start::tell;
use crate::daemon::troubles::Troubles;
use crate::dbus::link::News;
use crate::engine::settings::{FirewallChoice, Settings};

/// Somebody who waits for a reload; `None` for a signal.
pub(super) type Asker = Option<oneshot::Sender<Answer>>;

/// The warnings, or why nothing was changed.
type Answer = Result<Vec<String>, String>;

/// The reload that runs, and who waits for it or for the next one.
#[derive(Default)]
pub(super) struct Reload {
    generation: u64,
    running: Option<Next>,
    askers: Vec<Asker>,
    next: Vec<Asker>,
}

/// The configuration that will be in force.
struct Next {
    settings: Settings,
    flaws: Flaws,
    /// For whoever asked.
    warnings: Vec<String>,
}

impl Reload {
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Daemon {
    /// Reads the configuration and hands its tasks to the readers.
    pub(super) fn begin_reload(&mut self, readers: &mut Readers, askers: Vec<Asker>) {
        if self.reload.is_running() {
            self.reload.next.extend(askers);
            return;
        }
        let (mut settings, diagnostics) = load(&self.edges.layout);
        let flaws = Flaws::of(&settings, &diagnostics);
        if !self.flaws.cover(&flaws) {
            let errors = diagnostics.iter().filter(|it| it.level == Level::Error);
            let lines: Vec<String> = errors.map(ToString::to_string).collect();
            let text = lines.join("\n");
            error!("the configuration has errors, the old one stays in force:\n{text}");
            settle(askers, &Err(text));
            return;
        }
        diagnostics.iter().for_each(tell);
        if self.edges.args.dry_run {
            settings.global.firewall = FirewallChoice::Memory;
        }
        self.reload.generation += 1;
        readers.switch(self.reload.generation, &tasks(&settings));
        let warnings = diagnostics.iter().filter(|it| it.level != Level::Note);
        let warnings = warnings.map(ToString::to_string).collect();
        self.reload.running = Some(Next {
            settings,
            flaws,
            warnings,
        });
        self.reload.askers = askers;
        self.tell(News::Reloading(true));
    }

    /// Whether a reader's word on this generation is the one that is waited for.
    pub(super) fn expects(&self, generation: u64) -> bool {
        self.reload.is_running() && generation == self.reload.generation
    }

    /// All readers have taken their tasks: the settings follow.
    pub(super) async fn finish_reload(&mut self, readers: &mut Readers) {
        let Some(next) = self.reload.running.take() else {
            return;
        };
        let settings = next.settings;
        self.engine.handle_flush(clock::now());
        self.drain().await;
        self.edges
            .groups
            .send_replace(settings.global.protect_groups.clone());
        self.edges.log.turn(settings.global.log_level);
        self.flaws = next.flaws;
        self.helpers = Troubles::default();
        readers.want(tasks(&settings));
        let now = clock::now();
        self.engine.handle_settings(now, settings);
        self.settle(readers);
        if self.unread.is_none() {
            self.engine.handle_logs(now, |log| readers.reads(log));
        }
        // Whoever reads nothing any more never says that it is well again.
        self.log_troubles.retain(|log, _| readers.reads(log));
        self.drain().await;
        info!("the configuration was read anew");
        self.tell(News::Reloading(false));
        settle(std::mem::take(&mut self.reload.askers), &Ok(next.warnings));
        // What they have changed since this one began is in the next one, which does for all of them.
        let next = std::mem::take(&mut self.reload.next);
        if !next.is_empty() {
            self.begin_reload(readers, next);
        }
    }
}

/// Answers everybody; whoever left is not missed.
fn settle(askers: Vec<Asker>, answer: &Answer) {
    for asker in askers.into_iter().flatten() {
        let _ = asker.send(answer.clone());
    }
}
