//! What lines of one connection make of one another: fail2ban's rules, each line of these tables as
//! fail2ban 1.0.2 judges it.

use banishd::engine::filter::{Filter, FilterSpec, Look, Memory, Standing};
use banishd::engine::record::Record;
use banishd::engine::time::{Span, Timestamp};

/// A little service. Its lines are `CONNECTION: WORD [USER] [ADDRESS]`.
fn service() -> Filter {
    Filter::compile(FilterSpec {
        prefix: Some(r"^<F-MLFID>\w+:</F-MLFID> <F-CONTENT>.+</F-CONTENT>$".to_owned()),
        fail: [
            r"^pend <F-USER>\S+</F-USER>$",
            r"^<F-NOFAIL>nofail</F-NOFAIL> <F-USER>\S+</F-USER> <ADDR>",
            r"^fail <F-USER>\S*</F-USER> <ADDR>",
            r"^<F-MLFFORGET><F-MLFGAINED>accept</F-MLFGAINED></F-MLFFORGET> <F-USER>\S+</F-USER> <ADDR>",
            r"^<F-MLFGAINED>gain</F-MLFGAINED> <F-USER>\S+</F-USER> <ADDR>",
            r"^<F-NOFAIL><F-MLFFORGET>close</F-MLFFORGET></F-NOFAIL> <ADDR>",
            r"^<F-NOFAIL></F-NOFAIL>empty <F-USER>\S+</F-USER> <ADDR>",
            r"^session <F-ID>\S+</F-ID>$",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..FilterSpec::default()
    })
    .expect("the patterns are good")
}

/// Each line with what it is: who failed and which of the lines before tell of it, from 0.
pub(crate) fn judge(filter: &Filter, lines: &[&str]) -> Vec<String> {
    let look = Look {
        max_matches: 100,
        ..Look::default()
    };
    let mut memory = Memory::default();
    let mut judged = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let record = Record {
            message: line.as_bytes(),
            time: Timestamp::from_usec(u64::try_from(number).unwrap() * 1_000_000),
            ..Record::default()
        };
        let found = filter.find(&mut memory, &record, &look);
        judged.push(found.map_or_else(String::new, |found| {
            // Lines are told with their times, and the time is the number.
            let second = |line: &str| line[17..19].parse::<usize>().expect("a second");
            let told: Vec<String> = found
                .lines
                .iter()
                .map(|line| second(line).to_string())
                .collect();
            format!("{} by {}", found.who, told.join(" "))
        }));
    }
    judged
}

#[track_caller]
fn check(trace: &[(&str, &str)]) {
    let (lines, expected): (Vec<&str>, Vec<&str>) = trace.iter().copied().unzip();

    assert_eq!(judge(&service(), &lines), expected, "{lines:#?}");
}

#[test]
fn a_failure_waits_for_its_address_once() {
    check(&[
        ("a: pend u", ""),
        ("a: nofail u 192.0.2.1", "192.0.2.1 by 0 1"),
        ("a: nofail u 192.0.2.1", ""),
        ("a: fail u 192.0.2.1", "192.0.2.1 by 2 3"),
        ("a: fail u 192.0.2.1", "192.0.2.1 by 4"),
    ]);
    check(&[
        ("f: pend u", ""),
        ("f: pend u", ""),
        ("f: close 192.0.2.5", "192.0.2.5 by 0 1 2"),
        ("f: close 192.0.2.5", ""),
    ]);
}

#[test]
fn a_success_undoes_what_waits_but_not_several_users() {
    check(&[
        ("e: pend u", ""),
        ("e: gain u 192.0.2.5", ""),
        ("e: fail u 192.0.2.5", "192.0.2.5 by 1 2"),
    ]);
    check(&[
        ("b: nofail root 192.0.2.2", ""),
        ("b: nofail git 192.0.2.2", "192.0.2.2 by 0 1"),
        ("b: accept git 192.0.2.2", "192.0.2.2 by 2"),
        ("b: nofail git 192.0.2.2", ""),
    ]);
    check(&[
        ("b: nofail root 192.0.2.2", ""),
        ("b: accept root 192.0.2.2", ""),
        ("b: nofail git 192.0.2.2", ""),
    ]);
}

