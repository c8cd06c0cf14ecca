//! `banishctl config dump`: what the configuration amounts to, without a daemon.
//!
//! Comes in: a directory, or none for the one that the service reads, and perhaps a jail. Goes out: every
//! value with the file and line that set it. Whether the values make sense is for `verify` to say.

use std::path::PathBuf;

use crate::cli::render;
use crate::config::diagnostic::Level;
use crate::config::dump::dump;
use crate::config::files::Layout;

/// The verbs of `config`.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show what every option amounts to, and the file and line that set it
    Dump(ConfigDump),
}

/// The arguments of `config dump`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConfigDump {
    /// This jail, even if it is not enabled
    jail: Option<String>,

    /// The configuration: a directory like /etc/banishd or /etc/fail2ban
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,

    /// The shipped configuration
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/banishd")]
    vendor_dir: PathBuf,
}

/// What there is to print.
pub(crate) struct Dumped {
    /// For stdout.
    pub(crate) text: String,
    /// For stderr: what could not be resolved.
    pub(crate) errors: String,
}

impl ConfigDump {
    /// Reads and resolves.
    pub(crate) fn run(&self, json: bool) -> Dumped {
        let layout = Layout::choose(self.config_dir.as_deref(), &self.vendor_dir);
        let dump = dump(&layout, self.jail.as_deref());
        let errors = dump
            .problems
            .iter()
            .filter(|problem| problem.level == Level::Error);
        let mut errors: String = errors.map(|problem| format!("{problem}\n")).collect();
        if let Some(jail) = self.jail.as_ref().filter(|_| dump.jails.is_empty()) {
            errors.push_str(&format!("There is no jail '{jail}'.\n"));
        }
        Dumped {
            text: match json {
                true => render::to_json(&dump),
                false => dump.to_text(),
            },
            errors,
        }
    }
}
