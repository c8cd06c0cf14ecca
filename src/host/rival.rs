//! Whether fail2ban runs. Comes in: the state of its unit, from systemd on the system bus. Goes out:
//! whether it is active, after each change. Without the bus or systemd nothing is known of it, which is
//! no trouble; the bus is tried again, ever more rarely.

use tokio::sync::watch::Sender;
use tokio::time::sleep;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant};

use crate::host::Places;
use crate::host::bus::{self, FIRST_PAUSE, LAST_PAUSE, PROPERTIES};

/// Keeps `active` up to date until nobody wants to know.
pub async fn follow(places: &Places, active: Sender<bool>) {
    let watching = async {
        let mut pause = FIRST_PAUSE;
        loop {
            if watch(places, &active).await.is_ok() {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    };
    tokio::select! {
        () = watching => {}
        () = active.closed() => {}
    }
}

/// Watches until the connection ends, or systemd.
async fn watch(places: &Places, active: &Sender<bool>) -> zbus::Result<()> {
    let connection = bus::connect(places).await?;
    let mut changes = changes(&connection).await?;
    loop {
        let is_active = bus::has(&connection, SYSTEMD).await? && is_active(&connection).await?;
        active.send_if_modified(|last| std::mem::replace(last, is_active) != is_active);
        if !bus::any(&mut changes).await {
            return Ok(());
        }
    }
}

/// Whether the unit runs, or is about to.
async fn is_active(connection: &Connection) -> zbus::Result<bool> {
    let manager = Some(MANAGER);
    // systemd tells of units only if somebody subscribes; twice is an error of no consequence.
    let _ = connection
        .call_method(Some(SYSTEMD), MANAGER_PATH, manager, "Subscribe", &())
        .await;
    let unit = connection
        .call_method(Some(SYSTEMD), MANAGER_PATH, manager, "GetUnit", &UNIT)
        .await;
    let path: OwnedObjectPath = match unit {
        Ok(reply) => reply.body().deserialize()?,
        // A unit that nobody wants is not even loaded.
        Err(zbus::Error::MethodError(..) | zbus::Error::FDO(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let asked = (UNIT_INTERFACE, "ActiveState");
    let reply = connection
        .call_method(Some(SYSTEMD), path, Some(PROPERTIES), "Get", &asked)
        .await?;
    let state: OwnedVariant = reply.body().deserialize()?;
    let running = ["active", "activating", "reloading"];
    Ok(String::try_from(state).is_ok_and(|state| running.contains(&state.as_str())))
}

/// Everything after which the unit may be in another state.
async fn changes(connection: &Connection) -> zbus::Result<Vec<MessageStream>> {
    let signal = || MatchRule::builder().msg_type(Type::Signal);
    let of_manager = |member| {
        signal()
            .sender(SYSTEMD)
            .path(MANAGER_PATH)
            .interface(MANAGER)
            .member(member)
            .add_arg(UNIT)
    };
    let rules = [
        of_manager("UnitNew").build()?,
        of_manager("UnitRemoved").build()?,
        signal()
            .sender(SYSTEMD)
            .path(UNIT_PATH)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .add_arg(UNIT_INTERFACE)
            .build()?,
        signal()
            .sender(bus::NAME)
            .interface(bus::NAME)
            .member("NameOwnerChanged")
            .add_arg(SYSTEMD)
            .build()?,
    ];
    bus::hear(connection, rules).await
}

const UNIT: &str = "fail2ban.service";
/// As systemd escapes it.
const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/fail2ban_2eservice";
const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
