//! One connection to the bus, from the handshake to its end.
//!
//! Comes in: [`News`]. Goes out: objects, signals. All objects are served before the name is asked
//! for, because a call that started us is delivered the moment we have it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, NameLostStream, ObjectManager, RequestNameFlags};
use zbus::object_server::SignalEmitter;
use zbus::wire::ObjectPath;

use crate::dbus::api::Api;
use crate::dbus::ask::Loop;
use crate::dbus::error;
use crate::dbus::jail::Jail;
use crate::dbus::link::News;
use crate::dbus::log_control::LogControl;
use crate::dbus::manager::Manager;
use crate::dbus::names::{
    BUS_NAME, JAIL_INTERFACE, LOG_CONTROL_PATH, MANAGER_INTERFACE, MANAGER_PATH, jail_path,
};
use crate::dbus::outbox::{Outbox, Signal};
use crate::dbus::polkit::Gate;
use crate::dbus::service::{Bus, Options};
use crate::dbus::shown::{self, Values};
use crate::dbus::stream::next;
use crate::dbus::wire::BanInfo;
use crate::engine::settings::JailName;

/// A session in which we own the name.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    api: Api,
    emitter: SignalEmitter<'static>,
    lost: Option<NameLostStream>,
    began: Instant,
    outbox: Outbox,
    manager: Values,
    jails: BTreeMap<JailName, Values>,
}

/// Why a session is over.
#[derive(Debug)]
pub enum End {
    /// The loop has ended.
    Stopping,
    /// The bus has gone, or our name with it.
    Lost(SessionError),
}

/// What can be wrong with a bus.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The bus does not answer as it should.
    #[error("the bus failed")]
    Bus(#[from] zbus::Error),
    /// The bus does not answer at all.
    #[error("the bus does not answer")]
    Slow,
    /// Another process has our name.
    #[error(
        "the name 'org.banishd.Banish1' belongs to another process; is a second banishd running?"
    )]
    NameTaken,
    /// The bus does not let us have the name.
    #[error(
        "the bus denies the name 'org.banishd.Banish1' to this user (dbus-1/system.d/org.banishd.Banish1.conf)"
    )]
    NameDenied,
    /// The bus closed the connection.
    #[error("the bus closed the connection")]
    Closed,
    /// The bus took the name from us.
    #[error("the bus took the name 'org.banishd.Banish1' away")]
    NameLost,
    /// The loop did not answer.
    #[error("banishd is stopping")]
    Stopping(#[from] error::Error),
}

impl Session {
    /// Connects and serves.
    ///
    /// # Errors
    /// There is no bus, it refuses us, or somebody else has the name.
    pub async fn open(options: &Options, daemon: &Loop) -> Result<Self, SessionError> {
        let builder = match &options.bus {
            Bus::System => Builder::system(),
            Bus::Address(address) => Builder::address(address.as_str()),
        };
        let mut session = Self::on(builder, options, daemon).await?;
        session.take_name().await?;
        Ok(session)
    }

    /// Serves on a connection that `builder` makes, without asking for a name.
    ///
    /// # Errors
    /// The connection cannot be made.
    pub async fn on(
        builder: Builder<'_>,
        options: &Options,
        daemon: &Loop,
    ) -> Result<Self, SessionError> {
        let api = Api {
            daemon: daemon.clone(),
            gate: Arc::new(Gate::new(options.own_uid)),
        };
        let log_control = LogControl::new(Arc::clone(&options.log), Arc::clone(&api.gate));
        let mut builder = builder
            .serve_at(MANAGER_PATH, ObjectManager)
            .serve_at(MANAGER_PATH, Manager::new(api.clone()))
            .serve_at(LOG_CONTROL_PATH, log_control);
        let views = daemon.jails().await?;
        let mut jails = BTreeMap::new();
        for view in views {
            let jail = Jail::new(api.clone(), view.name.clone());
            builder = builder.serve_at(ObjectPath::from(jail_path(&view.name)), jail);
            jails.insert(view.name, Values::new());
        }
        let connection = builder.build().await?;
        let path = ObjectPath::from_static_str(MANAGER_PATH)?;
        let mut session = Self {
            emitter: SignalEmitter::from_parts(connection.clone(), path),
            connection,
            api,
            lost: None,
            began: Instant::now(),
            outbox: Outbox::default(),
            manager: Values::new(),
            jails,
        };
        session.look().await?;
        Ok(session)
    }

