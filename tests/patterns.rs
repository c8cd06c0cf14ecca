//! The pattern engine: what each construct matches, and that Python's `re` agrees.

mod tables;

use std::io::Write;
use std::process::Stdio;

use banishd::engine::filter::Machine::{Backtracking, Linear};
use banishd::engine::filter::pattern::{Dialect, Lines};
use banishd::engine::filter::rule::rules::Rules;
use banishd::engine::filter::rule::{Groups, Rule, Search};
use proptest::prelude::{Strategy, prop, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::patterns::tables::{CONSTRUCTS, TAGS, WRONG};

fn rule(pattern: &str) -> Rule {
    match Rule::compile(pattern, Dialect::default()) {
        Ok(rule) => rule,
        Err(error) => panic!("{pattern}: {error}"),
    }
}

/// The text that the pattern matches and those of its named groups, `|` between; `-` for a group that
/// took no part.
fn shown(rule: &Rule, text: &str) -> Option<String> {
    let mut groups = Groups::default();
    if rule.search(text.as_bytes(), &mut groups) != Search::Yes {
        return None;
    }
    let group = |number| {
        groups
            .text(number, text.as_bytes())
            .map(String::from_utf8_lossy)
    };
    let numbers = [0]
        .into_iter()
        .chain(rule.names().map(|(_, number)| number));
    let parts: Vec<_> = numbers
        .map(|number| group(number).unwrap_or("-".into()))
        .collect();
    Some(parts.join("|"))
}

/// Every construct in which the engines differ from Python or from each other.
#[test]
fn every_construct_means_what_it_means_in_python() {
    for (pattern, text, expected, machine) in CONSTRUCTS {
        let rule = rule(pattern);
        let text = format!("{text}\n");

        assert_eq!(
            shown(&rule, &text).as_deref(),
            *expected,
            "{pattern} in {text:?}"
        );
        assert_eq!(rule.machine(), *machine, "{pattern}");
        assert!(
            expected.is_none() || rule.may_match(text.as_bytes()),
            "{pattern}"
        );
    }
}

/// What matches as a whole is what Python matches; the group holds nothing there.
#[test]
fn an_empty_turn_ends_a_loop() {
    for pattern in ["^(?P<x>a|b|)*", r"^(?P<x>\b|.)*$", "^(?P<x>b|a*)*$"] {
        assert_eq!(
            shown(&rule(pattern), "ab").as_deref(),
            Some("ab|b"),
            "{pattern}"
        );
    }
}

#[test]
fn tags_stand_for_addresses_names_and_groups() {
    let names = Dialect {
        has_names: true,
        ..Dialect::default()
    };
    for (pattern, text, without, with) in TAGS {
        let text = format!("{text}\n");

        assert_eq!(
            shown(&rule(pattern), &text).as_deref(),
            *without,
            "{pattern}"
        );
        let rule = Rule::compile(pattern, names).unwrap();
        assert_eq!(
            shown(&rule, &text).as_deref(),
            *with,
            "{pattern} with names"
        );
    }
    let names: Vec<_> = rule("<F-ALT_USER-1>a</F-ALT_USER-1>(b)<F-ID/>")
        .names()
        .map(|(name, group)| format!("{name} {group}"))
        .collect();
    assert_eq!(names, ["alt_user_1 1", "fid 3"]);
}

#[test]
fn several_lines_are_matched_line_by_line() {
    let many = Dialect {
        lines: Lines::Many,
        ..Dialect::default()
    };
    for (pattern, text, expected) in [
        ("^b$", "a\nb\n", Some("b")),
        ("^a<SKIPLINES>^d", "a\nb\nc\nd\n", Some("a\nb\nc\nd|b\nc\n")),
        ("^a<SKIPLINES>b", "a\nb\n", Some("a\nb|")),
        (
            "^a<SKIPLINES>b<SKIPLINES>c",
            "a\nb\nx\nc\n",
            Some("a\nb\nx\nc||x\n"),
        ),
        (
            r"c(?P<id>\d) .*<SKIPLINES>.*c(?P=id) ok",
            "c1 x\nc2 ok\nc1 ok\n",
            Some("c1 x\nc2 ok\nc1 ok|1|c2 ok\n"),
        ),
        (r"\Ab", "a\nb\n", None),
        (".*", "a\nb\n", Some("a")),
    ] {
        let rule = Rule::compile(pattern, many).unwrap();

        assert_eq!(shown(&rule, text).as_deref(), expected, "{pattern}");
    }
}

#[test]
fn what_is_wrong_with_a_pattern_is_said_with_its_place() {
    let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    let deep_conditions = format!("(a){}", "(?(1)".repeat(60));
    let too_deep = [
        (&*deep, "50: groups are more than 50 deep here"),
        (&*deep_conditions, "253: groups are more than 50 deep here"),
    ];
    for (pattern, expected) in WRONG.iter().chain(&too_deep) {
        let error = Rule::compile(pattern, Dialect::default()).expect_err(pattern);

        assert_eq!(
            format!("{}: {}", error.at, error.what),
            *expected,
            "{pattern}"
        );
    }
    let long = "a".repeat(100_000);
    let error = Rule::compile(&long, Dialect::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pattern is longer than 65536 bytes: split it"
    );
}

/// Whoever can write into a log can write these.
#[test]
fn no_text_stalls_a_pattern() {
    let evil = format!("{}!\n", "a".repeat(1 << 18));
    for (pattern, expected) in [
        ("(a+)+$", Search::No),
        ("(a|aa)+$", Search::No),
        ("(.*)*x$", Search::No),
        ("a*a*a*a*a*a*b", Search::No),
        ("^(?:.*a){20}x", Search::No),
        ("(?=(.*)*)a*x", Search::GaveUp),
        ("(?!x)(a+)+$", Search::GaveUp),
        (r"(a+)+\1x", Search::GaveUp),
        ("(?>a|a)*(?=b)x?", Search::GaveUp),
        ("(?=(?:(?:(?:a?)*)*)*b)a", Search::GaveUp),
    ] {
        let rule = rule(pattern);

        assert_eq!(
            rule.search(evil.as_bytes(), &mut Groups::default()),
            expected,
            "{pattern}"
        );
    }
}

/// A pattern too large for linear time by its size takes the steps of the other machine, and one too
/// large for that is refused.
#[test]
fn no_pattern_stalls_on_a_text() {
    let evil = format!("{}\n", "ab".repeat(8 * 1024));
    let nested = "(?:(?:(a).?){30}.{0,300}){30}c<HOST>";
    let groups = format!("(?:{}){{20}}c", "(a)?(b)?".repeat(60));
    let words: String = (0..3000).map(|word| format!("(?:ab)?{word}|")).collect();
    let words = format!(".*(?:{words}x)c");
    for (pattern, machine, expected) in [
        (nested, Backtracking, Search::GaveUp),
        ("(?:(a)?.?){1000}c", Backtracking, Search::GaveUp),
        ("(?:a?b?){3000}c", Backtracking, Search::GaveUp),
        (".*a.{4000}c", Backtracking, Search::GaveUp),
        ("(?:[^à-þ]|[а-я]{2}){200}c", Backtracking, Search::GaveUp),
        (&groups, Backtracking, Search::GaveUp),
        (&words, Backtracking, Search::GaveUp),
        (".*a.{1500}c", Linear, Search::No),
    ] {
        let rule = rule(pattern);

        assert_eq!(rule.machine(), machine, "{pattern}");
        assert_eq!(
            rule.search(evil.as_bytes(), &mut Groups::default()),
            expected,
            "{pattern}"
        );
    }
    let long = format!("(?:{}|b){{5000}}", "a".repeat(1000));
    for pattern in [&*long, "(?:(?:(?:ab|b){100}){100}){100}"] {
        let error = Rule::compile(pattern, Dialect::default()).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the pattern is too large: use smaller repeat counts, or split it"
        );
    }
}

