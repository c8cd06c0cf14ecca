//! Who is logged in from afar. Comes in: the sessions of login1 on the system bus. Goes out: the peers
//! of live remote sessions of administrators, after each change. A peer that login1 knows by host name
//! only is left out: the daemon resolves no names (sshd tells addresses unless `UseDNS yes`).
//!
//! Never starts login1, and never asks it but when it tells of a change. Without the bus what is known
//! stays known, and the bus is tried again, ever more rarely.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::sync::watch::{Receiver, Sender};
use tokio::time::timeout;
use tracing::{info, warn};
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant};

use crate::engine::address::Offender;
use crate::engine::time::Timestamp;
use crate::host::Places;
use crate::host::accounts::Admins;
use crate::host::bus::{self, FIRST_PAUSE, LAST_PAUSE, PROPERTIES};

/// Remote peers and when their sessions began, sorted.
pub type Sessions = Vec<(Offender, Timestamp)>;

/// Keeps `sessions` up to date until `groups` is closed.
pub async fn follow(
    places: &Places,
    mut groups: Receiver<Vec<String>>,
    sessions: Sender<Option<Sessions>>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut follower = Follower {
            places,
            groups: &mut groups,
            sessions: &sessions,
            is_absent: false,
        };
        let lost = follower.run().await;
        match lost {
            Ok(Ended::Closed) => return,
            Ok(Ended::Disconnected) => {
                pause = FIRST_PAUSE;
                info!("the connection to the bus ended, reconnecting");
            }
            // One line for each outage.
            Err(error) if pause == FIRST_PAUSE => {
                warn!(error = %error, "cannot ask login1 who is logged in, protecting only those known, retrying");
            }
            Err(_) => {}
        }
        publish(&sessions, None);
        if let Ok(Err(_)) = timeout(pause, groups.changed()).await {
            return;
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Why following a connection ended.
enum Ended {
    /// Nobody wants to know any more.
    Closed,
    /// The bus is gone.
    Disconnected,
}

/// One connection to the bus.
struct Follower<'a> {
    places: &'a Places,
    groups: &'a mut Receiver<Vec<String>>,
    sessions: &'a Sender<Option<Sessions>>,
    /// Whether login1 was missing when last asked.
    is_absent: bool,
}

impl Follower<'_> {
    async fn run(&mut self) -> zbus::Result<Ended> {
        let connection = bus::connect(self.places).await?;
        let mut changes = changes(&connection).await?;
        loop {
            let list = self.list(&connection).await?;
            publish(self.sessions, Some(list));
            tokio::select! {
                is_more = bus::any(&mut changes) => if !is_more {
                    return Ok(Ended::Disconnected);
                },
                sent = self.groups.changed() => if sent.is_err() {
                    return Ok(Ended::Closed);
                },
            }
        }
    }

    /// The sessions as they are now; none without login1.
    async fn list(&mut self, connection: &Connection) -> zbus::Result<Sessions> {
        if !bus::has(connection, LOGIN1).await? {
            if !std::mem::replace(&mut self.is_absent, true) {
                info!("there is no login1, so nobody's login session is protected");
            }
            return Ok(Sessions::new());
        }
        self.is_absent = false;
        let admins = Admins::read(&self.places.root, &self.groups.borrow_and_update());
        let reply = connection
            .call_method(
                Some(LOGIN1),
                MANAGER_PATH,
                Some(MANAGER),
                "ListSessions",
                &(),
            )
            .await?;
        let all: Vec<(String, u32, String, String, OwnedObjectPath)> =
            reply.body().deserialize()?;
        let mut sessions = Sessions::new();
        for (_, uid, user, _, path) in all {
            if admins.include(uid, &user) {
                // A session that ended in the meantime answers with an error.
                sessions.extend(session(connection, &path).await.ok().flatten());
            }
        }
        sessions.sort_unstable();
        sessions.dedup();
        Ok(sessions)
    }
}

/// The peer of a session, if it is remote and someone still sits there.
async fn session(
    connection: &Connection,
    path: &OwnedObjectPath,
) -> zbus::Result<Option<(Offender, Timestamp)>> {
    let reply = connection
        .call_method(Some(LOGIN1), path, Some(PROPERTIES), "GetAll", &(SESSION,))
        .await?;
    let mut properties: HashMap<String, OwnedVariant> = reply.body().deserialize()?;
    let mut take = |name| properties.remove(name);
    let text = |value: Option<OwnedVariant>| value.and_then(|value| String::try_from(value).ok());
    let is_remote = take("Remote").and_then(|value| bool::try_from(value).ok()) == Some(true);
    // user, user-early and so on, but no greeter, manager or background job.
    let is_user = text(take("Class")).is_some_and(|class| class.starts_with("user"));
    // What a user left running after logging out keeps a closing session.
    let is_live = text(take("State")).is_some_and(|state| state != "closing");
    let began = take("Timestamp").and_then(|value| u64::try_from(value).ok());
    let peer = text(take("RemoteHost")).as_deref().and_then(peer);
    let wanted = is_remote && is_user && is_live;
    Ok(peer
        .zip(began)
        .filter(|_| wanted)
        .map(|(peer, began)| (peer, Timestamp::from_usec(began))))
}

/// The address in `RemoteHost`, whose interface is dropped; `None` for a host name.
fn peer(host: &str) -> Option<Offender> {
    let address = host.split_once('%').map_or(host, |(address, _)| address);
    address.parse::<IpAddr>().ok().map(Offender::host)
}

/// Everything after which the list may be another: sessions that come and go or begin to close, and
/// login1 itself coming and going.
async fn changes(connection: &Connection) -> zbus::Result<Vec<MessageStream>> {
    let signal = || MatchRule::builder().msg_type(Type::Signal);
    let of_manager = || {
        signal()
            .sender(LOGIN1)
            .path(MANAGER_PATH)
            .interface(MANAGER)
    };
    let rules = [
        of_manager().member("SessionNew").build()?,
        of_manager().member("SessionRemoved").build()?,
        signal()
            .sender(LOGIN1)
            .path_namespace(SESSIONS_PATH)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .add_arg(SESSION)
            .build()?,
        signal()
            .sender(bus::NAME)
            .interface(bus::NAME)
            .member("NameOwnerChanged")
            .add_arg(LOGIN1)
            .build()?,
    ];
    bus::hear(connection, rules).await
}

/// Sends what is known now; `None` leaves it as it was, empty at first.
fn publish(sessions: &Sender<Option<Sessions>>, list: Option<Sessions>) {
    sessions.send_if_modified(|last| {
        let next = list.or_else(|| last.clone()).unwrap_or_default();
        last.replace(next) != *last
    });
}

const LOGIN1: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/login1";
const SESSION: &str = "org.freedesktop.login1.Session";
const SESSIONS_PATH: &str = "/org/freedesktop/login1/session";
