//! Jails that count the bans of other jails, as `recidive` did by reading fail2ban's log.
//!
//! Comes in: where such a jail would read of bans, later all jails that can run. Goes out: whose bans its
//! filter finds, and what is to be said of that. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::engine::address::Offender;
use crate::engine::filter::Filter;
use crate::engine::settings::{JailName, JailSettings, Matches};
use crate::engine::time::Timestamp;

/// Whether a line of `logpath` means fail2ban's own log, `target` being what fail2ban.conf calls it.
pub(crate) fn is_log(line: &str, target: Option<&str>) -> bool {
    let path = line.split_whitespace().next().unwrap_or_default();
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    let names_it = |name: &str| {
        let pattern = glob::Pattern::new(name);
        name.starts_with("fail2ban") && pattern.is_ok_and(|pattern| pattern.matches("fail2ban.log"))
    };
    target == Some(path) || name.is_some_and(names_it)
}

/// Whether entries of fail2ban's unit are selected.
pub(crate) fn are_meant(matches: &Matches) -> bool {
    let units = matches.0.iter().filter_map(|g| g.get("_SYSTEMD_UNIT"));
    units.flatten().any(|unit| unit == "fail2ban.service")
}

/// Has each jail of `counting` count the bans that its filter finds, and says whose they are, where stands
/// what has it do so.
pub(crate) fn assign(
    jails: &mut BTreeMap<JailName, JailSettings>,
    counting: Vec<(JailName, Place)>,
    problems: &mut Vec<Diagnostic>,
) {
    let names: Vec<JailName> = jails.keys().cloned().collect();
    for (name, place) in counting {
        let Some(jail) = jails.get_mut(&name) else {
            continue;
        };
        let others = names.iter().filter(|other| **other != name);
        let counted = others.filter(|other| counts(&jail.filter, other));
        jail.bans_of = counted.cloned().collect();
        problems.push(told(&jail.bans_of, names.len() - 1, &place));
    }
}

/// What is to be said of a jail that counts the bans of these, of so many `others`.
fn told(bans_of: &BTreeSet<JailName>, others: usize, place: &Place) -> Diagnostic {
    let (level, whose, remedy) = match bans_of.len() {
        0 if others == 0 => (
            Level::Warning,
            "other jails, and there are none".to_owned(),
            "switch one on",
        ),
        0 => (
            Level::Warning,
            "other jails, and its filter finds none of them".to_owned(),
            EXAMPLE,
        ),
        count if count == others => (Level::Note, "all other jails".to_owned(), ""),
        _ => {
            let names: Vec<&str> = bans_of.iter().map(|name| &**name).collect();
            (Level::Note, names.join(", "), "")
        }
    };
    let message = format!("this jail counts the bans of {whose}");
    Diagnostic::error(place, message, remedy).at_level(level)
}

const EXAMPLE: &str = "a failregex must match what fail2ban would log, such as: 2026-11-22 09:05:54,073 fail2ban.actions        [1]: NOTICE  [sshd] Ban 192.0.2.1";

/// Whether `filter` finds any ban of `jail`.
fn counts(filter: &Filter, jail: &JailName) -> bool {
    let since = Timestamp::from_usec(1_800_000_000_000_000);
    let offenders = ["192.0.2.1", "2001:db8::1", "192.0.2.0/24", "2001:db8::/32"];
    let mut offenders = offenders.into_iter().filter_map(|it| it.parse().ok());
    offenders.any(|offender: Offender| filter.find_ban((jail, &offender), since, 0).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail2bans_log_is_known_by_its_name_or_by_fail2ban_conf() {
        for (line, target, expected) in [
            ("/var/log/fail2ban.log", None, true),
            ("/var/log/fail2ban.log tail", None, true),
            ("/srv/fail2ban*", None, true),
            ("/var/log/fail2ban.log*", None, true),
            ("/var/log/*.log", None, false),
            ("/var/log/fail2ban.log.1", None, false),
            ("/srv/f2b", None, false),
            ("/srv/f2b", Some("/srv/f2b"), true),
        ] {
            assert_eq!(is_log(line, target), expected, "{line} {target:?}");
        }
    }
}
