//! Which configuration a verb looks at that needs no daemon.
//!
//! Comes in: directories from the command line. Goes out: where files are looked for, or that there is
//! no such directory. What is in the files is not read here.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::files::Layout;

/// Where the configuration is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Tree {
    /// The configuration, like /etc/banishd or /etc/fail2ban (default: the service's)
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) config_dir: Option<PathBuf>,
    /// The shipped configuration
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/usr/lib/banishd",
        value_hint = clap::ValueHint::DirPath
    )]
    pub(crate) vendor_dir: PathBuf,
}

/// There is no such directory.
#[derive(Debug, thiserror::Error)]
#[error("There is no directory '{}'.", .0.display())]
pub(crate) struct NoDirectory(PathBuf);

impl Tree {
    /// Where to look for `config_dir`, or for what is named instead of it.
    pub(crate) fn layout(&self, instead: Option<&Path>) -> Result<Layout, NoDirectory> {
        // Diagnostics name whole paths, wherever they are read.
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let directory = instead.or(self.config_dir.as_deref()).map(whole);
        match directory {
            Some(directory) if is_missing(&directory) => Err(NoDirectory(directory)),
            directory => Ok(Layout::choose(
                directory.as_deref(),
                &whole(&self.vendor_dir),
            )),
        }
    }
}

/// Whether there is no such directory, as opposed to one that cannot be looked into.
fn is_missing(directory: &Path) -> bool {
    match directory.metadata() {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}
