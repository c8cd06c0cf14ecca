//! One alternative of a jail's matches, as numbers of terms. Comes in: which terms an entry has shown. Goes
//! out: whether the entry is the jail's.

/// One group of one jail.
#[derive(Debug)]
pub(crate) struct Group {
    /// `None`: journald's notices.
    pub(crate) jail: Option<usize>,
    /// For each field, the terms that are alternatives.
    pub(crate) all: Vec<Vec<usize>>,
    /// The term `_UID=0`, where only root is believed.
    pub(crate) root: Option<usize>,
    pub(crate) units: Option<Vec<String>>,
}

impl Group {
    /// Whether an entry that has shown the terms `seen` belongs to the jail.
    pub(crate) fn holds(&self, seen: &[bool]) -> bool {
        let trusted = self.root.is_none_or(|root| any(&[root], seen));
        trusted && self.would_hold(seen)
    }

    /// The same, if root had written it.
    pub(crate) fn would_hold(&self, seen: &[bool]) -> bool {
        self.all.iter().all(|terms| any(terms, seen))
    }
}

/// Whether one of `terms` was seen.
pub(crate) fn any(terms: &[usize], seen: &[bool]) -> bool {
    terms.iter().any(|t| seen.get(*t).copied().unwrap_or(false))
}
