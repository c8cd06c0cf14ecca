//! The calls, and what went wrong in words that say what to do.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use serde::{Serialize, Serializer};
use zbus::connection::Builder;
use zbus::fdo::{self, DBusProxy, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::proxy::CacheProperties;
use zbus::wire::{OwnedObjectPath, OwnedVariant};
use zbus::{Connection, DBusError, Message};

use crate::dbus::names::{BUS_NAME, JAIL_INTERFACE, MANAGER_INTERFACE, MANAGER_PATH};
use crate::dbus::proxy::{JailProxy, ManagerProxy};
use crate::dbus::stream::next;
use crate::dbus::wire::{BanInfo, FOREVER, ImportInfo, ImportSums, PAGE_MAX, duration_usec};
use crate::engine::time::{BanTime, Timestamp};

/// A connection to a running banishd.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: Connection,
    manager: ManagerProxy<'static>,
}

/// What `status` shows.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) state: String,
    pub(crate) troubles: Vec<String>,
    pub(crate) notices: Vec<String>,
    pub(crate) directory: String,
    pub(crate) backend: String,
    pub(crate) bans: u32,
    pub(crate) bans_total: u64,
    pub(crate) suppressed: u64,
    pub(crate) journal_usec: u64,
    pub(crate) jails: Vec<Jail>,
}

/// What `status JAIL` shows.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Jail {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) state: String,
    pub(crate) problem: String,
    pub(crate) units: Vec<String>,
    pub(crate) matches: Vec<String>,
    pub(crate) bans_of: Vec<String>,
    pub(crate) ports: Vec<String>,
    pub(crate) max_failures: u32,
    pub(crate) find_usec: u64,
    #[serde(serialize_with = "never_is_null")]
    pub(crate) ban_usec: u64,
    #[serde(serialize_with = "never_is_null")]
    pub(crate) ban_max_usec: u64,
    pub(crate) bans: u32,
    pub(crate) failing: u32,
    pub(crate) bans_total: u64,
    pub(crate) failures_total: u64,
    pub(crate) spared_total: u64,
    pub(crate) unresolved_total: u64,
    pub(crate) last_ban_usec: u64,
    pub(crate) packets_dropped: u64,
}

/// What `why` shows of each ban.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    pub(crate) ban: BanInfo,
    pub(crate) lines: Vec<String>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No bus.
    #[error("cannot reach the system bus: {0}; is dbus running?")]
    NoBus(zbus::Error),
    /// No daemon; the text says what to do.
    #[error("{0}")]
    NotRunning(&'static str),
    /// Not allowed; the text is the daemon's.
    #[error("{0} Try it as root or with sudo.")]
    Denied(String),
    /// Refused; the text is the daemon's.
    #[error("{0}")]
    Refused(String),
    /// The daemon vanished or does not answer.
    #[error("banishd did not answer: {0}")]
    Broken(zbus::Error),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(&'static str),
    /// Output failed.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl ClientError {
    /// As in banishctl(1).
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Broken(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::NoBus(_) | Self::NotRunning(_) => 3,
            Self::Denied(_) => 4,
        }
    }
}

impl From<zbus::Error> for ClientError {
    fn from(error: zbus::Error) -> Self {
        const DENIED: [&str; 3] = [
            "org.freedesktop.DBus.Error.AccessDenied",
            "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
            "org.freedesktop.DBus.Error.AuthFailed",
        ];
        let (name, text) = match &error {
            zbus::Error::MethodError(name, text, _) => (name.to_string(), text.clone()),
            zbus::Error::FDO(known) if !matches!(**known, fdo::Error::ZBus(_)) => {
                let text = known.description().map(str::to_owned);
                (known.name().to_string(), text)
            }
            _ => return Self::Broken(error),
        };
        let text = text.unwrap_or_else(|| name.clone());
        match DENIED.contains(&name.as_str()) {
            true => Self::Denied(text),
            false => Self::Refused(text),
        }
    }
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the client shows ends of bans as times from now"
)]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let usec = since.map_or(0, |d| d.as_micros());
    Timestamp::from_usec(u64::try_from(usec).unwrap_or(u64::MAX))
}

impl Client {
    /// How long a call may take: somebody may have to type a password.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Connects to the bus and looks for banishd, without starting it.
    pub(crate) async fn connect() -> Result<Self, ClientError> {
        let connection = Builder::system()
            .method_timeout(Self::PATIENCE)
            .build()
            .await
            .map_err(ClientError::NoBus)?;
        let bus = DBusProxy::new(&connection).await?;
        let name = BUS_NAME.try_into()?;
        if !bus.name_has_owner(name).await.map_err(zbus::Error::from)? {
            await_start(&connection, &bus).await?;
        }
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        Ok(Self {
            connection,
            manager,
        })
    }

