//! What travels over the bus besides plain types: a ban, the cursor of a list, a line of a dump.

use serde::{Deserialize, Serialize};
use zbus::Type;
use zbus::wire::OwnedObjectPath;

use crate::dbus::error::{Error, Kind};
use crate::engine::address::Offender;
use crate::engine::command::{Import, Imported};
use crate::engine::ledger::ban::Ban;
use crate::engine::settings::JailName;
use crate::engine::time::{BanTime, Span, Timestamp};

/// An end or a length of time that never comes.
pub const FOREVER: u64 = u64::MAX;

/// The most bans in one answer of `ListBans`: a longer answer could pass the 32 MiB at which
/// dbus-daemon disconnects the sender.
pub const PAGE_MAX: u32 = 4096;

/// Bans in one answer of `ListBans` where the caller names no number.
pub const PAGE_DEFAULT: u32 = 1000;

/// A ban as everybody outside sees it, `(ssttuus)` on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct BanInfo {
    /// The jail.
    pub jail: String,
    /// The address or prefix, canonical.
    pub address: String,
    /// When it began, microseconds since 1970.
    pub since_usec: u64,
    /// When it ends; [`FOREVER`] for never.
    pub until_usec: u64,
    /// The failures that led to it.
    pub failures: u32,
    /// Earlier bans of the same offender in the same jail.
    pub earlier: u32,
    /// `jail` or `manual`.
    pub origin: String,
}

impl From<&Ban> for BanInfo {
    fn from(ban: &Ban) -> Self {
        Self {
            jail: ban.jail.to_string(),
            address: ban.offender.to_string(),
            since_usec: ban.since.usec(),
            until_usec: ban.until.map_or(FOREVER, Timestamp::usec),
            failures: ban.failures,
            earlier: ban.earlier,
            origin: ban.origin.as_str().to_owned(),
        }
    }
}

/// The same in JSON, where numbers beyond 2^53 are not safe: `null` stands for never.
#[derive(Debug, Serialize)]
pub struct BanLine<'a> {
    jail: &'a str,
    address: &'a str,
    since_usec: u64,
    until_usec: Option<u64>,
    failures: u32,
    earlier: u32,
    origin: &'a str,
}

impl<'a> From<&'a BanInfo> for BanLine<'a> {
    fn from(ban: &'a BanInfo) -> Self {
        Self {
            jail: &ban.jail,
            address: &ban.address,
            since_usec: ban.since_usec,
            until_usec: (ban.until_usec != FOREVER).then_some(ban.until_usec),
            failures: ban.failures,
            earlier: ban.earlier,
            origin: &ban.origin,
        }
    }
}

/// A ban that another program made, `(ssttuu)` on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ImportInfo {
    /// The jail.
    pub jail: String,
    /// The address or prefix.
    pub address: String,
    /// When it began, microseconds since 1970.
    pub since_usec: u64,
    /// When it ends or ended; [`FOREVER`] for never.
    pub until_usec: u64,
    /// The failures that led to it.
    pub failures: u32,
    /// How many bans there have been, this one included.
    pub bans: u32,
}

impl TryFrom<ImportInfo> for Import {
    type Error = Error;

    fn try_from(info: ImportInfo) -> Result<Self, Error> {
        let Some(jail) = JailName::new(&info.jail) else {
            let text = format!("'{}' is no name of a jail", info.jail);
            return Err(Error::new(Kind::InvalidArgs, text));
        };
        let until = (info.until_usec != FOREVER).then_some(info.until_usec);
        Ok(Self {
            jail,
            offender: info.address.parse()?,
            since: Timestamp::from_usec(info.since_usec),
            until: until.map(Timestamp::from_usec),
            failures: info.failures,
            bans: info.bans.max(1),
        })
    }
}

/// What became of the bans of an `Import`, `(uuuuuu)` on the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ImportSums {
    /// In force from now on, or for longer than before.
    pub banned: u32,
    /// Were in force already.
    pub known: u32,
    /// Are over; they count as earlier bans.
    pub expired: u32,
    /// Are of an address that is not to be banned.
    pub spared: u32,
    /// Are of a jail that does not exist or does not run.
    pub no_jail: u32,
    /// Are too many.
    pub too_many: u32,
}

impl ImportSums {
    /// Adds those of another page.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.banned, other.banned),
            (&mut self.known, other.known),
            (&mut self.expired, other.expired),
            (&mut self.spared, other.spared),
            (&mut self.no_jail, other.no_jail),
            (&mut self.too_many, other.too_many),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl From<Imported> for ImportSums {
    fn from(imported: Imported) -> Self {
        let Imported {
            banned,
            known,
            expired,
            spared,
            no_jail,
            too_many,
        } = imported;
        Self {
            banned,
            known,
            expired,
            spared,
            no_jail,
            too_many,
        }
    }
}

/// A jail in `ListJails`: name, state, bans in force, object.
pub type JailEntry = (String, String, u32, OwnedObjectPath);

/// The place behind a ban in the list of all, opaque to callers.
#[must_use]
pub fn cursor(ban: &Ban) -> String {
    format!("{}/{}", ban.jail, ban.offender)
}

/// The inverse of [`cursor`]; an empty text is the start of the list.
///
/// # Errors
/// The text was not made by [`cursor`].
pub fn parse_cursor(text: &str) -> Result<Option<(JailName, Offender)>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.split_once('/')
        .and_then(|(jail, offender)| Some((JailName::new(jail)?, offender.parse().ok()?)))
        .map(Some)
        .ok_or_else(|| {
            let hint = "pass an empty text or what the previous call returned as 'next'";
            Error::new(
                Kind::InvalidArgs,
                format!("'{text}' is no place in the list; {hint}"),
            )
        })
}

/// How long a ban shall last, as `BanFor` takes it: 0 for the jail's own time.
#[must_use]
pub fn duration(usec: u64) -> Option<BanTime> {
    match usec {
        0 => None,
        FOREVER => Some(BanTime::Forever),
        usec => Some(BanTime::For(Span::from_usec(usec))),
    }
}

/// The inverse of [`duration`].
#[must_use]
pub fn duration_usec(time: Option<BanTime>) -> u64 {
    match time {
        None => 0,
        Some(BanTime::Forever) => FOREVER,
        Some(BanTime::For(span)) => span.usec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_ban_and_nothing_else_is_one() {
        for (text, good) in [
            ("sshd/192.0.2.1", true),
            ("sshd/192.0.2.0/24", true),
            ("a.b-c/2001:db8::/64", true),
            ("sshd", false),
            ("sshd/", false),
            ("/192.0.2.1", false),
            ("17", false),
        ] {
            assert_eq!(parse_cursor(text).is_ok(), good, "{text}");
        }
        assert_eq!(parse_cursor("").unwrap(), None);
    }

    #[test]
    fn zero_means_the_jails_time_and_the_largest_number_for_ever() {
        for usec in [0, 1, 600_000_000, FOREVER] {
            assert_eq!(duration_usec(duration(usec)), usec);
        }
        assert_eq!(BanInfo::SIGNATURE.to_string(), "(ssttuus)");
    }
}
