//! Who may do what: root and our own user everything, readers of the journal may read, everybody
//! else is polkit's to judge.
//!
//! Comes in: a call and what it wants. Goes out: the caller, or why not. Without polkit nothing
//! breaks: those who would need it are refused, with a text that says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use zbus::fdo::DBusProxy;
use zbus::message::{Flags, Header};
use zbus::proxy::CacheProperties;
use zbus::{Connection, fdo};
use zbus_polkit::policykit1::{
    AuthorityProxy, AuthorizationResult, CheckAuthorizationFlags, Subject,
};

use crate::dbus::caller::{Caller, Callers};
use crate::dbus::error::{Error, Kind, Result};
use crate::dbus::stream::next;

/// Members may read the journal, and with it every address that we could tell them.
const JOURNAL_READERS: [&str; 2] = ["adm", "systemd-journal"];

/// How long polkit may take where it asks nobody.
const PATIENCE: Duration = Duration::from_secs(25);

/// What can be allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See addresses.
    InspectBans,
    /// Ban.
    BanHosts,
    /// Lift single bans.
    UnbanHosts,
    /// Start and stop jails, lift all bans.
    ManageJails,
    /// Read the configuration again.
    Reload,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [
        Self::InspectBans,
        Self::BanHosts,
        Self::UnbanHosts,
        Self::ManageJails,
        Self::Reload,
    ];

    /// The name in `org.banishd.Banish1.policy`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::InspectBans => "org.banishd.Banish1.inspect-bans",
            Self::BanHosts => "org.banishd.Banish1.ban-hosts",
            Self::UnbanHosts => "org.banishd.Banish1.unban-hosts",
            Self::ManageJails => "org.banishd.Banish1.manage-jails",
            Self::Reload => "org.banishd.Banish1.reload",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::InspectBans => "see banned addresses",
            Self::BanHosts => "ban",
            Self::UnbanHosts => "lift bans",
            Self::ManageJails => "manage jails",
            Self::Reload => "reload the configuration",
        }
    }
}

/// A method call, as far as authorization looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    header: &'a Header<'a>,
    connection: &'a Connection,
}

impl<'a> Call<'a> {
    /// One with this header, that came in on this connection.
    #[must_use]
    pub fn new(header: &'a Header<'a>, connection: &'a Connection) -> Self {
        Self { header, connection }
    }
}

/// The door of one connection.
#[derive(Debug)]
pub struct Gate {
    own_uid: u32,
    callers: Callers,
    checks: AtomicU64,
}

impl Gate {
    /// For a daemon that runs as this user.
    #[must_use]
    pub fn new(own_uid: u32) -> Self {
        Self {
            own_uid,
            callers: Callers::default(),
            checks: AtomicU64::new(0),
        }
    }

    /// Lets the caller through, or says why not; `details` are for polkit's rules and messages.
    ///
    /// # Errors
    /// `AccessDenied` or `InteractiveAuthorizationRequired`.
    pub async fn admit(
        &self,
        call: Call<'_>,
        action: Action,
        details: &[(&str, &str)],
    ) -> Result<Arc<Caller>> {
        let caller = self.callers.of(call.header, call.connection).await?;
        let reader = action == Action::InspectBans && caller.is_member_of(&JOURNAL_READERS);
        if self.is_privileged(&caller) || reader {
            return Ok(caller);
        }
        let answer = self.ask_polkit(call, action, details).await?;
        if answer.is_authorized {
            return Ok(caller);
        }
        if answer.is_challenge && !may_interact(call.header) {
            let text = format!("a password is needed to {}", action.verb());
            return Err(Error::new(Kind::InteractiveAuthorizationRequired, text));
        }
        Err(Error::new(
            Kind::AccessDenied,
            format!("'{}' may not {}", caller.label(), action.verb()),
        ))
    }

    /// Lets root and our own user through, without asking polkit.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub async fn admit_privileged(&self, call: Call<'_>) -> Result<Arc<Caller>> {
        let caller = self.callers.of(call.header, call.connection).await?;
        if self.is_privileged(&caller) {
            return Ok(caller);
        }
        Err(Error::new(Kind::AccessDenied, "only root may do that"))
    }

    fn is_privileged(&self, caller: &Caller) -> bool {
        caller.uid == 0 || caller.uid == self.own_uid
    }

    async fn ask_polkit(
        &self,
        call: Call<'_>,
        action: Action,
        details: &[(&str, &str)],
    ) -> Result<AuthorizationResult> {
        let interactive = may_interact(call.header);
        let id = format!("banishd-{}", self.checks.fetch_add(1, Ordering::Relaxed));
        let check = check(call, action, details, &id);
        let failed = |why: &dyn std::fmt::Display| {
            let who = format!("only root may {}, because polkit", action.verb());
            Error::new(Kind::AccessDenied, format!("{who} did not answer: {why}"))
        };
        tokio::select! {
            answer = check => answer.map_err(|error| failed(&describe(&error))),
            () = gone(call) => {
                cancel(call.connection, &id).await;
                Err(failed(&"the caller has gone"))
            }
            () = tokio::time::sleep(PATIENCE), if !interactive => {
                cancel(call.connection, &id).await;
                Err(failed(&"it took too long"))
            }
        }
    }
}

fn may_interact(header: &Header<'_>) -> bool {
    header
        .primary()
        .flags()
        .contains(Flags::ALLOW_INTERACTIVE_AUTH)
}

async fn authority(connection: &Connection) -> zbus::Result<AuthorityProxy<'_>> {
    AuthorityProxy::builder(connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
}

async fn check(
    call: Call<'_>,
    action: Action,
    details: &[(&str, &str)],
    id: &str,
) -> zbus::Result<AuthorizationResult> {
    let subject = Subject::new_for_message_header(call.header)
        .map_err(|error| zbus::Error::Failure(error.to_string()))?;
    let details: HashMap<&str, &str> = details.iter().copied().collect();
    let flags = match may_interact(call.header) {
        true => CheckAuthorizationFlags::ALLOW_USER_INTERACTION,
        false => CheckAuthorizationFlags::empty(),
    };
    authority(call.connection)
        .await?
        .check_authorization(&subject, action.id(), &details, flags, id)
        .await
}

async fn cancel(connection: &Connection, id: &str) {
    // a check that has ended meanwhile cannot be cancelled, and need not be
    if let Ok(authority) = authority(connection).await {
        let _ = authority.cancel_check_authorization(id).await;
    }
}

/// Returns when the caller has left the bus: nobody is there to type the password.
async fn gone(call: Call<'_>) {
    let watch = async {
        let sender = call.header.sender()?;
        let bus = DBusProxy::new(call.connection).await.ok()?;
        let mut left = bus
            .receive_name_owner_changed_with_args(&[(0, sender.as_str()), (2, "")])
            .await
            .ok()?;
        let owner = bus.get_name_owner(sender.as_ref().into()).await;
        if owner.is_ok() {
            next(&mut left).await?;
        }
        Some(())
    };
    if watch.await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn describe(error: &zbus::Error) -> String {
    match error {
        zbus::Error::FDO(known) => match &**known {
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => {
                "it is not installed or not running".to_owned()
            }
            other => other.to_string(),
        },
        zbus::Error::MethodError(_, Some(text), _) => text.clone(),
        other => other.to_string(),
    }
}
