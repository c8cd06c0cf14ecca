//! What a command may know of an offender: fail2ban's tags and their values.
//!
//! Comes in: what is known when the command is asked. Goes out: a text for each tag. Pure: tags whose
//! values only the host knows, its own name and those of addresses, have none here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::engine::address::Offender;
use crate::engine::filter::failure::Captures;
use crate::engine::filter::pattern::tags::group;
use crate::engine::settings::{JailName, JailSettings};
use crate::engine::time::{BanTime, Timestamp};

/// What is known of an offender who is about to be banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The jail.
    pub jail: JailName,
    /// Who it is about.
    pub offender: Offender,
    /// The time of the last failure.
    pub time: Timestamp,
    /// How many failures.
    pub failures: u32,
    /// The lines that tell of them.
    pub lines: Vec<Box<str>>,
    /// What the lines of some or all of the failures captured.
    pub captures: Captures,
    /// How the jail stands.
    pub tally: Tally,
}

/// How a jail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How long it bans, before anything grows.
    pub ban_time: BanTime,
    /// Its bans in force.
    pub bans: u32,
    /// Its bans since the store was made.
    pub bans_total: u64,
    /// How many offenders have failures that still count.
    pub failing: u32,
    /// Its failures since the store was made.
    pub failures_total: u64,
}

impl Facts {
    /// The value of a tag; `None` where there is none of that name, or only the host knows it.
    #[must_use]
    pub fn value(&self, tag: &str) -> Option<String> {
        let address = self.offender.address();
        Some(match tag {
            "ip" | "fid" => self.offender.to_string(),
            "family" if address.is_ipv4() => "inet4".to_owned(),
            "family" => "inet6".to_owned(),
            "ip-rev" => reverse(address),
            "failures" | "ipfailures" | "ipjailfailures" => self.failures.to_string(),
            "time" => seconds(self.time),
            "bantime" => match self.tally.ban_time {
                BanTime::For(span) => (span.usec() / 1_000_000).to_string(),
                BanTime::Forever => "-1".to_owned(),
            },
            "matches" | "ipmatches" | "ipjailmatches" => self.lines.join("\n"),
            "jail.name" | "name" => self.jail.to_string(),
            "jail.banned" => self.tally.bans.to_string(),
            "jail.banned_total" => self.tally.bans_total.to_string(),
            "jail.found" => self.tally.failing.to_string(),
            "jail.found_total" => self.tally.failures_total.to_string(),
            "bancount" | "restored" => "0".to_owned(),
            "br" => "\n".to_owned(),
            "sp" => " ".to_owned(),
            "raw-ticket" => format!(
                "FailTicket: ip={} time={} bantime=None bancount=0 #attempts={} matches={:?}",
                self.offender,
                seconds(self.time),
                self.failures,
                self.lines
            ),
            other => {
                let captured = self.captures.text(&group(other)?);
                captured.unwrap_or_default().to_owned()
            }
        })
    }
}

/// The first `<tag>`: what is before it, the tag, what is behind it.
#[must_use]
pub fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('<')?;
        let inner = text.get(open + 1..)?;
        let end = inner.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>'))?;
        if end > 0 && inner.get(end..)?.starts_with('>') {
            return Some((text.get(..open)?, inner.get(..end)?, inner.get(end + 1..)?));
        }
        from = open + 1;
    }
}

/// All tags in `text`, in order.
pub fn tags(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (_, tag, after) = next_tag(text)?;
        text = after;
        Some(tag)
    })
}

/// The groups of a jail's filter whose texts its `ignorecommand` wants to know, directly or by `ignorecache`.
#[must_use]
pub fn wanted(settings: &JailSettings) -> BTreeSet<String> {
    let Some(command) = &settings.ignore_command else {
        return BTreeSet::new();
    };
    let key = settings
        .ignore_cache
        .as_ref()
        .map_or("", |cache| &cache.key);
    tags(command).chain(tags(key)).filter_map(group).collect()
}

/// The labels of the reverse zone: `1.2.0.192.`.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(|o| format!("{o}.")).collect(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev();
            nibbles
                .map(|o| format!("{:x}.{:x}.", o & 0xf, o >> 4))
                .collect()
        }
    }
}

/// Seconds since 1970, always with a point, as in fail2ban.
fn seconds(time: Timestamp) -> String {
    let (seconds, part) = (time.usec() / 1_000_000, time.usec() % 1_000_000);
    let part = format!("{part:06}");
    match part.trim_end_matches('0') {
        "" => format!("{seconds}.0"),
        part => format!("{seconds}.{part}"),
    }
}