#[test]
fn lines_that_are_no_failures_tell_of_the_next_one() {
    check(&[
        ("d: nofail u 192.0.2.4", ""),
        ("d: nofail u 192.0.2.4", ""),
        ("d: fail u 192.0.2.4", "192.0.2.4 by 0 1 2"),
        ("d: nofail u 192.0.2.4", ""),
        ("d: fail u 192.0.2.4", "192.0.2.4 by 3 4"),
        ("d: gain u 192.0.2.4", ""),
        ("d: fail u 192.0.2.4", "192.0.2.4 by 5 6"),
        ("d: close 192.0.2.4", ""),
        ("d: close 192.0.2.4", ""),
    ]);
}

#[test]
fn a_mark_that_captures_nothing_is_none() {
    check(&[("c: empty u 192.0.2.3", "192.0.2.3 by 0")]);
}

#[test]
fn an_identity_stays_with_the_connection() {
    check(&[
        ("b: session 7f3a", "7f3a by 0"),
        ("b: fail u 192.0.2.2", "7f3a by 1"),
        ("c: fail u 2001:db8::1", "2001:db8::1 by 2"),
        ("c: fail u 192.0.2.3", "192.0.2.3 by 3"),
        ("c: fail u 2001:db8::2", "192.0.2.3 by 4"),
    ]);
}

#[test]
fn connections_do_not_meddle_with_one_another() {
    check(&[
        ("a: pend u", ""),
        ("b: pend u", ""),
        ("a: nofail u 192.0.2.1", "192.0.2.1 by 0 2"),
        ("c: nofail u 192.0.2.3", ""),
        ("b: nofail u 192.0.2.2", "192.0.2.2 by 1 4"),
    ]);
}

/// What fail2ban's `-o row` prints for such lines.
#[test]
fn a_trial_tells_what_a_connection_has_gathered() {
    let filter = service();
    let mut memory = Memory::default();
    let look = Look::default();
    let mut trial = |line: &str| {
        let record = Record {
            message: line.as_bytes(),
            ..Record::default()
        };
        let mut trial = filter.trial(&mut memory, &record, &look);
        assert!(trial.prefix);
        trial.hits.pop().expect("a hit")
    };

    let pending = trial("a: pend root");
    let spared = trial("b: nofail git 192.0.2.1");
    let failed = trial("a: nofail git 192.0.2.1");

    assert_eq!((pending.standing, pending.found), (Standing::Pending, None));
    assert_eq!(pending.id, None);
    assert_eq!((spared.standing, spared.found), (Standing::Spared, None));
    assert_eq!(spared.id.as_deref(), Some("192.0.2.1"));
    assert_eq!((failed.standing, failed.lines), (Standing::Failed, 2));
    assert_eq!(
        failed.found.expect("a failure").who.to_string(),
        "192.0.2.1"
    );
    let fields: Vec<(&str, &str)> = failed
        .fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        fields,
        [
            ("content", "nofail git 192.0.2.1"),
            ("ip4", "192.0.2.1"),
            ("mlfid", "a:"),
            ("user", "git"),
            ("users", "git\nroot"),
        ]
    );
}

#[test]
fn a_connection_is_forgotten_after_five_minutes_or_a_hundred_others() {
    let filter = service();
    let look = Look::default();
    let mut memory = Memory::default();
    let mut find = |seconds, line: &str| {
        let record = Record {
            message: line.as_bytes(),
            time: Timestamp::default().plus(Span::from_secs(seconds)),
            ..Record::default()
        };
        filter.find(&mut memory, &record, &look).is_some()
    };

    assert!(!find(0, "a: pend u"));
    assert!(!find(0, "b: pend u"));
    assert!(find(299, "a: close 192.0.2.1"));
    assert!(!find(300, "b: close 192.0.2.1"));

    assert!(!find(1000, "old: pend u"));
    for number in 0..99 {
        assert!(!find(1001, &format!("c{number}: pend u")));
    }
    assert!(!find(1002, "last: pend u"));
    assert!(!find(1002, "old: close 192.0.2.1"), "the oldest gave way");
    assert!(find(1002, "c0: close 192.0.2.1"));
    assert!(find(1002, "last: close 192.0.2.1"));
}