/// `prefregex` leaves a part of a line, and a newline is put behind it.
#[test]
fn a_part_of_a_line_may_match_what_ends_in_a_newline() {
    let rules = Rules::new(vec![rule("^<ADDR> bad\\n"), rule("^<ADDR> worse$")]);

    assert!(rules.may_match_within(b"at 192.0.2.1 bad enough\n"));
    assert!(!rules.may_match_within(b"at 192.0.2.1 good\n"));
}

#[test]
fn candidates_keep_their_order_and_lack_no_match() {
    let patterns = [
        "^Failed a",
        "^(?:Failed|Accepted) ",
        "x.*needle",
        "^",
        "^User .* not allowed",
        "(?!a)needle",
    ];
    let rules = Rules::new(patterns.map(rule).into());
    for (text, expected, within) in [
        ("Failed a\n", vec![0, 1, 3], true),
        ("Failed b\n", vec![1, 3], true),
        ("User x allowed\n", vec![3], true),
        ("User x not allowed needle\n", vec![2, 3, 4, 5], true),
        ("", vec![3], true),
    ] {
        let candidates: Vec<usize> = rules
            .candidates(text.as_bytes())
            .map(|(index, _)| index)
            .collect();

        assert_eq!(candidates, expected, "{text}");
        assert_eq!(rules.may_match_within(text.as_bytes()), within);
    }
    let rules = Rules::new(["^Failed ", "(?:abc|abd)x"].map(rule).into());
    for (line, within) in [
        ("h sshd[1]: Failed a\n", true),
        ("abdx", true),
        ("Faile", false),
        ("", false),
    ] {
        assert_eq!(rules.may_match_within(line.as_bytes()), within, "{line}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_pattern_or_an_error(text in r"[ -~\n\té]{0,40}|[()\[\]{}<>?*+|\\^$.,a0-9iLPF/=!:#-]{0,60}") {
        for lines in [Lines::One, Lines::Many] {
            match Rule::compile(&text, Dialect { lines, has_names: true }) {
                Ok(rule) => { rule.search(text.as_bytes(), &mut Groups::default()); }
                Err(error) => {
                    prop_assert!(text.is_char_boundary(error.at), "{text}: {error}");
                    prop_assert!(error.what != "the pattern is too large: use smaller repeat counts, or split it", "{text}");
                }
            }
        }
    }

    /// What is within reach of `regex` means the same to the machine that back-tracks, which is made to
    /// run it by a look-ahead that always holds.
    #[test]
    fn both_machines_agree(pattern in patterns(), text in "[abcAB1 <>_.é-]{0,12}") {
        let Ok(one) = Rule::compile(&pattern, Dialect::default()) else { return Ok(()) };
        let other = Rule::compile(&format!("(?:{pattern})(?=(?s:.)*)"), Dialect::default());
        let text = format!("{text}\n");
        if let (Linear, Ok(other)) = (one.machine(), other) {
            prop_assert_eq!(other.machine(), Backtracking);
            prop_assert_eq!(shown(&one, &text), shown(&other, &text), "{}", pattern);
        }
    }
}

/// The spans of all groups, the whole match first; `None` without a match.
type Spans = Option<Vec<Option<(usize, usize)>>>;

/// What our engine finds in each of `texts`, or why it refuses the pattern.
fn ours(pattern: &str, texts: &[String]) -> Result<Vec<Spans>, String> {
    let rule = Rule::compile(pattern, Dialect::default()).map_err(|error| error.to_string())?;
    let mut groups = Groups::default();
    let mut all = Vec::new();
    for text in texts {
        let text = text.as_bytes();
        let spans = match rule.search(text, &mut groups) {
            Search::No => None,
            Search::GaveUp => panic!("gave up: {pattern}"),
            Search::Yes => Some(
                (0..groups.count())
                    .map(|group| groups.span(group).map(|span| (span.start, span.end)))
                    .collect(),
            ),
        };
        assert!(
            spans.is_none() || rule.may_match(text),
            "the literals turn down a match: {pattern} {text:?}"
        );
        assert_eq!(
            rule.is_match(text) == Search::Yes,
            spans.is_some(),
            "{pattern}"
        );
        all.push(spans);
    }
    Ok(all)
}

/// What Python's `re` finds in them.
fn theirs(cases: &[(String, Vec<String>)]) -> Vec<Result<Vec<Spans>, String>> {
    const SCRIPT: &str = r#"
import json, re, sys, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    pattern, texts = json.loads(line)
    # fail2ban's own doing:
    pattern = re.sub(r"\((?:\?:)?\(\?([a-z]+)\)", r"(?\1:", pattern)
    try:
        compiled = re.compile(pattern.encode())
    except Exception as error:
        print(json.dumps(str(error)))
        continue
    found = []
    for text in texts:
        match = compiled.search(text.encode())
        found.append(match and [match.span(g) if match.span(g) != (-1, -1) else None
                                for g in range(compiled.groups + 1)])
    print(json.dumps(found))
"#;
    #[expect(
        clippy::disallowed_methods,
        reason = "the oracle is a process of its own"
    )]
    let mut child = std::process::Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = cases
        .iter()
        .map(|case| serde_json::to_string(case).unwrap() + "\n")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text
        .lines()
        .map(|line| match serde_json::from_str::<Vec<Spans>>(line) {
            Ok(found) => Ok(found),
            Err(_) => Err(line.to_owned()),
        })
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// Patterns of every construct, some of them wrong; `@` stands for the next free name.
fn patterns() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a", "b", "c", "ab", " ", "1", "-", "<", ">", ".", "[ab]", "[^a]", "[^b ]", "[a-c_]",
        r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\b", r"\B", "^", "$", r"\A", r"\Z", r"\<",
        r"\ ", r"\-", r"\x61", "{", "}", r"\.", "[]a]", "[[]", "[a&&b]", r"[\w.-]", "[^]a]",
        "(?#x)",
    ]);
    let leaf = prop_oneof![
        9 => atom.prop_map(str::to_owned),
        1 => (1..4_u32).prop_map(|group| format!(r"\{group}")),
        // Only these: Python 3.11 gets possessive groups with branches wrong.
        1 => prop::sample::select(vec!["a*+", "[ab]++", r"\w?+"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let sequence = prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat());
        let branches = prop::collection::vec(sequence.clone(), 1..3).prop_map(|parts| parts.join("|"));
        let heads = prop::sample::select(vec![
            "(", "(", "(?:", "(?:", "(?P<@>", "(?P<@>", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "((?i)", "(?s:",
        ]);
        let counts = prop::sample::select(vec![
            "*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?", "+?", "??", "{1,2}?", "{,}",
        ]);
        prop_oneof![
            3 => sequence.clone(),
            4 => (heads, branches.clone()).prop_map(|(head, body)| format!("{head}{body})")),
            3 => (inner.clone(), counts).prop_map(|(body, count)| format!("{body}{count}")),
            1 => (1..3_u32, sequence.clone(), sequence).prop_map(|(group, yes, no)| format!("(?({group}){yes}|{no})")),
            1 => branches,
        ]
    })
    .prop_map(|pattern| {
        let mut count = 0;
        let mut named = String::new();
        for part in pattern.split_inclusive('@') {
            match part.strip_suffix('@') {
                Some(head) => {
                    named += &format!("{head}n{count}");
                    count += 1;
                }
                None => named += part,
            }
        }
        named
    })
}

