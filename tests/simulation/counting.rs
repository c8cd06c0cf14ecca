//! Where a sliding window and fail2ban's rescaled counter come to different verdicts: sequences with
//! both, so that docs/parity.md can say what the difference is.

use crate::support::sim::{Sim, settings};

/// fail2ban's counter, after its observable behaviour: the number of failures is scaled down to the rate
/// of the find time once the first one is older than that, and the first is then taken to be just as old.
#[derive(Default)]
struct Counter {
    first: f64,
    last: f64,
    retry: f64,
}

impl Counter {
    /// The counter after a failure at this second.
    fn push(&mut self, time: f64, find_time: f64) -> f64 {
        if self.retry == 0.0 {
            (self.first, self.last) = (time, time);
        }
        if time > self.last {
            if self.first < time - find_time {
                // Python rounds half to even.
                self.retry = (self.retry / (time - self.first) * find_time).round_ties_even();
                self.first = time - find_time;
            }
            self.last = time;
        }
        self.retry += 1.0;
        self.retry
    }
}

/// The second of the failure that bans, by fail2ban's counter.
fn theirs(max_retry: u32, times: &[u64]) -> Option<u64> {
    let mut counter = Counter::default();
    let reached = |time: &&u64| {
        let time = f64::from(u32::try_from(**time).unwrap());
        counter.push(time, 600.0) >= f64::from(max_retry)
    };
    times.iter().find(reached).copied()
}

/// The second of the failure that bans, by our engine.
fn ours(max_retry: u32, times: &[u64]) -> Option<u64> {
    let mut all = settings(&["sshd"]);
    for jail in all.jails.values_mut() {
        jail.max_retry = max_retry;
    }
    let mut sim = Sim::with(all);
    let mut now = 0;
    let mut bans = |time: &&u64| {
        if **time > now {
            sim.pass(**time - now);
            now = **time;
        }
        sim.fail("sshd", "192.0.2.1");
        !sim.ledger().is_empty()
    };
    times.iter().find(&mut bans).copied()
}

/// The example of counters that was observed with fail2ban itself.
#[test]
fn the_counter_is_fail2bans() {
    let mut counter = Counter::default();

    let counts = [
        0.0, 200.0, 400.0, 590.0, 700.0, 900.0, 1200.0, 1210.0, 1220.0,
    ]
    .map(|time| counter.push(time, 600.0));

    assert_eq!(counts, [1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 5.0, 6.0]);
}

/// `maxretry`, the seconds of the failures within a `findtime` of 600 s, and when each bans.
#[test]
fn a_sliding_window_counts_what_happened_and_no_rate() {
    for (what, max_retry, times, by_them, by_us) in [
        (
            "a burst in time: no difference",
            5,
            &[0, 1, 2, 3, 4][..],
            Some(4),
            Some(4),
        ),
        (
            "slow and steady, in time: no difference",
            5,
            &[0, 149, 298, 447, 596],
            Some(596),
            Some(596),
        ),
        (
            "a bit slower: four within findtime are rounded up to five",
            5,
            &[0, 151, 302, 453, 604, 755, 906],
            Some(604),
            None,
        ),
        (
            "five that are out of the window still weigh",
            5,
            &[0, 200, 400, 590, 700, 900, 1200, 1210, 1220],
            Some(1210),
            Some(1220),
        ),
        (
            "three in the last findtime are rounded down, over a slow past",
            3,
            &[150, 701, 1050, 1300, 1850],
            None,
            Some(1300),
        ),
        (
            "a slow past hides five in a row",
            5,
            &[50, 601, 700, 850, 1200, 1200],
            None,
            Some(1200),
        ),
    ] {
        assert_eq!(theirs(max_retry, times), by_them, "fail2ban: {what}");
        assert_eq!(ours(max_retry, times), by_us, "banishd: {what}");
    }
}
