//! The text of one option to a typed value.
//!
//! Comes in: text, expanded. Goes out: a value that `engine::settings` accepts, or why not. Pure.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::config::span;
use crate::engine::address::Offender;
use crate::engine::settings::{MatchGroup, Matches, Ports, Protocol};
use crate::engine::time::{BanTime, Span};

/// `true` for 1, on, true and yes, `false` for 0, off, false and no.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "on" | "true" | "yes" => Some(true),
        "0" | "off" | "false" | "no" | "" => Some(false),
        _ => None,
    }
}

/// A whole number within bounds.
pub(crate) fn number(text: &str, low: u32, high: u32) -> Result<u32, String> {
    match text.trim().parse::<i64>() {
        Err(_) => Err(format!("'{}' is no whole number", text.trim())),
        Ok(number) => u32::try_from(number)
            .ok()
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("{number} is out of range: {low} to {high}")),
    }
}

/// A time that is longer than nothing.
pub(crate) fn time(text: &str) -> Result<Span, String> {
    match ban_time(text)? {
        BanTime::For(span) => Ok(span),
        BanTime::Forever => Err("a time cannot be negative here".to_owned()),
    }
}

/// The length of a ban: a negative one is for ever.
pub(crate) fn ban_time(text: &str) -> Result<BanTime, String> {
    let wrong = |reason| format!("'{}' is no time: {reason}", text.trim());
    let seconds = span::seconds(text).map_err(wrong)?;
    if seconds < 0.0 {
        return Ok(BanTime::Forever);
    }
    let micros =
        std::time::Duration::try_from_secs_f64(seconds.min(TIME_MAX)).map(|d| d.as_micros());
    let micros = micros.ok().and_then(|micros| u64::try_from(micros).ok());
    match micros {
        Some(micros @ 1_000_000..) => Ok(BanTime::For(Span::from_usec(micros))),
        _ => Err(format!("'{}' is shorter than a second", text.trim())),
    }
}

/// A hundred years of seconds; more is as good as that.
const TIME_MAX: f64 = 3_155_760_000.0;

/// One word of `ignoreip`.
pub(crate) enum Ignored {
    /// An address or a prefix.
    Address(Offender),
    /// A host name, or a file of addresses.
    Name,
    /// Neither.
    Wrong,
}

/// Reads one word of `ignoreip`: an address, a prefix, or an IPv4 address with a netmask.
pub(crate) fn ignored(word: &str) -> Ignored {
    if let Ok(address) = word.parse() {
        return Ignored::Address(address);
    }
    if let Some((address, mask)) = word.split_once('/') {
        let net = address
            .parse::<Ipv4Addr>()
            .ok()
            .zip(mask.parse::<Ipv4Addr>().ok());
        let net = net.and_then(|(address, mask)| Ipv4Net::with_netmask(address, mask).ok());
        if let Some(net) = net {
            return Ignored::Address(Offender::prefix(IpNet::V4(net)));
        }
    }
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = word.chars().all(label) && word.chars().any(|c| c.is_ascii_alphabetic());
    match name || word.starts_with("file:") {
        true => Ignored::Name,
        false => Ignored::Wrong,
    }
}

/// `tcp`, `udp` or `all`.
pub(crate) fn protocol(text: &str) -> Result<Protocol, String> {
    match text.trim().to_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "all" | "tcp,udp" | "tcp, udp" => Ok(Protocol::All),
        other => Err(format!("'{other}' is no protocol: use tcp, udp or all")),
    }
}

/// `ssh`, `80,443`, `6000:6010`, `all`; names as in `services`, the text of /etc/services.
pub(crate) fn ports(text: &str, services: &str) -> Result<Ports, String> {
    let mut ranges = Vec::new();
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    for word in words.filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("all") || matches!(word, "0:65535" | "1:65535") {
            return Ok(Ports::All);
        }
        ranges.push(port_range(word, services)?);
    }
    if ranges.is_empty() {
        return Err("no port is given: use all for every port".to_owned());
    }
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    Ok(match joined.as_slice() {
        [(1, u16::MAX)] => Ports::All,
        _ => Ports::Ranges(joined),
    })
}

