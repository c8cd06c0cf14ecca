//! What the methods do, once for the manager's and the jails' objects: read the arguments, ask
//! whether the caller may, hand the request to the loop.
//!
//! Comes in: arguments as they were typed. Goes out: the answer, or an error that says what to do.
//! A panic in here ends as an error reply, never as a caller left waiting.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::dbus::ask::Loop;
use crate::dbus::error::{Error, Kind, Result};
use crate::dbus::polkit::{Action, Call, Gate};
use crate::dbus::wire::{self, BanInfo, BanLine, ImportInfo, ImportSums};
use crate::engine::address::Offender;
use crate::engine::command::{Command, Import, Reply};
use crate::engine::filter::{Look, Memory};
use crate::engine::record::Record;
use crate::engine::settings::{JailName, JailSettings};
use crate::sys::memfd::Memfd;

/// The way from a method to the loop, past the gate.
#[derive(Clone, Debug)]
pub struct Api {
    /// The loop.
    pub daemon: Loop,
    /// Who may pass.
    pub gate: Arc<Gate>,
}

/// Whether a jail is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is.
    Running,
    /// It is not.
    Stopped,
}

impl Api {
    /// Bans; `duration` and `flags` as in `BanFor`.
    pub(crate) async fn ban(
        &self,
        call: Call<'_>,
        (jail, address): (&str, &str),
        (duration, flags): (u64, u64),
    ) -> Result<bool> {
        if flags != 0 {
            let text = format!("flags {flags:#x} are unknown; pass 0");
            return Err(Error::new(Kind::InvalidArgs, text));
        }
        let offender: Offender = address.parse()?;
        let jail = self.jail_name(jail).await?;
        let details = [("jail", &*jail), ("address", address)];
        self.gate.admit(call, Action::BanHosts, &details).await?;
        let time = wire::duration(duration);
        let command = Command::Ban {
            jail,
            offender,
            time,
        };
        self.change(command).await
    }

    /// Takes over bans of another program.
    pub(crate) async fn import(&self, call: Call<'_>, bans: Vec<ImportInfo>) -> Result<ImportSums> {
        let count = bans.len();
        if u32::try_from(count).map_or(true, |count| count > wire::PAGE_MAX) {
            let text = format!(
                "{count} bans are too many for one call; pass {}",
                wire::PAGE_MAX
            );
            return Err(Error::new(Kind::InvalidArgs, text));
        }
        let bans: Result<Vec<Import>> = bans.into_iter().map(Import::try_from).collect();
        let command = Command::Import(bans?);
        let address = format!("{count} addresses");
        let details = [("jail", "*"), ("address", address.as_str())];
        self.gate.admit(call, Action::BanHosts, &details).await?;
        match self.daemon.command(command).await? {
            Reply::Imported(imported) => Ok(imported.into()),
            Reply::Changed(_) | Reply::Removed(_) | Reply::Done => Ok(ImportSums::default()),
        }
    }

    /// Lifts one ban.
    pub(crate) async fn unban(&self, call: Call<'_>, jail: &str, address: &str) -> Result<bool> {
        let offender: Offender = address.parse()?;
        let jail = self.jail_name(jail).await?;
        let details = [("jail", &*jail), ("address", address)];
        let caller = self.gate.admit(call, Action::UnbanHosts, &details).await?;
        let by = caller.label();
        let command = Command::Unban { jail, offender, by };
        self.change(command).await
    }

    /// Lifts every ban of an address.
    pub(crate) async fn unban_address(&self, call: Call<'_>, address: &str) -> Result<u32> {
        let offender: Offender = address.parse()?;
        let details = [("address", address)];
        let caller = self.gate.admit(call, Action::UnbanHosts, &details).await?;
        let by = caller.label();
        self.remove(Command::UnbanEverywhere { offender, by }).await
    }

    /// Lifts every ban of a jail, or of all if the name is empty.
    pub(crate) async fn unban_all(&self, call: Call<'_>, jail: &str) -> Result<u32> {
        let known = self.daemon.jail_or_all(jail).await?;
        let details = [("jail", jail)];
        let caller = self.gate.admit(call, Action::ManageJails, &details).await?;
        let by = caller.label();
        self.remove(Command::UnbanAll { jail: known, by }).await
    }

    /// Starts or stops a jail.
    pub(crate) async fn switch(&self, call: Call<'_>, jail: &str, wanted: Wanted) -> Result<()> {
        let name = self.jail_name(jail).await?;
        let details = [("jail", jail)];
        self.gate.admit(call, Action::ManageJails, &details).await?;
        let command = match wanted {
            Wanted::Running => Command::StartJail(name),
            Wanted::Stopped => Command::StopJail(name),
        };
        self.daemon.command(command).await.map(|_| ())
    }

    /// Reads the configuration again.
    pub(crate) async fn reload(&self, call: Call<'_>) -> Result<Vec<String>> {
        self.gate.admit(call, Action::Reload, &[]).await?;
        self.daemon.reload().await
    }

    /// One page of the list of bans, and where the next one starts.
    pub(crate) async fn list_bans(
        &self,
        call: Call<'_>,
        (jail, after): (&str, &str),
        max: u32,
    ) -> Result<(Vec<BanInfo>, String)> {
        self.gate.admit(call, Action::InspectBans, &[]).await?;
        let jail = self.daemon.jail_or_all(jail).await?;
        let after = wire::parse_cursor(after)?;
        let max = match max {
            0 => wire::PAGE_DEFAULT,
            max => max.min(wire::PAGE_MAX),
        };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        // one more than asked for tells whether there is another page
        let mut bans = self.daemon.bans(jail, after, max + 1).await?;
        let more = bans.len() > max;
        bans.truncate(max);
        let next = bans.last().filter(|_| more).map(wire::cursor);
        let page = bans.iter().map(BanInfo::from).collect();
        Ok((page, next.unwrap_or_default()))
    }

