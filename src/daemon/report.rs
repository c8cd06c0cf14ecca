//! Events as log entries: one a ban, or one a jail when many come at once.
//!
//! A ban ends what caused it, so bans need no limit. Who may not be banned can go on for ever: that is
//! told at most twenty times a minute, or the attacker would decide how much is logged.

use std::collections::BTreeMap;

use tracing::{debug, error, info, warn};

use crate::daemon::logging::BANS;
use crate::engine::effect::{Event, Removal};
use crate::engine::ledger::ban::{Ban, Origin};
use crate::engine::settings::JailName;
use crate::engine::time::{Boottime, Span};

/// What has been told lately of those who may not be banned.
#[derive(Debug, Default)]
pub struct Report {
    began: Boottime,
    told: u32,
    untold: u64,
}

impl Report {
    /// Tells the log what happened.
    pub fn tell(&mut self, now: Boottime, events: &[Event]) {
        let (bans, others): (Vec<_>, Vec<_>) = events.iter().partition(|event| {
            matches!(
                event,
                Event::BanNew(_) | Event::BanChanged(_) | Event::BanRemoved { .. }
            )
        });
        for event in others {
            let endless = matches!(
                event,
                Event::Spared { .. } | Event::TooManyBans { .. } | Event::Warning(_)
            );
            if !endless || self.admits(now) {
                tell(event);
            }
        }
        if bans.len() <= SINGLY {
            bans.into_iter().for_each(tell);
        } else {
            tell_sums(&bans);
        }
    }

    fn admits(&mut self, now: Boottime) -> bool {
        if now >= self.began.plus(MINUTE) {
            if self.untold > 0 {
                warn!(
                    offenders = self.untold,
                    "{} more times somebody was not banned", self.untold
                );
            }
            *self = Self {
                began: now,
                ..Self::default()
            };
        }
        if self.told < WARNINGS {
            self.told += 1;
            return true;
        }
        self.untold = self.untold.saturating_add(1);
        false
    }
}

fn tell_sums(events: &[&Event]) {
    let mut sums: BTreeMap<(&JailName, &str), u64> = BTreeMap::new();
    for event in events {
        let (jail, what) = match event {
            Event::BanNew(ban) => (&ban.jail, "banned"),
            Event::BanChanged(ban) => (&ban.jail, "moved the ends of bans"),
            Event::BanRemoved { jail, .. } => (jail, "unbanned"),
            _ => continue,
        };
        *sums.entry((jail, what)).or_default() += 1;
    }
    for ((jail, what), offenders) in sums {
        info!(target: BANS, jail = %jail, offenders, "{what} {offenders} offenders in jail {jail}");
    }
}

fn tell(event: &Event) {
    match event {
        Event::BanNew(ban) => {
            let (jail, offender, failures) = (&ban.jail, &ban.offender, ban.failures);
            let until = ban
                .until
                .map_or("never".to_owned(), |until| until.usec().to_string());
            info!(
                target: BANS,
                message_id = "8b2f4a0d3c1e4f6ea5d79b0c2e8f1a63",
                jail = %jail, offender = %offender, failures, until_usec = until,
                origin = ban.origin.as_str(), "[{jail}] Ban {offender} {}", why(ban)
            );
        }
        Event::BanRemoved {
            jail,
            offender,
            result,
            by,
        } => info!(
            target: BANS,
            message_id = "5d1c7e9a60b84b0f9c3a2f7d4e6b8a15",
            jail = %jail, offender = %offender, result = result.as_str(), by,
            "[{jail}] Unban {offender}{}", ending(*result, by)
        ),
        Event::BanChanged(ban) => {
            debug!(jail = %ban.jail, offender = %ban.offender, "the end of a ban moved");
        }
        Event::Spared {
            jail,
            offender,
            why,
        } => {
            warn!(jail = %jail, offender = %offender, "[{jail}] {offender} is not banned: {why}");
        }
        Event::TooManyBans { jail, offender } => warn!(
            jail = %jail, offender = %offender,
            "[{jail}] {offender} is not banned: 'maxbans' in banishd.conf is reached, or the limit of networks"
        ),
        Event::JailNew(jail) => info!(jail = %jail, "jail {jail} was added"),
        Event::JailRemoved(jail) => info!(jail = %jail, "jail {jail} was removed"),
        Event::JailChanged(jail) => info!(jail = %jail, "jail {jail} was changed"),
        Event::Warning(text) => warn!("{text}"),
        Event::Degraded(text) => error!("{text}"),
        Event::Recovered => info!("everything works again"),
    }
}

/// For how long, and what led to it.
fn why(ban: &Ban) -> String {
    let lasting = match ban.until.map(|until| until.since(ban.since).usec()) {
        None => "for ever".to_owned(),
        Some(usec) => format!("for {}", Span::from_usec(usec - usec % 1_000_000)),
    };
    match (ban.origin, ban.failures) {
        (Origin::Manual, _) => format!("{lasting}, by hand"),
        (Origin::Jail, 1) => format!("{lasting} after 1 failure"),
        (Origin::Jail, failures) => format!("{lasting} after {failures} failures"),
    }
}

/// Why a ban ended before its time; nothing where it did not.
fn ending(result: Removal, by: &str) -> String {
    match result {
        Removal::Expired => String::new(),
        Removal::Unbanned if by.is_empty() => " before its time".to_owned(),
        Removal::Unbanned => format!(" before its time, by {by}"),
        Removal::Stopped => " because its jail was stopped".to_owned(),
        Removal::Reloaded => " because the configuration changed".to_owned(),
    }
}

/// A batch with more bans or unbans than this is told in sums.
const SINGLY: usize = 20;

/// So many warnings in a minute.
const WARNINGS: u32 = 20;
const MINUTE: Span = Span::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Timestamp;

    #[test]
    fn an_attacker_who_may_not_be_banned_does_not_fill_the_log() {
        let mut report = Report::default();
        let at = |secs| Boottime::default().plus(Span::from_secs(secs));
        let mut told = |secs| (0..1000).filter(|_| report.admits(at(secs))).count();

        assert_eq!([100, 159, 160].map(&mut told), [20, 0, 20]);
    }

    #[test]
    fn the_log_says_for_how_long_and_why() {
        let ban = Ban {
            jail: JailName::new("sshd").unwrap(),
            offender: "192.0.2.1".parse().unwrap(),
            since: Timestamp::from_usec(5),
            until: Some(Timestamp::from_usec(600_000_005)),
            failures: 3,
            earlier: 0,
            origin: Origin::Jail,
        };
        assert_eq!(why(&ban), "for 10min after 3 failures");
        let by_hand = Ban {
            until: None,
            origin: Origin::Manual,
            ..ban
        };
        assert_eq!(why(&by_hand), "for ever, by hand");
        assert_eq!(ending(Removal::Expired, ""), "");
        assert_eq!(
            ending(Removal::Unbanned, "root"),
            " before its time, by root"
        );
    }
}