    async fn take_name(&mut self) -> Result<(), SessionError> {
        let bus = DBusProxy::new(&self.connection).await?;
        // before the name is ours, or its loss could go unseen
        self.lost = Some(bus.receive_name_lost().await?);
        let flags = RequestNameFlags::DO_NOT_QUEUE;
        let asked = self.connection.request_name_with_flags(BUS_NAME, flags);
        match asked.await {
            Ok(_) => Ok(()),
            Err(zbus::Error::NameTaken) => Err(SessionError::NameTaken),
            Err(zbus::Error::FDO(known)) if matches!(*known, zbus::fdo::Error::AccessDenied(_)) => {
                Err(SessionError::NameDenied)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends signals until the bus or the loop ends.
    pub async fn serve(mut self, news: &mut mpsc::Receiver<News>) -> End {
        loop {
            let deadline = self.outbox.deadline().map(|due| self.began + due);
            let done = tokio::select! {
                item = news.recv() => match item {
                    None => return End::Stopping,
                    Some(item) => self.tell(item).await,
                },
                () = until(deadline) => {
                    let mut out = Vec::new();
                    self.outbox.due(self.began.elapsed(), &mut out);
                    self.send(out).await
                }
                () = self.connection.closed() => Err(SessionError::Closed),
                () = lost(self.lost.as_mut()) => Err(SessionError::NameLost),
            };
            if let Err(error) = done {
                // what still runs on this connection must not answer for the next one
                let _ = self.connection.close().await;
                return End::Lost(error);
            }
        }
    }

    async fn tell(&mut self, news: News) -> Result<(), SessionError> {
        let now = self.began.elapsed();
        let mut out = Vec::new();
        match news {
            News::Events(events) => {
                for event in events {
                    self.outbox.take(now, event, &mut out);
                }
            }
            News::Reset => self.catch_up(now, &mut out).await?,
            News::State(_) => self.outbox.manager_changed(),
            News::Reloading(active) => {
                self.outbox.manager_changed();
                Manager::reloading(&self.emitter, active).await?;
            }
        }
        self.outbox.due(now, &mut out);
        self.send(out).await
    }

    /// Finds out what was missed.
    async fn catch_up(&mut self, now: Duration, out: &mut Vec<Signal>) -> Result<(), SessionError> {
        let views = self.api.daemon.jails().await?;
        let missing = |name: &&JailName| !views.iter().any(|view| view.name == **name);
        let gone: Vec<JailName> = self.jails.keys().filter(missing).cloned().collect();
        out.extend(gone.into_iter().map(Signal::JailRemoved));
        for view in views {
            if !self.jails.contains_key(&view.name) {
                out.push(Signal::JailNew(view.name.clone()));
            }
            self.outbox.reset(now, view.name);
        }
        Ok(())
    }

    async fn send(&mut self, signals: Vec<Signal>) -> Result<(), SessionError> {
        for signal in signals {
            match signal {
                Signal::Manager => self.announce_manager().await?,
                Signal::Jail(jail) => self.announce_jail(jail).await?,
                Signal::JailNew(jail) => self.add_jail(jail).await?,
                Signal::JailRemoved(jail) => self.remove_jail(jail).await?,
                other => emit(&self.emitter, other).await?,
            }
        }
        Ok(())
    }

    /// Notes the properties as they are, announcing nothing: nobody has seen them yet.
    async fn look(&mut self) -> Result<(), SessionError> {
        let view = self.api.daemon.manager().await?;
        self.manager = shown::manager(&view, self.jails.len());
        for (name, values) in &mut self.jails {
            if let Ok((view, settings)) = self.api.daemon.jail(name).await {
                *values = shown::jail(&view, settings.as_ref());
            }
        }
        Ok(())
    }

    async fn announce_manager(&mut self) -> Result<(), SessionError> {
        let view = self.api.daemon.manager().await?;
        let new = shown::manager(&view, self.jails.len());
        shown::announce(&self.emitter, MANAGER_INTERFACE, &self.manager, &new).await?;
        self.manager = new;
        Ok(())
    }

    async fn announce_jail(&mut self, name: JailName) -> Result<(), SessionError> {
        let Some(old) = self.jails.get_mut(&name) else {
            return Ok(());
        };
        // it may be gone by now, and its JailRemoved be on the way
        if let Ok((view, settings)) = self.api.daemon.jail(&name).await {
            let new = shown::jail(&view, settings.as_ref());
            let path = ObjectPath::from(jail_path(&name));
            let emitter = SignalEmitter::from_parts(self.connection.clone(), path);
            shown::announce(&emitter, JAIL_INTERFACE, old, &new).await?;
            *old = new;
        }
        Ok(())
    }

    async fn add_jail(&mut self, name: JailName) -> Result<(), SessionError> {
        let path = jail_path(&name);
        let jail = Jail::new(self.api.clone(), name.clone());
        let server = self.connection.object_server();
        server.at(ObjectPath::from(path.clone()), jail).await?;
        Manager::jail_new(&self.emitter, &name, path).await?;
        let values = match self.api.daemon.jail(&name).await {
            Ok((view, settings)) => shown::jail(&view, settings.as_ref()),
            Err(_) => Values::new(),
        };
        self.jails.insert(name, values);
        Ok(())
    }

    async fn remove_jail(&mut self, name: JailName) -> Result<(), SessionError> {
        if self.jails.remove(&name).is_none() {
            return Ok(());
        }
        let path = jail_path(&name);
        let server = self.connection.object_server();
        server
            .remove::<Jail, _>(ObjectPath::from(path.clone()))
            .await?;
        Manager::jail_removed(&self.emitter, &name, path).await?;
        Ok(())
    }
}

async fn emit(emitter: &SignalEmitter<'_>, signal: Signal) -> zbus::Result<()> {
    match &signal {
        Signal::BanNew(ban) | Signal::BanChanged(ban) => {
            let BanInfo {
                jail,
                address,
                origin,
                ..
            } = ban;
            let (since, until) = (ban.since_usec, ban.until_usec);
            let (failures, earlier) = (ban.failures, ban.earlier);
            if let Signal::BanNew(_) = signal {
                Manager::ban_new(
                    emitter, jail, address, since, until, failures, earlier, origin,
                )
                .await
            } else {
                Manager::ban_changed(
                    emitter, jail, address, since, until, failures, earlier, origin,
                )
                .await
            }
        }
        Signal::BanRemoved {
            jail,
            address,
            result,
            by,
        } => Manager::ban_removed(emitter, jail, address, result.as_str(), by).await,
        Signal::BansReset(jail) => Manager::bans_reset(emitter, jail).await,
        // these touch the objects as well, see `Session::send`
        Signal::Manager | Signal::Jail(_) | Signal::JailNew(_) | Signal::JailRemoved(_) => Ok(()),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Returns when our name is taken away; never without a bus.
async fn lost(stream: Option<&mut NameLostStream>) {
    let Some(stream) = stream else {
        return std::future::pending().await;
    };
    while let Some(signal) = next(stream).await {
        if signal.args().is_ok_and(|args| args.name == BUS_NAME) {
            return;
        }
    }
    // the stream ends with the connection, which says so itself
    std::future::pending().await
}