    pub(crate) async fn status(&self) -> Result<Status, ClientError> {
        let values = self.properties(MANAGER_PATH, MANAGER_INTERFACE).await?;
        let mut jails = Vec::new();
        for (_, _, _, path) in self.manager.list_jails().await? {
            jails.push(self.jail_at(path.as_str()).await?);
        }
        Ok(Status {
            version: value(&values, "Version"),
            state: value(&values, "State"),
            troubles: value(&values, "Troubles"),
            notices: value(&values, "Notices"),
            directory: value(&values, "ConfigurationDirectory"),
            backend: value(&values, "Backend"),
            bans: value(&values, "NBans"),
            bans_total: value(&values, "NBansTotal"),
            suppressed: value(&values, "NMessagesSuppressed"),
            journal_usec: value(&values, "JournalTimestamp"),
            jails,
        })
    }

    /// The names of all jails.
    pub(crate) async fn jails(&self) -> Result<Vec<String>, ClientError> {
        let jails = self.manager.list_jails().await?;
        Ok(jails.into_iter().map(|(name, ..)| name).collect())
    }

    pub(crate) async fn jail(&self, name: &str) -> Result<Jail, ClientError> {
        let path = self.manager.get_jail(name).await?;
        self.jail_at(path.as_str()).await
    }

    pub(crate) async fn bans(
        &self,
        jail: Option<&str>,
        of: Option<&str>,
    ) -> Result<Vec<BanInfo>, ClientError> {
        if let Some(address) = of {
            return Ok(self.manager.lookup_address(address).await?);
        }
        let (mut bans, mut after) = (Vec::new(), String::new());
        loop {
            let list = self
                .manager
                .list_bans(jail.unwrap_or_default(), &after, PAGE_MAX);
            let (page, next) = list.await?;
            bans.extend(page);
            if next.is_empty() {
                return Ok(bans);
            }
            after = next;
        }
    }

    /// The bans that concern an address, each with the lines that led to it.
    pub(crate) async fn why(&self, address: &str) -> Result<Vec<Reason>, ClientError> {
        let mut reasons = Vec::new();
        for ban in self.manager.lookup_address(address).await? {
            let lines = self.manager.list_ban_lines(&ban.jail, &ban.address);
            let lines = lines.await?;
            reasons.push(Reason { ban, lines });
        }
        Ok(reasons)
    }

    pub(crate) async fn ban(
        &self,
        jail: &str,
        address: &str,
        time: Option<BanTime>,
    ) -> Result<bool, ClientError> {
        let usec = duration_usec(time);
        Ok(self.manager.ban_for(jail, address, usec, 0).await?)
    }

    pub(crate) async fn import(&self, bans: &[ImportInfo]) -> Result<ImportSums, ClientError> {
        Ok(self.manager.import(bans).await?)
    }

    /// How long each jail bans, by name.
    pub(crate) async fn ban_times(&self) -> Result<BTreeMap<String, u64>, ClientError> {
        let mut times = BTreeMap::new();
        for (name, _, _, path) in self.manager.list_jails().await? {
            let values = self.properties(path.as_str(), JAIL_INTERFACE).await?;
            times.insert(name, value(&values, "BanUSec"));
        }
        Ok(times)
    }

    pub(crate) async fn unban(&self, jail: &str, address: &str) -> Result<bool, ClientError> {
        Ok(self.manager.unban(jail, address).await?)
    }

    pub(crate) async fn unban_address(&self, address: &str) -> Result<u32, ClientError> {
        Ok(self.manager.unban_address(address).await?)
    }

    pub(crate) async fn unban_all(&self, jail: &str) -> Result<u32, ClientError> {
        Ok(self.manager.unban_all(jail).await?)
    }

