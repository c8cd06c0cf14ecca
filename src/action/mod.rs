//! ACTS AS ROOT: `banishd-action`, which runs the commands of the configuration for the daemon.
//!
//! Comes in: one request, which names a jail and an option but holds no command. The command is read
//! from the configuration, from files that root alone can have written. Goes out: how it went. Nothing
//! that the daemon says becomes a part of a command's text unless it is harmless there.

pub mod run;
pub mod script;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::action::run::run;
use crate::action::script::Script;
use crate::config;
use crate::config::files::{Layout, Trust};
use crate::engine::address::Offender;
use crate::engine::facts::{Facts, Tally};
use crate::engine::filter::failure::Captures;
use crate::engine::settings::JailName;
use crate::engine::time::{BanTime, Span, Timestamp};
use crate::helper::protocol::{Reply, Request};
use crate::helper::serve;

/// Runs commands of banishd's configuration, one for each connection that systemd passes.
#[derive(Clone, Debug, Parser)]
#[command(name = "banishd-action", version)]
pub struct Args {
    /// Read the administrator's configuration here [default: the one that the service reads]
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,

    /// Read the shipped configuration here
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/banishd")]
    pub vendor_dir: PathBuf,

    /// Answer this user, and root
    #[arg(long, value_name = "USER", default_value = "banishd")]
    pub user: String,
}

/// Answers one request.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let layout = Layout {
        trust: Trust::Root,
        ..Layout::choose(args.config_dir.as_deref(), &args.vendor_dir)
    };
    serve::main(&args.user, |request| answer(request, &layout, LIMIT))
}

/// Carries out a request with the configuration in `layout`; a command may take as long as `limit`.
///
/// # Errors
/// Why nothing was run.
pub fn answer(request: Request, layout: &Layout, limit: Duration) -> Result<Reply, String> {
    let Request::Ignore {
        jail,
        address,
        time_usec,
        failures,
        lines,
        captures,
        tally,
    } = request
    else {
        return Err("this program only runs commands".to_owned());
    };
    let jail = JailName::new(&jail).ok_or("this is no name of a jail")?;
    let offender: Offender = address.parse().map_err(|_| "this is no address")?;
    let command = config::command(layout, &jail, "ignorecommand")?;
    let facts = Facts {
        jail,
        offender,
        time: Timestamp::from_usec(time_usec),
        failures,
        lines,
        captures: Captures::of(captures.iter().map(|(group, text)| (&**group, &**text))),
        tally: Tally {
            ban_time: tally
                .ban_usec
                .map_or(BanTime::Forever, |usec| BanTime::For(Span::from_usec(usec))),
            bans: tally.bans,
            bans_total: tally.bans_total,
            failing: tally.failing,
            failures_total: tally.failures_total,
        },
    };
    let script = Script::expand(&command, &facts);
    run(&script, limit).map_err(|error| format!("cannot start /bin/sh: {error}"))
}

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);
