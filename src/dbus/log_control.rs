//! `org.freedesktop.LogControl1`, so that `systemctl service-log-level banishd debug` works as with
//! systemd's own daemons.

use std::fmt;
use std::sync::Arc;

use zbus::message::Header;
use zbus::{Connection, interface};

use crate::dbus::error::{Error, Kind, Result};
use crate::dbus::polkit::{Call, Gate};

/// The daemon's log, as far as the bus may see and turn it.
pub trait Log: fmt::Debug + Send + Sync {
    /// The level, in syslog's words: `emerg` … `debug`.
    fn level(&self) -> String;

    /// Sets the level.
    ///
    /// # Errors
    /// The word is none of syslog's.
    fn set_level(&self, level: &str) -> std::result::Result<(), UnknownLevel>;

    /// Where it goes: `journal`, `console`.
    fn target(&self) -> String;
}

/// A word that names no log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log level must be one of emerg, alert, crit, err, warning, notice, info, debug")]
pub struct UnknownLevel;

/// The object.
#[derive(Debug)]
pub struct LogControl {
    log: Arc<dyn Log>,
    gate: Arc<Gate>,
}

impl LogControl {
    /// Turns `log` for those whom `gate` lets through.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, gate: Arc<Gate>) -> Self {
        Self { log, gate }
    }
}

#[interface(name = "org.freedesktop.LogControl1")]
impl LogControl {
    /// The log level, in syslog's words.
    #[zbus(property)]
    async fn log_level(&self) -> String {
        self.log.level()
    }

    #[zbus(property)]
    async fn set_log_level(
        &self,
        level: String,
        #[zbus(header)] header: Option<Header<'_>>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<()> {
        if let Some(header) = &header {
            let call = Call::new(header, connection);
            self.gate.admit_privileged(call).await?;
        }
        let set = self.log.set_level(&level);
        set.map_err(|error| Error::new(Kind::InvalidArgs, error.to_string()))
    }

    /// Where the log goes.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn log_target(&self) -> String {
        self.log.target()
    }

    /// The identifier in the journal.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn syslog_identifier(&self) -> &'static str {
        "banishd"
    }
}
