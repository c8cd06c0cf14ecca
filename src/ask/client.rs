//! One question to a program: a connection, a line there, a line back.
//!
//! Comes in: a socket's path and a request. Goes out: the reply, or what kept it away. Nothing the
//! other side does can make us keep more than one reply of bounded length. How long it takes is up to
//! the caller.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::UnixStream;

use crate::helper::protocol::{Envelope, REPLY_MAX, Reply, Request};

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody listens.
    Absent(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// The reply makes no sense.
    Nonsense(String),
    /// It takes too long.
    Slow,
    /// Earlier questions take too long.
    Busy,
}

impl Failure {
    /// As a sentence that says what to do: `what` is not done because of `program`.
    pub(crate) fn sentence(&self, what: &str, program: &str, socket: &Path) -> String {
        let look = format!("'journalctl -u \"{program}@*\"' may say why");
        match self {
            Self::Absent(error) => format!(
                "{what}: nobody listens on {} ({error}); 'systemctl start {program}.socket' mends that",
                socket.display()
            ),
            Self::Broken(error) => format!("{what}: {program} broke off ({error}); {look}"),
            Self::Nonsense(why) => format!("{what}: {program} talks nonsense ({why}); {look}"),
            Self::Slow => format!("{what}: {program} takes too long; {look}"),
            Self::Busy => {
                format!("{what}: it is kept busy by earlier questions, so it takes too long")
            }
        }
    }
}

/// Puts a question and waits for the reply.
pub(crate) async fn call(socket: &Path, request: Request) -> Result<Reply, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(Failure::Absent)?;
    let id = LAST.fetch_add(1, Ordering::Relaxed);
    let line = Envelope::new(id, request).line();
    let said = send(&stream, &line).await;
    // Whoever refuses before it has read everything has a reply all the same.
    let heard = receive(&stream).await;
    let reply = match (heard, said) {
        (Ok(reply), _) => reply,
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(Failure::Broken(error)),
    };
    let reply = Envelope::<Reply>::parse(&reply).map_err(Failure::Nonsense)?;
    match reply.id {
        found if found == id => Ok(reply.content),
        _ => match reply.content {
            Reply::Refused { why } => Err(Failure::Nonsense(why)),
            _ => Err(Failure::Nonsense("an answer to something else".to_owned())),
        },
    }
}

async fn send(stream: &UnixStream, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        stream.writable().await?;
        match stream.try_write(line) {
            Ok(sent) => line = line.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Everything up to the first newline.
async fn receive(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => line.extend(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if line.ends_with(b"\n") {
            return Ok(line);
        }
        if line.len() >= REPLY_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
    }
}

static LAST: AtomicU64 = AtomicU64::new(1);
