//! `port` and `protocol`: which traffic an offender loses.
//!
//! Comes in: text, and the names of /etc/services. Goes out: ranges and a protocol, or why not. Pure.

use crate::engine::settings::{Ports, Protocol};

/// Reads `protocol`: `tcp`, `udp`, `all`, several of them, or another protocol by name or number.
pub(crate) fn protocol(text: &str) -> Result<Transport, String> {
    let text = text.trim().to_lowercase();
    let mut found: Option<Protocol> = None;
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    for word in words.filter(|word| !word.is_empty()) {
        let protocol = match word {
            "tcp" | "6" => Protocol::Tcp,
            "udp" | "17" => Protocol::Udp,
            "all" | "0" => Protocol::All,
            other if OTHERS.contains(&other) || other.parse::<u8>().is_ok() => {
                return Ok(Transport::Other);
            }
            other => return Err(format!("'{other}' is no protocol: use tcp, udp or all")),
        };
        found = Some(match found {
            Some(before) if before != protocol => Protocol::All,
            _ => protocol,
        });
    }
    let found = found.ok_or("no protocol is given: use tcp, udp or all")?;
    Ok(Transport::Known(found))
}

/// What `protocol` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// What a jail can drop.
    Known(Protocol),
    /// A protocol that it cannot drop alone, but with all others.
    Other,
}

/// Protocols beside TCP and UDP, as firewalls call them.
const OTHERS: [&str; 13] = [
    "ah",
    "dccp",
    "esp",
    "gre",
    "icmp",
    "icmp6",
    "icmpv6",
    "ip",
    "ipv6-icmp",
    "mh",
    "sctp",
    "udplite",
    "igmp",
];

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
    Ok(joined(ranges))
}

/// The ports of either.
pub(crate) fn both(one: Ports, two: Ports) -> Ports {
    match (one, two) {
        (Ports::Ranges(one), Ports::Ranges(two)) => joined(one.into_iter().chain(two).collect()),
        _ => Ports::All,
    }
}

/// Sorted and disjoint, as settings want them.
fn joined(mut ranges: Vec<(u16, u16)>) -> Ports {
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    match joined.as_slice() {
        [(1, u16::MAX)] => Ports::All,
        _ => Ports::Ranges(joined),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_one_both_or_another() {
        for (text, expected) in [
            ("tcp", Ok(Transport::Known(Protocol::Tcp))),
            (" UDP ", Ok(Transport::Known(Protocol::Udp))),
            ("tcp,tcp", Ok(Transport::Known(Protocol::Tcp))),
            ("tcp, udp", Ok(Transport::Known(Protocol::All))),
            ("all", Ok(Transport::Known(Protocol::All))),
            ("icmp", Ok(Transport::Other)),
            ("132", Ok(Transport::Other)),
            ("tpc", Err("'tpc' is no protocol: use tcp, udp or all")),
            ("", Err("no protocol is given: use tcp, udp or all")),
        ] {
            assert_eq!(
                protocol(text).as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
    }

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
}
