//! The service: connects, serves the objects, asks for the name, sends signals, and comes back when
//! the bus does.
//!
//! Comes in: the bus's end of the link. Goes out: everything on the bus. It never ends because of the
//! bus, and never keeps the loop waiting: what the loop tells while there is no bus is dropped, since
//! every new session begins by reading everything anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::dbus::ask::Loop;
use crate::dbus::error::chain;
use crate::dbus::link::{BusEnd, News};
use crate::dbus::log_control::Log;
use crate::dbus::session::{End, Session, SessionError};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which bus.
    pub bus: Bus,
    /// The user this daemon runs as; it may do everything, like root.
    pub own_uid: u32,
    /// The log behind `org.freedesktop.LogControl1`.
    pub log: Arc<dyn Log>,
    /// The first pause before another try; it doubles up to [`PAUSE_MAX`].
    pub pause: Duration,
}

/// Which bus to serve on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bus {
    /// The system bus.
    System,
    /// The one at this address.
    Address(String),
}

/// The usual first pause before another try to connect.
pub const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two tries to connect.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long the bus may take to let us in.
const PATIENCE: Duration = Duration::from_secs(25);

/// Serves until the loop drops its end of the link.
pub async fn run(mut end: BusEnd, options: Options) {
    let daemon = Loop::new(end.requests);
    let mut pause = options.pause;
    let mut told = String::new();
    loop {
        let opening = tokio::time::timeout(PATIENCE, Session::open(&options, &daemon));
        let opened = match meanwhile(&mut end.news, opening).await {
            None => return,
            Some(Ok(opened)) => opened,
            Some(Err(_)) => Err(SessionError::Slow),
        };
        let error = match opened {
            Ok(session) => {
                pause = options.pause;
                told.clear();
                info!("serving on the bus");
                match session.serve(&mut end.news).await {
                    End::Stopping => return,
                    End::Lost(error) => error,
                }
            }
            Err(error) => error,
        };
        let error = chain(&error);
        if told != error {
            let seconds = pause.as_secs_f32();
            warn!(
                error,
                "no bus, banning goes on; trying again in {seconds} s and then every 30 s at most"
            );
            told = error;
        }
        if meanwhile(&mut end.news, tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Awaits `future` and drops what the loop tells meanwhile; `None` if the loop has ended.
async fn meanwhile<T>(
    news: &mut mpsc::Receiver<News>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            output = &mut future => return Some(output),
            item = news.recv() => { item?; }
        }
    }
}
