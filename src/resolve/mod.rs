//! RESOLVES: `banishd-resolve`, which looks up names for the daemon, as a user of its own without any
//! right but to use the network.
//!
//! Comes in: one request. Goes out: addresses. Names were chosen by whoever is attacking: they are
//! checked here again, an answer is bounded in time and length, and the process ends with it.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::helper::protocol::{ADDRESSES_MAX, Reply, Request, is_name};
use crate::helper::serve;
use crate::sys::names::{self, LookupError};

/// Looks up names for banishd, one for each connection that systemd passes.
#[derive(Debug, Parser)]
#[command(name = "banishd-resolve", version)]
struct Args {
    /// Answer this user, and root
    #[arg(long, value_name = "USER", default_value = "banishd")]
    user: String,
}

/// Answers one request.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    serve::main(&args.user, |request| answer(request, names::addresses))
}

/// The reply to a request, by this resolver.
///
/// # Errors
/// Why there is none.
pub fn answer(
    request: Request,
    resolver: fn(&str) -> Result<Vec<IpAddr>, LookupError>,
) -> Result<Reply, String> {
    let name = match request {
        Request::Addresses { name } if is_name(&name) => name,
        Request::Addresses { .. } => return Err("this is no name of a host".to_owned()),
        Request::Own => names::host().map_err(|error| error.to_string())?,
        Request::Ignore { .. } => return Err("this program only looks up names".to_owned()),
    };
    let (sender, answer) = mpsc::channel();
    // A lookup cannot be cancelled: this thread ends with the process.
    thread::spawn(move || sender.send(resolver(&name)));
    let found = match answer.recv_timeout(LIMIT) {
        Ok(found) => found.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {} seconds", LIMIT.as_secs())),
    };
    let addresses = found.into_iter().take(ADDRESSES_MAX).collect();
    Ok(Reply::Addresses { addresses })
}

/// How long a lookup may take.
const LIMIT: Duration = Duration::from_secs(5);
