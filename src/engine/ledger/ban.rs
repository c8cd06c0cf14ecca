//! A ban, and what is remembered of past ones.

use crate::engine::address::Offender;
use crate::engine::settings::JailName;
use crate::engine::time::Timestamp;

/// One offender kept out of one jail; there is at most one per pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The jail.
    pub jail: JailName,
    /// Who.
    pub offender: Offender,
    /// When it began.
    pub since: Timestamp,
    /// When it ends; `None` for never.
    pub until: Option<Timestamp>,
    /// The failures that led to it; 0 for a ban by hand.
    pub failures: u32,
    /// Bans of this offender in this jail before this one, as far as remembered.
    pub earlier: u32,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a ban came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The jail's own verdict.
    Jail,
    /// A command.
    Manual,
}

impl Origin {
    /// The word on the bus and in the store: `jail` or `manual`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jail => "jail",
            Self::Manual => "manual",
        }
    }
}

/// Past bans of one offender in one jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How many.
    pub bans: u32,
    /// When the last one began.
    pub last: Timestamp,
}
