//! The manager's object: `org.banishd.Banish1.Manager`. It only says which method does what; the
//! work is in [`crate::dbus::api`]. The comments on members go into the introspection data.
#![expect(clippy::too_many_arguments, reason = "signals have these arguments")]

use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::wire::{Fd, OwnedObjectPath};
use zbus::{Connection, interface};

use crate::dbus::api::{Api, Wanted, guarded};
use crate::dbus::error::Result;
use crate::dbus::names::jail_path;
use crate::dbus::polkit::Call;
use crate::dbus::wire::{BanInfo, ImportInfo, ImportSums, JailEntry};
use crate::engine::view::JailView;

/// The manager as served on one connection.
#[derive(Debug)]
pub struct Manager {
    api: Api,
}

impl Manager {
    /// Answers through `api`.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api }
    }
}

#[interface(name = "org.banishd.Banish1.Manager")]
impl Manager {
    /// The object of a jail.
    #[zbus(out_args("object_path"))]
    async fn get_jail(&self, name: &str) -> Result<OwnedObjectPath> {
        guarded(async { Ok(jail_path(&self.api.daemon.jail(name).await?.0.name)) }).await
    }

    /// All jails: name, state, bans in force, object.
    #[zbus(out_args("jails"))]
    async fn list_jails(&self) -> Result<Vec<JailEntry>> {
        let entry = |jail: JailView| {
            let path = jail_path(&jail.name);
            let state = jail.state.as_str().to_owned();
            (jail.name.to_string(), state, jail.bans, path)
        };
        guarded(async {
            let jails = self.api.daemon.jails().await?;
            Ok(jails.into_iter().map(entry).collect())
        })
        .await
    }

