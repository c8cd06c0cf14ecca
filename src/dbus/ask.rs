//! Questions to the daemon's loop, each awaited to its answer.
//!
//! Comes in: what a method needs to know or to change. Goes out: the loop's answer or a bus error.
//! Whatever the loop says is passed on; nothing is decided here.

use tokio::sync::{mpsc, oneshot};

use crate::dbus::error::{Error, Kind, Result};
use crate::dbus::link::{ManagerView, Request};
use crate::dbus::names;
use crate::engine::address::Offender;
use crate::engine::command::{Command, Reply};
use crate::engine::ledger::ban::Ban;
use crate::engine::settings::{JailName, JailSettings};
use crate::engine::view::JailView;

/// A way to the loop; clones are cheap.
#[derive(Clone, Debug)]
pub struct Loop(mpsc::Sender<Request>);

impl Loop {
    /// Through this channel.
    #[must_use]
    pub fn new(requests: mpsc::Sender<Request>) -> Self {
        Self(requests)
    }

    /// Has `command` carried out, firewall included.
    ///
    /// # Errors
    /// The engine's refusal.
    pub async fn command(&self, command: Command) -> Result<Reply> {
        let answer = self.ask(|reply| Request::Command(command, reply)).await?;
        answer.map_err(Error::from)
    }

    /// Has the configuration read again; returns the warnings.
    ///
    /// # Errors
    /// Every problem, with file and line.
    pub async fn reload(&self) -> Result<Vec<String>> {
        let answer = self.ask(Request::Reload).await?;
        answer.map_err(|problems| Error::diagnostics(Kind::ReloadFailed, problems))
    }

    /// The daemon as a whole.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn manager(&self) -> Result<ManagerView> {
        self.ask(Request::Manager).await
    }

    /// All jails, by name.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn jails(&self) -> Result<Vec<JailView>> {
        self.ask(Request::Jails).await
    }

    /// The jail called `name`.
    ///
    /// # Errors
    /// There is none; the text names the nearest.
    pub async fn jail(&self, name: &str) -> Result<(JailView, Option<JailSettings>)> {
        // Anybody may ask for anything, and comparing names costs the product of their lengths.
        if JailName::new(name).is_none() {
            let text =
                "no jail can have this name: it is 1 to 64 letters, digits, '-', '_' and '.'";
            return Err(Error::new(Kind::NoSuchJail, text));
        }
        let asked = name.to_owned();
        if let Some(jail) = self.ask(|reply| Request::Jail(asked, reply)).await? {
            return Ok(jail);
        }
        let jails = self.jails().await?;
        let near = names::nearest(name, jails.iter().map(|jail| &*jail.name));
        let text = match near {
            Some(near) => format!("no jail '{name}' is configured; did you mean '{near}'?"),
            None => format!("no jail '{name}' is configured"),
        };
        Err(Error::new(Kind::NoSuchJail, text))
    }

    /// One jail if a name is given, all if it is empty.
    ///
    /// # Errors
    /// There is no such jail.
    pub async fn jail_or_all(&self, name: &str) -> Result<Option<JailName>> {
        if name.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.jail(name).await?.0.name))
    }

    /// Bans ordered by jail and offender, see [`Request::Bans`].
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn bans(
        &self,
        jail: Option<JailName>,
        after: Option<(JailName, Offender)>,
        max: usize,
    ) -> Result<Vec<Ban>> {
        self.ask(|reply| Request::Bans {
            jail,
            after,
            max,
            reply,
        })
        .await
    }

    /// Bans that cover `offender` or lie within it.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn lookup(&self, offender: Offender) -> Result<Vec<Ban>> {
        self.ask(|reply| Request::Lookup(offender, reply)).await
    }

    /// The lines that led to a ban.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn lines(&self, jail: JailName, offender: Offender) -> Result<Vec<Box<str>>> {
        self.ask(|reply| Request::Lines(jail, offender, reply))
            .await
    }

    /// Packets dropped for a jail so far.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn dropped(&self, jail: JailName) -> Result<u64> {
        self.ask(|reply| Request::Dropped(jail, reply)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T> {
        let stopping = || Error::new(Kind::Failed, "banishd is stopping");
        let (reply, answer) = oneshot::channel();
        self.0.send(request(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }
}
