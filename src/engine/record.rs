//! What a log source hands over: one entry, the log it is from, its place there, and how far reading
//! has come.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::engine::settings::Journal;
use crate::engine::time::Timestamp;

/// One log entry, as much of it as filters look at. The bytes are the sender's, untrusted, and may
/// hold anything; sources cut them at [`MESSAGE_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was received; of a line of a file, when it was read.
    pub time: Timestamp,
    /// The process that wrote it: one per connection for services that fork.
    pub pid: Option<u32>,
    /// The bare text: `MESSAGE` of a journal entry, the whole line of a file.
    pub message: &'a [u8],
    /// The text as a line of a log file, for the filters that want one ([`Text::Line`]): of a journal
    /// entry `HOST IDENT[PID]: MESSAGE`, without a date; of a file the line, with its date. Empty where
    /// no filter of the source wants lines. No newline at its end, none within.
    ///
    /// [`Text::Line`]: crate::engine::filter::Text::Line
    pub line: &'a [u8],
    /// The line is from a file: the filter finds the date in it, cuts it out and goes by it.
    pub is_dated: bool,
}

/// Longer messages are cut here before any pattern sees them.
pub const MESSAGE_MAX: usize = 16 * 1024;

/// Names a log: `journal` for the system's journal, `journal:namespace=web`, `file:/var/log/auth.log`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName(Arc<str>);

impl LogName {
    /// A log by its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// The system's journal.
    #[must_use]
    pub fn journal() -> Self {
        Self::named("journal")
    }

    /// A journal: `journal`, `journal:path=/srv/journal`, `journal:namespace=web`.
    #[must_use]
    pub fn of_journal(journal: &Journal) -> Self {
        match journal {
            Journal::System => Self::journal(),
            Journal::Directory(path) => Self::named(&format!("journal:path={}", path.display())),
            Journal::Files(paths) => {
                let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
                Self::named(&format!("journal:files={}", paths.join(",")))
            }
            Journal::Namespace(name) => Self::named(&format!("journal:namespace={name}")),
            Journal::Flags(flags) => Self::named(&format!("journal:flags={flags}")),
        }
    }

    /// A file.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        Self::named(&format!("{FILE}{}", path.display()))
    }

    /// The path, where the log is a file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.strip_prefix(FILE).map(Path::new)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the name of a file begins with.
const FILE: &str = "file:";

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in a log, opaque: only equality and its source give it meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub Box<str>);

/// How far a log has been read: everything up to and including this entry has been handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The entry.
    pub cursor: Cursor,
    /// When it was received.
    pub time: Timestamp,
}