    /// The warnings.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, ClientError> {
        Ok(self.manager.reload().await?)
    }

    pub(crate) async fn start(&self, jail: &str) -> Result<(), ClientError> {
        Ok(self.manager.start_jail(jail).await?)
    }

    pub(crate) async fn stop(&self, jail: &str) -> Result<(), ClientError> {
        Ok(self.manager.stop_jail(jail).await?)
    }

    pub(crate) async fn test(
        &self,
        jail: &str,
        message: &str,
    ) -> Result<(bool, String, String), ClientError> {
        let path = self.manager.get_jail(jail).await?;
        let jail = JailProxy::builder(&self.connection)
            .path(path)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        Ok(jail.test_message(message).await?)
    }

    /// Whether this user may see addresses.
    pub(crate) async fn check_access(&self) -> Result<(), ClientError> {
        self.manager.list_bans("", "", 1).await?;
        Ok(())
    }

    async fn jail_at(&self, path: &str) -> Result<Jail, ClientError> {
        let values = self.properties(path, JAIL_INTERFACE).await?;
        Ok(Jail {
            name: value(&values, "Name"),
            description: value(&values, "Description"),
            state: value(&values, "State"),
            problem: value(&values, "Problem"),
            units: value(&values, "Units"),
            matches: value(&values, "Matches"),
            bans_of: value(&values, "BansOf"),
            ports: value(&values, "Ports"),
            max_failures: value(&values, "MaxFailures"),
            find_usec: value(&values, "FindUSec"),
            ban_usec: value(&values, "BanUSec"),
            ban_max_usec: value(&values, "BanMaxUSec"),
            bans: value(&values, "NBans"),
            failing: value(&values, "NFailing"),
            bans_total: value(&values, "NBansTotal"),
            failures_total: value(&values, "NFailuresTotal"),
            spared_total: value(&values, "NSparedTotal"),
            unresolved_total: value(&values, "NUnresolvedTotal"),
            last_ban_usec: value(&values, "LastBanTimestamp"),
            packets_dropped: value(&values, "NPacketsDropped"),
        })
    }

    async fn properties(&self, path: &str, interface: &'static str) -> Result<Values, ClientError> {
        let proxy = PropertiesProxy::builder(&self.connection)
            .destination(BUS_NAME)
            .path(path)
            .build()
            .await?;
        let interface = InterfaceName::from_static_str(interface)?;
        Ok(proxy.get_all(interface).await.map_err(zbus::Error::from)?)
    }
}

/// JSON has no safe number for ever.
fn never_is_null<S: Serializer>(usec: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    (*usec != FOREVER).then_some(*usec).serialize(serializer)
}

type Values = HashMap<String, OwnedVariant>;

/// A property; nothing where an older daemon does not have it.
fn value<T>(values: &Values, name: &str) -> T
where
    T: Default + TryFrom<OwnedVariant>,
{
    let found = values.get(name).and_then(|value| value.try_clone().ok());
    found
        .and_then(|value| T::try_from(value).ok())
        .unwrap_or_default()
}

/// How long after its start the daemon may take to appear on the bus: banning comes first.
const APPEARS_WITHIN: Duration = Duration::from_secs(5);

/// Waits for a daemon that systemd has just started.
async fn await_start(connection: &Connection, bus: &DBusProxy<'_>) -> Result<(), ClientError> {
    let mut owners = bus
        .receive_name_owner_changed_with_args(&[(0, BUS_NAME)])
        .await?;
    let name = BUS_NAME.try_into()?;
    if bus.name_has_owner(name).await.map_err(zbus::Error::from)? {
        return Ok(());
    }
    if !is_up(connection).await {
        return Err(ClientError::NotRunning(why_not_running(connection).await));
    }
    let appears = async {
        while let Some(change) = next(&mut owners).await {
            if change.args().is_ok_and(|args| args.new_owner.is_some()) {
                return;
            }
        }
    };
    match tokio::time::timeout(APPEARS_WITHIN, appears).await {
        Ok(()) => Ok(()),
        Err(_) => Err(ClientError::NotRunning(
            "banishd is started but not on the bus; 'journalctl -u banishd' says why.",
        )),
    }
}

/// Whether systemd has started the daemon or is about to.
async fn is_up(connection: &Connection) -> bool {
    let state = async {
        let unit = ask_systemd(connection, "GetUnit").await?;
        let path: OwnedObjectPath = unit.body().deserialize()?;
        let proxy = PropertiesProxy::builder(connection)
            .destination("org.freedesktop.systemd1")
            .path(path)
            .build()
            .await?;
        let interface = InterfaceName::from_static_str("org.freedesktop.systemd1.Unit")?;
        let state = proxy.get(interface, "ActiveState").await?;
        String::try_from(state)
    };
    let state: zbus::Result<String> = state.await;
    let up = ["active", "activating", "reloading"];
    state.is_ok_and(|state| up.contains(&state.as_str()))
}

/// Calls a method of systemd's manager that takes the name of a unit.
async fn ask_systemd(connection: &Connection, method: &str) -> zbus::Result<Message> {
    connection
        .call_method(
            Some("org.freedesktop.systemd1"),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.systemd1.Manager"),
            method,
            &"banishd.service",
        )
        .await
}

/// What systemd knows of a daemon that is not on the bus.
async fn why_not_running(connection: &Connection) -> &'static str {
    let reply = ask_systemd(connection, "GetUnitFileState").await;
    let state = reply.and_then(|message| message.body().deserialize::<String>());
    match state.as_deref() {
        Ok("disabled") => {
            "banishd is not enabled; 'systemctl enable --now banishd' enables and starts it."
        }
        Ok("masked" | "masked-runtime") => {
            "banishd is masked; 'systemctl unmask banishd' and 'systemctl enable --now banishd' start it."
        }
        _ => {
            "banishd is not running; 'systemctl start banishd' starts it, \
             'journalctl -u banishd' says why it stopped."
        }
    }
}
