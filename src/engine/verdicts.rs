//! What an `ignorecommand` said lately (`ignorecache`).
//!
//! Comes in: answers, each with what the questions that it holds for have in common. Goes out: the same,
//! as long as it holds. Attackers choose much of a key, so that the number and the length of keys are bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::facts::{Facts, tags};
use crate::engine::settings::{IgnoreCache, JailName};
use crate::engine::time::{Boottime, Now};

/// The answers of every jail's command.
#[derive(Debug, Default)]
pub(super) struct Verdicts(BTreeMap<JailName, Answers>);

/// The values of the tags in `key=`, one by one: joined, an attacker could make two of them alike.
pub(super) type CacheKey = Arc<[Box<str>]>;

#[derive(Debug, Default)]
struct Answers {
    known: BTreeMap<CacheKey, (Boottime, bool)>,
    /// The same by age, oldest first.
    ages: BTreeSet<(Boottime, CacheKey)>,
    /// How long all keys are together.
    length: usize,
}

/// An answer with a longer key is not remembered …
const KEY_MAX: usize = 1024;
/// … and a jail's keys are together no longer than this.
const KEYS_MAX: usize = 4 << 20;

/// What a question has in common with others that it need not be asked after; `None` if that is too long.
pub(super) fn key(cache: &IgnoreCache, facts: &Facts) -> Option<CacheKey> {
    let value = |tag: &str| match tag {
        // An address's name is whatever its owner says it is, and nothing waits for it here.
        "ip-host" => facts.value("ip"),
        tag => facts.value(tag),
    };
    let key: CacheKey = tags(&cache.key).filter_map(value).map(Box::from).collect();
    (length(&key) <= KEY_MAX).then_some(key)
}

fn length(key: &CacheKey) -> usize {
    key.iter()
        .map(|part| part.len() + size_of::<Box<str>>())
        .sum()
}

impl Verdicts {
    /// What was said to such a question, if that still holds.
    pub(super) fn find(
        &self,
        now: Now,
        (jail, key): (&JailName, &CacheKey),
        cache: &IgnoreCache,
    ) -> Option<bool> {
        let (at, spare) = self.0.get(jail)?.known.get(key)?;
        (now.boot < at.plus(cache.max_time)).then_some(*spare)
    }

    /// Remembers what was said, and forgets what is too old or too much.
    pub(super) fn put(
        &mut self,
        now: Now,
        (jail, key, spare): (&JailName, CacheKey, bool),
        cache: &IgnoreCache,
    ) {
        let answers = self.0.entry(jail.clone()).or_default();
        answers.remove(&key);
        answers.length += length(&key);
        answers.ages.insert((now.boot, Arc::clone(&key)));
        answers.known.insert(key, (now.boot, spare));
        let most = usize::try_from(cache.max_count).unwrap_or(usize::MAX);
        while let Some((at, key)) = answers.ages.first().cloned()
            && (answers.known.len() > most
                || answers.length > KEYS_MAX
                || now.boot >= at.plus(cache.max_time))
        {
            answers.remove(&key);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Answers {
    fn remove(&mut self, key: &CacheKey) {
        if let Some((at, _)) = self.known.remove(key) {
            self.length -= length(key);
            self.ages.remove(&(at, Arc::clone(key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::facts::Tally;
    use crate::engine::filter::failure::Captures;
    use crate::engine::time::{BanTime, Span, Timestamp};

    fn facts(user: &str, port: &str) -> Facts {
        Facts {
            jail: JailName::new("sshd").unwrap(),
            offender: "192.0.2.1".parse().unwrap(),
            time: Timestamp::default(),
            failures: 3,
            lines: vec!["x".repeat(2000).into()],
            captures: Captures::of([("user", user), ("fport", port)]),
            tally: Tally {
                ban_time: BanTime::Forever,
                bans: 0,
                bans_total: 0,
                failing: 0,
                failures_total: 0,
            },
        }
    }

    fn cache(key: &str) -> IgnoreCache {
        IgnoreCache {
            key: key.to_owned(),
            max_count: 100_000,
            max_time: Span::from_secs(300),
        }
    }

    #[test]
    fn values_that_are_alike_when_joined_are_not_alike() {
        let cache = cache("<F-USER><F-PORT>");

        assert_eq!(key(&cache, &facts("a", "1")), key(&cache, &facts("a", "1")));
        assert_ne!(
            key(&cache, &facts("a1", "2")),
            key(&cache, &facts("a", "12"))
        );
    }

    #[test]
    fn neither_long_keys_nor_many_fill_the_memory_and_the_oldest_go_first() {
        let jail = JailName::new("sshd").unwrap();
        assert_eq!(key(&cache("<matches>"), &facts("", "")), None);
        let long = cache("<F-USER>");
        let mut verdicts = Verdicts::default();
        let key = |n: u64| key(&long, &facts(&format!("{n}{}", "x".repeat(300)), "")).unwrap();
        let at = |n: u64| Now {
            boot: Boottime::from_usec(n),
            ..Now::default()
        };
        for n in 0..30_000 {
            verdicts.put(at(n), (&jail, key(n), true), &long);
        }
        let answers = verdicts.0.get(&jail).unwrap();
        assert!(answers.length <= KEYS_MAX && answers.known.len() > 10_000);
        assert_eq!(answers.known.len(), answers.ages.len());
        assert_eq!(verdicts.find(at(30_000), (&jail, &key(0)), &long), None);
        assert_eq!(
            verdicts.find(at(30_000), (&jail, &key(29_999)), &long),
            Some(true)
        );

        let few = IgnoreCache {
            max_count: 2,
            ..long.clone()
        };
        verdicts.put(at(30_001), (&jail, key(1), false), &few);
        verdicts.put(at(30_002), (&jail, key(1), true), &few);
        let answers = verdicts.0.get(&jail).unwrap();
        assert_eq!((answers.known.len(), answers.ages.len()), (2, 2));

        verdicts.put(at(400_000_000), (&jail, key(2), false), &long);
        let answers = verdicts.0.get(&jail).unwrap();
        assert_eq!(answers.known.len(), 1, "the others are too old");
        assert_eq!(answers.length, length(&key(2)));
    }
}
