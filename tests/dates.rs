//! The dates of log lines: every usual way to write one, `datepattern`, and what a date may leave out.

use banishd::engine::filter::date::{DateMemory, Dates};
use banishd::engine::time::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// 2026-11-22 09:10:00 UTC, a Sunday.
const NOW: Timestamp = Timestamp::from_usec(1_795_338_600_000_000);

fn dates(patterns: &[&str], zone: &TimeZone) -> Dates {
    let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
    Dates::compile(&patterns, zone).unwrap()
}

/// The time, and the line without it; `-` for no time.
fn found(dates: &Dates, line: &str) -> Option<(String, String)> {
    let dated = dates.find(&mut DateMemory::default(), line.as_bytes(), NOW)?;
    let time = dated.time.map_or_else(
        || "-".to_owned(),
        |time| {
            let usec = i64::try_from(time.usec()).unwrap();
            jiff::Timestamp::from_microsecond(usec).unwrap().to_string()
        },
    );
    let rest = format!("{}{}", &line[..dated.cut.start], &line[dated.cut.end..]);
    Some((time, rest))
}

fn check(patterns: &[&str], table: &[(&str, &str, &str)]) {
    let dates = dates(patterns, &TimeZone::UTC);
    for (line, time, rest) in table {
        let expected = Some(((*time).to_owned(), (*rest).to_owned()));
        assert_eq!(found(&dates, line), expected, "{patterns:?} {line}");
    }
}