fn port_range(word: &str, services: &str) -> Result<(u16, u16), String> {
    if let Some(port) = port(word, services) {
        return Ok((port, port));
    }
    let halves = word.split_once([':', '-']);
    let range =
        halves.and_then(|(first, last)| Some((port(first, services)?, port(last, services)?)));
    match range {
        Some((first, last)) if first <= last => Ok((first, last)),
        Some(_) => Err(format!("the range '{word}' runs backwards")),
        None => Err(format!(
            "'{word}' is no port: use 1 to 65535, a name of /etc/services, a range or all"
        )),
    }
}

fn port(word: &str, services: &str) -> Option<u16> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return word.parse().ok().filter(|port| *port > 0);
    }
    let listed = services.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (name, port) = (words.next()?, words.next()?);
        let known = name == word || words.any(|alias| alias == word);
        known.then(|| port.split('/').next()?.parse().ok())?
    });
    let common = || {
        COMMON
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, port)| *port)
    };
    listed.or_else(common)
}

/// For hosts without /etc/services.
const COMMON: [(&str, u16); 19] = [
    ("ftp", 21),
    ("ftp-data", 20),
    ("ftps", 990),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("https", 443),
    ("pop3", 110),
    ("pop3s", 995),
    ("imap", 143),
    ("imap2", 143),
    ("imaps", 993),
    ("smtps", 465),
    ("submissions", 465),
    ("submission", 587),
    ("sieve", 4190),
    ("ldap", 389),
];

/// `FIELD=value FIELD=value + …`; every line and every `+` begins another group.
pub(crate) fn matches(text: &str) -> Result<Matches, String> {
    let mut groups: Vec<MatchGroup> = Vec::new();
    for line in text.lines() {
        let mut group = MatchGroup::new();
        for word in words(line)? {
            if word == "+" {
                groups.push(std::mem::take(&mut group));
                continue;
            }
            let term = word.split_once('=').filter(|(field, _)| is_field(field));
            let (field, value) = term.ok_or_else(|| format!("'{word}' is not FIELD=value"))?;
            let values = group.entry(field.to_owned()).or_default();
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        groups.push(group);
    }
    groups.retain(|group| !group.is_empty());
    Ok(Matches(groups))
}

/// The words of a line, quoted as in a shell.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is never closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// As journald has them: upper case, digits and `_`, at most 64 characters.
fn is_field(name: &str) -> bool {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_names_numbers_and_ranges() {
        let services = "ssh 2222/tcp  # moved\nweb 80/tcp http www\n";
        for (text, expected) in [
            ("ssh", "2222"),
            ("www,443", "80,443"),
            ("6000:6010 6005-6020", "6000-6020"),
            ("ftp-data, 22,21", "20-22"),
            ("all", "all"),
            ("0:65535", "all"),
            ("1-65535", "all"),
        ] {
            assert_eq!(
                ports(text, services).map(|p| p.to_string()).as_deref(),
                Ok(expected)
            );
        }
        for text in ["", "0", "65536", "nosuch", "20-10", "1:", "-1"] {
            assert!(ports(text, services).is_err(), "{text}");
        }
    }

    #[test]
    fn journal_matches_are_words_groups_and_lines() {
        for (text, expected) in [
            ("A=1 A=2 B=x", Ok("A=1 A=2 B=x")),
            (
                "A=1 + B=2\nC='a b' D=\"c\\\"d\"",
                Ok("A=1 + B=2 + C=a b D=c\"d"),
            ),
            ("", Ok("")),
            ("+ A=1 +", Ok("A=1")),
            ("a=1", Err("'a=1' is not FIELD=value")),
            ("A", Err("'A' is not FIELD=value")),
            ("A='1", Err("a quote is never closed")),
        ] {
            let found = matches(text).map(|matches| matches.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn times_and_numbers_have_bounds() {
        assert_eq!(ban_time("-1"), Ok(BanTime::Forever));
        assert_eq!(
            ban_time("1000y * 1000"),
            Ok(BanTime::For(Span::from_secs(3_155_760_000)))
        );
        assert!(ban_time("0").is_err());
        assert!(time("-1").is_err());
        assert_eq!(number("3", 1, 5), Ok(3));
        for text in ["0", "6", "-3", "99999999999", "three"] {
            assert!(number(text, 1, 5).is_err(), "{text}");
        }
    }
}
