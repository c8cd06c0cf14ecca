//! How bans grow: from the jail's time, the number of earlier bans and chance to the time of the next.
//!
//! Comes in: `bantime.*`. Goes out: a length of time. A first ban lasts as long as the jail says, no ban
//! is shorter, and a formula without a value changes nothing.

use core::time::Duration;

use crate::engine::ledger::formula::{Random, Terms};
use crate::engine::settings::Escalation;
use crate::engine::time::{BanTime, Span};

impl Escalation {
    /// How long a ban lasts that would last `base`, after `earlier` others.
    #[must_use]
    pub fn ban_time(&self, base: BanTime, earlier: u32, random: Random) -> BanTime {
        let BanTime::For(span) = base else {
            return base;
        };
        if earlier == 0 {
            return base;
        }
        let time = seconds(span);
        let count = f64::from(earlier);
        let mut terms = Terms {
            time,
            count,
            factor: self.factor,
            random,
        };
        let index = usize::try_from(earlier).unwrap_or(usize::MAX);
        let value = match self.multipliers.get(index).or(self.multipliers.last()) {
            Some(multiplier) => time * self.factor * multiplier,
            None => self.formula.value(&mut terms),
        };
        // What is not a number is nobody's maximum.
        let grown = value.max(time);
        let limited = self.max.map_or(grown, |max| grown.min(seconds(max)));
        let chance = seconds(self.random) * terms.random.next();
        span_of(limited + chance).map_or(BanTime::Forever, BanTime::For)
    }

    /// The longest ban there can be.
    #[must_use]
    pub fn longest(&self, base: BanTime) -> BanTime {
        match (base, self.max) {
            (BanTime::For(base), Some(max)) => BanTime::For(base.max(max.plus(self.random))),
            _ => BanTime::Forever,
        }
    }
}

/// As how many failures one of somebody counts who was banned `earlier` times.
#[must_use]
pub fn weight(earlier: u32, max_retry: u32) -> u32 {
    match earlier {
        0 => 1,
        earlier => ((1_u32 << earlier.min(20)) / 2 + 1).min(max_retry),
    }
}

fn seconds(span: Span) -> f64 {
    span.usec() as f64 / 1e6
}

/// `None` where it is more than can be counted.
fn span_of(seconds: f64) -> Option<Span> {
    let whole = Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(whole.as_micros()).ok().map(Span::from_usec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ledger::formula::Formula;

    fn escalation(formula: &str) -> Escalation {
        Escalation {
            formula: Formula::parse(formula).unwrap(),
            factor: 1.0,
            multipliers: Vec::new(),
            max: None,
            random: Span::ZERO,
            all_jails: false,
        }
    }

    fn doubling() -> Escalation {
        escalation("ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor")
    }

    fn times(escalation: &Escalation, counts: &[u32]) -> Vec<String> {
        let base = BanTime::For(Span::from_secs(600));
        let time = |count: &u32| {
            let time = escalation.ban_time(base, *count, Random::seeded(&[]));
            time.to_string()
        };
        counts.iter().map(time).collect()
    }

    #[test]
    fn bans_grow_by_the_formula_or_by_multipliers() {
        assert_eq!(
            times(&doubling(), &[0, 1, 2, 3]),
            ["10min", "20min", "40min", "1h 20min"]
        );
        let multipliers = Escalation {
            multipliers: vec![1.0, 5.0, 30.0],
            factor: 2.0,
            ..doubling()
        };
        assert_eq!(
            times(&multipliers, &[0, 1, 2, 3]),
            ["10min", "1h 40min", "10h", "10h"]
        );
        let limited = Escalation {
            max: Some(Span::from_secs(1800)),
            ..doubling()
        };
        assert_eq!(times(&limited, &[1, 2, 9]), ["20min", "30min", "30min"]);
    }

    #[test]
    fn a_ban_never_shrinks_and_what_cannot_be_counted_is_for_ever() {
        for (formula, expected) in [
            ("ban.Time / 2", "10min"),
            ("1 / 0", "10min"),
            ("-5", "10min"),
            ("ban.Time * 2 ** 900", "forever"),
            ("1e400", "forever"),
        ] {
            assert_eq!(times(&escalation(formula), &[1]), [expected], "{formula}");
        }
        let forever = doubling().ban_time(BanTime::Forever, 3, Random::seeded(&[]));
        assert_eq!(forever, BanTime::Forever);
    }

    #[test]
    fn chance_adds_up_to_rndtime_and_no_more() {
        let random = Escalation {
            random: Span::from_secs(60),
            max: Some(Span::from_secs(900)),
            ..doubling()
        };
        let base = BanTime::For(Span::from_secs(600));
        for n in 0..100 {
            let seed = Random::seeded(&["sshd", &n.to_string()]);
            let time = random.ban_time(base, 4, seed);
            assert!(time >= BanTime::For(Span::from_secs(900)) && time <= random.longest(base));
        }
        assert_eq!(doubling().longest(base), BanTime::Forever);
    }

    #[test]
    fn those_who_were_banned_before_are_banned_sooner() {
        let weights = [0, 1, 2, 3, 4, 60].map(|earlier| weight(earlier, 5));
        assert_eq!(weights, [1, 2, 3, 5, 5, 5]);
    }
}
