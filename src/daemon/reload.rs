//! A reload: read, check, have the reader take the new filters, and only then the engine the new
//! settings, so that every record is judged by one configuration.
//!
//! A configuration with errors changes nothing: the old one stays and whoever asked reads why.

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::load;
use crate::daemon::clock;
use crate::daemon::run::Daemon;
use crate::daemon::start::{filters, tell};
use crate::daemon::troubles::Troubles;
use crate::dbus::link::News;
use crate::engine::settings::{FirewallChoice, Settings};
use crate::journal::reader::Reader;

/// Somebody who waits for a reload; `None` for a signal.
pub(super) type Asker = Option<oneshot::Sender<Result<(), String>>>;

/// The reload that runs, and who waits for it or for the next.
#[derive(Default)]
pub(super) struct Reload {
    generation: u64,
    running: Option<Settings>,
    askers: Vec<Asker>,
    next: Vec<Asker>,
}

impl Reload {
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Daemon {
    /// Reads the configuration and hands its filters to the reader.
    pub(super) fn begin_reload(&mut self, reader: &Reader, asker: Asker) {
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
        reader.switch(self.reload.generation, filters(&settings));
        self.reload.running = Some(settings);
        self.reload.askers.push(asker);
        self.tell(News::Reloading(true));
    }

    /// The reader has taken the filters: the settings follow.
    pub(super) async fn finish_reload(&mut self, reader: &Reader, generation: u64) {
        if generation != self.reload.generation {
            return;
        }
        let Some(settings) = self.reload.running.take() else {
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
        self.engine.handle_settings(clock::now(), settings);
        self.drain().await;
        info!("the configuration was read anew");
        self.tell(News::Reloading(false));
        settle(std::mem::take(&mut self.reload.askers), &Ok(()));
        for asker in std::mem::take(&mut self.reload.next) {
            self.begin_reload(reader, asker);
        }
    }
}

/// Answers everybody; whoever left is not missed.
fn settle(askers: Vec<Asker>, answer: &Result<(), String>) {
    for asker in askers.into_iter().flatten() {
        let _ = asker.send(answer.clone());
    }
}
