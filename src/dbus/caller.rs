//! Who sent a message: the user and groups that the bus vouches for.
//!
//! Comes in: a message header. Goes out: a [`Caller`]. Nothing the sender says about itself is used.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use zbus::Connection;
use zbus::fdo::{ConnectionCredentials, DBusProxy};
use zbus::message::Header;
use zbus::names::{BusName, UniqueName};

use crate::dbus::error::{Error, Kind, Result};
use crate::sys::accounts;

/// The sender of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// All groups, as far as the bus knows them.
    pub gids: Vec<u32>,
}

impl Caller {
    /// What the log and signals call it: the user's name, or `uid 1000` where it has none.
    #[must_use]
    pub fn label(&self) -> String {
        let passwd = accounts::passwd(Path::new("/"));
        let user = accounts::users(&passwd).find(|user| user.uid == self.uid);
        user.map_or_else(|| format!("uid {}", self.uid), |user| user.name.to_owned())
    }

    /// Whether it is a member of one of these groups.
    #[must_use]
    pub fn is_member_of(&self, groups: &[&str]) -> bool {
        let file = accounts::group(Path::new("/"));
        accounts::groups(&file)
            .any(|group| groups.contains(&group.name) && self.gids.contains(&group.gid))
    }
}

/// The callers met lately: a connection's credentials never change, nor is its unique name given to
/// another one, so one question to the bus is enough for many calls.
#[derive(Debug, Default)]
pub struct Callers(Mutex<VecDeque<(String, Arc<Caller>)>>);

impl Callers {
    const REMEMBERED: usize = 64;

    /// Who sent this message.
    ///
    /// # Errors
    /// The bus does not know, for instance because the sender has gone.
    pub async fn of(&self, header: &Header<'_>, connection: &Connection) -> Result<Arc<Caller>> {
        let Some(sender) = header.sender() else {
            return peer(connection).await;
        };
        if let Some(known) = self.known(sender) {
            return Ok(known);
        }
        let caller = Arc::new(ask(sender, connection).await?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.truncate(Self::REMEMBERED - 1);
        known.push_front((sender.to_string(), Arc::clone(&caller)));
        Ok(caller)
    }

    fn known(&self, sender: &str) -> Option<Arc<Caller>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .find(|(name, _)| name == sender)
            .map(|(_, caller)| Arc::clone(caller))
    }
}

/// The other end of a connection without a bus.
async fn peer(connection: &Connection) -> Result<Arc<Caller>> {
    let credentials = connection.peer_creds().await.map_err(|e| unknown(&e))?;
    caller(credentials).map(Arc::new)
}

async fn ask(sender: &UniqueName<'_>, connection: &Connection) -> Result<Caller> {
    let bus = DBusProxy::new(connection).await.map_err(|e| unknown(&e))?;
    let credentials = bus
        .get_connection_credentials(BusName::from(sender.as_ref()))
        .await
        .map_err(|e| unknown(&e))?;
    caller(&credentials)
}

fn caller(credentials: &ConnectionCredentials) -> Result<Caller> {
    Ok(Caller {
        uid: credentials
            .unix_user_id()
            .ok_or_else(|| unknown(&"the bus names no user"))?,
        gids: credentials.unix_group_ids().cloned().unwrap_or_default(),
    })
}

fn unknown(why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::AccessDenied, format!("cannot tell who calls: {why}"))
}
