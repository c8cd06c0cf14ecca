//! Where a jail's log lines come from: files, or entries of the journal.
//!
//! Comes in: `backend`, `logpath`, `journalmatch`, and what there is of files now. Goes out: one
//! [`Source`]. The journal is never read as a whole: without a match there is no journal.

use crate::config::backend::{Backend, Selected};
use crate::config::diagnostic::Place;
use crate::config::logs;
use crate::config::reading::Reading;
use crate::config::units::Guess;
use crate::config::value;
use crate::engine::settings::{Journal, LogFile, MatchGroup, Matches, is_attested};

/// Where a jail's log lines come from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Which journal.
    pub(crate) journal: Journal,
    /// Which of its entries; none where files are read.
    pub(crate) matches: Matches,
    /// What the matches were derived from, if nobody set them.
    pub(crate) because: Option<&'static str>,
    /// Which files.
    pub(crate) files: Vec<LogFile>,
    /// What says that it counts the bans of other jails, if anything does.
    pub(crate) bans: Option<Place>,
}

/// What came of the files.
pub(crate) enum Found {
    /// They are to be read.
    Files(Vec<LogFile>),
    /// There are none.
    Nothing,
    /// They cannot be read: an error was noted.
    Closed,
}

/// Looks for the files of `logpath`. Where they are not `needed`, such as cannot be read are not missed.
pub(crate) fn files(reading: &mut Reading, needed: bool) -> Found {
    let mut files = Vec::new();
    let mut readable = 0;
    let mut unreadable = Vec::new();
    for (line, place) in reading.lines("logpath") {
        let file = match logs::parse(&line) {
            Ok(file) => file,
            Err(reason) => {
                reading.error(
                    &place,
                    reason,
                    "write a path such as /var/log/name.log, with * and ? as wild cards",
                );
                return Found::Closed;
            }
        };
        let seen = logs::look(&file.pattern);
        readable += seen.readable;
        unreadable.extend(
            seen.unreadable
                .into_iter()
                .map(|found| (found, place.clone())),
        );
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let count = unreadable.len();
    for ((path, obstacle), place) in unreadable.into_iter().take(SHOWN_MAX) {
        let (message, remedy) = (obstacle.message(&path), obstacle.remedy(&path));
        match readable {
            0 if needed => reading.error(&place, message, remedy),
            _ => reading.warn(&place, message, remedy),
        }
    }
    match (readable, count) {
        (0, 1..) if needed => Found::Closed,
        (0, _) => Found::Nothing,
        _ => Found::Files(files),
    }
}

/// So many files that cannot be read are named.
const SHOWN_MAX: usize = 5;

/// The journal that `backend` chooses, and in it what `journalmatch` says or else the entries of
/// the unit that names mean.
pub(crate) fn journal(
    reading: &mut Reading,
    backend: &Backend,
    unit: Option<Guess>,
) -> Option<Source> {
    let (matches, place, because) = matches(reading, backend, unit)?;
    let journal = match backend {
        Backend::Systemd(Selected::Journal(journal)) => journal.clone(),
        Backend::Systemd(Selected::Patterns(patterns)) => {
            let files: Vec<_> = patterns
                .iter()
                .flat_map(|pattern| logs::expand(pattern))
                .collect();
            if files.is_empty() {
                let place = reading.place_of("backend");
                reading.error(
                    &place,
                    "there is no journal file of that name",
                    "correct 'journalfiles'",
                );
                return None;
            }
            Journal::Files(files)
        }
        Backend::Auto | Backend::Polling | Backend::Bans => Journal::System,
    };
    let matches = trusted(reading, matches, &place);
    Some(Source {
        journal,
        matches,
        because,
        ..Source::default()
    })
}

/// Which entries, where that is said, and what it was derived from if nobody says.
fn matches(
    reading: &mut Reading,
    backend: &Backend,
    unit: Option<Guess>,
) -> Option<(Matches, Place, Option<&'static str>)> {
    let place = reading.place_of("journalmatch");
    if let Some(text) = reading.text("journalmatch") {
        match value::matches(text) {
            Ok(matches) if !matches.0.is_empty() => {
                return Some((with_aliases(matches), place, None));
            }
            Ok(_) => reading.error(&place, "this journalmatch selects nothing", WRITE_MATCH),
            Err(reason) => reading.error(&place, reason, WRITE_MATCH),
        }
        return None;
    }
    let Some(Guess {
        matches, because, ..
    }) = unit
    else {
        reading.error(
            &place,
            "there is no journalmatch: which journal entries to read is unknown",
            "set journalmatch = _SYSTEMD_UNIT=name.service in the filter or in the jail",
        );
        return None;
    };
    if let Backend::Systemd(_) = backend {
        let place = reading.place_of("backend");
        reading.warn(
            &place,
            "there is no journalmatch, and the journal is not read as a whole",
            format!("taken for journalmatch = {matches}, by {because}"),
        );
    }
    Some((matches, place, Some(because)))
}

/// fail2ban's filter names `sshd.service`, which in Debian is another name of `ssh.service`; the journal
/// has units by their first names.
pub(crate) fn with_aliases(mut matches: Matches) -> Matches {
    let units = |group: &MatchGroup| group.get(UNIT).cloned().unwrap_or_default();
    let named: Vec<String> = matches.0.iter().flat_map(units).collect();
    if !named.iter().any(|unit| unit == "ssh.service") {
        let units = matches.0.iter_mut().filter_map(|group| group.get_mut(UNIT));
        for units in units.filter(|units| units.iter().any(|unit| unit == "sshd.service")) {
            units.push("ssh.service".to_owned());
        }
    }
    matches
}

const UNIT: &str = "_SYSTEMD_UNIT";

const WRITE_MATCH: &str = "write journalmatch = _SYSTEMD_UNIT=name.service _UID=0";

/// Without a field that the kernel vouches for, anybody could write the entries: then they must come
/// from root, unless the jail says otherwise.
fn trusted(reading: &mut Reading, mut matches: Matches, place: &Place) -> Matches {
    if trusts_senders(reading) {
        return matches;
    }
    let total = matches.0.len();
    let mut forgeable = 0;
    for group in &mut matches.0 {
        if !is_attested(group) {
            group.insert("_UID".to_owned(), vec!["0".to_owned()]);
            forgeable += 1;
        }
    }
    if forgeable == total {
        reading.warn(
            place,
            "any user can write entries that this journalmatch selects",
            "only root's count: add _SYSTEMD_UNIT= or _UID= to each group, or set journaltrust = any",
        );
    } else if forgeable > 0 {
        reading.note(
            place,
            "any user can write entries that a part of this journalmatch selects",
            "of that part only root's count",
        );
    }
    matches
}

/// `journaltrust`.
pub(crate) fn trusts_senders(reading: &mut Reading) -> bool {
    let trust = reading.parsed("journaltrust", |text| match text.to_lowercase().as_str() {
        "strict" => Ok(false),
        "any" => Ok(true),
        other => Err(format!("'{other}' is neither strict nor any")),
    });
    trust.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_sshds_unit_is_read() {
        for (text, expected) in [
            (
                "_SYSTEMD_UNIT=sshd.service + _COMM=sshd",
                "_SYSTEMD_UNIT=sshd.service _SYSTEMD_UNIT=ssh.service + _COMM=sshd",
            ),
            ("_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=ssh.service"),
            ("_COMM=sshd", "_COMM=sshd"),
        ] {
            let matches = with_aliases(value::matches(text).unwrap());
            assert_eq!(matches.to_string(), expected);
        }
    }
}
