//! A failure: one wrong attempt, as a filter saw it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::address::Offender;
use crate::engine::settings::JailName;
use crate::engine::time::Timestamp;

/// One failed attempt. The time is the record's, never the reader's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The jail whose filter saw it.
    pub jail: JailName,
    /// Who failed.
    pub who: Who,
    /// When.
    pub time: Timestamp,
    /// The process that served the connection, where the source knows it.
    pub pid: Option<u32>,
    /// Whether it was counted in advance: the service announced a lost attempt (an unknown user)
    /// whose own failure may follow on the same connection and then is the same attempt.
    pub advance: bool,
    /// The lines that tell of it, oldest first, as text (what is no UTF-8 replaced); empty where the
    /// jail's `maxmatches` is 0.
    pub lines: Vec<Box<str>>,
    /// What its lines captured of what the jail's commands want to know.
    pub captures: Captures,
}

/// Texts by the names of the groups that captured them, without zero bytes. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Captures(Option<Arc<BTreeMap<Box<str>, Box<str>>>>);

/// So much is kept of a text …
const TEXT_MAX: usize = 256;
/// … and so much of all, the names included; a group beyond it has captured nothing.
const TEXTS_MAX: usize = 4096;

impl Captures {
    /// Keeps these; what is empty is as good as not captured.
    #[must_use]
    pub fn of<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut left = TEXTS_MAX;
        let mut kept = BTreeMap::new();
        for (group, text) in texts {
            let most = text.len().min(TEXT_MAX);
            let text = (0..=most).rev().find_map(|end| text.get(..end));
            let text = text.unwrap_or_default().replace('\0', "");
            let length = group.len() + text.len();
            if !text.is_empty() && length <= left {
                left -= length;
                kept.insert(group.into(), text.into());
            }
        }
        Self((!kept.is_empty()).then(|| Arc::new(kept)))
    }

    /// What `group` captured.
    #[must_use]
    pub fn text(&self, group: &str) -> Option<&str> {
        Some(self.0.as_ref()?.get(group)?)
    }

    /// All of it, by group.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().flat_map(|texts| texts.iter());
        all.map(|(group, text)| (&**group, &**text))
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.iter()
            .map(|(group, text)| group.len() + text.len())
            .sum()
    }
}

/// Who failed, as far as the log says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// An address or a prefix.
    Address(Offender),
    /// A host name, whose addresses somebody must look up.
    Name(Box<str>),
    /// Something else that identifies, such as a session; it can be counted but not blocked.
    Other(Box<str>),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(offender) => offender.fmt(f),
            Self::Name(text) | Self::Other(text) => f.write_str(text),
        }
    }
}
