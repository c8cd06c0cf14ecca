//! A failure: one wrong attempt, as a filter saw it.

use std::fmt;

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
