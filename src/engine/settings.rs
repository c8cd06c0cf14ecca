//! Everything an administrator can set, as plain typed data that is already valid: `config` makes it,
//! and nothing later checks a range again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::address::AddressSet;
use crate::engine::filter::Filter;
use crate::engine::ledger::formula::Formula;
use crate::engine::time::{BanTime, Span};

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The enabled jails that can run.
    pub jails: BTreeMap<JailName, JailSettings>,
    /// The enabled jails that cannot, each with the reason. Their bans stay in force.
    pub failed: BTreeMap<JailName, String>,
    /// A file could not be read or parsed, so a jail that is missing here may merely be unreadable:
    /// its bans stay in force as well.
    pub incomplete: bool,
    /// What holds for all jails.
    pub global: Global,
}

/// What holds for all jails (`banishd.conf`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// The most bans in force at once; further ones are refused, counted and logged.
    pub max_bans: usize,
    /// The most offenders whose failures one jail remembers; the one that failed longest ago gives way.
    pub max_failing: usize,
    /// How long a past ban counts as an earlier one (fail2ban's `dbpurgeage`).
    pub purge_age: Span,
    /// Members of these groups, and root, are not banned from under their live login sessions.
    pub protect_groups: Vec<String>,
    /// What carries out the bans.
    pub firewall: FirewallChoice,
    /// What is logged.
    pub log_level: LogLevel,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            max_bans: 131_072,
            max_failing: 32_768,
            purge_age: Span::from_secs(86_400),
            protect_groups: vec!["sudo".to_owned(), "wheel".to_owned()],
            firewall: FirewallChoice::Auto,
            log_level: LogLevel::Info,
        }
    }
}

/// Which firewall program carries out bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirewallChoice {
    /// nftables where the kernel has it.
    #[default]
    Auto,
    /// nftables over netlink.
    Nftables,
    /// Nothing: bans live in memory only (`--dry-run`).
    Memory,
}

/// The least important messages that are still logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Somebody must act.
    Error,
    /// Something was lost.
    Warning,
    /// A jail came or went.
    Notice,
    /// A ban came or went.
    #[default]
    Info,
    /// Why something was not done.
    Debug,
}

/// One jail.
#[derive(Clone, Debug, PartialEq)]
pub struct JailSettings {
    /// For people: what this jail guards.
    pub description: String,
    /// Which journal entries it reads; none where it reads files.
    pub matches: Matches,
    /// Which journal that is.
    pub journal: Journal,
    /// Whether entries that anybody could have written count (`journaltrust = any`).
    pub trusts_senders: bool,
    /// Which files it reads (`logpath`).
    pub files: Vec<LogFile>,
    /// Files are looked at now and then, because nothing tells of changes (`backend = polling`).
    pub polls: bool,
    /// How the bytes of files are to be read (`logencoding`); `None` for UTF-8.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// The bans of these jails are put to its filter, each as the line that fail2ban would log of it
    /// (`recidive`). Its own never are.
    pub bans_of: BTreeSet<JailName>,
    /// What counts as a failure.
    pub filter: Filter,
    /// Which traffic of an offender is dropped.
    pub rules: JailRules,
    /// This many failures (`maxretry`, at least 1) …
    pub max_retry: u32,
    /// … within this time (`findtime`) …
    pub find_time: Span,
    /// … ban for this long (`bantime`).
    pub ban_time: BanTime,
    /// How bans grow with the number of earlier ones (`bantime.*`); `None` for not at all.
    pub escalation: Option<Escalation>,
    /// So many of the lines that led to a ban are remembered, the latest (`maxmatches`).
    pub max_matches: u32,
    /// Never counted and never banned (`ignoreip`).
    pub ignore: AddressSet,
    /// Host names whose addresses are not banned either (names in `ignoreip`).
    pub ignore_names: Vec<String>,
    /// Files that list more of both (`file:` in `ignoreip`).
    pub ignore_files: Vec<PathBuf>,
    /// Whether failures of the host's own addresses count for nothing (`ignoreself`).
    pub ignore_self: bool,
    /// A command that is asked before a ban; its tags are expanded by whoever runs it (`ignorecommand`).
    pub ignore_command: Option<String>,
    /// How long its answers hold (`ignorecache`); `None` for not at all.
    pub ignore_cache: Option<IgnoreCache>,
}

