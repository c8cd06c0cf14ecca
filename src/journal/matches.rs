//! Which entries to read and which jails get each of them.
//!
//! Comes in: every jail's [`Matches`], then entries field by field. Goes out: the [`Terms`] that
//! libsystemd selects by, and for each entry its text, its process and its jails. The terms are only
//! to read little: what a jail gets is decided here, on the entry itself, so an entry read for one jail
//! never reaches another whose matches do not hold, and none that its sender could have made up
//! reaches any.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::engine::record::{MESSAGE_MAX, Record};
use crate::engine::settings::{MatchGroup, Matches};
use crate::engine::time::Timestamp;

/// What libsystemd selects by: an entry must match one of the groups; in a group, the values of one
/// field are alternatives and all fields must match. Empty selects nothing.
pub type Terms = Vec<Vec<(String, String)>>;

/// Decides for each entry which jails it concerns, by their place in the list it was made of.
#[derive(Debug, Default)]
pub struct Selector {
    terms: Terms,
    fields: Vec<Field>,
    /// Bit n: some wanted field's name is n bytes long.
    lengths: u128,
    groups: Vec<Group>,
    /// Bits of `fields` after which an entry can hold nothing else of interest.
    enough: u64,
    entry: Entry,
    /// The jails of the last entry and the terms it matched: entries come in runs of one unit.
    jails: Vec<usize>,
    matched: Vec<bool>,
}

/// journald says that it dropped entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of this unit.
    pub unit: String,
    /// So many.
    pub messages: u64,
}

