//! Every option that means something, or would in fail2ban.
//!
//! Comes in: names. Goes out: what they are worth here, and the nearest known name. Pure.

use crate::config::diagnostic::Level;

/// An option of fail2ban that does nothing here, how much that matters, and what to know.
type Idle = (&'static str, Level, &'static str);

/// Options of a jail.
pub(crate) const JAIL: [&str; 16] = [
    "enabled",
    "description",
    "filter",
    "failregex",
    "ignoreregex",
    "journalmatch",
    "matchtext",
    "maxretry",
    "findtime",
    "bantime",
    "ignoreip",
    "ignoreself",
    "port",
    "protocol",
    "backend",
    "usedns",
];

/// Options of a filter.
pub(crate) const FILTER: [&str; 8] = [
    "failregex",
    "ignoreregex",
    "journalmatch",
    "matchtext",
    "prefregex",
    "maxlines",
    "datepattern",
    "usedns",
];

/// Options of `banishd.conf`.
pub(crate) const GLOBAL: [&str; 6] = [
    "firewall",
    "maxbans",
    "maxfailing",
    "dbpurgeage",
    "protectgroups",
    "loglevel",
];

const ACTION: &str =
    "ignored: banishd bans in the kernel's nftables by itself and starts no commands";
const INCREMENT: &str = "ignored: every ban lasts 'bantime'";
const MATCHES: &str = "ignored: matched messages are not kept";

/// Options of fail2ban's jails that do nothing here.
const JAIL_IDLE: [Idle; 39] = [
    ("action", Level::Note, ACTION),
    ("action_", Level::Note, ACTION),
    ("action_abuseipdb", Level::Note, ACTION),
    ("action_blocklist_de", Level::Note, ACTION),
    ("action_cf_mwl", Level::Note, ACTION),
    ("action_mw", Level::Note, ACTION),
    ("action_mwl", Level::Note, ACTION),
    ("action_xarf", Level::Note, ACTION),
    ("banaction", Level::Note, ACTION),
    ("banaction_allports", Level::Note, ACTION),
    ("bantime.factor", Level::Note, INCREMENT),
    ("bantime.formula", Level::Note, INCREMENT),
    ("bantime.increment", Level::Warning, INCREMENT),
    ("bantime.maxtime", Level::Note, INCREMENT),
    ("bantime.multipliers", Level::Note, INCREMENT),
    ("bantime.overalljails", Level::Note, INCREMENT),
    ("bantime.rndtime", Level::Note, INCREMENT),
    ("blocktype", Level::Note, ACTION),
    ("chain", Level::Note, ACTION),
    (
        "datepattern",
        Level::Note,
        "ignored: the journal has the time",
    ),
    ("destemail", Level::Note, ACTION),
    ("fail2ban_agent", Level::Note, ACTION),
    (
        "ignorecache",
        Level::Note,
        "ignored: there is nothing to cache",
    ),
    (
        "ignorecommand",
        Level::Warning,
        "ignored, no command is asked before a ban: name the addresses in 'ignoreip'",
    ),
    (
        "logencoding",
        Level::Note,
        "ignored: messages are matched as bytes",
    ),
    (
        "logpath",
        Level::Note,
        "ignored, only the journal is read: the filter's or the jail's 'journalmatch' says which entries",
    ),
    (
        "logtimezone",
        Level::Note,
        "ignored: the journal has the time",
    ),
    (
        "maxlines",
        Level::Warning,
        "ignored: one message is matched at a time",
    ),
    ("maxmatches", Level::Note, MATCHES),
    ("mode", Level::Note, "ignored: no filter here has modes"),
    ("mta", Level::Note, ACTION),
    (
        "prefregex",
        Level::Warning,
        "ignored: put it into each line of 'failregex'",
    ),
    ("returntype", Level::Note, ACTION),
    ("sender", Level::Note, ACTION),
    ("sendername", Level::Note, ACTION),
    (
        "skip_if_nologs",
        Level::Note,
        "ignored: only the journal is read",
    ),
    (
        "systemd_if_nologs",
        Level::Note,
        "ignored: only the journal is read",
    ),
    ("tcpport", Level::Note, "ignored: use 'port'"),
    ("udpport", Level::Note, "ignored: use 'port'"),
];

const LOG: &str = "ignored: banishd logs to the journal";

/// Options of fail2ban.conf that do nothing here.
const GLOBAL_IDLE: [Idle; 8] = [
    ("allowipv6", Level::Note, "ignored: IPv6 is always on"),
    (
        "dbfile",
        Level::Note,
        "ignored: the state is in /var/lib/banishd",
    ),
    ("dbmaxmatches", Level::Note, MATCHES),
    ("logtarget", Level::Note, LOG),
    ("pidfile", Level::Note, "ignored: systemd knows the process"),
    (
        "socket",
        Level::Note,
        "ignored: banishd is on the system bus",
    ),
    ("stacksize", Level::Note, "ignored: there is no such limit"),
    ("syslogsocket", Level::Note, LOG),
];

/// What is to be said of an option of a jail or of banishd.conf that fail2ban knows and we do not use.
pub(crate) fn idle(key: &str) -> Option<(Level, &'static str)> {
    let all = JAIL_IDLE.iter().chain(&GLOBAL_IDLE);
    let found = all.clone().find(|(name, ..)| *name == key);
    found.map(|(_, level, why)| (*level, *why))
}

/// The name among `known` that `name` may be a slip for.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
