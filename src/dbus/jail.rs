//! A jail's object: `org.banishd.Banish1.Jail`. It holds the jail's name and nothing else, so that no
//! property can be stale. The comments on members go into the introspection data.

use std::collections::BTreeSet;

use zbus::message::Header;
use zbus::{Connection, interface};

use crate::dbus::api::{Api, Wanted, guarded};
use crate::dbus::error::Result;
use crate::dbus::polkit::Call;
use crate::dbus::wire;
use crate::engine::settings::{
    JailName, JailRules, JailSettings, MatchGroup, Matches, Ports, Protocol,
};

use crate::engine::view::{JailState, JailView};

/// A jail as served on one connection.
#[derive(Debug)]
pub struct Jail {
    api: Api,
    name: JailName,
}

impl Jail {
    /// Answers for `name` through `api`.
    #[must_use]
    pub fn new(api: Api, name: JailName) -> Self {
        Self { api, name }
    }

    async fn view(&self) -> Result<JailView> {
        Ok(self.api.daemon.jail(&self.name).await?.0)
    }

    async fn setting<T: Default>(&self, of: impl FnOnce(&JailSettings) -> T) -> Result<T> {
        let (_, settings) = self.api.daemon.jail(&self.name).await?;
        Ok(settings.as_ref().map(of).unwrap_or_default())
    }
}

