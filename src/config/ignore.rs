//! `ignoreip` and `ignorecache`: whom a jail leaves alone.
//!
//! Comes in: text. Goes out: addresses, names, files. Pure: nothing is looked up and no file is read.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};

use crate::config::diagnostic::Place;
use crate::config::reading::Reading;
use crate::config::value;
use crate::engine::address::Offender;
use crate::engine::settings::IgnoreCache;
use crate::engine::time::Span;

/// Whom a jail leaves alone.
#[derive(Debug, Default)]
pub(crate) struct Spared {
    /// Addresses and prefixes.
    pub(crate) addresses: Vec<Offender>,
    /// Names.
    pub(crate) names: Vec<String>,
    /// Files that list more of both.
    pub(crate) files: Vec<PathBuf>,
}

/// Reads `ignoreip`.
pub(crate) fn read(reading: &mut Reading) -> Spared {
    let mut spared = Spared::default();
    for (line, _) in reading.lines("ignoreip") {
        for word in words(&line) {
            match ignored(word) {
                Ignored::Address(address) => spared.addresses.push(address),
                Ignored::Name(name) => spared.names.push(name),
                Ignored::File(path) if path.is_absolute() => spared.files.push(path),
                Ignored::File(_) => {
                    let place = place_of(reading, word);
                    reading.error(
                        &place,
                        format!("'{word}' is no absolute path"),
                        "write file:/path",
                    );
                }
                Ignored::Slip => {
                    let place = place_of(reading, word);
                    reading.warn(
                        &place,
                        format!("'{word}' is no address and no network"),
                        "ignored, so what was meant can be banned: write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
                    );
                }
            }
        }
    }
    spared
}

/// Where `word` of `ignoreip` stands.
fn place_of(reading: &Reading, word: &str) -> Place {
    let value = reading.value("ignoreip");
    value.map_or_else(|| reading.place.clone(), |value| value.entry.place_of(word))
}

/// One word of `ignoreip`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// An address or a prefix.
    Address(Offender),
    /// A host name, or what else identifies somebody.
    Name(String),
    /// A file with more of them.
    File(PathBuf),
    /// It was meant for an address, and is none.
    Slip,
}

/// The words of `ignoreip`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
}

/// Reads one word of `ignoreip`.
pub(crate) fn ignored(word: &str) -> Ignored {
    if let Ok(address) = word.parse() {
        return Ignored::Address(address);
    }
    if let Some(net) = masked(word) {
        return Ignored::Address(Offender::prefix(net));
    }
    if let Some(path) = word.strip_prefix("file:") {
        // 'file:///etc/x' is the same as 'file:/etc/x'.
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ignored::File(PathBuf::from(path));
    }
    let head = word.split('/').next().unwrap_or(word);
    let v4 = head.contains('.') && head.chars().all(|c| c.is_ascii_digit() || c == '.');
    let v6 = head.contains("::") || head.matches(':').count() > 2;
    match v4 || v6 || (head.len() < word.len() && head.parse::<Offender>().is_ok()) {
        true => Ignored::Slip,
        false => Ignored::Name(word.to_owned()),
    }
}

/// An IPv4 network with a mask: `192.0.2.0/255.255.255.0`.
fn masked(word: &str) -> Option<IpNet> {
    let (address, mask) = word.split_once('/')?;
    let (address, mask): (Ipv4Addr, Ipv4Addr) = (address.parse().ok()?, mask.parse().ok()?);
    Ipv4Net::with_netmask(address, mask).ok().map(IpNet::V4)
}

/// Reads `ignorecache`: `key="…", max-count=100, max-time=5m`; `None` if nothing is to be remembered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn cache(text: &str) -> Result<Option<IgnoreCache>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut given = BTreeMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let wrong = || format!("'{rest}' makes no sense there: write {SHAPE}");
        let (name, value) = rest.split_once('=').ok_or_else(wrong)?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        given.insert(name.trim(), value.trim());
        rest = match after.trim_start() {
            "" => "",
            after => after.strip_prefix(',').ok_or_else(wrong)?.trim_start(),
        };
    }
    let key = given.remove("key").filter(|key| !key.is_empty());
    let max_count = given
        .remove("max-count")
        .map(|text| value::number(text, 1, COUNT_MAX));
    let max_time = given.remove("max-time").map(value::time);
    if let Some(strange) = given.keys().next() {
        return Err(format!(
            "there is no '{strange}': use key, max-count and max-time"
        ));
    }
    Ok(Some(IgnoreCache {
        key: key.ok_or("no key is given: write key=\"<ip>\"")?.to_owned(),
        max_count: max_count.transpose()?.unwrap_or(100),
        max_time: max_time.transpose()?.unwrap_or(Span::from_secs(300)),
    }))
}

/// What it looks like.
const SHAPE: &str = "key=\"<ip>\", max-count=100, max-time=5m";

/// More answers are not remembered.
const COUNT_MAX: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_comes_in_every_form() {
        let address = |text: &str| Ignored::Address(text.parse().unwrap());
        let name = |text: &str| Ignored::Name(text.to_owned());
        for (word, expected) in [
            ("192.0.2.1", address("192.0.2.1")),
            ("::ffff:192.0.2.1", address("192.0.2.1")),
            ("192.0.2.77/24", address("192.0.2.0/24")),
            ("192.0.2.0/255.255.255.128", address("192.0.2.0/25")),
            ("2001:db8::/32", address("2001:db8::/32")),
            ("office.example", name("office.example")),
            ("localhost", name("localhost")),
            ("session-42", name("session-42")),
            ("user@example", name("user@example")),
            ("file:/etc/friends", Ignored::File("/etc/friends".into())),
            ("file:///etc/friends", Ignored::File("/etc/friends".into())),
            ("192.0.2.300", Ignored::Slip),
            ("192.0.2.1/33", Ignored::Slip),
            ("2001:db8::/200", Ignored::Slip),
            ("192.0.2.0/255.0.255.0", Ignored::Slip),
        ] {
            assert_eq!(ignored(word), expected, "{word}");
        }
        let all: Vec<&str> = words(" a, b\n c,,d ").collect();
        assert_eq!(all, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_cache_has_a_key_a_size_and_an_age() {
        let cached = |text: &str| {
            let cache = cache(text)?;
            Ok(cache.map(|c| format!("{} {} {}", c.key, c.max_count, c.max_time)))
        };
        for (text, expected) in [
            ("", Ok(None)),
            (
                "key=\"<ip>\", max-count=100, max-time=5m",
                Ok(Some("<ip> 100 5min")),
            ),
            ("key=<F-USER>,max-time=1h", Ok(Some("<F-USER> 100 1h"))),
            ("max-count=5", Err("no key is given: write key=\"<ip>\"")),
            (
                "key=x, size=5",
                Err("there is no 'size': use key, max-count and max-time"),
            ),
            ("key=x, max-count=0", Err("0 is out of range: 1 to 100000")),
            (
                "yes",
                Err("'yes' makes no sense there: write key=\"<ip>\", max-count=100, max-time=5m"),
            ),
        ] {
            let found: Result<Option<String>, String> = cached(text);
            let found = found.as_ref().map(Option::as_deref).map_err(String::as_str);
            assert_eq!(found, expected, "{text}");
        }
    }
}
