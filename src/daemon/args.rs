//! The daemon's command line. It has few words: everything else is configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Bans hosts that fail to log in, as the journal tells.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "banishd", version, about, long_about = None)]
pub struct Args {
    /// Count and announce, but leave the firewall alone and remember nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Read the administrator's configuration here, which may be fail2ban's [default: /etc/banishd, or
    /// /etc/fail2ban where only that is filled]
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,

    /// Read the shipped configuration here
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/banishd")]
    pub vendor_dir: PathBuf,

    /// Keep bans and the journal position here [default: $STATE_DIRECTORY or /var/lib/banishd]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Read the journal files in this directory instead of the system's journal
    #[arg(long, value_name = "DIR")]
    pub journal_dir: Option<PathBuf>,

    /// Serve on the bus at this D-Bus address instead of the system bus
    #[arg(long, value_name = "ADDRESS")]
    pub bus: Option<String>,
}

impl Args {
    /// Reads the command line.
    ///
    /// # Errors
    /// The exit code, after help, version or a complaint was printed.
    pub fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // Nowhere is left to complain if this fails.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        })
    }

    /// Where bans and the journal position are kept.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        let told = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
        let usual = || PathBuf::from("/var/lib/banishd");
        self.state_dir.clone().or_else(told).unwrap_or_else(usual)
    }
}
