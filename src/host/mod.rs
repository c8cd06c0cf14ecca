//! WATCHES: the host's own addresses, gateways, resolvers and login sessions, and fail2ban.
//!
//! Comes in: rtnetlink, resolv.conf, passwd and group, login1 over the system bus. Goes out: a new
//! [`Protected`] whenever it differs from the last one. It never polls: idle, nothing here wakes up.
//! Whatever cannot be read protects nobody, costs one warning, and is tried again.

pub mod accounts;
mod bus;
pub mod logins;
pub mod network;
pub mod resolvers;
pub mod rival;
pub mod route;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::timeout;

use crate::engine::protected::Protected;
use crate::host::logins::Sessions;
use crate::host::network::Network;

/// Where to look; the default is the machine itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where `etc` and `run` are.
    pub root: PathBuf,
    /// The bus with login1 on it, as a D-Bus address; `None` for the system bus.
    pub bus: Option<String>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            bus: None,
        }
    }
}

/// Keeps `protected` up to date until its receivers are gone or `groups` is closed. It is first sent
/// when the network has been read and login1 has answered or cannot.
///
/// `groups` holds the setting `protect_groups`. Sending it, even unchanged, has everything read anew:
/// to be done on reload and after a suspend.
pub async fn watch(
    places: Places,
    mut groups: Receiver<Vec<String>>,
    protected: Sender<Protected>,
) {
    groups.mark_unchanged();
    let (network_sender, network) = channel(None);
    let (sessions_sender, sessions) = channel(None);
    tokio::select! {
        () = protected.closed() => {}
        () = network::follow(&places.root, groups.clone(), network_sender) => {}
        () = logins::follow(&places, groups, sessions_sender) => {}
        () = merge(network, sessions, &protected) => {}
    }
}

/// Sends what both parts say together, whenever that changes.
async fn merge(
    mut network: Receiver<Option<Network>>,
    mut sessions: Receiver<Option<Sessions>>,
    protected: &Sender<Protected>,
) {
    let both = async {
        let _ = network.wait_for(Option::is_some).await;
        let _ = sessions.wait_for(Option::is_some).await;
    };
    // A login manager that hangs must not keep the network from being protected.
    let _ = timeout(PATIENCE, both).await;
    let mut sent = false;
    loop {
        let mut next = Protected::default();
        if let Some(network) = &*network.borrow_and_update() {
            next.own = network.own.iter().copied().collect();
            next.gateways = network.gateways.iter().copied().collect();
            next.resolvers = network.resolvers.iter().copied().collect();
        }
        next.sessions = sessions.borrow_and_update().clone().unwrap_or_default();
        let is_first = !std::mem::replace(&mut sent, true);
        protected.send_if_modified(|last| {
            let differs = is_first || *last != next;
            *last = next;
            differs
        });
        let changed = tokio::select! {
            changed = network.changed() => changed,
            changed = sessions.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// How long the first answer of login1 is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
