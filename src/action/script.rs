//! A command with its tags filled in.
//!
//! Comes in: the text from the configuration, and facts, some of which an attacker chose. Goes out: a
//! script for `sh -c` and its arguments. A value with any character that means something to a shell
//! goes into an argument, never into the script. Pure, but for the name of an address.

use std::net::IpAddr;

use crate::engine::address::Offender;
use crate::engine::settings::JailName;
use crate::engine::time::Timestamp;
use crate::sys::names;

/// What is known of an offender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The jail.
    pub jail: JailName,
    /// Who it is about.
    pub offender: Offender,
    /// The time of the last failure.
    pub time: Timestamp,
    /// How many failures.
    pub failures: u32,
    /// The lines that tell of them.
    pub lines: Vec<Box<str>>,
}

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
            match facts.value(tag) {
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

impl Facts {
    /// The value of a tag; `None` where there is none of that name.
    fn value(&self, tag: &str) -> Option<String> {
        let address = self.offender.address();
        Some(match tag {
            "ip" | "fid" | "F-ID" => self.offender.to_string(),
            "family" if address.is_ipv4() => "inet4".to_owned(),
            "family" => "inet6".to_owned(),
            "ip-rev" => reverse(address),
            "ip-host" => host(address),
            "failures" | "ipfailures" | "ipjailfailures" => self.failures.to_string(),
            "time" => seconds(self.time),
            "matches" | "ipmatches" | "ipjailmatches" => self.lines.join("\n"),
            "jail.name" | "name" => self.jail.to_string(),
            "restored" => "0".to_owned(),
            "br" => "\n".to_owned(),
            "sp" => " ".to_owned(),
            "sh-hostname" => own_name().split('.').next().unwrap_or_default().to_owned(),
            "fq-hostname" => own_name(),
            captured if captured.starts_with("F-") => String::new(),
            _ => return None,
        })
    }
}

/// The first `<tag>`: what is before it, the tag, what is behind it.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('<')?;
        let inner = text.get(open + 1..)?;
        let end = inner.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>'))?;
        if end > 0 && inner.get(end..)?.starts_with('>') {
            return Some((text.get(..open)?, inner.get(..end)?, inner.get(end + 1..)?));
        }
        from = open + 1;
    }
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

/// The labels of the reverse zone: `1.2.0.192.`.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(|o| format!("{o}.")).collect(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev();
            nibbles
                .map(|o| format!("{:x}.{:x}.", o & 0xf, o >> 4))
                .collect()
        }
    }
}

/// The name of an address, as fail2ban has it where there is none.
fn host(address: IpAddr) -> String {
    let name = names::name(address).ok().flatten();
    name.unwrap_or_else(|| "None".to_owned())
}

fn own_name() -> String {
    names::host().unwrap_or_default()
}

/// Seconds since 1970, with a point where there are parts of one.
fn seconds(time: Timestamp) -> String {
    let (seconds, part) = (time.usec() / 1_000_000, time.usec() % 1_000_000);
    match part {
        0 => seconds.to_string(),
        part => format!("{seconds}.{part:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(address: &str, lines: &[&str]) -> Facts {
        Facts {
            jail: JailName::new("sshd").unwrap(),
            offender: address.parse().unwrap(),
            time: Timestamp::from_usec(1_700_000_000_250_000),
            failures: 5,
            lines: lines.iter().map(|line| (*line).into()).collect(),
        }
    }

    #[test]
    fn tags_are_filled_in_and_what_is_no_tag_stays() {
        let v4 = facts("192.0.2.1", &["plain line"]);
        for (command, expected) in [
            ("check <ip>", "check 192.0.2.1"),
            (
                "check <fid> <F-ID> <family>",
                "check 192.0.2.1 192.0.2.1 inet4",
            ),
            ("dig <ip-rev>zen.example", "dig 1.2.0.192.zen.example"),
            ("<failures> <time>", "5 1700000000.250000"),
            ("<matches> in <jail.name>", "plain line in sshd"),
            ("x<F-USER>y", "xy"),
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
