//! What everybody here wants of the system bus: a connection, signals, and whether somebody is there.
//! Nothing is ever started by it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::{Connection, MatchRule, MessageStream};

use crate::host::Places;

/// A connection on which calls have a time limit.
pub(crate) async fn connect(places: &Places) -> zbus::Result<Connection> {
    let builder = match &places.bus {
        Some(address) => Builder::address(address.as_str()),
        None => Builder::system(),
    };
    let connecting = builder.method_timeout(ANSWER).build();
    timeout(ANSWER, connecting)
        .await
        .map_err(std::io::Error::from)?
}

/// Whether somebody has this name.
pub(crate) async fn has(connection: &Connection, name: &str) -> zbus::Result<bool> {
    let reply = connection
        .call_method(Some(NAME), PATH, Some(NAME), "NameHasOwner", &(name,))
        .await?;
    reply.body().deserialize()
}

/// The signals that these rules select, from now on.
pub(crate) async fn hear(
    connection: &Connection,
    rules: impl IntoIterator<Item = MatchRule<'static>>,
) -> zbus::Result<Vec<MessageStream>> {
    let mut streams = Vec::new();
    for rule in rules {
        streams.push(MessageStream::for_match_rule(rule, connection, None).await?);
    }
    Ok(streams)
}

/// Waits for one message and takes all that are there; false once the connection has ended.
pub(crate) async fn any(streams: &mut [MessageStream]) -> bool {
    poll_fn(|context| {
        let mut heard = false;
        for stream in &mut *streams {
            loop {
                match Pin::new(&mut *stream).poll_next(context) {
                    Poll::Ready(Some(_)) => heard = true,
                    Poll::Ready(None) => return Poll::Ready(false),
                    Poll::Pending => break,
                }
            }
        }
        if heard {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    })
    .await
}

/// The bus itself.
pub(crate) const NAME: &str = "org.freedesktop.DBus";
const PATH: &str = "/org/freedesktop/DBus";
/// Everybody's interface for properties.
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Between attempts to connect: at first, and at most.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(crate) const LAST_PAUSE: Duration = Duration::from_secs(60);
