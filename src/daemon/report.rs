//! Events as log entries: one a ban, or one a jail when many come at once.

use std::collections::BTreeMap;

use tracing::{debug, error, info, warn};

use crate::daemon::logging::BANS;
use crate::engine::effect::{Event, Removal};
use crate::engine::settings::JailName;

/// A batch with more bans or unbans than this is told in sums.
const SINGLY: usize = 20;

/// Tells the log what happened.
pub fn report(events: &[Event]) {
    let bans = |event: &&Event| {
        matches!(
            event,
            Event::BanNew(_) | Event::BanChanged(_) | Event::BanRemoved { .. }
        )
    };
    if events.iter().filter(bans).count() <= SINGLY {
        events.iter().for_each(tell);
    } else {
        events.iter().filter(|event| !bans(event)).for_each(tell);
        tell_sums(events);
    }
}

fn tell_sums(events: &[Event]) {
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
                origin = ban.origin.as_str(), "[{jail}] Ban {offender}"
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
            "[{jail}] Unban {offender}{}", if *result == Removal::Expired { "" } else { " before its time" }
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
            "[{jail}] {offender} is not banned: 'maxbans' in banishd.conf is reached"
        ),
        Event::JailNew(jail) => info!(jail = %jail, "jail {jail} is there"),
        Event::JailRemoved(jail) => info!(jail = %jail, "jail {jail} is gone"),
        Event::JailChanged(jail) => info!(jail = %jail, "jail {jail} changed"),
        Event::Degraded(text) => error!("{text}"),
        Event::Recovered => info!("everything works again"),
    }
}
