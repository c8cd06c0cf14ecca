//! Every shipped filter against sample records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use banishd::config::files::Layout;
use banishd::config::load;
use banishd::engine::filter::failure::Who;
use banishd::engine::filter::{Filter, FilterSpec, Found, Look, Memory};
use banishd::engine::record::{MESSAGE_MAX, Record};
use banishd::engine::settings::{Global, IgnoreCache, JailName, JailSettings, Settings};
use banishd::engine::time::{Span, Timestamp};
use banishd::reader::task::Task;
use proptest::{prop_assert, proptest};

use crate::support::sim::jail_settings;

/// What lines of one connection make of one another.
#[path = "filters/connections.rs"]
mod connections;
/// What holds for any filter and any log.
#[path = "filters/law.rs"]
mod law;
/// The way of one line through a filter.
#[path = "filters/line.rs"]
mod line;
/// Patterns over several lines.
#[path = "filters/several_lines.rs"]
mod several_lines;
/// Connections of the real sshd filter.
#[path = "filters/stock.rs"]
mod stock;
/// When a failure happened.
#[path = "filters/times.rs"]
mod times;

fn filter(fail: &[&str], ignore: &[&str]) -> Filter {
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Filter::compile(FilterSpec {
        name: "test".to_owned(),
        fail: own(fail),
        ignore: own(ignore),
        ..FilterSpec::default()
    })
    .expect("the patterns are good")
}

fn find(filter: &Filter, message: &[u8]) -> Option<Found> {
    let record = Record {
        message,
        ..Record::default()
    };
    filter.find(&mut Memory::default(), &record, &Look::default())
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
        let found = find(&filter, message.as_bytes()).map(|found| found.who.to_string());
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
        // As fail2ban: a length that no prefix can have counts for nothing.
        ("d 192.0.2.1/77", Some((2, false, "192.0.2.1"))),
        ("a b 192.0.2.1 ignore", None),
        ("b", None),
    ] {
        let found = find(&filter, message.as_bytes());
        let expected = expected.map(|(rule, advance, address): (_, _, &str)| Found {
            who: Who::Address(address.parse().unwrap()),
            time: Timestamp::default(),
            advance,
            rule,
            lines: Vec::new(),
            fields: BTreeMap::new(),
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
            "<ADDR> (?<=x*)",
            "<ADDR>(",
            "<ADDR><ADDR>",
        ]
        .map(str::to_owned)
        .to_vec(),
        ignore: vec!["[".to_owned(), "(?:(?:.a){1000}){1000}".to_owned()],
        ..FilterSpec::default()
    };

    let errors = Filter::compile(spec).unwrap_err();

    let text: Vec<String> = errors
        .iter()
        .map(|e| format!("{:?} {} at {}: {e}", e.part, e.index, e.at))
        .collect();
    assert_eq!(
        text.join("\n"),
        "\
Fail 0 at 0: the pattern does not say where the address is: put <ADDR> there
Fail 2 at 7: what is looked for behind must always have the same length: no *, +, ? or back-reference, and branches of one length
Fail 3 at 6: this '(' is never closed: '\\(' stands for one
Fail 4 at 6: the group 'ip4' stands there already (tags are groups too): write two patterns
Ignore 0 at 0: this '[' is never closed by a ']'
Ignore 1 at 0: the pattern is too large: use smaller repeat counts, or split it"
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
    assert_eq!(found.who.to_string(), "192.0.2.1");
}

/// The jails as shipped, read from the checkout.
fn shipped() -> Settings {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (settings, problems) = load(&Layout {
        admin: root.join("tests/data/none"),
        vendor: root.join("config"),
        services: root.join("tests/data/none"),
        ..Layout::default()
    });
    assert_eq!(problems, []);
    settings
}

/// A scene of `tests/data/filters`: how many wrong passwords, and what was logged.
struct Scene<'a> {
    title: &'a str,
    attempts: usize,
    lines: Vec<(u32, &'a str, &'a str)>,
}

fn scenes(text: &str) -> Vec<Scene<'_>> {
    let mut scenes: Vec<Scene<'_>> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut words = line.splitn(3, ' ');
        let [first, second, rest] = [(); 3].map(|()| words.next().expect("three columns"));
        match first {
            "=" => scenes.push(Scene {
                title: rest,
                attempts: second.parse().expect("a number of attempts"),
                lines: Vec::new(),
            }),
            pid => {
                let pid = pid.parse().expect("a process");
                let scene = scenes.last_mut().expect("a scene");
                scene.lines.push((pid, second, rest));
            }
        }
    }
    scenes
}

