//! What can be said of a jail's matches without seeing an entry: what libsystemd shall select by.
//!
//! Comes in: groups of matches. Goes out: [`Terms`]. Whom to believe is not decided here.

use std::collections::BTreeSet;

use crate::engine::settings::MatchGroup;

/// What libsystemd selects by: an entry must match one of the groups; in a group, the values of one
/// field are alternatives and all fields must match. Empty selects everything.
pub type Terms = Vec<Vec<(String, String)>>;

/// Few and selective terms. Lists of entries that match a unit are short, that of `_UID=0` holds half
/// the journal: a group that names units is read by them alone and judged by the selector.
pub(crate) fn terms(groups: &[&MatchGroup]) -> Terms {
    if groups.iter().any(|group| group.is_empty()) {
        return Terms::new();
    }
    let mut units = BTreeSet::new();
    let mut others = BTreeSet::new();
    for group in groups {
        match group.get(UNIT) {
            Some(names) => units.extend(names.iter().map(|n| (UNIT.to_owned(), n.clone()))),
            None => {
                let pairs = group
                    .iter()
                    .flat_map(|(field, values)| values.iter().map(|v| (field.clone(), v.clone())));
                others.insert(pairs.collect::<Vec<_>>());
            }
        }
    }
    let mut terms: Terms = Vec::new();
    if !units.is_empty() {
        terms.push(units.into_iter().collect());
    }
    terms.extend(others);
    terms.push(
        NOTICE
            .iter()
            .map(|(field, value)| ((*field).to_owned(), (*value).to_owned()))
            .collect(),
    );
    terms
}

/// A group without fields matches every entry, a field without values none; libsystemd refuses what is
/// no field name.
pub(crate) fn is_usable(group: &MatchGroup) -> bool {
    let good = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    let named = |n: &str| n.bytes().all(good) && !n.starts_with(|c: char| c.is_ascii_digit());
    group
        .iter()
        .all(|(n, v)| !n.is_empty() && n.len() <= 64 && named(n) && !v.is_empty())
}

/// The unit whose control group the sender is in, as the kernel and journald see it.
pub(crate) const UNIT: &str = "_SYSTEMD_UNIT";
/// The user the kernel says the sender is.
pub(crate) const UID: &str = "_UID";
/// The way the entry came.
pub(crate) const TRANSPORT: &str = "_TRANSPORT";
/// `SD_MESSAGE_JOURNAL_DROPPED`; the transport is the one that no sender can claim.
pub(crate) const NOTICE: [(&str, &str); 2] = [
    ("MESSAGE_ID", "a596d6fe7bfa4994828e72309e95d61e"),
    (TRANSPORT, "driver"),
];