#[interface(name = "org.banishd.Banish1.Jail")]
impl Jail {
    /// Bans for as long as this jail does, or extends a ban.
    #[zbus(out_args("changed"))]
    async fn ban(
        &self,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<bool> {
        let call = Call::new(&header, connection);
        guarded(self.api.ban(call, (&self.name, address), (0, 0))).await
    }

    /// Bans for a time: 0 as long as this jail does, UINT64_MAX for ever. No flags are defined.
    #[zbus(out_args("changed"))]
    async fn ban_for(
        &self,
        address: &str,
        duration_usec: u64,
        flags: u64,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<bool> {
        let call = Call::new(&header, connection);
        let time = (duration_usec, flags);
        guarded(self.api.ban(call, (&self.name, address), time)).await
    }

    /// Lifts a ban; none there is no error.
    #[zbus(out_args("changed"))]
    async fn unban(
        &self,
        address: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<bool> {
        let call = Call::new(&header, connection);
        guarded(self.api.unban(call, &self.name, address)).await
    }

    /// Lifts every ban of this jail.
    #[zbus(out_args("n_removed"))]
    async fn unban_all(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<u32> {
        let call = Call::new(&header, connection);
        guarded(self.api.unban_all(call, &self.name)).await
    }

    /// The addresses and prefixes that never count (ignoreip). Guarded like the list of bans.
    #[zbus(out_args("ignored"))]
    async fn list_ignored(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<Vec<String>> {
        let call = Call::new(&header, connection);
        guarded(self.api.list_ignored(call, &self.name)).await
    }

    /// Lets the jail run again.
    async fn start(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<()> {
        let call = Call::new(&header, connection);
        guarded(self.api.switch(call, &self.name, Wanted::Running)).await
    }

    /// Stops the jail and lifts its bans, until it is started or the daemon restarts.
    async fn stop(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<()> {
        let call = Call::new(&header, connection);
        guarded(self.api.switch(call, &self.name, Wanted::Stopped)).await
    }

    /// Whether the jail's filter takes a log message for a failure, whose, and by which pattern.
    /// Nothing is counted.
    #[zbus(out_args("matched", "address", "rule"))]
    async fn test_message(
        &self,
        message: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(bool, String, String)> {
        let call = Call::new(&header, connection);
        guarded(self.api.test_message(call, (&self.name, message))).await
    }

    /// The name, as in the configuration.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn name(&self) -> String {
        self.name.to_string()
    }

    /// What the jail guards, for people.
    #[zbus(property)]
    async fn description(&self) -> Result<String> {
        self.setting(|s| s.description.clone()).await
    }

    /// active, inactive or failed.
    #[zbus(property)]
    async fn state(&self) -> Result<String> {
        Ok(self.view().await?.state.as_str().to_owned())
    }

    /// Why the state is failed, or what an active jail cannot read; empty if all is well.
    #[zbus(property)]
    async fn problem(&self) -> Result<String> {
        Ok(problem(&self.view().await?))
    }

    /// The systemd units whose messages the jail reads.
    #[zbus(property)]
    async fn units(&self) -> Result<Vec<String>> {
        self.setting(|s| units(&s.matches)).await
    }

    /// The journal matches in effect; entries that match one of them are read.
    #[zbus(property)]
    async fn matches(&self) -> Result<Vec<String>> {
        self.setting(|s| matches(&s.matches)).await
    }

    /// The jails whose bans count as failures here.
    #[zbus(property)]
    async fn bans_of(&self) -> Result<Vec<String>> {
        self.setting(bans_of).await
    }

    /// The destination ports that an offender is kept from, such as 22/tcp; all means every port,
    /// no protocol means every protocol that has ports.
    #[zbus(property)]
    async fn ports(&self) -> Result<Vec<String>> {
        self.setting(|s| ports(&s.rules)).await
    }

    /// This many failures lead to a ban (maxretry) …
    #[zbus(property)]
    async fn max_failures(&self) -> Result<u32> {
        self.setting(|s| s.max_retry).await
    }

    /// … within this time (findtime) …
    #[zbus(property, name = "FindUSec")]
    async fn find_usec(&self) -> Result<u64> {
        self.setting(|s| s.find_time.usec()).await
    }

    /// … of this length (bantime); UINT64_MAX is for ever.
    #[zbus(property, name = "BanUSec")]
    async fn ban_usec(&self) -> Result<u64> {
        self.setting(|s| wire::duration_usec(Some(s.ban_time)))
            .await
    }

    /// The longest ban that the jail makes by itself.
    #[zbus(property, name = "BanMaxUSec")]
    async fn ban_max_usec(&self) -> Result<u64> {
        self.setting(longest).await
    }

    /// Bans in force.
    #[zbus(property, name = "NBans")]
    async fn n_bans(&self) -> Result<u32> {
        Ok(self.view().await?.bans)
    }

    /// Offenders with failures that have not led to a ban.
    #[zbus(property(emits_changed_signal = "false"), name = "NFailing")]
    async fn n_failing(&self) -> Result<u32> {
        Ok(self.view().await?.failing)
    }

    /// Bans since the store was made.
    #[zbus(property(emits_changed_signal = "false"), name = "NBansTotal")]
    async fn n_bans_total(&self) -> Result<u64> {
        Ok(self.view().await?.bans_total)
    }

    /// Failures since the store was made.
    #[zbus(property(emits_changed_signal = "false"), name = "NFailuresTotal")]
    async fn n_failures_total(&self) -> Result<u64> {
        Ok(self.view().await?.failures_total)
    }

    /// Failures and bans that came to nothing because of ignoreip or protection, since start.
    #[zbus(property(emits_changed_signal = "false"), name = "NSparedTotal")]
    async fn n_spared_total(&self) -> Result<u64> {
        Ok(self.view().await?.spared_total)
    }

    /// Failures that could be blamed on no address, such as those of a host name that has none, since start.
    #[zbus(property(emits_changed_signal = "false"), name = "NUnresolvedTotal")]
    async fn n_unresolved_total(&self) -> Result<u64> {
        Ok(self.view().await?.unresolved_total)
    }

    /// When the latest ban began (CLOCK_REALTIME); 0 if none has since start.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn last_ban_timestamp(&self) -> Result<u64> {
        let last = self.view().await?.last_ban;
        Ok(last.map_or(0, |(wall, _)| wall.usec()))
    }

    /// The same on CLOCK_BOOTTIME.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn last_ban_timestamp_monotonic(&self) -> Result<u64> {
        let last = self.view().await?.last_ban;
        Ok(last.map_or(0, |(_, boot)| boot.usec()))
    }

    /// Packets dropped so far.
    #[zbus(property(emits_changed_signal = "false"), name = "NPacketsDropped")]
    async fn n_packets_dropped(&self) -> Result<u64> {
        self.api.daemon.dropped(self.name.clone()).await
    }
}

/// The longest ban that a jail makes by itself.
pub(crate) fn longest(settings: &JailSettings) -> u64 {
    let base = settings.ban_time;
    let grown = settings.escalation.as_ref().map(|e| e.longest(base));
    wire::duration_usec(Some(grown.unwrap_or(base)))
}

/// Why a jail failed, or what it cannot read, or nothing.
pub(crate) fn problem(view: &JailView) -> String {
    match &view.state {
        JailState::Failed(why) => why.clone(),
        JailState::Active => view.trouble.clone().unwrap_or_default(),
        JailState::Inactive => String::new(),
    }
}

/// The units among the matches, each once.
pub(crate) fn units(matches: &Matches) -> Vec<String> {
    let named: BTreeSet<&String> = matches
        .0
        .iter()
        .filter_map(|group| group.get("_SYSTEMD_UNIT"))
        .flatten()
        .collect();
    named.into_iter().cloned().collect()
}

/// The jails whose bans are failures here.
pub(crate) fn bans_of(settings: &JailSettings) -> Vec<String> {
    settings.bans_of.iter().map(ToString::to_string).collect()
}

/// The match groups, each as `FIELD=value FIELD=value`.
pub(crate) fn matches(matches: &Matches) -> Vec<String> {
    let text = |group: &MatchGroup| Matches(vec![group.clone()]).to_string();
    matches.0.iter().map(text).collect()
}

/// The ports, each as `22/tcp`, `6000-6010/udp`, `53`, `all/tcp` or `all`.
pub(crate) fn ports(rules: &JailRules) -> Vec<String> {
    let protocol = match rules.protocol {
        Protocol::Tcp => "/tcp",
        Protocol::Udp => "/udp",
        Protocol::All => "",
    };
    match &rules.ports {
        Ports::All => vec![format!("all{protocol}")],
        Ports::Ranges(ranges) => ranges
            .iter()
            .map(|range| format!("{}{protocol}", Ports::Ranges(vec![*range])))
            .collect(),
    }
}