/// Every recorded message has its verdict, and every wrong password is one failure however many
/// messages tell of it.
#[test]
fn one_wrong_password_is_one_failure_to_the_sshd_filter() {
    let settings = shipped();
    let filter = &settings
        .jails
        .values()
        .next()
        .expect("the jail sshd")
        .filter;
    for text in [
        include_str!("data/filters/sshd-9.2"),
        include_str!("data/filters/sshd-10.0"),
    ] {
        for scene in scenes(text) {
            let mut advance = BTreeSet::new();
            let mut failures = 0;
            for (pid, verdict, message) in scene.lines {
                let found = find(filter, message.as_bytes());
                let shown = found.as_ref().map_or("-".to_owned(), |found| {
                    let mark = if found.advance { "+" } else { "" };
                    format!("{}{mark}", found.who)
                });
                assert_eq!(shown, verdict, "{}: {message}", scene.title);
                if let Some(found) = found {
                    let same = !found.advance && advance.remove(&(pid, found.who.clone()));
                    failures += usize::from(!same);
                    if found.advance {
                        advance.insert((pid, found.who.clone()));
                    }
                }
            }
            assert_eq!(failures, scene.attempts, "{}", scene.title);
        }
    }
}

#[test]
fn the_sshd_jail_reads_what_root_logs_as_sshd_and_nothing_else() {
    let settings = shipped();

    let jail = settings.jails.values().next().expect("the jail sshd");

    assert_eq!(settings.jails.len(), 1);
    assert_eq!(settings.failed.len(), 0);
    assert!(!settings.incomplete);
    assert_eq!(
        jail.matches.to_string(),
        "_SYSTEMD_UNIT=ssh.service _UID=0 + _SYSTEMD_UNIT=sshd.service _UID=0 \
         + _SYSTEMD_SLICE=system-ssh.slice _UID=0 + _SYSTEMD_SLICE=system-sshd.slice _UID=0"
    );
    assert_eq!(jail.rules.ports.to_string(), "22");
    assert_eq!(jail.max_retry, 3);
    assert_eq!(jail.find_time.to_string(), "10min");
    assert_eq!(jail.ban_time.to_string(), "10min");
    assert!(jail.ignore_self);
    assert_eq!(settings.global, Global::default());
}

proptest! {
    /// Whatever user name an attacker chooses, the address is that of the connection.
    #[test]
    fn no_user_name_steers_the_address(user in "[ -~]{0,60}| from 198\\.51\\.100\\.[0-9] port [0-9]{1,5}( ssh2)?") {
        static FILTER: OnceLock<Filter> = OnceLock::new();
        let filter = FILTER.get_or_init(|| {
            let jails = shipped().jails;
            jails.values().next().expect("the jail sshd").filter.clone()
        });
        for message in [
            format!("Invalid user {user} from 192.0.2.7 port 4000"),
            format!("Failed password for {user} from 192.0.2.7 port 4000 ssh2"),
            format!("Failed password for invalid user {user} from 2001:db8::7 port 4000 ssh2"),
            format!("error: PAM: Authentication failure for illegal user {user} from 192.0.2.7"),
        ] {
            let found = find(filter, message.as_bytes()).expect("a failure").who.to_string();
            prop_assert!(["192.0.2.7", "2001:db8::7"].contains(&found.as_str()), "{message}: {found}");
        }
    }
}

#[test]
fn a_failure_carries_what_the_commands_of_its_jail_want_to_know_and_no_more() {
    let spec = FilterSpec {
        fail: vec![
            "^<F-USER>\\S*</F-USER> from <HOST> port <F-PORT>\\d+</F-PORT>( as <F-NOTE>.*</F-NOTE>)?$"
                .to_owned(),
        ],
        ..FilterSpec::default()
    };
    let mut settings = jail_settings();
    settings.filter = Filter::compile(spec).unwrap();
    settings.ignore_cache = Some(IgnoreCache {
        key: "<F-NOTE>".to_owned(),
        max_count: 1,
        max_time: Span::from_secs(1),
    });
    let captures = |settings: &JailSettings, message: &str| {
        let task = Task::of(&JailName::new("door").unwrap(), settings);
        let record = Record {
            message: message.as_bytes(),
            ..Record::default()
        };
        let failure = task.judge(&mut Memory::default(), &record, Look::default());
        let captures = failure.unwrap().captures;
        let captures = captures
            .iter()
            .map(|(group, text)| format!("{group}={text}"));
        captures.collect::<Vec<String>>()
    };
    let message = "root from 192.0.2.1 port 77 as \u{7}$(x)";
    assert!(captures(&settings, message).is_empty(), "nobody asks");

    settings.ignore_command = Some("ask <F-USER> <ip> <F-NONE>".to_owned());

    assert_eq!(
        captures(&settings, message),
        ["note=\u{7}$(x)", "user=root"]
    );
    assert_eq!(captures(&settings, " from 192.0.2.1 port 77"), [""; 0]);
    let long = format!("{} from 192.0.2.1 port 77", "é".repeat(200));
    assert_eq!(
        captures(&settings, &long),
        [format!("user={}", "é".repeat(128))]
    );
}
