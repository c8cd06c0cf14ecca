//! A service manager on the bus that knows one unit, fail2ban's; as org.freedesktop.systemd1(5) has it.

use std::sync::{Arc, Mutex};

use zbus::connection::Builder;
use zbus::{Connection, OwnedObjectPath, fdo};

use crate::host::login1::Bus;

/// org.freedesktop.systemd1. Like the real one it tells of units only those who have subscribed.
pub(crate) struct Systemd1 {
    connection: Connection,
    manager: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_loaded: bool,
    has_subscribers: bool,
}

const UNIT: &str = "/org/freedesktop/systemd1/unit/fail2ban_2eservice";

impl Systemd1 {
    pub(crate) async fn appear(bus: &Bus) -> Self {
        let manager = Arc::<Mutex<State>>::default();
        let connection = Builder::address(bus.address.as_str())
            .serve_at("/org/freedesktop/systemd1", Manager(manager.clone()))
            .serve_at(UNIT, Unit("inactive"))
            .name("org.freedesktop.systemd1")
            .build()
            .await
            .unwrap();
        Self {
            connection,
            manager,
        }
    }

    pub(crate) async fn load(&self) {
        self.manager.lock().unwrap().is_loaded = true;
        self.signal("UnitNew").await;
    }

    pub(crate) async fn unload(&self) {
        self.manager.lock().unwrap().is_loaded = false;
        self.signal("UnitRemoved").await;
    }

    /// Gives the unit this `ActiveState`.
    pub(crate) async fn turn(&self, state: &'static str) {
        let server = self.connection.object_server();
        let unit = server.interface::<_, Unit>(UNIT).await.unwrap();
        let mut inner = unit.get_mut().await;
        inner.0 = state;
        if self.manager.lock().unwrap().has_subscribers {
            inner
                .active_state_changed(unit.signal_emitter())
                .await
                .unwrap();
        }
    }

    async fn signal(&self, name: &str) {
        if !self.manager.lock().unwrap().has_subscribers {
            return;
        }
        let path = OwnedObjectPath::try_from(UNIT).unwrap();
        let body = ("fail2ban.service", path);
        let (path, manager) = (
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
        );
        let sent = self
            .connection
            .emit_signal(None::<&str>, path, manager, name, &body);
        sent.await.unwrap();
    }
}

struct Manager(Arc<Mutex<State>>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {
        self.0.lock().unwrap().has_subscribers = true;
    }

    fn get_unit(&self, name: &str) -> fdo::Result<OwnedObjectPath> {
        match name == "fail2ban.service" && self.0.lock().unwrap().is_loaded {
            true => Ok(OwnedObjectPath::try_from(UNIT).unwrap()),
            false => Err(fdo::Error::Failed(format!("Unit {name} not loaded."))),
        }
    }
}

struct Unit(&'static str);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.0
    }
}
