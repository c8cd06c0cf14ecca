//! What an administrator may ask of the engine, and what it may answer.

use crate::engine::address::Offender;
use crate::engine::settings::JailName;
use crate::engine::time::{BanTime, Timestamp};

/// Names a command until its reply; the caller chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ban, or move the end of a ban that stands.
    Ban {
        /// In this jail.
        jail: JailName,
        /// Whom.
        offender: Offender,
        /// For how long; `None` for the jail's `bantime`.
        time: Option<BanTime>,
    },
    /// Lift a ban.
    Unban {
        /// In this jail.
        jail: JailName,
        /// Whose.
        offender: Offender,
        /// Who asks, for the signal and the log.
        by: String,
    },
    /// Lift every ban of an address: those of the address itself and of what lies within a prefix.
    UnbanEverywhere {
        /// Whose.
        offender: Offender,
        /// Who asks.
        by: String,
    },
    /// Lift every ban of a jail, or of all jails.
    UnbanAll {
        /// `None` for all jails.
        jail: Option<JailName>,
        /// Who asks.
        by: String,
    },
    /// Let a stopped jail run again.
    StartJail(JailName),
    /// Stop a jail until it is started or the daemon restarts, and lift its bans.
    StopJail(JailName),
    /// Take over bans, and what is known of earlier ones, from another program. Doing it twice changes
    /// nothing more.
    Import(Vec<Import>),
}

/// A ban that another program made, as [`Command::Import`] takes it over: with its own end. One that is
/// over counts as an earlier ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The jail.
    pub jail: JailName,
    /// Who is banned.
    pub offender: Offender,
    /// When the ban began.
    pub since: Timestamp,
    /// When it ends; `None` for never.
    pub until: Option<Timestamp>,
    /// The failures that led to it, as far as known.
    pub failures: u32,
    /// How many bans there have been, this one included; at least 1.
    pub bans: u32,
}

/// A command carried out, firewall included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Whether anything changed.
    Changed(bool),
    /// How many bans were lifted.
    Removed(u32),
    /// Done.
    Done,
    /// What became of each ban of an [`Command::Import`].
    Imported(Imported),
}

/// How many bans of an import met which fate. The sum is the number of bans that were handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// In force from now on, or for longer than before.
    pub banned: u32,
    /// Were in force already.
    pub known: u32,
    /// Are over; they count as earlier bans.
    pub expired: u32,
    /// Are of somebody on `ignoreip`, of a protected address, or of one that cannot be banned.
    pub spared: u32,
    /// Are of a jail that does not exist or does not run.
    pub no_jail: u32,
    /// Are too many.
    pub too_many: u32,
}

/// A command refused. The text is what people read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such jail is configured.
    #[error("no jail '{jail}' is configured{}", nearest.as_ref().map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    NoSuchJail {
        /// As asked.
        jail: String,
        /// The jail with the most similar name.
        nearest: Option<JailName>,
    },
    /// The jail is stopped or failed.
    #[error("{}", not_active(jail, why.as_deref()))]
    JailNotActive {
        /// The jail.
        jail: JailName,
        /// Why, where it failed.
        why: Option<String>,
    },
    /// Nobody could mean to ban this.
    #[error("'{offender}' cannot be banned: {why}")]
    Unbannable {
        /// Who.
        offender: Offender,
        /// Why not.
        why: &'static str,
    },
    /// The administrator or the host needs this address.
    #[error("'{offender}' is not banned: {why}")]
    Ignored {
        /// Who.
        offender: Offender,
        /// Why not.
        why: &'static str,
    },
    /// The limit of bans is reached.
    #[error("{0} bans are in force, which is the limit 'maxbans' in banishd.conf")]
    TooManyBans(usize),
    /// The limit of bans of prefixes is reached.
    #[error("{0} prefixes are banned, which is the limit; ban wider prefixes or hosts")]
    TooManyPrefixes(usize),
    /// The ban stands in the ledger but not in the firewall.
    #[error("the firewall did not take it: {0}, retrying")]
    Firewall(String),
}

/// A stopped jail can be started; a failed one has to be mended first.
fn not_active(jail: &JailName, why: Option<&str>) -> String {
    match why {
        None => format!("jail '{jail}' is stopped; 'banishctl start {jail}' lets it run again"),
        Some(why) => format!("jail '{jail}' does not run: {why}"),
    }
}