/// Line, time, the line without its date.
type Case = (&'static str, &'static str, &'static str);

const USUAL: &[Case] = &[
    (
        "2026-11-21T10:11:12.5Z h x",
        "2026-11-21T10:11:12.5Z",
        " h x",
    ),
    ("2026-11-21T10:11:12+02:00 h", "2026-11-21T08:11:12Z", " h"),
    ("2026-11-21 10:11:12 +0200 h", "2026-11-21T08:11:12Z", " h"),
    (
        "2026/11/21 10:11:12 [error] h",
        "2026-11-21T10:11:12Z",
        " [error] h",
    ),
    ("2026.1.2  1:1:1 h", "2026-01-02T01:01:01Z", " h"),
    (
        "2026-11-21 10:11:12,123 h",
        "2026-11-21T10:11:12.123Z",
        " h",
    ),
    ("Nov 21 10:11:12 h", "2026-11-21T10:11:12Z", " h"),
    ("Nov  1 10:11:12 h", "2026-11-01T10:11:12Z", " h"),
    ("nov 01  9:11:12: h", "2026-11-01T09:11:12Z", ": h"),
    ("Sat Nov 21 10:11:12.250 h", "2026-11-21T10:11:12.25Z", " h"),
    (
        "[Sat Nov 21 10:11:12 2020] h",
        "2020-11-21T10:11:12Z",
        "[] h",
    ),
    ("Nov 21 2020 10:11:12 h", "2020-11-21T10:11:12Z", " h"),
    ("21/11/2026 10:11:12 h", "2026-11-21T10:11:12Z", " h"),
    ("21-11-26 10:11:12 h", "2026-11-21T10:11:12Z", " h"),
    (
        "[21/Nov/2026:10:11:12 +0200] h",
        "2026-11-21T08:11:12Z",
        "[] h",
    ),
    ("21-Nov-2026 10:11:12.5 h", "2026-11-21T10:11:12.5Z", " h"),
    ("11/21/2026:10:11:12 h", "2026-11-21T10:11:12Z", " h"),
    ("11-21-2026 10:11:12.5 h", "2026-11-21T10:11:12.5Z", " h"),
    ("1792577472 h", "2026-10-21T10:11:12Z", " h"),
    ("[1792577472.123] h", "2026-10-21T10:11:12.123Z", "[] h"),
    (
        "m=audit(1792577472.123:5): h",
        "2026-10-21T10:11:12.123Z",
        "m=audit(:5): h",
    ),
    ("08:11:12 h", "2026-11-22T08:11:12Z", " h"),
    ("10:11:12 h", "2026-11-21T10:11:12Z", " h"),
    ("<11/21/26@10:11:12> h", "2026-11-21T10:11:12Z", " h"),
    ("261121  9:11:12 h", "2026-11-21T09:11:12Z", " h"),
    ("Nov 21, 2026 12:11:12 AM h", "2026-11-21T00:11:12Z", " h"),
    ("Nov 21, 2026 9:11:12 pm h", "2026-11-21T21:11:12Z", " h"),
    ("Nov-21-26 10:11:12 h", "2026-11-21T10:11:12Z", " h"),
    ("20261121T101112 h", "2026-11-21T10:11:12Z", " h"),
    ("20261121 101112.5+0200 h", "2026-11-21T08:11:12.5Z", " h"),
    ("[PDT Apr 16 21:05:29] h", "2026-04-17T04:05:29Z", "[] h"),
    ("+05:00 Apr 16 21:05:29 h", "2026-04-16T16:05:29Z", " h"),
    (
        "@400000004c91b044077a9e94 h",
        "2010-09-16T05:51:00.125476Z",
        " h",
    ),
    ("2026-11-21 10:11:60 h", "2026-11-21T10:11:59Z", " h"),
];

#[test]
fn the_usual_dates_are_found_unasked() {
    check(&[], USUAL);
}

#[test]
fn dates_stand_at_the_beginning_or_at_least_not_within_words() {
    check(
        &[],
        &[
            ("[[Nov 21 10:11:12] h", "2026-11-21T10:11:12Z", "[[] h"),
            ("x Nov 21 10:11:12 h", "2026-11-21T10:11:12Z", "x  h"),
            ("x 2020-11-21 10:11:12", "2020-11-21T10:11:12Z", "x "),
            // The first one counts.
            (
                "x Nov 21 10:11:12 until 2030-01-01 00:00:00",
                "2026-11-21T10:11:12Z",
                "x  until 2030-01-01 00:00:00",
            ),
            ("WARN Nov 21 10:11:12 h", "2026-11-21T10:11:12Z", "WARN  h"),
        ],
    );
    let usual = dates(&[], &TimeZone::UTC);
    for line in [
        "",
        "xNov 21 10:11:12",
        "Nov 21 10:11:12x",
        "2026-11-21 24:11:10",
        "2026-11/21 10:11:12",
        "x 10:11:12",
        "x 1792577472",
        "1889-11-21 10:11:12",
        "November rain",
    ] {
        assert_eq!(found(&usual, line), None, "{line}");
    }
}

#[test]
fn what_a_date_leaves_out_is_the_latest_that_it_can_be() {
    check(
        &[],
        &[
            (
                "Nov 23 08:00:00 a day ahead",
                "2026-11-23T08:00:00Z",
                " a day ahead",
            ),
            (
                "Nov 23 12:00:00 a year ago",
                "2025-11-23T12:00:00Z",
                " a year ago",
            ),
        ],
    );
    check(
        &["^%y-%m-%d"],
        &[("03-01-02 h", "2003-01-02T00:00:00Z", " h")],
    );
    check(
        &["^%y-%m-%d"],
        &[("99-01-02 h", "1999-01-02T00:00:00Z", " h")],
    );
    check(&["%H:%M"], &[("at 13:14", "2026-11-21T13:14:00Z", "at ")]);
    check(&["%Y"], &[("2011", "2011-11-22T00:00:00Z", "")]);
    check(&["%Y %B"], &[("2011 March", "2011-03-01T00:00:00Z", "")]);
}

#[test]
fn a_day_that_does_not_exist_is_cut_out_but_tells_no_time() {
    check(
        &[],
        &[
            ("Feb 30 10:11:12 h", "-", " h"),
            ("2026-02-29 10:11:12 h", "-", " h"),
            (
                "2026-02-30 10:11:12 Nov 21 10:11:12 h",
                "2026-11-21T10:11:12Z",
                "2026-02-30 10:11:12  h",
            ),
        ],
    );
}

/// Pattern, line, time, the line without its date.
const OWN: &[(&str, &str, &str, &str)] = &[
    ("^WARNING:()**", "WARNING: bad", "-", "WARNING: bad"),
    ("%Y %j", "at 2011 60 x", "2011-03-01T00:00:00Z", "at  x"),
    ("%Y %U %a", "2011 07 Wed x", "2011-02-16T00:00:00Z", " x"),
    ("%Y %U %w", "2011 07 3 x", "2011-02-16T00:00:00Z", " x"),
    ("%Y %W %w", "2011 07 3 x", "2011-02-16T00:00:00Z", " x"),
    ("%Y %U %u", "2011 07 7 x", "2011-02-13T00:00:00Z", " x"),
    ("^%U-%w", "47-6 x", "2025-11-29T00:00:00Z", " x"),
    ("^%j", "360 x", "2025-12-26T00:00:00Z", " x"),
    ("EPOCH", "1792577472 x", "2026-10-21T10:11:12Z", " x"),
    (
        "{^LN-BEG}Epoch",
        "[1792577472] x",
        "2026-10-21T10:11:12Z",
        "[] x",
    ),
    (
        "LEPOCH",
        "1792577472123 x",
        "2026-10-21T10:11:12.123Z",
        " x",
    ),
    (
        "LEPOCH",
        "1792577472123456 x",
        "2026-10-21T10:11:12.123456Z",
        " x",
    ),
    (
        "^at {EPOCH}",
        "at 1792577472 x",
        "2026-10-21T10:11:12Z",
        " x",
    ),
    (
        "^at \"{LEPOCH}\"",
        "at \"1792577472\" x",
        "2026-10-21T10:11:12Z",
        " x",
    ),
    (
        "TAI64N",
        "x @400000004c91b04400000000",
        "2010-09-16T05:51:00Z",
        "x ",
    ),
    ("^100%% %Y", "100% 2011", "2011-11-22T00:00:00Z", ""),
    ("{UNB}%Y", "at2011x", "2011-11-22T00:00:00Z", "atx"),
    ("**%Y", "at2011 x", "2011-11-22T00:00:00Z", "at x"),
    ("^at%Y**", "at2011x", "2011-11-22T00:00:00Z", "x"),
    ("{^LN-BEG}%Y", "!!2011", "2011-11-22T00:00:00Z", "!!"),
    (
        "^%Y-%m-%d %l:%M %p",
        "2011-11-21  5:06 PM",
        "2011-11-21T17:06:00Z",
        "",
    ),
    (
        "^%Y-%m-%d %H:%M %p",
        "2011-11-21 05:06 PM",
        "2011-11-21T05:06:00Z",
        "",
    ),
    (
        "^%Y-%m-%d %H %Z",
        "2011-11-21 05 CEST",
        "2011-11-21T03:00:00Z",
        "",
    ),
    (
        "^%Y-%m-%d %H %Exz",
        "2011-11-21 05 -03:30",
        "2011-11-21T08:30:00Z",
        "",
    ),
    (
        "^(%Y)-(%m-%d)",
        "2011-01-02 x",
        "2011-01-02T00:00:00Z",
        "-01-02 x",
    ),
    (
        "^a ({DATE})",
        "a 2011-11-21 05:06:07 b",
        "2011-11-21T05:06:07Z",
        "a  b",
    ),
    (
        "^a {DATE} b",
        "a 2011-11-21 05:06:07 b",
        "2011-11-21T05:06:07Z",
        "",
    ),
    (
        "{DATE}",
        "a 2011-11-21 05:06:07 b",
        "2011-11-21T05:06:07Z",
        "a  b",
    ),
    (
        "{DEFAULT}",
        "a 2011-11-21 05:06:07 b",
        "2011-11-21T05:06:07Z",
        "a  b",
    ),
    (
        "{^LN-BEG}",
        "[2011-11-21 05:06:07] b",
        "2011-11-21T05:06:07Z",
        "[] b",
    ),
    ("{NONE}", "2011-11-21 05:06:07", "-", "2011-11-21 05:06:07"),
    (
        "%d/%b[^/]*/%Y:%H",
        "[02/sept./2015:00]",
        "2015-09-02T00:00:00Z",
        "[]",
    ),
];

#[test]
fn patterns_of_ones_own_are_followed() {
    for (pattern, line, time, rest) in OWN {
        check(&[pattern], &[(line, time, rest)]);
    }
}

/// The days around New Year, where weeks and years disagree, as Python writes them.
#[test]
fn weeks_mean_what_they_mean_in_python() {
    const FORMATS: [&str; 6] = [
        "%G-W%V-%u",
        "%Y week %U %w",
        "%Y week %W %a",
        "%Y %W %u",
        "%Y-%m-%d %G-W%V",
        "%j of %Y",
    ];
    let program = format!(
        "import datetime as d\n\
         for year in range(1995, 2031):\n\
         \x20for i in range(-9, 12):\n\
         \x20 day = d.date(year, 1, 1) + d.timedelta(i)\n\
         \x20 print(day, *[day.strftime(f) for f in {FORMATS:?}], sep='|')\n"
    );
    let all = FORMATS.map(|format| dates(&[format], &TimeZone::UTC));
    #[expect(clippy::disallowed_methods, reason = "the test runs Python")]
    let mut python = std::process::Command::new("python3");
    let output = python.args(["-c", &program]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();

    let mut days = 0;
    for line in text.lines() {
        let mut parts = line.split('|');
        let time = format!("{}T00:00:00Z", parts.next().unwrap());
        for (dates, written) in all.iter().zip(parts) {
            let expected = Some((time.clone(), String::new()));
            assert_eq!(found(dates, written), expected, "{written}");
            days += 1;
        }
    }
    assert_eq!(days, 36 * 21 * FORMATS.len());
    let iso = &all[0];
    // Python refuses them as well: a year has 52 weeks or 53.
    assert_eq!(found(iso, "2026-W53-7").unwrap().0, "2027-01-03T00:00:00Z");
    assert_eq!(found(iso, "2027-W53-1").unwrap().0, "-");
}

#[test]
fn patterns_of_ones_own_find_no_more_than_they_say() {
    for (pattern, line) in [
        ("%Y", "at2011"),
        ("**%Y", "at2011x"),
        ("^at%Y", "at2011x"),
        ("^%Y", " 2011"),
        ("{^LN-BEG}%Y", "!!!2011"),
        ("EPOCH", "at 1792577472"),
        ("^at %Y", "AT 2011"),
        ("{^LN-BEG}", "a 2011-11-21 05:06:07"),
    ] {
        let dates = dates(&[pattern], &TimeZone::UTC);
        assert_eq!(found(&dates, line), None, "{pattern}");
    }
}

#[test]
fn every_bad_pattern_is_named() {
    let patterns = ["%Y", "%Q", "(", "%Y"].map(str::to_owned);

    let errors = Dates::compile(&patterns, &TimeZone::UTC).unwrap_err();

    let places: Vec<usize> = errors.iter().map(|(index, _)| *index).collect();
    assert_eq!(places, [1, 2], "{errors:?}");
}

#[test]
fn the_latest_template_is_asked_first_but_not_for_a_later_date() {
    let usual = dates(&[], &TimeZone::UTC);
    let mut memory = DateMemory::default();
    let mut start = |line: &str| {
        usual
            .find(&mut memory, line.as_bytes(), NOW)
            .unwrap()
            .cut
            .start
    };

    assert_eq!(start("x 2020-11-21 10:11:12 a"), 2);
    assert_eq!(start("x 2020-11-21 10:11:12 Nov 21 10:11:12"), 2);
    assert_eq!(start("Nov 21 10:11:12 2020-11-21 10:11:12"), 0);
}

#[test]
fn zones_know_summer_and_the_hours_it_skips() {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let dates = dates(&[], &zone);
    for (line, time) in [
        ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
        ("2026-12-01 12:00:00", "2026-12-01T11:00:00Z"),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
    ] {
        assert_eq!(found(&dates, line).unwrap().0, time, "{line}");
    }
}

proptest! {
    #[test]
    fn a_time_printed_in_a_usual_format_is_read_back(
        secs in 1_000_000_000_i64..1_795_338_000,
        format in prop::sample::select(vec![
            "%Y-%m-%dT%H:%M:%S%:z", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d  %H:%M:%S %z",
            "%a %b %d %H:%M:%S %Y", "%b %e %Y %H:%M:%S", "%d/%m/%Y %H:%M:%S",
            "%d-%m-%y %H:%M:%S", "[%d/%b/%Y:%H:%M:%S %z]", "%m/%d/%Y:%H:%M:%S",
            "%s", "<%m/%d/%y@%H:%M:%S>", "%y%m%d %H:%M:%S", "%b %d, %Y %I:%M:%S %p",
            "%b-%d-%y %H:%M:%S", "%Y%m%dT%H%M%S",
        ]),
        words in "[a-z ]{0,20}",
    ) {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let zoned = jiff::Timestamp::from_second(secs).unwrap().to_zoned(zone.clone());
        // Of an hour that comes twice the first is meant.
        let ambiguous = zone.to_ambiguous_timestamp(zoned.datetime());
        prop_assume!(!ambiguous.is_ambiguous());
        let line = format!("{} {words}", zoned.strftime(format));

        let dated = dates(&[], &zone).find(&mut DateMemory::default(), line.as_bytes(), NOW);

        let time = dated.unwrap().time.unwrap();
        prop_assert_eq!(time.usec(), u64::try_from(secs).unwrap() * 1_000_000, "{}", line);
    }
}
