//! The way of one line through a filter: text, `prefregex`, `failregex`, `ignoreregex`, identity.

use banishd::engine::filter::failure::Who;
use banishd::engine::filter::{Filter, FilterSpec, Found, Look, Memory, Names, Standing, Text};
use banishd::engine::record::Record;
use banishd::engine::time::Timestamp;

fn compile(spec: FilterSpec) -> Filter {
    Filter::compile(spec).expect("the patterns are good")
}

fn own(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn find(filter: &Filter, line: &str) -> Option<Found> {
    let record = Record {
        message: line.as_bytes(),
        ..Record::default()
    };
    let look = Look::default();
    let found = filter.find(&mut Memory::default(), &record, &look);
    // The two ways agree.
    let trial = filter.trial(&mut Memory::default(), &record, &look);
    assert_eq!(
        found,
        trial.hits.into_iter().next().and_then(|hit| hit.found),
        "{line}"
    );
    found
}

fn who(filter: &Filter, line: &str) -> Option<Who> {
    find(filter, line).map(|found| found.who)
}

#[test]
fn who_failed_is_what_fail2ban_takes_for_it() {
    let address = |text: &str| Some(Who::Address(text.parse().unwrap()));
    let other = |text: &str| Some(Who::Other(text.into()));
    let filter = compile(FilterSpec {
        fail: own(&[
            r"^a <F-ID>u:\S+</F-ID> <ADDR>",
            r"^b <F-ID>\S\S</F-ID><F-TUPLE_ID>\S+</F-TUPLE_ID> from <ADDR>",
            r"^c <ADDR> <F-TUPLE_ID>\S+</F-TUPLE_ID> <F-TUPLE_ID_1>\S+</F-TUPLE_ID_1>",
            r"^d <F-ID>\S+</F-ID>$",
            r"^e <F-ID>(?:<IP4>|<IP6>)</F-ID>$",
            r"^g <SUBNET>",
            r"^h (?P<dns>[\w.-]+)$",
            r"^i <F-ID>\S+</F-ID> (?P<dns>[\w.-]+)$",
        ]),
        ..FilterSpec::default()
    });

    for (line, expected) in [
        ("a u:x 192.0.2.1", other("u:x")),
        ("b xyz from 192.0.2.1", other("('xy', 'z')")),
        ("c 192.0.2.1 one two", other("(None, 'one', 'two')")),
        ("d 192.0.2.1", address("192.0.2.1")),
        ("d ::FFFF:192.0.2.1", address("192.0.2.1")),
        ("d session", other("session")),
        ("e 192.0.2.1", address("192.0.2.1")),
        ("e 2001:DB8::1", address("2001:db8::1")),
        ("g 192.0.2.7/24", address("192.0.2.0/24")),
        ("g 192.0.2.7/124", address("192.0.2.7")),
        ("g 2001:db8::1/33", address("2001:db8::/33")),
        ("g ::ffff:192.0.2.1/120", address("192.0.2.1")),
        // fail2ban counts this text, which no firewall takes; for us it is nobody.
        ("g 192.030.0.6", None),
        ("h 192.0.2.1", address("192.0.2.1")),
        ("h host.example", None),
        ("i 192.0.2.7 host.example", None),
    ] {
        assert_eq!(who(&filter, line), expected, "{line}");
    }
}

#[test]
fn host_names_are_what_usedns_makes_of_them() {
    let name = || Some(Who::Name("host.example".into()));
    let other = || Some(Who::Other("host.example".into()));
    for (names, expected) in [
        (Names::LookUp, name()),
        (Names::Warn, name()),
        (Names::Raw, other()),
        (Names::Never, None),
    ] {
        let filter = compile(FilterSpec {
            fail: own(&[r"^from (?P<dns>[\w.-]+)$"]),
            names,
            ..FilterSpec::default()
        });
        assert_eq!(who(&filter, "from host.example"), expected, "{names:?}");
        let endless = format!("from {}", "x".repeat(256));
        assert_eq!(
            who(&filter, &endless).is_some(),
            names == Names::Raw,
            "no name is that long"
        );
    }
}

#[test]
fn what_an_identity_is_made_of_is_kept_short() {
    let filter = compile(FilterSpec {
        fail: own(&[r"^<F-ID>\S+</F-ID>$"]),
        ..FilterSpec::default()
    });

    let found = who(&filter, &format!("x{}", "é".repeat(4000))).expect("a failure");

    // Not in the middle of a letter.
    assert_eq!(found.to_string().len(), 1023);
}

#[test]
fn an_empty_user_is_filled_from_its_alternates() {
    let filter = compile(FilterSpec {
        fail: own(&[
            r"^a <F-USER>\S*</F-USER> <F-ALT_USER_2>\S+</F-ALT_USER_2> <F-ALT_USER_1>\S*</F-ALT_USER_1> <ADDR>",
            r"^b <F-USER>\S*</F-USER> <F-ALT_USER1>\S+</F-ALT_USER1> <F-ALT_USER>\S*</F-ALT_USER> <ADDR>",
        ]),
        ..FilterSpec::default()
    });

    for (line, user, user1) in [
        ("a u v w 192.0.2.1", "u", None),
        ("a  v w 192.0.2.1", "w", None),
        ("a  v  192.0.2.1", "v", None),
        ("b u v w 192.0.2.1", "u", Some("v")),
        ("b  v w 192.0.2.1", "w", Some("v")),
        ("b  v  192.0.2.1", "", Some("v")),
    ] {
        let record = Record {
            message: line.as_bytes(),
            ..Record::default()
        };
        let trial = filter.trial(&mut Memory::default(), &record, &Look::default());
        let fields = &trial.hits[0].fields;
        assert_eq!(fields.get("user").map(|u| &**u), Some(user), "{line}");
        assert_eq!(fields.get("user1").map(|u| &**u), user1, "{line}");
    }
}

#[test]
fn the_prefix_decides_and_its_content_is_what_the_patterns_see() {
    let filter = compile(FilterSpec {
        prefix: Some(r"^svc\[\d+\]: <F-CONTENT>.+?</F-CONTENT>(?: \(tail\))?$".to_owned()),
        fail: own(&["^bad <ADDR>$"]),
        ..FilterSpec::default()
    });

    for (line, expected) in [
        ("svc[1]: bad 192.0.2.1", Some("192.0.2.1")),
        ("svc[1]: bad 192.0.2.1 (tail)", Some("192.0.2.1")),
        ("svc: bad 192.0.2.1", None),
        ("bad 192.0.2.1", None),
        ("svc[1]: bad 192.0.2.1 x", None),
        ("svc[1]: ", None),
    ] {
        let found = who(&filter, line).map(|who| who.to_string());
        assert_eq!(found.as_deref(), expected, "{line}");
    }
}

#[test]
fn the_prefix_may_say_who_it_was() {
    let filter = compile(FilterSpec {
        prefix: Some(r"^<ADDR>: <F-CONTENT>.+</F-CONTENT>$".to_owned()),
        fail: own(&[r"^bad$", r"^of (?P<ip4>\S+)$"]),
        ..FilterSpec::default()
    });

    assert_eq!(
        find(&filter, "192.0.2.1: bad").map(|f| (f.rule, f.who.to_string())),
        Some((0, "192.0.2.1".to_owned()))
    );
    // What the pattern itself captured counts.
    assert_eq!(
        find(&filter, "192.0.2.1: of 192.0.2.2").map(|f| (f.rule, f.who.to_string())),
        Some((1, "192.0.2.2".to_owned()))
    );
}

/// With few patterns the content is asked, with many the whole line first.
#[test]
fn ignoreregex_is_asked_when_fail2ban_asks_it() {
    let spec = |fail: &[&str]| FilterSpec {
        prefix: Some("^svc: <F-CONTENT>.+</F-CONTENT>$".to_owned()),
        fail: own(fail),
        ignore: own(&["^svc: .* early$", "^bad .* late$"]),
        ..FilterSpec::default()
    };
    let few = compile(spec(&["^bad <ADDR>"]));
    let many = compile(spec(&[
        "^bad <ADDR>",
        "^b <ADDR>",
        "^c <ADDR>",
        "^d <ADDR>",
        "^e <ADDR>",
    ]));

    for (line, by_few, by_many) in [
        ("svc: bad 192.0.2.1", true, true),
        ("svc: bad 192.0.2.1 early", true, false),
        ("svc: bad 192.0.2.1 late", false, false),
    ] {
        assert_eq!(find(&few, line).is_some(), by_few, "{line}");
        assert_eq!(find(&many, line).is_some(), by_many, "{line}");
    }
    let record = Record {
        message: b"svc: bad 192.0.2.1 late",
        ..Record::default()
    };
    let trial = few.trial(&mut Memory::default(), &record, &Look::default());
    assert_eq!(trial.ignored, Some(1));
    assert_eq!(trial.hits[0].standing, Standing::Ignored);
    assert_eq!(trial.hits[0].id.as_deref(), Some("192.0.2.1"));
}

#[test]
fn a_trial_tries_every_pattern() {
    let filter = compile(FilterSpec {
        fail: own(&["^a .* <ADDR>$", "^x <ADDR>$", "<ADDR>$"]),
        ..FilterSpec::default()
    });
    let record = Record {
        message: b"a b 192.0.2.1",
        ..Record::default()
    };

    let trial = filter.trial(&mut Memory::default(), &record, &Look::default());

    let rules: Vec<usize> = trial.hits.iter().map(|hit| hit.rule).collect();
    assert_eq!(rules, [0, 2]);
}

#[test]
fn a_newline_within_a_message_is_two_characters() {
    let filter = compile(FilterSpec {
        fail: own(&[r"^from <ADDR>\\nand more$"]),
        ..FilterSpec::default()
    });

    assert!(find(&filter, "from 192.0.2.1\nand more").is_some());
    assert!(find(&filter, "from 192.0.2.1\\nand more\n").is_some());
    assert!(find(&filter, "x\nfrom 192.0.2.1\nand more").is_none());
}

#[test]
fn a_filter_sees_the_text_it_asks_for() {
    let record = Record {
        message: b"bad 192.0.2.1",
        line: b"host svc[1]: bad 192.0.2.1",
        ..Record::default()
    };
    for (text, pattern) in [
        (Text::Message, "^bad <ADDR>$"),
        (Text::Line, r"^\S+ svc\[\d+\]: bad <ADDR>$"),
    ] {
        let filter = compile(FilterSpec {
            text,
            fail: own(&[pattern]),
            ..FilterSpec::default()
        });
        let found = filter.find(&mut Memory::default(), &record, &Look::default());
        assert!(found.is_some(), "{text:?}");
    }
}

#[test]
fn the_lines_of_a_failure_are_dated_text_and_cut() {
    let filter = compile(FilterSpec {
        fail: own(&["^from <ADDR> "]),
        ..FilterSpec::default()
    });
    let mut message = b"from 192.0.2.1 \xff".to_vec();
    message.resize(5000, b'x');
    let record = Record {
        message: &message,
        time: Timestamp::from_usec(1_795_338_710_981_165),
        ..Record::default()
    };
    let lines = |max_matches| {
        let look = Look {
            max_matches,
            ..Look::default()
        };
        let found = filter.find(&mut Memory::default(), &record, &look);
        found.expect("a failure").lines
    };

    assert_eq!(lines(0), []);
    let line = lines(1).pop().expect("a line");
    assert!(
        line.starts_with("2026-11-22T09:11:50.981165 from 192.0.2.1 \u{fffd}xx"),
        "{line}"
    );
    assert!(line.len() < 1100);
}