#[test]
fn python_finds_the_same_spans() {
    let mut runner = TestRunner::deterministic();
    let texts = prop::collection::vec("[abcAB1 <>_.é-]{0,8}".prop_map(|text| text + "\n"), 12);
    let cases: Vec<(String, Vec<String>)> = (0..CASES)
        .map(|_| {
            (patterns(), texts.clone())
                .new_tree(&mut runner)
                .unwrap()
                .current()
        })
        .collect();

    let mut wrong = Vec::new();
    let (mut good, mut bad) = (0, 0);
    for ((pattern, texts), theirs) in cases.iter().zip(theirs(&cases)) {
        match (ours(pattern, texts), theirs) {
            (Err(_), Err(_)) => bad += 1,
            (Ok(ours), Ok(theirs)) => {
                good += 1;
                for ((text, ours), theirs) in texts.iter().zip(ours).zip(theirs) {
                    if ours != theirs {
                        wrong.push(format!(
                            "{pattern}   {text:?}\n ours {ours:?}\n  re  {theirs:?}"
                        ));
                        break;
                    }
                }
            }
            // Python lets a condition ask for its own group or a later one, and a back-reference stand
            // in a look-behind.
            (Err(ours), Ok(_)) if ours.contains("group") || ours.contains("back-reference") => {
                bad += 1
            }
            (ours, theirs) => wrong.push(format!(
                "{pattern}\n ours {:?}\n  re  {:?}",
                ours.err(),
                theirs.err()
            )),
        }
    }
    assert!(
        good > CASES / 3 && bad > CASES / 10,
        "{good} good, {bad} bad"
    );
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(25)].join("\n")
    );
}

const CASES: usize = 4000;
