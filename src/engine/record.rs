//! What a log source hands over: one entry, its place in the log, and how far reading has come.

use crate::engine::time::Timestamp;

/// One log entry, as much of it as filters look at. The bytes are the sender's, untrusted, and may
/// hold anything; sources cut them at [`MESSAGE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When journald received it.
    pub time: Timestamp,
    /// The process that wrote it: one per connection for services that fork.
    pub pid: Option<u32>,
    /// The text.
    pub message: &'a [u8],
}

/// Longer messages are cut here before any pattern sees them.
pub const MESSAGE_MAX: usize = 16 * 1024;

/// A place in the journal, opaque: only equality and libsystemd give it meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub Box<str>);

/// How far the log has been read: everything up to and including this entry has been handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The entry.
    pub cursor: Cursor,
    /// When journald received it.
    pub time: Timestamp,
}
