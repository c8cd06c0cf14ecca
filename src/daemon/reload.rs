//! A reload: read, check, have every reader take its new tasks, and only then the engine the new
//! settings, so that every record is judged by one configuration.
//!
//! A configuration with errors changes nothing: the old one stays and whoever asked reads why.

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::load;
use crate::daemon::clock;
use crate::daemon::logging::chain;
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

/// The reload that runs, and who waits for it or for the next.
#[derive(Default)]
pub(super) struct Reload {
    generation: u64,
    running: Option<(Settings, Vec<String>)>,
    askers: Vec<Asker>,
    next: Vec<Asker>,
}

impl Reload {
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Daemon {
    /// Reads the configuration and hands its tasks to the readers.
    pub(super) fn begin_reload(&mut self, readers: &mut Readers, asker: Asker) {
        if self.reload.is_running() {
            self.reload.next.push(asker);
            return;
        }
        let (mut settings, diagnostics) = load(&self.edges.layout);
        let errors: Vec<&Diagnostic> = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level == Level::Error)
            .collect();
        if !errors.is_empty() {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let text = lines.join("\n");
            error!("the configuration has errors, the old one stays in force:\n{text}");
            settle(vec![asker], &Err(text));
            return;
        }
        diagnostics.iter().for_each(tell);
        if self.edges.args.dry_run {
            settings.global.firewall = FirewallChoice::Memory;
        }
        self.reload.generation += 1;
        readers.switch(self.reload.generation, &tasks(&settings));
        let warnings = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level == Level::Warning);
        self.reload.running = Some((settings, warnings.map(ToString::to_string).collect()));
        self.reload.askers.push(asker);
        self.tell(News::Reloading(true));
    }

    /// Whether a reader's word on this generation is the one that is waited for.
    pub(super) fn expects(&self, generation: u64) -> bool {
        self.reload.is_running() && generation == self.reload.generation
    }

    /// All readers have taken their tasks: the settings follow.
    pub(super) async fn finish_reload(&mut self, readers: &mut Readers) {
        let Some((settings, warnings)) = self.reload.running.take() else {
            return;
        };
        self.engine.handle_flush(clock::now());
        self.drain().await;
        self.edges
            .groups
            .send_replace(settings.global.protect_groups.clone());
        self.edges.log.turn(settings.global.log_level);
        self.config_trouble = None;
        self.helpers = Troubles::default();
        let wanted = tasks(&settings);
        let now = clock::now();
        self.engine.handle_settings(now, settings);
        if let Err(error) = readers.settle(now.wall, &wanted, self.engine.positions()) {
            self.note(Some(format!("not all logs are read: {}", chain(&error))));
        }
        self.engine.handle_logs(now, |log| readers.reads(log));
        // Whoever reads nothing any more never says that it is well again.
        self.log_troubles.retain(|log, _| readers.reads(log));
        self.drain().await;
        info!("the configuration was read anew");
        self.tell(News::Reloading(false));
        settle(std::mem::take(&mut self.reload.askers), &Ok(warnings));
        for asker in std::mem::take(&mut self.reload.next) {
            self.begin_reload(readers, asker);
        }
    }
}

/// Answers everybody; whoever left is not missed.
fn settle(askers: Vec<Asker>, answer: &Answer) {
    for asker in askers.into_iter().flatten() {
        let _ = asker.send(answer.clone());
    }
}
