//! A journal read once, from its first entry to its last.
//!
//! Comes in: which journal and which entries. Goes out: a record of each, as the daemon's reader would
//! make it. It remembers nothing and waits for nothing.

use crate::engine::filter::Filter;
use crate::engine::record::Record;
use crate::engine::settings::{self, JailName, MatchGroup, Matches};
use crate::engine::time::Timestamp;
use crate::journal::live::LiveJournal;
use crate::journal::matches::Selector;
use crate::journal::{JournalError, LogSource, Start};
use crate::reader::task::Task;
use crate::sys::waker::Waker;

/// Hands `visit` the entries that `matches` selects, or all where it selects nothing, in the form that
/// `filter` wants.
///
/// # Errors
/// The journal cannot be read, or `visit` wants no more.
pub fn each<E: From<JournalError>>(
    journal: &settings::Journal,
    matches: &Matches,
    filter: &Filter,
    mut visit: impl FnMut(&Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(name) = JailName::new("once") else {
        return Ok(());
    };
    let mut task = Task::new(name, filter.clone());
    task.trusts_senders = true;
    task.matches = match matches.0.is_empty() {
        true => everything(),
        false => matches.clone(),
    };
    let mut selector = Selector::new([&task]);
    let waker = Waker::new().map_err(JournalError::Open)?;
    let mut source = LiveJournal::new(journal.clone(), waker);
    source.open(&Start::Since(Timestamp::default()), selector.terms())?;
    while let Some(time) = source.next(&mut selector)? {
        let (record, jails) = selector.record(time);
        if !jails.is_empty() {
            visit(&record)?;
        }
    }
    Ok(())
}

/// Every entry came in one of these ways.
fn everything() -> Matches {
    let ways = ["audit", "driver", "journal", "kernel", "stdout", "syslog"];
    let ways = ways.map(str::to_owned).to_vec();
    Matches(vec![MatchGroup::from([("_TRANSPORT".to_owned(), ways)])])
}
