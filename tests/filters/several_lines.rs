//! Patterns over several lines (`maxlines`): fail2ban's rules, each table as fail2ban 1.0.2 judges it.

use banishd::engine::filter::{Filter, FilterSpec, Look, Memory};
use banishd::engine::record::{MESSAGE_MAX, Record};
use banishd::engine::time::Timestamp;

fn filter(max_lines: usize, fail: &[&str], ignore: &[&str]) -> Filter {
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Filter::compile(FilterSpec {
        fail: own(fail),
        ignore: own(ignore),
        max_lines,
        ..FilterSpec::default()
    })
    .expect("the patterns are good")
}

/// Each line with who failed by it and the lines that tell of that.
#[track_caller]
fn check(filter: &Filter, log: &[(&str, &str)]) {
    let mut memory = Memory::default();
    for (number, (line, expected)) in log.iter().enumerate() {
        let time = Timestamp::from_usec(u64::try_from(number).unwrap() * 1_000_000);
        let look = Look {
            now: time,
            max_matches: 10,
            ..Look::default()
        };
        let record = Record {
            message: line.as_bytes(),
            time,
            ..Record::default()
        };
        let found = filter.find(&mut memory, &record, &look);
        let shown = found.map_or_else(String::new, |found| {
            assert_eq!(found.time, time, "the time is that of the last line");
            let lines: Vec<&str> = found
                .lines
                .iter()
                .map(|line| line.split_once(' ').expect("a time").1)
                .collect();
            format!("{}: {}", found.who, lines.join("|"))
        });
        assert_eq!(shown, *expected, "{number}: {line}");
    }
}

const START_AND_END: &str = r"^start (\S+)$<SKIPLINES>^end \S+ <ADDR>$";

#[test]
fn matched_lines_are_used_up_and_skipped_ones_stay() {
    let filter = filter(
        4,
        &[START_AND_END, "^one <ADDR>$", r"^two$\n^more <ADDR>$"],
        &[],
    );

    check(
        &filter,
        &[
            ("start a", ""),
            ("noise", ""),
            ("end u 192.0.2.1", "192.0.2.1: start a|end u 192.0.2.1"),
            ("end u 192.0.2.1", ""),
            ("one 192.0.2.2", "192.0.2.2: one 192.0.2.2"),
            ("start b", ""),
            ("one 192.0.2.3", "192.0.2.3: one 192.0.2.3"),
            ("end u 192.0.2.4", "192.0.2.4: start b|end u 192.0.2.4"),
            ("end u 192.0.2.5", ""),
            // Too far apart.
            ("start c", ""),
            ("n", ""),
            ("n", ""),
            ("n", ""),
            ("end u 192.0.2.6", ""),
            ("two", ""),
            ("more 192.0.2.7", "192.0.2.7: two|more 192.0.2.7"),
        ],
    );
}

#[test]
fn behind_a_prefix_matched_lines_are_used_up_too() {
    let spec = FilterSpec {
        prefix: Some("^p <F-CONTENT>.+</F-CONTENT>$".to_owned()),
        ..filter(3, &["^bad <ADDR>$"], &[]).spec().clone()
    };
    let filter = Filter::compile(spec).expect("the patterns are good");

    check(
        &filter,
        &[
            ("p bad 192.0.2.1", "192.0.2.1: p bad 192.0.2.1"),
            ("p bad 192.0.2.2", "192.0.2.2: p bad 192.0.2.2"),
            ("p good", ""),
        ],
    );
}

#[test]
fn only_the_matched_lines_can_be_ignored_and_are_used_up_too() {
    let filter = filter(4, &[START_AND_END, r"^one \S+ <ADDR>$"], &["ignoreme"]);

    check(
        &filter,
        &[
            ("start ignoreme", ""),
            ("one x 192.0.2.1", "192.0.2.1: one x 192.0.2.1"),
            ("end u 192.0.2.2", ""),
            ("end u 192.0.2.3", ""),
            ("one ignoreme 192.0.2.4", ""),
            ("one x 192.0.2.5", "192.0.2.5: one x 192.0.2.5"),
            ("start x", ""),
            ("x ignoreme", ""),
            ("end u 192.0.2.6", "192.0.2.6: start x|end u 192.0.2.6"),
        ],
    );
}

/// With many patterns `ignoreregex` is asked first, on all that is in the buffer.
#[test]
fn an_ignored_line_hides_its_neighbours_where_there_are_many_patterns() {
    let filter = filter(
        3,
        &["^one <ADDR>$", "^2 <ADDR>$", "^3 <ADDR>$", "^4 <ADDR>$"],
        &["ignoreme"],
    );

    check(
        &filter,
        &[
            ("ignoreme", ""),
            ("one 192.0.2.1", ""),
            ("x", ""),
            ("one 192.0.2.2", "192.0.2.1: one 192.0.2.1"),
        ],
    );
}

#[test]
fn endless_lines_do_not_fill_the_buffer() {
    let filter = filter(1_000_000, &[START_AND_END], &[]);
    let mut memory = Memory::default();
    let long = vec![b'x'; MESSAGE_MAX];
    for _ in 0..100 {
        let record = Record {
            message: &long,
            ..Record::default()
        };
        assert_eq!(filter.find(&mut memory, &record, &Look::default()), None);
    }

    assert!(format!("{memory:?}").len() < 4_000_000);
}
