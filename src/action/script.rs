//! A command with its tags filled in.
//!
//! Comes in: the text from the configuration, and facts, some of which an attacker chose. Goes out: a
//! script for `sh -c` and its arguments. A value with any character that means something to a shell
//! goes into an argument, never into the script. Pure, but for the name of an address.

use std::net::IpAddr;

use crate::engine::facts::{Facts, next_tag};
use crate::sys::names;

/// A script and what it is run with: `$0`, `$1` and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// For `sh -c`.
    pub text: String,
    /// The arguments behind it.
    pub arguments: Vec<String>,
}

impl Script {
    /// Fills in the tags of `command`. A tag that is unknown stays as it is.
    #[must_use]
    pub fn expand(command: &str, facts: &Facts) -> Self {
        let mut script = Self::default();
        let mut names: Vec<String> = Vec::new();
        let mut rest = command;
        while let Some((before, tag, after)) = next_tag(rest) {
            script.text.push_str(before);
            match value(facts, tag) {
                None => {
                    script.text.push('<');
                    rest = rest.get(before.len() + 1..).unwrap_or_default();
                    continue;
                }
                Some(value) if is_harmless(&value) => script.text.push_str(&value),
                Some(value) => {
                    let name = variable(tag);
                    // In braces, or letters behind the tag would make it another name.
                    script.text.push_str(&format!("${{{name}}}"));
                    if !names.contains(&name) {
                        names.push(name);
                        // No argument can hold a zero byte.
                        script.arguments.push(value.replace('\0', ""));
                    }
                }
            }
            rest = after;
        }
        script.text.push_str(rest);
        if !names.is_empty() {
            let set = |(index, name): (usize, &String)| format!("{name}=${{{index}}}");
            let all: Vec<String> = names.iter().enumerate().map(set).collect();
            script.text = format!("{}\n{}", all.join(" "), script.text);
        }
        script
    }
}

/// The value of a tag; `None` where there is none of that name.
fn value(facts: &Facts, tag: &str) -> Option<String> {
    Some(match tag {
        "ip-host" => host(facts.offender.address()),
        "sh-hostname" => own_name().split('.').next().unwrap_or_default().to_owned(),
        "fq-hostname" => own_name(),
        tag => return facts.value(tag),
    })
}

/// Whether a value can stand in a script as it is. Control characters and what a shell treats specially
/// cannot; blanks can, as in fail2ban.
fn is_harmless(value: &str) -> bool {
    const SPECIAL: &str = "\\#&;`|*?~<>^()[]{}$'\"";
    !value.chars().any(|c| SPECIAL.contains(c) || c.is_control())
}

/// The shell's variable for a tag: `f2bV_F_user` for `F-USER`.
fn variable(tag: &str) -> String {
    let tag = match tag.strip_prefix("F-") {
        Some(captured) => format!("F_{}", captured.to_lowercase()),
        None => tag.to_owned(),
    };
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("f2bV_{}", tag.chars().map(word).collect::<String>())
}

/// The name of an address, as fail2ban has it where there is none.
fn host(address: IpAddr) -> String {
    let name = names::name(address).ok().flatten();
    name.unwrap_or_else(|| "None".to_owned())
}

fn own_name() -> String {
    names::host().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::facts::Tally;
    use crate::engine::filter::failure::Captures;
    use crate::engine::settings::JailName;
    use crate::engine::time::{BanTime, Span, Timestamp};

    fn facts(address: &str, lines: &[&str]) -> Facts {
        Facts {
            jail: JailName::new("sshd").unwrap(),
            offender: address.parse().unwrap(),
            time: Timestamp::from_usec(1_700_000_000_250_000),
            failures: 5,
            lines: lines.iter().map(|line| (*line).into()).collect(),
            captures: Captures::of([("user", "ada"), ("fport", "77"), ("note", "a`b")]),
            tally: Tally {
                ban_time: BanTime::For(Span::from_secs(3600)),
                bans: 1,
                bans_total: 2,
                failing: 3,
                failures_total: 4,
            },
        }
    }

    #[test]
    fn tags_are_filled_in_and_what_is_no_tag_stays() {
        let v4 = facts("192.0.2.1", &["plain line"]);
        for (command, expected) in [
            ("check <ip>", "check 192.0.2.1"),
            ("check <fid> <F-ID> <family>", "check 192.0.2.1  inet4"),
            ("dig <ip-rev>zen.example", "dig 1.2.0.192.zen.example"),
            ("<failures> <time>", "5 1700000000.25"),
            ("<matches> in <jail.name>", "plain line in sshd"),
            ("x<F-USER>y<F-PORT><F-NONE>", "xaday77"),
            ("<F-user> <f-USER>", "<F-user> <f-USER>"),
            (
                "<bantime> <bancount> <restored> <jail.banned>/<jail.banned_total> <jail.found>/<jail.found_total>",
                "3600 0 0 1/2 3/4",
            ),
            ("cat <file >out", "cat <file >out"),
            ("a <unknown> <<ip>>", "a <unknown> <192.0.2.1>"),
            ("[ 1 < 2 ] <", "[ 1 < 2 ] <"),
            ("<>", "<>"),
            ("no tags\nat all", "no tags\nat all"),
        ] {
            let script = Script::expand(command, &v4);
            assert_eq!(script.text, expected);
            assert!(script.arguments.is_empty(), "{command}");
        }
        let v6 = Script::expand("<ip> <ip-rev> <family>", &facts("2001:db8::1", &[]));
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.";
        assert_eq!(v6.text, format!("2001:db8::1 {nibbles} inet6"));
    }

    #[test]
    fn the_hosts_name_is_the_one_that_is_set_and_nobody_is_asked() {
        let script = Script::expand("<fq-hostname>", &facts("192.0.2.1", &[]));

        assert_eq!(script.text, names::host().unwrap());
    }

    #[test]
    fn a_value_that_means_something_to_a_shell_never_enters_the_script() {
        for special in "\\#&;`|*?~<>^()[]{}$'\"\n\r\t\u{7}".chars() {
            let line = format!("a{special}b");
            let script = Script::expand(
                "echo <matches> <ip> <matches>",
                &facts("192.0.2.1", &[&line]),
            );

            assert_eq!(
                script.text, "f2bV_matches=${0}\necho ${f2bV_matches} 192.0.2.1 ${f2bV_matches}",
                "{special:?}"
            );
            assert_eq!(script.arguments, [line]);
        }
        let script = Script::expand("x<F-NOTE>y", &facts("192.0.2.1", &[]));
        assert_eq!(script.text, "f2bV_F_note=${0}\nx${f2bV_F_note}y");
        let line = "$(reboot) <ip> \0";
        let script = Script::expand("<ipmatches>|<br>|<matches>", &facts("192.0.2.1", &[line]));
        assert_eq!(
            script.text,
            "f2bV_ipmatches=${0} f2bV_br=${1} f2bV_matches=${2}\n\
             ${f2bV_ipmatches}|${f2bV_br}|${f2bV_matches}"
        );
        assert_eq!(
            script.arguments,
            ["$(reboot) <ip> ", "\n", "$(reboot) <ip> "]
        );
    }
}
