//! When a failure happened: by the date in the line of a file, by the one before, or now.

use banishd::engine::filter::{Filter, FilterSpec, Look, Memory};
use banishd::engine::record::Record;
use banishd::engine::time::{Span, Timestamp};

/// 2026-11-22 09:00:00 UTC.
const NOW: u64 = 1_795_338_000;

fn filter() -> Filter {
    Filter::compile(FilterSpec {
        fail: vec![r"^\s*(?:\[\] )?failed <ADDR>$".to_owned()],
        ..FilterSpec::default()
    })
    .expect("the pattern is good")
}

/// The second of the failure, `None` if the line is too old, after these other lines.
fn second(is_live: bool, lines: &[&str]) -> Option<u64> {
    let filter = filter();
    let mut memory = Memory::default();
    let look = Look {
        now: Timestamp::from_usec(NOW * 1_000_000),
        is_live,
        find_time: Span::from_secs(600),
        ..Look::default()
    };
    let mut found = None;
    for line in lines {
        let record = Record {
            line: line.as_bytes(),
            message: line.as_bytes(),
            is_dated: true,
            ..Record::default()
        };
        found = filter.find(&mut memory, &record, &look);
    }
    found.map(|found| found.time.usec() / 1_000_000)
}

#[test]
fn a_line_counts_at_its_date_if_that_can_be() {
    for (line, live, past) in [
        (
            "2026-11-22 08:59:30 failed 192.0.2.1",
            Some(NOW - 30),
            Some(NOW - 30),
        ),
        (
            "[2026-11-22 08:59:30] failed 192.0.2.1",
            Some(NOW - 30),
            Some(NOW - 30),
        ),
        // Nothing is from the future.
        ("2026-11-22 09:00:30 failed 192.0.2.1", Some(NOW), Some(NOW)),
        ("2026-11-22 19:00:30 failed 192.0.2.1", Some(NOW), Some(NOW)),
        // What has just been written is not old, whatever it says.
        (
            "2026-11-22 08:58:30 failed 192.0.2.1",
            Some(NOW),
            Some(NOW - 90),
        ),
        ("2026-11-22 08:49:30 failed 192.0.2.1", Some(NOW), None),
        ("failed 192.0.2.1", Some(NOW), Some(NOW)),
    ] {
        assert_eq!(second(true, &[line]), live, "live: {line}");
        assert_eq!(second(false, &[line]), past, "past: {line}");
    }
}

#[test]
fn a_line_without_a_date_belongs_to_the_one_before() {
    for (before, live, past) in [
        ("2026-11-22 08:59:30 x", Some(NOW - 30), Some(NOW - 30)),
        ("2026-11-22 08:58:30 x", Some(NOW), Some(NOW - 90)),
        ("2026-11-22 08:49:30 x", Some(NOW), None),
    ] {
        let lines = [before, "failed 192.0.2.1"];
        assert_eq!(second(true, &lines), live, "live: {before}");
        assert_eq!(second(false, &lines), past, "past: {before}");
    }
}

#[test]
fn a_trial_shows_the_date_and_the_pattern_does_not_see_it() {
    let line = b"[2026-11-22 08:59:30] failed 192.0.2.1";
    let record = Record {
        line,
        message: line,
        is_dated: true,
        ..Record::default()
    };
    let look = Look {
        now: Timestamp::from_usec(NOW * 1_000_000),
        is_live: true,
        ..Look::default()
    };

    let trial = filter().trial(&mut Memory::default(), &record, &look);

    assert_eq!(trial.date.as_deref(), Some("2026-11-22 08:59:30"));
    assert_eq!(trial.time.usec(), (NOW - 30) * 1_000_000);
    assert_eq!(trial.hits.len(), 1);
}

#[test]
fn a_clock_that_is_wrong_is_told_of_once() {
    let filter = filter();
    let mut memory = Memory::default();
    let look = Look {
        now: Timestamp::from_usec(NOW * 1_000_000),
        is_live: true,
        ..Look::default()
    };
    let mut complaints = Vec::new();
    for line in [
        "2026-11-22 08:59:30 x",
        "2026-11-22 07:59:30 x",
        "2026-11-22 07:59:31 x",
    ] {
        let record = Record {
            line: line.as_bytes(),
            message: line.as_bytes(),
            is_dated: true,
            ..Record::default()
        };
        let _ = filter.find(&mut memory, &record, &look);
        complaints.push(memory.take_complaints().len());
    }

    assert_eq!(complaints, [0, 1, 0]);
}
