//! A ban, as a filter that counts bans sees it.
//!
//! Comes in: who is banned, where and since when. Goes out: what a filter finds in the line that fail2ban
//! would write to its log, so that one that was made for that log holds as it is, edited or not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::address::Offender;
use crate::engine::filter::failure::Who;
use crate::engine::filter::lines::local;
use crate::engine::filter::{Filter, Found, Look, Memory};
use crate::engine::record::Record;
use crate::engine::settings::JailName;
use crate::engine::time::{Span, Timestamp};

impl Filter {
    /// What it finds in the ban of an offender in a jail, if that is the offender.
    #[must_use]
    pub fn find_ban(
        &self,
        (jail, offender): (&JailName, &Offender),
        since: Timestamp,
        max_matches: usize,
    ) -> Option<Found> {
        let time = local(since, &self.spec().zone)?;
        let date = time.strftime("%Y-%m-%d %H:%M:%S,%3f");
        let line = format!("{date} fail2ban.actions        [1]: NOTICE  [{jail}] Ban {offender}");
        let record = Record {
            time: since,
            pid: None,
            message: line.as_bytes(),
            line: line.as_bytes(),
            is_dated: true,
        };
        let look = Look {
            now: since,
            is_live: false,
            find_time: Span::from_usec(u64::MAX),
            max_matches,
            wants_fields: true,
        };
        // As readers do: a mistake in a filter must not end the daemon, which would ban again, and end again.
        let find = || self.find(&mut Memory::default(), &record, &look);
        let found = catch_unwind(AssertUnwindSafe(find)).ok().flatten();
        found.filter(|found| found.who == Who::Address(*offender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::filter::FilterSpec;

    const WEB: &str = r"NOTICE\s+\[web\] Ban <HOST>$";
    const OTHERS: &str = r"\[(?!recidive\])[^]]+\] Ban <HOST>$";
    const V4: &str = "192.0.2.1";
    const V6: &str = "2001:db8::1";
    const NET: &str = "198.51.100.0/24";

    #[test]
    fn a_filter_for_fail2bans_log_finds_bans() {
        let since = Timestamp::from_usec(1_795_000_000_250_000);
        for (pattern, jail, who, is_found) in [
            (WEB, "web", V4, true),
            (WEB, "sshd", V4, false),
            (OTHERS, "sshd", V6, true),
            (OTHERS, "recidive", V6, false),
            (
                r"^,250 fail2ban\.actions +\[\d+\]: \w+  \[\S+\] Ban <HOST>$",
                "sshd",
                V4,
                true,
            ),
            (r" Ban <IP4>$", "sshd", V6, false),
            (r" Ban <HOST>$", "sshd", NET, false),
            (r" Ban <HOST>", "sshd", NET, false),
            (r" Ban <SUBNET>$", "sshd", NET, true),
            (r"Unban <HOST>$", "sshd", V4, false),
        ] {
            let spec = FilterSpec {
                fail: vec![pattern.to_owned()],
                dates: vec!["^%Y-%m-%d %H:%M:%S".to_owned()],
                ..FilterSpec::default()
            };
            let filter = Filter::compile(spec).unwrap();
            let jail = JailName::new(jail).unwrap();
            let found = filter.find_ban((&jail, &who.parse().unwrap()), since, 1);
            assert_eq!(
                found.map(|found| found.who.to_string()),
                is_found.then(|| who.to_owned()),
                "{pattern} {jail} {who}"
            );
        }
    }
}
