//! What holds for any filter and any log: no panic, no growth, first match first, and the trial tells
//! what happens.

use std::sync::OnceLock;

use banishd::engine::filter::memory::Complaint;
use banishd::engine::filter::{Filter, FilterSpec, Look, Memory, Names};
use banishd::engine::record::Record;
use banishd::engine::time::{Span, Timestamp};
use proptest::prelude::*;

/// Filters with everything that a filter can have.
fn filters() -> &'static [Filter] {
    static FILTERS: OnceLock<Vec<Filter>> = OnceLock::new();
    FILTERS.get_or_init(|| {
        let fail = [
            r"^pend <F-USER>\S+</F-USER>",
            r"<F-NOFAIL>nofail</F-NOFAIL> <F-USER>\S*</F-USER> ?<HOST>",
            r"^fail <F-ALT_USER>\S*</F-ALT_USER> ?<ADDR>",
            r"<F-MLFFORGET><F-MLFGAINED>accept</F-MLFGAINED></F-MLFFORGET>",
            r"^<F-MLFFORGET>close</F-MLFFORGET> <SUBNET>",
            r"a<F-ID>[^a]*</F-ID>",
            r"l<F-TUPLE_ID>\S*</F-TUPLE_ID>$",
        ];
        let spec = |prefix: Option<&str>, max_lines, names| FilterSpec {
            prefix: prefix.map(str::to_owned),
            fail: fail.map(str::to_owned).to_vec(),
            ignore: vec!["ignore".to_owned()],
            max_lines,
            names,
            ..FilterSpec::default()
        };
        let prefix = Some(r"^<F-MLFID>\w*:?</F-MLFID> ?<F-CONTENT>.*?</F-CONTENT>(?: tail)?$");
        [
            spec(prefix, 1, Names::Warn),
            spec(prefix, 3, Names::Raw),
            spec(Some(r"<F-MLFID>^.?</F-MLFID>"), 4, Names::Never),
        ]
        .into_iter()
        .map(|spec| Filter::compile(spec).expect("the patterns are good"))
        .collect()
    })
}

/// Lines that often mean something.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let word = prop_oneof![
        Just("a: ".to_owned()),
        Just("b: ".to_owned()),
        Just("pend u".to_owned()),
        Just("nofail u ".to_owned()),
        Just("nofail v ".to_owned()),
        Just("fail  ".to_owned()),
        Just("accept".to_owned()),
        Just("close ".to_owned()),
        Just("192.0.2.1".to_owned()),
        Just("2001:db8::1/48".to_owned()),
        Just("host.example".to_owned()),
        Just("ignore".to_owned()),
        Just(" tail".to_owned()),
        Just("\n".to_owned()),
        "[ -~é]{0,5}",
    ];
    let worded =
        proptest::collection::vec(word, 0..6).prop_map(|words| words.concat().into_bytes());
    let wild = proptest::collection::vec(any::<u8>(), 0..40);
    proptest::collection::vec(prop_oneof![9 => worded, 1 => wild], 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn finding_and_trying_agree_on_any_log(
        log in lines(),
        is_dated in any::<bool>(),
        is_live in any::<bool>(),
        max_matches in 0_usize..4,
        steps in proptest::collection::vec(0_u64..200, 30),
    ) {
        for filter in filters() {
            let mut memories = [Memory::default(), Memory::default()];
            let mut now = Timestamp::from_usec(1_795_338_710_000_000);
            for (message, step) in log.iter().zip(&steps) {
                now = now.plus(Span::from_secs(*step));
                let record = Record { time: now, message, is_dated, ..Record::default() };
                let look = Look { now, is_live, find_time: Span::from_secs(600), max_matches, ..Look::default() };
                let [one, other] = &mut memories;

                let found = filter.find(one, &record, &look);
                let trial = filter.trial(other, &record, &look);

                let first = trial.hits.first();
                prop_assert_eq!(&found, &first.and_then(|hit| hit.found.clone()));
                prop_assert!(trial.hits.windows(2).all(|pair| pair[0].rule < pair[1].rule));
                if let Some(found) = found {
                    prop_assert!(found.lines.len() <= max_matches);
                    prop_assert!(found.time <= now);
                }
            }
        }
    }
}

/// Nothing is cheaper for an attacker than to open connections.
#[test]
fn the_memory_is_bounded() {
    for filter in filters() {
        let mut memory = Memory::default();
        for number in 0..400 {
            let user = format!("u{number}{}", "x".repeat(3000));
            let line = format!("{number}: nofail {user} 192.0.2.1");
            let record = Record {
                message: line.as_bytes(),
                ..Record::default()
            };
            let look = Look {
                max_matches: 5,
                ..Look::default()
            };
            let _ = filter.find(&mut memory, &record, &look);
        }
        let shown = format!("{memory:?}").len();
        assert!(shown < 6_000_000, "{shown}");
    }
}

/// Nested repeats that only back-tracking can match, and a line that makes it try them all.
#[test]
fn a_pattern_that_gives_up_says_so_once_and_holds_up_nobody() {
    let filter = Filter::compile(FilterSpec {
        fail: vec![
            r"^(?P<x>(?:a+)+)+(?P=x)!(?P=x)c <ADDR>$".to_owned(),
            "<ADDR>$".to_owned(),
        ],
        ..FilterSpec::default()
    })
    .expect("the patterns are good");
    let mut memory = Memory::default();
    let line = format!("{}!bc 192.0.2.1", "a".repeat(3000));
    let record = Record {
        message: line.as_bytes(),
        ..Record::default()
    };

    for expected in [1, 0, 0] {
        let found = filter.find(&mut memory, &record, &Look::default());
        assert_eq!(found.map(|found| found.rule), Some(1));
        let complaints = memory.take_complaints();
        assert_eq!(complaints.len(), expected);
        for complaint in complaints {
            assert_eq!(
                complaint.to_string(),
                "pattern 1 of failregex takes too many steps on some lines, which count as not \
                 matching; make it simpler"
            );
        }
    }
    memory.forget_after_panic();
    memory.forget_after_panic();
    assert_eq!(memory.take_complaints(), [Complaint::Panicked]);
}
