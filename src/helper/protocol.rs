//! Requests and replies as lines of JSON.
//!
//! Comes in: values or bytes. Goes out: the other. Pure. A field that is unknown is passed over, a
//! version that is unknown is refused.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version that is spoken here.
pub const VERSION: u32 = 1;

/// Longer requests are not read, newline included.
pub const REQUEST_MAX: usize = 512 * 1024;

/// Longer replies are not read, newline included.
pub const REPLY_MAX: usize = 128 * 1024;

/// The lines of a request to `ignore` are at most so long together; the kernel takes no longer argument.
pub const LINES_MAX: usize = 64 * 1024;

/// So many addresses of a name are told.
pub const ADDRESSES_MAX: usize = 64;

/// So much of what a command printed last is told.
pub const OUTPUT_MAX: usize = 4096;

/// What is wanted, in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// [`VERSION`].
    pub version: u32,
    /// Chosen by whoever asks, and repeated in the reply.
    pub id: u64,
    /// The request or reply.
    #[serde(flatten)]
    pub content: T,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// To `banishd-resolve`: the addresses of a name.
    Addresses {
        /// The name, see [`is_name`].
        name: String,
    },
    /// To `banishd-resolve`: what this host's own name stands for.
    Own,
    /// To `banishd-action`: what the `ignorecommand` of a jail says.
    Ignore {
        /// The jail.
        jail: String,
        /// The offender.
        address: String,
        /// The time of the last failure, microseconds since 1970.
        time_usec: u64,
        /// How many failures.
        failures: u32,
        /// The lines that tell of them, together at most [`LINES_MAX`].
        lines: Vec<Box<str>>,
        /// What they captured: texts by the names of groups of the filter, such as `user`.
        #[serde(default)]
        captures: BTreeMap<Box<str>, Box<str>>,
        /// How the jail stands.
        #[serde(default)]
        tally: Tally,
    },
}

/// How a jail stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How long it bans, microseconds; `null` for ever.
    pub ban_usec: Option<u64>,
    /// Its bans in force.
    pub bans: u32,
    /// All its bans.
    pub bans_total: u64,
    /// How many offenders have failures that count.
    pub failing: u32,
    /// All its failures.
    pub failures_total: u64,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// A name's addresses, at most [`ADDRESSES_MAX`]; none where it has none.
    Addresses {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// A command was run.
    Ran {
        /// Its exit status; none where a signal ended it.
        status: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// It was ended because it took too long.
        timed_out: bool,
        /// How long it took, in microseconds.
        duration_usec: u64,
        /// The end of what it printed, at most [`OUTPUT_MAX`] bytes.
        output: String,
    },
    /// Nothing was done.
    Refused {
        /// Why, a sentence without its full stop.
        why: String,
    },
}

impl<T: Serialize + DeserializeOwned> Envelope<T> {
    /// In the version spoken here.
    #[must_use]
    pub fn new(id: u64, content: T) -> Self {
        Self {
            version: VERSION,
            id,
            content,
        }
    }

    /// As a line.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        // Maps with string keys, numbers and texts always become JSON.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// From a line.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.last() != Some(&b'\n') {
            return Err("the line is cut off or too long".to_owned());
        }
        let parsed: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match parsed.version {
            VERSION => Ok(parsed),
            other => Err(format!("version {other} is not {VERSION}")),
        }
    }
}

/// Whether `text` can be the name of a host: dotted labels of letters, digits, `-` and `_`, of which
/// the last is no number, since resolvers take numbers for addresses in strange spellings.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(good) && !label.starts_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let is_number = match hex {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => last.chars().all(|c| c.is_ascii_digit()),
    };
    text.len() <= 253 && text.split('.').all(label) && !is_number
}

/// The latest of `lines`, together at most [`LINES_MAX`]; one that is longer by itself is cut.
#[must_use]
pub fn latest(lines: &[Box<str>]) -> Vec<Box<str>> {
    let mut left = LINES_MAX;
    let mut kept: Vec<Box<str>> = Vec::new();
    for line in lines.iter().rev() {
        let end = line.len().min(left.saturating_sub(1));
        let cut = (0..=end).rev().find_map(|end| line.get(..end));
        let text = cut.unwrap_or_default();
        left = left.saturating_sub(text.len() + 1);
        if text.is_empty() {
            break;
        }
        kept.push(text.into());
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let lines = vec!["a \"b\"\n\u{1}".into(), "é".into()];
        let requests = [
            Request::Own,
            Request::Addresses {
                name: "host.example".to_owned(),
            },
            Request::Ignore {
                jail: "sshd".to_owned(),
                address: "2001:db8::/64".to_owned(),
                time_usec: u64::MAX,
                failures: 3,
                lines,
                captures: BTreeMap::from([("user".into(), "$(x)\u{7}".into())]),
                tally: Tally {
                    ban_usec: None,
                    bans: 1,
                    bans_total: u64::MAX,
                    failing: 2,
                    failures_total: 3,
                },
            },
        ];
        for request in requests {
            let said = Envelope::new(u64::MAX, request);
            assert_eq!(Envelope::parse(&said.line()), Ok(said));
        }
        let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let said = Envelope::new(7, Reply::Addresses { addresses });
        assert_eq!(
            String::from_utf8(said.line()).unwrap(),
            "{\"version\":1,\"id\":7,\"reply\":\"addresses\",\
             \"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]}\n"
        );
        assert_eq!(Envelope::parse(&said.line()), Ok(said));
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_reason() {
        for (line, why) in [
            ("", "cut off"),
            ("{\"version\":1,\"id\":1,\"verb\":\"own\"}", "cut off"),
            ("\n", "EOF"),
            ("[]\n", "invalid"),
            ("{\"version\":2,\"id\":1,\"verb\":\"own\"}\n", "version 2"),
            (
                "{\"version\":1,\"id\":1,\"verb\":\"halt\"}\n",
                "unknown variant",
            ),
            (
                "{\"version\":1,\"id\":-1,\"verb\":\"own\"}\n",
                "invalid value",
            ),
            (
                "{\"version\":1,\"id\":1,\"verb\":\"addresses\"}\n",
                "missing field",
            ),
        ] {
            let error = Envelope::<Request>::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn a_name_is_one_that_no_resolver_takes_for_something_else() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = "a.".repeat(127);
        for (text, expected) in [
            ("localhost", true),
            ("host-1.example.org", true),
            ("_dmarc.example.", true),
            ("xn--bcher-kva.example", true),
            ("3com.3com", true),
            ("0xample", true),
            ("", false),
            (".", false),
            ("a..b", false),
            ("-x.example", false),
            ("bücher.example", false),
            ("a b", false),
            ("a;b", false),
            ("host%eth0", false),
            ("192.0.2.1", false),
            ("192.0.2.1.", false),
            ("2130706433", false),
            ("127.1", false),
            ("0x7f.0x1", false),
            ("::1", false),
            (&long, false),
            (&longer, true),
            (&format!("{longer}a"), false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }

    #[test]
    fn of_many_lines_the_latest_are_kept() {
        let line: Box<str> = "é".repeat(10_000).into();
        let kept = latest(&vec![line.clone(); 9]);

        assert_eq!(kept.len(), 4);
        assert!(kept[0].len() < line.len() && kept[1..].iter().all(|l| *l == line));
        assert!(kept.iter().map(|l| l.len() + 1).sum::<usize>() <= LINES_MAX);
        assert_eq!(
            latest(&["a".into(), "b".into()]),
            ["a".into(), "b".into()] as [Box<str>; 2]
        );
    }
}
