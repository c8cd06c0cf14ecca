//! Ban to failure: jails that count the bans of others (`recidive`).
//!
//! Comes in: bans that have just begun. Goes out: a failure of the same offender in each jail whose filter
//! says so, of the same moment and hence in the same commit: what a ban leads to can neither be lost nor
//! happen twice. A ban that is restored, taken over or prolonged does not begin.

use std::mem::take;

use crate::engine::Engine;
use crate::engine::filter::failure::Failure;
use crate::engine::jail::Jail;
use crate::engine::ledger::Key;
use crate::engine::settings::JailName;
use crate::engine::time::Timestamp;

impl Engine {
    /// Counts the bans that have begun, and those that this leads to. Where jails count each other's, none
    /// leads back to its own jail, and it ends: who is banned in a jail cannot begin to be.
    pub(super) fn count_bans(&mut self) {
        for first in take(&mut self.begun) {
            let ((source, offender), _) = first.clone();
            let mut waiting = vec![first];
            while let Some((key, since)) = waiting.pop() {
                for failure in self.repeated(&key, since, &source) {
                    self.attribute(&failure, &[offender], since);
                }
                waiting.append(&mut self.begun);
            }
        }
    }

    /// The failures that the ban of `key` is, but not in `source`.
    fn repeated(&self, key: &Key, since: Timestamp, source: &JailName) -> Vec<Failure> {
        let (jail, offender) = key;
        let failure = |(name, counting): (&JailName, &Jail)| {
            let settings = counting.settings.as_ref()?;
            if name == source || !settings.bans_of.contains(jail) {
                return None;
            }
            let most = usize::try_from(settings.max_matches).unwrap_or(usize::MAX);
            let found = settings.filter.find_ban((jail, offender), since, most)?;
            Some(Failure {
                jail: name.clone(),
                who: found.who,
                time: since,
                pid: None,
                advance: found.advance,
                lines: found.lines,
            })
        };
        self.jails.iter().filter_map(failure).collect()
    }
}
