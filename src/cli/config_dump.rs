//! `banishctl config dump`: what the configuration amounts to, without a daemon.
//!
//! Comes in: a directory, or none for the one that the service reads, and perhaps a jail. Goes out: every
//! value with the file and line that set it. Whether the values make sense is for `verify` to say.

use std::path::PathBuf;

use crate::cli::render;
use crate::cli::verify::Verdict;
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

impl ConfigDump {
    /// Reads and resolves.
    pub(crate) fn run(&self, json: bool) -> Verdict {
        let layout = Layout::choose(self.config_dir.as_deref(), &self.vendor_dir);
        let dump = dump(&layout, self.jail.as_deref());
        let errors = dump.problems.iter();
        let errors = errors.filter(|problem| problem.level == Level::Error);
        let mut errors: Vec<String> = errors.map(ToString::to_string).collect();
        if let Some(jail) = self.jail.as_ref().filter(|_| dump.jails.is_empty()) {
            errors.push(format!("There is no jail '{jail}'."));
        }
        Verdict {
            text: match json {
                true => render::to_json(&dump),
                false => dump.to_text(),
            },
            code: u8::from(!errors.is_empty()),
            remark: Some(errors.join("\n")).filter(|errors| !errors.is_empty()),
        }
    }
}