impl Selector {
    /// For these jails.
    #[must_use]
    pub fn new<'a>(jails: impl IntoIterator<Item = &'a Matches>) -> Self {
        let mut selector = Self::default();
        for name in KEPT.into_iter().chain([TRANSPORT]) {
            selector.field(name);
        }
        let mut wanted = Vec::new();
        for (jail, matches) in jails.into_iter().enumerate() {
            for group in matches.0.iter().filter(|g| is_usable(g)) {
                selector.group(Some(jail), group);
                wanted.push(group);
            }
        }
        selector.enough = selector.enough();
        let notice =
            BTreeMap::from(NOTICE.map(|(field, value)| (field.to_owned(), vec![value.to_owned()])));
        selector.group(None, &notice);
        selector.terms = terms(&wanted);
        selector.lengths = selector.fields.iter().fold(0, |lengths, field| {
            lengths | 1_u128.checked_shl(length(&field.name)).unwrap_or(0)
        });
        selector.entry.terms = vec![false; selector.term_count()];
        selector
    }

    /// What to read.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Begins an entry.
    pub fn begin(&mut self) {
        self.entry.clear();
    }

    /// Takes one field of the entry; of several `MESSAGE`s the first counts, of several values of a
    /// matched field any, as for libsystemd. Breaks off when nothing that follows could matter.
    pub fn take(&mut self, name: &[u8], value: &[u8]) -> ControlFlow<()> {
        let bit = 1_u128.checked_shl(length(name)).unwrap_or(0);
        if self.lengths & bit == 0 {
            return ControlFlow::Continue(());
        }
        let Some(index) = self.fields.iter().position(|f| *f.name == *name) else {
            return ControlFlow::Continue(());
        };
        let first = self.entry.note(index);
        if let Some(field) = self.fields.get(index) {
            if let Ok(place) = field.values.binary_search_by(|(v, _)| (**v).cmp(value))
                && let Some((_, term)) = field.values.get(place)
                && let Some(seen) = self.entry.terms.get_mut(*term)
            {
                *seen = true;
            }
            if first && field.is_kept {
                self.entry.keep(name, value);
            }
        }
        match self.enough != 0 && self.entry.noted & self.enough == self.enough {
            // Notices hold more, but only journald's driver transport carries them.
            true if !self.is_driver() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    /// The entry as a record, and the jails it concerns in rising order. Complete after the last
    /// [`Selector::take`].
    pub fn record(&mut self, time: Timestamp) -> (Record<'_>, &[usize]) {
        if self.matched != self.entry.terms {
            self.matched.clone_from(&self.entry.terms);
            self.jails.clear();
            let holding = self.groups.iter().filter(|g| g.holds(&self.matched));
            self.jails.extend(holding.filter_map(|g| g.jail));
            // Groups stand in the order of their jails.
            self.jails.dedup();
        }
        let record = Record {
            time,
            pid: self.entry.pid,
            message: &self.entry.message,
        };
        (record, &self.jails)
    }

    /// Whether the entry is journald's notice of dropped entries that a jail might have read.
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        let notice = self.groups.last().filter(|g| g.jail.is_none())?;
        if !notice.holds(&self.entry.terms) {
            return None;
        }
        let text = String::from_utf8_lossy(&self.entry.message).into_owned();
        let unit = match self.entry.unit.is_empty() {
            false => String::from_utf8_lossy(&self.entry.unit).into_owned(),
            true => text.rsplit_once(" from ")?.1.to_owned(),
        };
        let concerns =
            |g: &&Group| g.jail.is_some() && g.units.as_ref().is_none_or(|u| u.contains(&unit));
        self.groups.iter().find(concerns)?;
        Some(Notice {
            unit,
            messages: self.entry.dropped,
        })
    }

    /// Whether the last entry was refused by a jail only because anybody could have written it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let refused = |g: &Group| !g.holds(&self.matched) && g.would_hold(&self.matched);
        self.jails.is_empty() && self.groups.iter().any(refused)
    }

    fn group(&mut self, jail: Option<usize>, group: &MatchGroup) {
        let all = group
            .iter()
            .map(|(name, values)| self.terms_of(name, values))
            .collect();
        let root = match is_attested(group) {
            true => None,
            false => self.terms_of(UID, &["0".to_owned()]).first().copied(),
        };
        self.groups.push(Group {
            jail,
            all,
            root,
            units: group.get(UNIT).cloned(),
        });
    }

    /// The numbers of these terms, new ones where they are new.
    fn terms_of(&mut self, name: &str, values: &[String]) -> Vec<usize> {
        let mut next = self.term_count();
        let index = self.field(name);
        let Some(field) = self.fields.get_mut(index) else {
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for value in values {
            match field
                .values
                .binary_search_by(|(v, _)| (**v).cmp(value.as_bytes()))
            {
                Ok(place) => numbers.extend(field.values.get(place).map(|(_, term)| *term)),
                Err(place) => {
                    field.values.insert(place, (value.as_bytes().into(), next));
                    numbers.push(next);
                    next = next.saturating_add(1);
                }
            }
        }
        numbers
    }

    fn field(&mut self, name: &str) -> usize {
        if let Some(index) = self.fields.iter().position(|f| *f.name == *name.as_bytes()) {
            return index;
        }
        self.fields.push(Field {
            name: name.as_bytes().into(),
            values: Vec::new(),
            is_kept: KEPT.contains(&name),
        });
        self.fields.len().saturating_sub(1)
    }

    fn term_count(&self) -> usize {
        self.fields.iter().map(|f| f.values.len()).sum()
    }

    /// Fields that journald writes come once in an entry; those of the sender may come again with the
    /// value that matches. So looking may stop early only where no jail reads the latter.
    fn enough(&self) -> u64 {
        let mut enough = 0;
        for (index, field) in self.fields.iter().enumerate() {
            let of_notices = [DROPPED, OF_UNIT]
                .map(str::as_bytes)
                .contains(&&*field.name);
            if of_notices && field.values.is_empty() {
                continue;
            }
            let once = field.name.first() == Some(&b'_') || *field.name == *MESSAGE.as_bytes();
            let bit = u32::try_from(index).ok().and_then(|i| 1_u64.checked_shl(i));
            match bit {
                Some(bit) if once && field.is_plain() => enough |= bit,
                _ => return 0,
            }
        }
        enough
    }

    fn is_driver(&self) -> bool {
        let notice = self.groups.last().and_then(|g| g.all.last());
        notice.is_some_and(|terms| any(terms, &self.entry.terms))
    }
}

/// A field that somebody looks at, and the values that somebody waits for, sorted, each with its number.
#[derive(Debug)]
struct Field {
    name: Box<[u8]>,
    values: Vec<(Box<[u8]>, usize)>,
    is_kept: bool,
}

impl Field {
    /// A jail may match on the text as well; then every `MESSAGE` counts.
    fn is_plain(&self) -> bool {
        *self.name != *MESSAGE.as_bytes() || self.values.is_empty()
    }
}

/// One group of one jail.
#[derive(Debug)]
struct Group {
    /// `None`: journald's notices.
    jail: Option<usize>,
    /// For each field, the terms that are alternatives.
    all: Vec<Vec<usize>>,
    /// The term `_UID=0`, where only root is believed.
    root: Option<usize>,
    units: Option<Vec<String>>,
}

