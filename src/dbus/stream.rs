//! The one thing zbus leaves to another crate: the next item of a stream.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;

/// The next item; `None` at the end.
pub(crate) async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}
