//! `banishctl config dump`: what the configuration amounts to, without a daemon.
//!
//! Comes in: a directory, or none for the one that the service reads, and perhaps a jail. Goes out: every
//! value with the file and line that set it. Whether the values make sense is for `verify` to say.

use crate::cli::render;
use crate::cli::tree::Tree;
use crate::cli::verify::Verdict;
use crate::config::alone;
use crate::config::diagnostic::Level;
use crate::config::dump::dump;

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

    #[command(flatten)]
    tree: Tree,
}

impl ConfigDump {
    /// Reads and resolves.
    pub(crate) fn run(&self, json: bool) -> Verdict {
        let layout = match self.tree.layout(None) {
            Ok(layout) => layout,
            Err(error) => return Verdict::slip(&error),
        };
        let dump = dump(&layout, self.jail.as_deref());
        let errors = dump.problems.iter();
        let errors = errors.filter(|problem| problem.level == Level::Error);
        let mut errors: Vec<String> = errors.map(ToString::to_string).collect();
        if let Some(jail) = self.jail.as_ref().filter(|_| dump.jails.is_empty()) {
            let known = alone::jails(&layout);
            let hint = alone::nearest(jail, &known);
            let hint = hint.map(|near| format!("; did you mean '{near}'?"));
            errors.push(format!(
                "There is no jail '{jail}' in {}{}",
                layout.admin.display(),
                hint.as_deref().unwrap_or(".")
            ));
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
