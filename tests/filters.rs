//! Every shipped filter against sample records.

use banishd::engine::filter::{Filter, FilterSpec, Found};
use banishd::engine::record::{MESSAGE_MAX, Record};
use banishd::engine::time::Timestamp;

fn filter(fail: &[&str], ignore: &[&str]) -> Filter {
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Filter::compile(FilterSpec {
        name: "test".to_owned(),
        fail: own(fail),
        ignore: own(ignore),
    })
    .expect("the patterns are good")
}

fn find(filter: &Filter, message: &[u8]) -> Option<Found> {
    filter.find(&Record {
        time: Timestamp::default(),
        pid: None,
        message,
    })
}

#[test]
fn the_address_is_found_in_every_notation() {
    let filter = filter(&["^from <HOST>$"], &[]);

    for (message, address) in [
        ("from 192.0.2.1", Some("192.0.2.1")),
        ("from 192.0.2.1\n", Some("192.0.2.1")),
        ("from [192.0.2.1]", Some("192.0.2.1")),
        ("from ::ffff:192.0.2.1", Some("192.0.2.1")),
        ("from 2001:DB8::1", Some("2001:db8::1")),
        ("from [2001:db8::]", Some("2001:db8::")),
        ("from ::1", Some("::1")),
        ("from 1:2:3:4:5:6:7:8", Some("1:2:3:4:5:6:7:8")),
        ("from 999.0.2.1", None),
        ("from 1:2:3:4:5:6:7:8:9", None),
        ("from host.example", None),
        ("from 192.0.2.1\n\n", None),
        ("from 192.0.2.1 ", None),
        ("", None),
    ] {
        let found = find(&filter, message.as_bytes()).map(|found| found.offender.to_string());
        assert_eq!(found.as_deref(), address, "{message}");
    }
}

#[test]
fn the_first_pattern_that_matches_wins() {
    let filter = filter(
        &[
            "^a <F-ADVANCE>b</F-ADVANCE> <ADDR>",
            "(?:^|x)a .* <ADDR>",
            "^(?:c|d) <SUBNET>$",
        ],
        &["ignore$"],
    );

    for (message, expected) in [
        ("a b 192.0.2.1", Some((0, true, "192.0.2.1"))),
        ("a c 192.0.2.1", Some((1, false, "192.0.2.1"))),
        ("xa c 192.0.2.1", Some((1, false, "192.0.2.1"))),
        ("d 192.0.2.1/24", Some((2, false, "192.0.2.0/24"))),
        ("d 192.0.2.1/77", None),
        ("a b 192.0.2.1 ignore", None),
        ("b", None),
    ] {
        let found = find(&filter, message.as_bytes());
        let expected = expected.map(|(rule, advance, address): (_, _, &str)| Found {
            offender: address.parse().unwrap(),
            advance,
            rule,
        });
        assert_eq!(found, expected, "{message}");
    }
}

#[test]
fn all_unusable_patterns_are_reported_at_once() {
    let spec = FilterSpec {
        name: "test".to_owned(),
        fail: [
            "no address",
            "<ADDR>",
            "<ADDR> (?=x)",
            "<ADDR>(",
            "<ADDR><ADDR>",
            "<F-MLFID>x</F-MLFID>",
        ]
        .map(str::to_owned)
        .to_vec(),
        ignore: vec!["[".to_owned(), "(?:.{1000}){1000}".to_owned()],
    };

    let errors = Filter::compile(spec).unwrap_err();

    let text: Vec<String> = errors.iter().map(|e| format!("{} {e}", e.index)).collect();
    assert_eq!(
        text.join("\n"),
        "\
0 the pattern does not say where the address is: put <ADDR> there
2 look-around, (?=…) or (?<…), is not supported: write the cases as patterns of their own, at '(?=x)'
3 unclosed group, at '('
4 a tag or a named group stands there twice: write two patterns, at 'ip4>(?:[0-9]{1,3}\\.)'
5 the tag <F-MLFID> joins several messages into one failure, which is not supported: write one pattern for each message that is a failure
6 unclosed character class, at '['
7 the pattern is too large: use smaller repeat counts"
    );
}

#[test]
fn bytes_that_are_no_text_and_endless_messages_do_no_harm() {
    let filter = filter(&["^user .* from <ADDR>$"], &[]);
    let mut long = b"user ".to_vec();
    long.resize(MESSAGE_MAX + 5, b'x');
    long.extend(b" from 192.0.2.1");

    assert_eq!(find(&filter, &long), None);
    let found = find(&filter, b"user \xff\xfe\0 from 192.0.2.1").unwrap();
    assert_eq!(found.offender.to_string(), "192.0.2.1");
}