    /// Bans, ordered by jail and address: jail, address, begin, end (UINT64_MAX: never), failures,
    /// earlier bans, origin (jail, manual). An empty jail means all, an empty after the beginning,
    /// max 0 the default; an empty next is the end of the list.
    #[zbus(out_args("bans", "next"))]
    async fn list_bans(
        &self,
        jail: &str,
        after: &str,
        max: u32,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(Vec<BanInfo>, String)> {
        let call = Call::new(&header, connection);
        guarded(self.api.list_bans(call, (jail, after), max)).await
    }

    /// The bans that cover an address, or that lie within a prefix.
    #[zbus(out_args("bans"))]
    async fn lookup_address(
        &self,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<Vec<BanInfo>> {
        let call = Call::new(&header, connection);
        guarded(self.api.lookup(call, address)).await
    }

    /// The log lines that led to a ban, oldest first, as many as maxmatches of the jail; none if there is no
    /// such ban.
    #[zbus(out_args("lines"))]
    async fn list_ban_lines(
        &self,
        jail: &str,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<Vec<String>> {
        let call = Call::new(&header, connection);
        guarded(self.api.ban_lines(call, (jail, address))).await
    }

    /// All bans, one JSON object per line, in a sealed memory file.
    #[zbus(out_args("fd"))]
    async fn dump_bans_by_file_descriptor(
        &self,
        jail: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<Fd<'static>> {
        let call = Call::new(&header, connection);
        guarded(async { Ok(Fd::from(self.api.dump(call, jail).await?)) }).await
    }

    /// Bans for as long as the jail does, or extends a ban.
    #[zbus(out_args("changed"))]
    async fn ban(
        &self,
        jail: &str,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<bool> {
        let call = Call::new(&header, connection);
        guarded(self.api.ban(call, (jail, address), (0, 0))).await
    }

    /// Bans for a time: 0 as long as the jail does, UINT64_MAX for ever. No flags are defined.
    #[zbus(out_args("changed"))]
    async fn ban_for(
        &self,
        jail: &str,
        address: &str,
        duration_usec: u64,
        flags: u64,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<bool> {
        let call = Call::new(&header, connection);
        guarded(self.api.ban(call, (jail, address), (duration_usec, flags))).await
    }

    /// Takes over bans of another program: jail, address, begin, end (UINT64_MAX: never), failures, bans so
    /// far. One that is over counts as an earlier ban. Returns how many are banned now, were already,
    /// are over, are not to be banned, are of no running jail, are too many. Twice is as good as once.
    #[zbus(out_args("sums"))]
    async fn import(
        &self,
        bans: Vec<ImportInfo>,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<ImportSums> {
        let call = Call::new(&header, connection);
        guarded(self.api.import(call, bans)).await
    }

    /// Lifts a ban; none there is no error.
    #[zbus(out_args("changed"))]
    async fn unban(
        &self,
        jail: &str,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<bool> {
        let call = Call::new(&header, connection);
        guarded(self.api.unban(call, jail, address)).await
    }

    /// Lifts the bans of an address in every jail.
    #[zbus(out_args("n_removed"))]
    async fn unban_address(
        &self,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<u32> {
        let call = Call::new(&header, connection);
        guarded(self.api.unban_address(call, address)).await
    }

    /// Lifts every ban of a jail, or of all jails if it is empty.
    #[zbus(out_args("n_removed"))]
    async fn unban_all(
        &self,
        jail: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<u32> {
        let call = Call::new(&header, connection);
        guarded(self.api.unban_all(call, jail)).await
    }

    /// Lets a stopped jail run again.
    async fn start_jail(
        &self,
        name: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<()> {
        let call = Call::new(&header, connection);
        guarded(self.api.switch(call, name, Wanted::Running)).await
    }

    /// Stops a jail and lifts its bans, until it is started or the daemon restarts.
    async fn stop_jail(
        &self,
        name: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<()> {
        let call = Call::new(&header, connection);
        guarded(self.api.switch(call, name, Wanted::Stopped)).await
    }

    /// Reads the configuration again; answers when it is in force, with what was warned of.
    #[zbus(out_args("warnings"))]
    async fn reload(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<Vec<String>> {
        let call = Call::new(&header, connection);
        guarded(self.api.reload(call)).await
    }

    /// A jail appeared.
    #[zbus(signal)]
    pub(crate) async fn jail_new(
        emitter: &SignalEmitter<'_>,
        name: &str,
        object_path: OwnedObjectPath,
    ) -> zbus::Result<()>;

    /// A jail is gone.
    #[zbus(signal)]
    pub(crate) async fn jail_removed(
        emitter: &SignalEmitter<'_>,
        name: &str,
        object_path: OwnedObjectPath,
    ) -> zbus::Result<()>;

    /// A ban began. Only for those who may read the journal.
    #[zbus(signal)]
    pub(crate) async fn ban_new(
        emitter: &SignalEmitter<'_>,
        jail: &str,
        address: &str,
        since_usec: u64,
        until_usec: u64,
        failures: u32,
        earlier: u32,
        origin: &str,
    ) -> zbus::Result<()>;

    /// The end of a ban moved. Only for those who may read the journal.
    #[zbus(signal)]
    pub(crate) async fn ban_changed(
        emitter: &SignalEmitter<'_>,
        jail: &str,
        address: &str,
        since_usec: u64,
        until_usec: u64,
        failures: u32,
        earlier: u32,
        origin: &str,
    ) -> zbus::Result<()>;

    /// A ban ended: expired, unbanned, stopped or reloaded. Only for those who may read the journal.
    #[zbus(signal)]
    pub(crate) async fn ban_removed(
        emitter: &SignalEmitter<'_>,
        jail: &str,
        address: &str,
        result: &str,
        by: &str,
    ) -> zbus::Result<()>;

    /// Too much happened in this jail to tell one by one: read the list again.
    #[zbus(signal)]
    pub(crate) async fn bans_reset(emitter: &SignalEmitter<'_>, jail: &str) -> zbus::Result<()>;

    /// A reload began, or ended.
    #[zbus(signal)]
    pub(crate) async fn reloading(emitter: &SignalEmitter<'_>, active: bool) -> zbus::Result<()>;

    /// The version of banishd.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// starting, running, degraded, reloading or stopping.
    #[zbus(property)]
    async fn state(&self) -> Result<String> {
        Ok(self.api.daemon.manager().await?.state)
    }

    /// What is wrong where the state is degraded, one sentence each.
    #[zbus(property)]
    async fn troubles(&self) -> Result<Vec<String>> {
        Ok(self.api.daemon.manager().await?.troubles)
    }

    /// What to know although nothing is wrong, one sentence each.
    #[zbus(property)]
    async fn notices(&self) -> Result<Vec<String>> {
        Ok(self.api.daemon.manager().await?.notices)
    }

    /// Where the administrator's configuration is read: /etc/banishd, or /etc/fail2ban.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn configuration_directory(&self) -> Result<String> {
        Ok(self.api.daemon.manager().await?.directory)
    }

    /// What carries out the bans: nftables, …
    #[zbus(property)]
    async fn backend(&self) -> Result<String> {
        Ok(self.api.daemon.manager().await?.backend)
    }

    /// Jails, broken ones included.
    #[zbus(property, name = "NJails")]
    async fn n_jails(&self) -> Result<u32> {
        Ok(u32::try_from(self.api.daemon.jails().await?.len()).unwrap_or(u32::MAX))
    }

    /// Bans in force.
    #[zbus(property, name = "NBans")]
    async fn n_bans(&self) -> Result<u32> {
        Ok(self.api.daemon.manager().await?.bans)
    }

    /// Bans since the store was made.
    #[zbus(property(emits_changed_signal = "false"), name = "NBansTotal")]
    async fn n_bans_total(&self) -> Result<u64> {
        Ok(self.api.daemon.manager().await?.bans_total)
    }

    /// Messages that journald dropped before anybody could read them, since start.
    #[zbus(property(emits_changed_signal = "false"), name = "NMessagesSuppressed")]
    async fn n_messages_suppressed(&self) -> Result<u64> {
        Ok(self.api.daemon.manager().await?.suppressed)
    }

    /// How far the journal has been read.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn journal_cursor(&self) -> Result<String> {
        Ok(self.api.daemon.manager().await?.cursor)
    }

    /// When journald received that entry; 0 if there is none yet.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn journal_timestamp(&self) -> Result<u64> {
        Ok(self.api.daemon.manager().await?.cursor_usec)
    }
}
