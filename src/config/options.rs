//! Names of options: which there are, and which one may have been meant.
//!
//! Comes in: names. Goes out: what is to be said of those that mean nothing. Pure.

use std::collections::BTreeSet;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::resolve::{FILTER, JAIL};
use crate::config::tree::{DEFAULT, Tree};

/// Options of `banishd.conf`.
pub(crate) const GLOBAL: [&str; 6] = [
    "firewall",
    "maxbans",
    "maxfailing",
    "dbpurgeage",
    "protectgroups",
    "loglevel",
];

/// Options of fail2ban.conf that do nothing here, and why.
pub(crate) const IDLE: [(&str, &str); 9] = [
    ("allowipv6", "IPv6 is always on"),
    ("dbfile", "the state is in /var/lib/banishd"),
    ("dbmaxmatches", "a jail's 'maxmatches' says it"),
    ("logtarget", "the log is the journal"),
    ("pidfile", "systemd knows the process"),
    ("socket", "banishd is on the system bus"),
    ("stacksize", "there is no such limit"),
    ("syslogsocket", "the log is the journal"),
    ("syslogtarget", "the log is the journal"),
];

/// What jails are configured with beside their options: `%(name)s` makes use of them, or may.
const HELPERS: [&str; 13] = [
    "banaction",
    "banaction_allports",
    "blocktype",
    "chain",
    "destemail",
    "fail2ban_agent",
    "mode",
    "mta",
    "returntype",
    "sender",
    "sendername",
    "tcpport",
    "udpport",
];

/// Options of the jail `section`, and of all jails, that nobody asks for; `referenced` are the names that
/// some `%(name)s` refers to.
pub(crate) fn slips(tree: &Tree, section: &str, referenced: &BTreeSet<String>) -> Vec<Diagnostic> {
    let mut slips = Vec::new();
    for name in [DEFAULT, section] {
        let entries = tree
            .table(name)
            .into_iter()
            .flat_map(|table| table.entries());
        for entry in entries {
            let key = entry.key.as_str();
            let known = JAIL.contains(&key) || HELPERS.contains(&key) || referenced.contains(key);
            if known || key.starts_with(['_', '.']) || key.starts_with("action_") {
                continue;
            }
            let remedy = match nearest(key, JAIL) {
                Some(near) => format!("ignored: did you mean '{near}'?"),
                // In [DEFAULT] anything may be kept for later.
                None if name == DEFAULT => continue,
                None => "ignored: remove it".to_owned(),
            };
            let slip =
                Diagnostic::error(&entry.place, format!("there is no option '{key}'"), remedy);
            slips.push(slip.at_level(Level::Warning));
        }
    }
    slips
}

/// Options of a filter's file that nobody asks for and whose names are nearly those of others.
pub(crate) fn filter_slips(tree: &Tree) -> Vec<Diagnostic> {
    let referenced = tree.referenced();
    let tables = ["Definition", "Init"].map(|name| tree.table(name));
    let entries: Vec<_> = tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.entries())
        .collect();
    let before_ends = entries.iter().flat_map(|entry| entry.text.split('>'));
    let tagged: BTreeSet<&str> = before_ends
        .filter_map(|text| Some(text.rsplit_once('<')?.1))
        .collect();
    let mut slips = Vec::new();
    for entry in &entries {
        let key = entry.key.as_str();
        let known = FILTER.contains(&key) || referenced.contains(key) || tagged.contains(key);
        if let Some(near) = nearest(key, FILTER).filter(|_| !known) {
            let message = format!("the option '{key}' means nothing to a filter");
            let slip = Diagnostic::error(&entry.place, message, format!("did you mean '{near}'?"));
            slips.push(slip.at_level(Level::Warning));
        }
    }
    slips
}

/// The name among `known` that `name` may be a slip for.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_MAX {
        return None;
    }
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = strsim::jaro_winkler(name, candidate);
        if likeness >= LIKENESS_MIN && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Names less alike than this are different words.
const LIKENESS_MIN: f64 = 0.88;

/// A longer name is no slip, and costs its length times that of the other to compare.
const NAME_MAX: usize = 256;
