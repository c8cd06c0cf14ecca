//! WIRES: carries inputs to the engine and its effects to the edges.
//!
//! Comes in: a command line, a configuration, a world. Goes out: an exit code. It decides nothing
//! that the engine could decide, and it is the one place that logs what edges return.

mod answer;
pub mod args;
pub mod clock;
mod flaws;
pub mod logging;
pub mod notify;
pub mod readers;
mod reload;
pub mod report;
pub mod run;
pub mod signals;
pub mod start;
mod troubles;

use std::process::ExitCode;

use crate::daemon::args::Args;
use crate::dbus::error::chain;

/// Runs the daemon until it is told to stop.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let log = logging::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ending = match runtime {
        Ok(runtime) => {
            let ending = runtime.block_on(start::start(args, log));
            // A disk that hangs may keep a thread for ever.
            runtime.shutdown_background();
            ending
        }
        Err(error) => Err(start::StartError::Runtime(error)),
    };
    match ending {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "cannot go on");
            ExitCode::FAILURE
        }
    }
}
