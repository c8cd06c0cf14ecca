//! The log: structured entries for journald, or lines for a terminal.
//!
//! Fields keep their names: `JAIL=`, `OFFENDER=`, `RESULT=` … (see banishd.service(8)), so that
//! `journalctl -u banishd JAIL=sshd` works. Text from log records never gets here.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::dbus::log_control::{Log, UnknownLevel};
use crate::engine::settings::LogLevel;

/// The log's switch: its level can be turned while it runs.
#[derive(Debug)]
pub struct LogSwitch {
    /// The place in [`LEVELS`].
    level: AtomicU8,
    target: &'static str,
}

/// Sends the log to journald if stderr goes there, else to stderr.
#[must_use]
pub fn start() -> Arc<LogSwitch> {
    let under_systemd =
        std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal();
    let journald = under_systemd
        .then(tracing_journald::layer)
        .and_then(Result::ok);
    let target = if journald.is_some() {
        "journal"
    } else {
        "console"
    };
    let switch = Arc::new(LogSwitch::to(target));
    let layer = match journald {
        Some(layer) => layer.with_field_prefix(None).boxed(),
        None => tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false)
            .without_time()
            .boxed(),
    };
    let layer = layer.with_filter(Turned(Arc::clone(&switch)));
    // Fails only if a log was started before, which then goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    switch
}

impl LogSwitch {
    /// A switch at `info`, of a log that goes to `target`: `journal` or `console`.
    #[must_use]
    pub fn to(target: &'static str) -> Self {
        Self {
            level: AtomicU8::new(INFO),
            target,
        }
    }

    /// Sets the level that banishd.conf asks for.
    pub fn turn(&self, level: LogLevel) {
        let word = match level {
            LogLevel::Error => "err",
            LogLevel::Warning => "warning",
            LogLevel::Notice => "notice",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        };
        // All of them are words of syslog's.
        let _ = self.set_level(word);
    }

    fn threshold(&self) -> LevelFilter {
        let place = usize::from(self.level.load(Ordering::Relaxed));
        LEVELS
            .get(place)
            .map_or(LevelFilter::INFO, |(_, filter)| *filter)
    }
}

impl Log for LogSwitch {
    fn level(&self) -> String {
        let place = usize::from(self.level.load(Ordering::Relaxed));
        LEVELS
            .get(place)
            .map_or("info", |(word, _)| word)
            .to_owned()
    }

    fn set_level(&self, level: &str) -> Result<(), UnknownLevel> {
        let place = LEVELS
            .iter()
            .position(|(word, _)| *word == level)
            .ok_or(UnknownLevel)?;
        self.level
            .store(u8::try_from(place).unwrap_or(INFO), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    fn target(&self) -> String {
        self.target.to_owned()
    }
}

/// Lets through what the switch lets through.
struct Turned(Arc<LogSwitch>);

impl<S> Filter<S> for Turned {
    fn enabled(&self, meta: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // Single bans are less than a notice. Libraries speak only if something is wrong.
        if meta.target() == BANS && self.0.level.load(Ordering::Relaxed) < INFO {
            return false;
        }
        let ours = meta.target().starts_with("banishd");
        *meta.level()
            <= if ours {
                self.0.threshold()
            } else {
                self.0.threshold().min(LevelFilter::WARN)
            }
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
}

/// The target of single bans and unbans.
pub const BANS: &str = "banishd::ban";

/// syslog's words, and what of ours they let through.
const LEVELS: [(&str, LevelFilter); 8] = [
    ("emerg", LevelFilter::OFF),
    ("alert", LevelFilter::OFF),
    ("crit", LevelFilter::OFF),
    ("err", LevelFilter::ERROR),
    ("warning", LevelFilter::WARN),
    ("notice", LevelFilter::INFO),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::TRACE),
];

/// The place of `info`.
const INFO: u8 = 6;
