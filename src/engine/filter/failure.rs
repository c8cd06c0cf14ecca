//! A failure: one wrong attempt, as a filter saw it.

use crate::engine::address::Offender;
use crate::engine::settings::JailName;
use crate::engine::time::Timestamp;

/// One failed attempt. The time is the record's, never the reader's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The jail whose filter saw it.
    pub jail: JailName,
    /// Who failed.
    pub offender: Offender,
    /// When.
    pub time: Timestamp,
    /// The process that served the connection, where the source knows it.
    pub pid: Option<u32>,
    /// Whether it was counted in advance: the service announced a lost attempt (an unknown user)
    /// whose own failure may follow on the same connection and then is the same attempt.
    pub advance: bool,
}