    /// The bans that concern an address.
    pub(crate) async fn lookup(&self, call: Call<'_>, address: &str) -> Result<Vec<BanInfo>> {
        let offender: Offender = address.parse()?;
        self.gate.admit(call, Action::InspectBans, &[]).await?;
        let bans = self.daemon.lookup(offender).await?;
        let most = usize::try_from(wire::PAGE_MAX).unwrap_or(usize::MAX);
        Ok(bans.iter().take(most).map(BanInfo::from).collect())
    }

    /// The log lines that led to a ban.
    pub(crate) async fn ban_lines(
        &self,
        call: Call<'_>,
        (jail, address): (&str, &str),
    ) -> Result<Vec<String>> {
        let offender: Offender = address.parse()?;
        self.gate.admit(call, Action::InspectBans, &[]).await?;
        let jail = self.jail_name(jail).await?;
        let lines = self.daemon.lines(jail, offender).await?;
        Ok(lines.into_iter().map(String::from).collect())
    }

    /// All bans as lines of JSON in a sealed memory file.
    pub(crate) async fn dump(&self, call: Call<'_>, jail: &str) -> Result<OwnedFd> {
        self.gate.admit(call, Action::InspectBans, &[]).await?;
        let jail = self.daemon.jail_or_all(jail).await?;
        let mut memfd = Memfd::create(c"banishd-bans").map_err(out_of_memory)?;
        let mut after = None;
        let page = usize::try_from(wire::PAGE_MAX).unwrap_or(usize::MAX);
        loop {
            let bans = self.daemon.bans(jail.clone(), after, page).await?;
            let mut lines = Vec::new();
            for ban in &bans {
                let line = serde_json::to_string(&BanLine::from(&BanInfo::from(ban)));
                writeln!(
                    lines,
                    "{}",
                    line.map_err(io::Error::from).map_err(out_of_memory)?
                )
                .map_err(out_of_memory)?;
            }
            memfd.write_all(&lines).map_err(out_of_memory)?;
            if bans.len() < page {
                return memfd.seal().map_err(out_of_memory);
            }
            after = bans.into_iter().last().map(|ban| (ban.jail, ban.offender));
        }
    }

    /// What a jail ignores.
    pub(crate) async fn list_ignored(&self, call: Call<'_>, jail: &str) -> Result<Vec<String>> {
        self.gate.admit(call, Action::InspectBans, &[]).await?;
        let settings = self.settings(jail).await?;
        Ok(settings.ignore.iter().map(|o| o.to_string()).collect())
    }

    /// What a jail's filter finds in a message: whether, whom, by which rule.
    pub(crate) async fn test_message(
        &self,
        call: Call<'_>,
        (jail, message): (&str, &str),
    ) -> Result<(bool, String, String)> {
        // guarded, because it makes the daemon work for whoever asks
        self.gate.admit(call, Action::InspectBans, &[]).await?;
        let settings = self.settings(jail).await?;
        Ok(test(&settings, message))
    }

    async fn settings(&self, jail: &str) -> Result<JailSettings> {
        let (view, settings) = self.daemon.jail(jail).await?;
        settings.ok_or_else(|| {
            let text = format!(
                "jail '{}' has no settings: its configuration is broken",
                view.name
            );
            Error::new(Kind::JailNotActive, text)
        })
    }

    async fn jail_name(&self, jail: &str) -> Result<JailName> {
        Ok(self.daemon.jail(jail).await?.0.name)
    }

    async fn change(&self, command: Command) -> Result<bool> {
        match self.daemon.command(command).await? {
            Reply::Changed(changed) => Ok(changed),
            Reply::Removed(removed) => Ok(removed > 0),
            Reply::Done | Reply::Imported(_) => Ok(true),
        }
    }

    async fn remove(&self, command: Command) -> Result<u32> {
        match self.daemon.command(command).await? {
            Reply::Removed(removed) => Ok(removed),
            Reply::Changed(changed) => Ok(u32::from(changed)),
            Reply::Done | Reply::Imported(_) => Ok(0),
        }
    }
}

/// The message stands for an entry's text or for a whole line, whichever the jail's filter wants.
fn test(jail: &JailSettings, message: &str) -> (bool, String, String) {
    let record = Record {
        message: message.as_bytes(),
        line: message.as_bytes(),
        is_dated: !jail.files.is_empty() || !jail.bans_of.is_empty(),
        ..Record::default()
    };
    let look = Look {
        is_live: true,
        ..Look::default()
    };
    match jail.filter.find(&mut Memory::default(), &record, &look) {
        None => (false, String::new(), String::new()),
        Some(found) => {
            let rule = jail.filter.spec().fail.get(found.rule).cloned();
            (true, found.who.to_string(), rule.unwrap_or_default())
        }
    }
}

fn out_of_memory(error: io::Error) -> Error {
    Error::new(
        Kind::Failed,
        format!("cannot write the list to memory: {error}"),
    )
}

/// Runs a method; where it panics, the caller gets an error instead of waiting for its timeout.
pub(crate) async fn guarded<T>(method: impl Future<Output = Result<T>>) -> Result<T> {
    let mut method = pin!(method);
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| method.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let text =
                "banishd failed inside this call, see 'journalctl -u banishd'; please report it";
            Poll::Ready(Err(Error::new(Kind::Failed, text)))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_panic_in_a_method_is_an_error_reply() {
        let answer: Result<()> = guarded(async { panic!("deliberate") }).await;

        assert_eq!(answer.unwrap_err().kind(), Kind::Failed);
    }
}