impl Group {
    fn holds(&self, seen: &[bool]) -> bool {
        let trusted = self.root.is_none_or(|root| any(&[root], seen));
        trusted && self.would_hold(seen)
    }

    fn would_hold(&self, seen: &[bool]) -> bool {
        self.all.iter().all(|terms| any(terms, seen))
    }
}

/// What was seen of the current entry. The buffers are kept from entry to entry.
#[derive(Debug, Default)]
struct Entry {
    message: Vec<u8>,
    pid: Option<u32>,
    dropped: u64,
    unit: Vec<u8>,
    terms: Vec<bool>,
    noted: u64,
}

impl Entry {
    fn clear(&mut self) {
        self.message.clear();
        self.pid = None;
        self.dropped = 0;
        self.unit.clear();
        self.terms.fill(false);
        self.noted = 0;
    }

    /// Whether this is the field's first time. Fields beyond the 64th are not told apart; the
    /// kept ones come first.
    fn note(&mut self, index: usize) -> bool {
        let bit = u32::try_from(index)
            .ok()
            .and_then(|i| 1_u64.checked_shl(i))
            .unwrap_or(0);
        let first = self.noted & bit == 0;
        self.noted |= bit;
        first
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) {
        let number = || std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
        match name {
            _ if name == MESSAGE.as_bytes() => self.message.extend(value.iter().take(MESSAGE_MAX)),
            _ if name == PID.as_bytes() => {
                self.pid = number().and_then(|n: u64| u32::try_from(n).ok())
            }
            _ if name == DROPPED.as_bytes() => self.dropped = number().unwrap_or(0),
            _ => self.unit.extend(value.iter().take(UNIT_MAX)),
        }
    }
}

/// Few and selective terms. Lists of entries that match a unit are short, that of `_UID=0` holds half
/// the journal: a group that names units is read by them alone and judged by the selector.
fn terms(groups: &[&MatchGroup]) -> Terms {
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

/// A group without fields would match everything, one without values nothing; libsystemd refuses what
/// is no field name.
fn is_usable(group: &MatchGroup) -> bool {
    let good = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    let named = |n: &str| n.bytes().all(good) && !n.starts_with(|c: char| c.is_ascii_digit());
    !group.is_empty()
        && group
            .iter()
            .all(|(n, v)| !n.is_empty() && n.len() <= 64 && named(n) && !v.is_empty())
}

/// Whether the kernel or journald vouches for who wrote an entry that matches. Everything else,
/// `_COMM` and `_EXE` too, anybody can bring about with a program of his own.
fn is_attested(group: &MatchGroup) -> bool {
    let by_name = |field| group.contains_key(field);
    let by_transport = || {
        let closed = |v: &String| ["kernel", "audit", "driver"].contains(&v.as_str());
        group.get(TRANSPORT).is_some_and(|v| v.iter().all(closed))
    };
    [UNIT, "_SYSTEMD_SLICE", "_SYSTEMD_CGROUP", UID, "_GID"]
        .into_iter()
        .any(by_name)
        || by_transport()
}

fn any(terms: &[usize], seen: &[bool]) -> bool {
    terms.iter().any(|t| seen.get(*t).copied().unwrap_or(false))
}

fn length(name: &[u8]) -> u32 {
    u32::try_from(name.len()).unwrap_or(u32::MAX)
}

const MESSAGE: &str = "MESSAGE";
const PID: &str = "_PID";
const UNIT: &str = "_SYSTEMD_UNIT";
const UID: &str = "_UID";
const TRANSPORT: &str = "_TRANSPORT";
const DROPPED: &str = "N_DROPPED";
const OF_UNIT: &str = "OBJECT_SYSTEMD_UNIT";
const KEPT: [&str; 4] = [MESSAGE, PID, DROPPED, OF_UNIT];
/// Longer than any unit's name (UNIT_NAME_MAX is 256).
const UNIT_MAX: usize = 256;
/// `SD_MESSAGE_JOURNAL_DROPPED`; the transport is the one that no sender can claim.
const NOTICE: [(&str, &str); 2] = [
    ("MESSAGE_ID", "a596d6fe7bfa4994828e72309e95d61e"),
    (TRANSPORT, "driver"),
];
