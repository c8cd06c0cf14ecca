//! What the engine shows of itself: plain copies for the bus, never handles into its state.

use crate::engine::settings::JailName;
use crate::engine::time::{Boottime, Timestamp};

/// One jail as it stands; its settings are in [`crate::engine::settings::JailSettings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JailView {
    /// Its name.
    pub name: JailName,
    /// Whether it counts.
    pub state: JailState,
    /// Bans in force.
    pub bans: u32,
    /// Offenders with failures that have not led to a ban.
    pub failing: u32,
    /// Bans since the store was made.
    pub bans_total: u64,
    /// Failures since the store was made.
    pub failures_total: u64,
    /// Failures not counted, and bans not made, because of `ignoreip` or protection, since start.
    pub spared_total: u64,
    /// Failures of a host name that has no address, or of something that is no host, since start.
    pub unresolved_total: u64,
    /// When its latest ban began, on both clocks; `None` if none since start.
    pub last_ban: Option<(Timestamp, Boottime)>,
    /// What keeps it from reading its logs although it is active; the daemon fills it in.
    pub trouble: Option<String>,
}

/// Whether a jail counts failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JailState {
    /// It does.
    Active,
    /// Stopped by command.
    Inactive,
    /// Its configuration is broken, for this reason; bans made earlier stay in force.
    Failed(String),
}

impl JailState {
    /// The word on the bus: `active`, `inactive`, `failed`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Failed(_) => "failed",
        }
    }
}
