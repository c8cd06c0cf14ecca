//! What daemon and programs say to each other, and what a command is made of.

use banishd::action::script::Script;
use banishd::engine::facts::{Facts, Tally};
use banishd::engine::filter::failure::Captures;
use banishd::engine::settings::JailName;
use banishd::engine::time::{BanTime, Timestamp};
use banishd::helper::protocol::{Envelope, LINES_MAX, Reply, Request, is_name, latest};

/// What is understood is understood again when it is said again.
pub(crate) fn protocol(bytes: &[u8]) {
    if let Ok(request) = Envelope::<Request>::parse(bytes) {
        if let Request::Addresses { name } = &request.content {
            assert!(!is_name(name) || name.parse::<std::net::IpAddr>().is_err());
        }
        if let Request::Ignore { lines, .. } = &request.content {
            let kept = latest(lines);
            assert!(kept.iter().map(|line| line.len() + 1).sum::<usize>() <= LINES_MAX);
        }
        assert_eq!(Envelope::parse(&request.line()), Ok(request));
    }
    if let Ok(reply) = Envelope::<Reply>::parse(bytes) {
        assert_eq!(Envelope::parse(&reply.line()), Ok(reply));
    }
}

/// The first line is a command, the rest what an attacker wrote. If that means anything to a shell, the script
/// is the same whatever it is.
pub(crate) fn script(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (command, said) = text.split_once('\n').unwrap_or((&text, ""));
    let expand = |said: &str| {
        let facts = Facts {
            jail: JailName::new("sshd").expect("it is a name"),
            offender: "192.0.2.1".parse().expect("it is an address"),
            time: Timestamp::from_usec(1_795_338_600_000_000),
            failures: 3,
            lines: vec![said.into()],
            captures: Captures::default(),
            tally: Tally {
                ban_time: BanTime::Forever,
                bans: 0,
                bans_total: 0,
                failing: 1,
                failures_total: 3,
            },
        };
        Script::expand(command, &facts)
    };
    let script = expand(said);
    assert!(
        script
            .arguments
            .iter()
            .all(|argument| !argument.contains('\0'))
    );
    if said.chars().any(is_special) {
        // `;` is one that means something.
        assert_eq!(script.text, expand(";").text);
    }
}

fn is_special(c: char) -> bool {
    c.is_control() || "\\#&;`|*?~<>^()[]{}$'\"".contains(c)
}