/// The journal a jail reads (`backend = systemd[…]`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Journal {
    /// The system's.
    #[default]
    System,
    /// The files in this directory (`journalpath=`).
    Directory(PathBuf),
    /// These files (`journalfiles=`), globs already expanded.
    Files(Vec<PathBuf>),
    /// A namespace (`namespace=`).
    Namespace(String),
    /// What these flags of `sd_journal_open` select (`journalflags=`).
    Flags(i32),
}

/// A file, or the files of a pattern such as `/var/log/nginx/*error.log`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// The path, absolute; `*`, `?` and `[…]` are wild cards.
    pub pattern: String,
    /// Whether reading begins at the end where nothing is known of the file (`tail`).
    pub is_tail: bool,
}

/// How bans grow (`bantime.increment`).
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    /// `bantime.formula`, or the one that doubles.
    pub formula: Formula,
    /// `bantime.factor`.
    pub factor: f64,
    /// `bantime.multipliers`; where there are some they count instead of the formula.
    pub multipliers: Vec<f64>,
    /// `bantime.maxtime`.
    pub max: Option<Span>,
    /// `bantime.rndtime`.
    pub random: Span,
    /// `bantime.overalljails`: bans in every jail count that does not itself count bans.
    pub all_jails: bool,
}

/// How long the answers of `ignorecommand` hold (`ignorecache`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreCache {
    /// What two failures must have in common, with tags.
    pub key: String,
    /// So many answers are kept.
    pub max_count: u32,
    /// For so long.
    pub max_time: Span,
}

/// Journal entries to read: groups are alternatives. An empty list selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches(pub Vec<MatchGroup>);

/// Field name to allowed values: all fields must match, each by one of its values.
pub type MatchGroup = BTreeMap<String, Vec<String>>;

/// Whether the kernel or journald vouches for who wrote an entry that matches, as the names of fields tell:
/// which of them the sender of an entry controls is a property of journald. All others, `_COMM` and `_EXE`
/// too, anybody can bring about with a program of his own.
#[must_use]
pub fn is_attested(group: &MatchGroup) -> bool {
    const BY_NAME: [&str; 5] = [
        "_SYSTEMD_UNIT",
        "_SYSTEMD_SLICE",
        "_SYSTEMD_CGROUP",
        "_UID",
        "_GID",
    ];
    // No program can have its entries come in these ways.
    const CLOSED: [&str; 3] = ["kernel", "audit", "driver"];
    let is_closed = |ways: &Vec<String>| ways.iter().all(|way| CLOSED.contains(&way.as_str()));
    BY_NAME.iter().any(|field| group.contains_key(*field))
        || group.get("_TRANSPORT").is_some_and(is_closed)
}

/// `FIELD=value FIELD=value + …`, as in fail2ban's `journalmatch`.
impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" + ")?;
            }
            let terms = group
                .iter()
                .flat_map(|(field, values)| values.iter().map(move |v| (field, v)));
            for (place, (field, value)) in terms.enumerate() {
                let gap = if place > 0 { " " } else { "" };
                write!(f, "{gap}{field}={value}")?;
            }
        }
        Ok(())
    }
}

/// The traffic a jail drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JailRules {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Destination ports.
    pub ports: Ports,
}

/// Transport protocol of a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Every protocol; ports, where given, mean TCP and UDP.
    All,
}

/// Destination ports of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every port.
    All,
    /// These, first and last included; sorted, disjoint, not empty.
    Ranges(Vec<(u16, u16)>),
}

/// `22`, `80,443`, `6000-6010`; `all` for every port.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ranges(ranges) = self else {
            return f.write_str("all");
        };
        for (index, (first, last)) in ranges.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// A jail's name: 1 to 64 characters, letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JailName(Arc<str>);

impl JailName {
    /// `None` where the text is no jail name.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (!text.is_empty() && text.len() <= 64 && text.chars().all(good)).then(|| Self(text.into()))
    }
}

impl Deref for JailName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
