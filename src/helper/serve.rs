//! The programs' side of a connection.
//!
//! Comes in: the socket that systemd accepted and passed. Goes out: one reply. Whoever is neither root
//! nor the daemon's user is not listened to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::helper::protocol::{Envelope, REQUEST_MAX, Reply, Request};
use crate::sys::{accounts, kept, peer};

/// What keeps a program from answering.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It was not started by a socket unit.
    #[error("this program is started by systemd, by its socket unit; there is no connection")]
    NoConnection,
    /// Somebody else asks.
    #[error("user {0} asked, who is neither root nor the daemon's user")]
    Stranger(u32),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Serves the connection that systemd passed, for the user called `user`, and says what went wrong.
#[must_use]
pub fn main(user: &str, answer: impl FnOnce(Request) -> Result<Reply, String>) -> ExitCode {
    match passed().and_then(|stream| serve(stream, user, answer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere is left to complain if this fails.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a request of root or the user called `user`, and answers it. What is no request is refused.
///
/// # Errors
/// Somebody else asks, or nobody any more.
pub fn serve(
    mut stream: UnixStream,
    user: &str,
    answer: impl FnOnce(Request) -> Result<Reply, String>,
) -> Result<(), ServeError> {
    let uid = peer::uid(&stream)?;
    let passwd = accounts::passwd(Path::new("/"));
    if uid != 0 && !accounts::users(&passwd).any(|known| known.name == user && known.uid == uid) {
        return Err(ServeError::Stranger(uid));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    let most = u64::try_from(REQUEST_MAX).unwrap_or(u64::MAX);
    BufReader::new(&stream)
        .take(most)
        .read_until(b'\n', &mut line)?;
    let (id, answered) = match Envelope::<Request>::parse(&line) {
        Ok(request) => (request.id, answer(request.content)),
        Err(why) => (0, Err(format!("this is no request: {why}"))),
    };
    let reply = answered.unwrap_or_else(|why| Reply::Refused { why });
    stream.write_all(&Envelope::new(id, reply).line())?;
    Ok(())
}

/// The connection that systemd accepted; no child inherits it.
fn passed() -> Result<UnixStream, ServeError> {
    let mut fds = sd_notify::listen_fds().map_err(|_| ServeError::NoConnection)?;
    let fd = fds.next().and_then(kept::take);
    let stream = UnixStream::from(fd.ok_or(ServeError::NoConnection)?);
    Ok(stream.try_clone()?)
}

/// How long the other side may take to say its line, or to hear ours.
const PATIENCE: Duration = Duration::from_secs(5);
