//! Which entries to read and which jails get each of them.
//!
//! Comes in: every jail's matches, then entries field by field. Goes out: the [`Terms`] that libsystemd
//! selects by, and for each entry its text, its process and its jails. The terms are only to read
//! little: what a jail gets is decided here, on the entry itself, so an entry read for one jail never
//! reaches another whose matches do not hold, and none that its sender could have made up reaches a jail
//! that does not trust senders.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::engine::record::Record;
use crate::engine::settings::{MatchGroup, is_attested};
use crate::engine::time::Timestamp;
use crate::journal::entry::{Entry, KEPT, MESSAGE, OF_LINES, OF_NOTICES};
use crate::journal::group::{Group, any};
use crate::journal::terms::{NOTICE, TRANSPORT, Terms, UID, UNIT, is_usable, terms};
use crate::reader::task::Task;

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
    /// Which terms the entry has shown.
    seen: Vec<bool>,
    /// Bit n: the nth of `fields` was seen in this entry.
    noted: u64,
    /// Which jails want the entry as a line.
    lined: Vec<bool>,
    /// The jails of the last entry and the terms it matched: entries come in runs of one unit.
    jails: Vec<usize>,
    matched: Vec<bool>,
    /// One of `jails` wants the entry as a line.
    is_lined: bool,
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
    pub fn new<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Self {
        let tasks: Vec<&Task> = tasks.into_iter().collect();
        let mut selector = Self::default();
        for name in KEPT.into_iter().chain([TRANSPORT]) {
            selector.field(name);
        }
        selector.lined = tasks.iter().map(|task| task.wants_line()).collect();
        if selector.lined.contains(&true) {
            for name in OF_LINES {
                selector.field(name);
            }
        }
        let mut wanted = Vec::new();
        for (jail, task) in tasks.into_iter().enumerate() {
            for group in task.matches.0.iter().filter(|g| is_usable(g)) {
                let is_believed = task.trusts_senders || is_attested(group);
                selector.group(Some(jail), group, is_believed);
                wanted.push(group);
            }
        }
        selector.enough = selector.enough();
        let notice =
            BTreeMap::from(NOTICE.map(|(field, value)| (field.to_owned(), vec![value.to_owned()])));
        selector.group(None, &notice, true);
        selector.terms = terms(&wanted);
        selector.lengths = selector.fields.iter().fold(0, |lengths, field| {
            lengths | 1_u128.checked_shl(length(&field.name)).unwrap_or(0)
        });
        selector.seen = vec![false; selector.term_count()];
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
        self.seen.fill(false);
        self.noted = 0;
    }

    /// Takes one field of the entry; of several `MESSAGE`s the first counts, but a line holds all of
    /// them; of several values of a matched field any counts, as for libsystemd. Breaks off when nothing
    /// that follows could matter.
    pub fn take(&mut self, name: &[u8], value: &[u8]) -> ControlFlow<()> {
        let bit = 1_u128.checked_shl(length(name)).unwrap_or(0);
        if self.lengths & bit == 0 {
            return ControlFlow::Continue(());
        }
        let Some(index) = self.fields.iter().position(|f| *f.name == *name) else {
            return ControlFlow::Continue(());
        };
        let first = self.note(index);
        if let Some(field) = self.fields.get(index) {
            if let Ok(place) = field.values.binary_search_by(|(v, _)| (**v).cmp(value))
                && let Some((_, term)) = field.values.get(place)
                && let Some(seen) = self.seen.get_mut(*term)
            {
                *seen = true;
            }
            if first && field.is_kept {
                self.entry.keep(name, value);
            } else if name == MESSAGE.as_bytes() && self.lined.contains(&true) {
                self.entry.keep_more(value);
            }
        }
        match self.enough != 0 && self.noted & self.enough == self.enough {
            // Notices hold more, but only journald's driver transport carries them.
            true if !self.is_driver() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    /// The entry as a record, and the jails it concerns in rising order. Complete after the last
    /// [`Selector::take`].
    pub fn record(&mut self, time: Timestamp) -> (Record<'_>, &[usize]) {
        if self.matched != self.seen {
            self.matched.clone_from(&self.seen);
            self.jails.clear();
            let holding = self.groups.iter().filter(|g| g.holds(&self.matched));
            self.jails.extend(holding.filter_map(|g| g.jail));
            // Groups stand in the order of their jails.
            self.jails.dedup();
            let lined = |jail: &usize| self.lined.get(*jail).copied().unwrap_or(false);
            self.is_lined = self.jails.iter().any(lined);
        }
        if self.is_lined {
            self.entry.render();
        }
        let record = Record {
            time,
            pid: self.entry.pid,
            message: self.entry.message(),
            line: self.entry.line(),
            is_dated: false,
        };
        (record, &self.jails)
    }

    /// Whether the line of this entry needs `UPTIME`, which is no
    /// field of it: the source then gives it like one. Complete after the last field.
    #[must_use]
    pub fn lacks_uptime(&self) -> bool {
        self.lined.contains(&true) && self.entry.lacks_uptime()
    }

    /// Whether the entry is journald's notice of dropped entries that a jail might have read.
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        let notice = self.groups.last().filter(|g| g.jail.is_none())?;
        if !notice.holds(&self.seen) {
            return None;
        }
        let text = String::from_utf8_lossy(self.entry.message()).into_owned();
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

    /// Anybody who `is_believed` may have written what matches; otherwise root must have.
    fn group(&mut self, jail: Option<usize>, group: &MatchGroup, is_believed: bool) {
        let all = group
            .iter()
            .map(|(name, values)| self.terms_of(name, values))
            .collect();
        let root = match is_believed {
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
            is_kept: KEPT.contains(&name) || OF_LINES.contains(&name),
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
            let of_notices = OF_NOTICES.map(str::as_bytes).contains(&&*field.name);
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
        notice.is_some_and(|terms| any(terms, &self.seen))
    }

    /// Whether this is the field's first time in the entry. Fields beyond the 64th are not told apart;
    /// the kept ones come first.
    fn note(&mut self, index: usize) -> bool {
        let bit = u32::try_from(index)
            .ok()
            .and_then(|i| 1_u64.checked_shl(i))
            .unwrap_or(0);
        let first = self.noted & bit == 0;
        self.noted |= bit;
        first
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

fn length(name: &[u8]) -> u32 {
    u32::try_from(name.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::filter::{Filter, FilterSpec, Text};
    use crate::engine::record::MESSAGE_MAX;
    use crate::engine::settings::{JailName, Matches};

    const NOTICE_OF_SSH: [&str; 5] = [
        "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e",
        "_TRANSPORT=driver",
        "N_DROPPED=4625",
        "OBJECT_SYSTEMD_UNIT=ssh.service",
        "MESSAGE=Suppressed 4625 messages from ssh.service",
    ];

    fn matches(groups: &[&[&str]]) -> Task {
        let group = |terms: &&[&str]| {
            let mut group = MatchGroup::new();
            for (field, value) in terms.iter().map(|t| t.split_once('=').unwrap()) {
                group.entry(field.into()).or_default().push(value.into());
            }
            group
        };
        let filter = Filter::compile(FilterSpec::default()).unwrap();
        Task {
            matches: Matches(groups.iter().map(group).collect()),
            ..Task::new(JailName::new("a").unwrap(), filter)
        }
    }

    /// The same for a filter that wants lines.
    fn lined(groups: &[&[&str]]) -> Task {
        let spec = FilterSpec {
            text: Text::Line,
            ..FilterSpec::default()
        };
        Task {
            filter: Filter::compile(spec).unwrap(),
            ..matches(groups)
        }
    }

    /// Shows an entry to the selector; whether it broke off early.
    fn show(selector: &mut Selector, fields: &[&str]) -> bool {
        selector.begin();
        fields
            .iter()
            .map(|f| f.split_once('=').unwrap())
            .any(|(n, v)| selector.take(n.as_bytes(), v.as_bytes()).is_break())
    }

    fn jails(selector: &mut Selector, fields: &[&str]) -> Vec<usize> {
        show(selector, fields);
        selector.record(Timestamp::default()).1.to_vec()
    }

    #[test]
    fn an_entry_reaches_exactly_the_jails_whose_matches_hold() {
        let all = [
            matches(&[&["_SYSTEMD_UNIT=ssh.service", "_UID=0"]]),
            matches(&[
                &[
                    "_SYSTEMD_UNIT=nginx.service",
                    "_SYSTEMD_UNIT=apache2.service",
                ],
                &["_SYSTEMD_SLICE=system-http.slice"],
            ]),
            matches(&[
                &["SYSLOG_IDENTIFIER=sshd"],
                &["_COMM=sshd"],
                &["_EXE=/usr/sbin/sshd"],
            ]),
            matches(&[&["_SYSTEMD_UNIT=ssh.service", "PRIORITY=3"]]),
            matches(&[&["_TRANSPORT=kernel", "SYSLOG_IDENTIFIER=kernel"]]),
            matches(&[]),
        ];
        let mut selector = Selector::new(&all);

        for (fields, expected) in [
            (&["_SYSTEMD_UNIT=ssh.service", "_UID=0"][..], &[0][..]),
            (&["_SYSTEMD_UNIT=ssh.service", "_UID=1000"], &[]),
            (&["_UID=0"], &[]),
            (&["_SYSTEMD_UNIT=nginx.service", "_UID=33"], &[1]),
            (&["_SYSTEMD_UNIT=apache2.service"], &[1]),
            (&["_SYSTEMD_SLICE=system-http.slice"], &[1]),
            (&["_SYSTEMD_UNIT=other.service", "PRIORITY=3"], &[]),
            (
                &["_SYSTEMD_UNIT=ssh.service", "PRIORITY=3", "_UID=0"],
                &[0, 3],
            ),
            // The sender chose the name: only root is believed.
            (&["SYSLOG_IDENTIFIER=sshd", "_UID=1000"], &[]),
            (&["SYSLOG_IDENTIFIER=sshd"], &[]),
            (&["_COMM=sshd", "_EXE=/usr/sbin/sshd", "_UID=1000"], &[]),
            (&["_COMM=sshd", "_UID=0"], &[2]),
            // The kernel has no uid and can be neither imitated.
            (&["_TRANSPORT=kernel", "SYSLOG_IDENTIFIER=kernel"], &[4]),
            // Any of several values counts, as for libsystemd.
            (
                &["SYSLOG_IDENTIFIER=a", "SYSLOG_IDENTIFIER=sshd", "_UID=0"],
                &[2],
            ),
        ] {
            assert_eq!(jails(&mut selector, fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn only_a_refusal_for_want_of_trust_counts_as_one() {
        let mut selector = Selector::new(&[matches(&[&["SYSLOG_IDENTIFIER=sshd"]])]);

        for (fields, expected) in [
            (["SYSLOG_IDENTIFIER=sshd", "_UID=1000"], true),
            (["SYSLOG_IDENTIFIER=sshd", "_UID=0"], false),
            (["SYSLOG_IDENTIFIER=other", "_UID=1000"], false),
        ] {
            jails(&mut selector, &fields);
            assert_eq!(selector.is_refused(), expected, "{fields:?}");
        }
    }

    #[test]
    fn the_record_holds_the_first_message_cut_and_the_kernels_pid() {
        let mut selector = Selector::new(&[matches(&[&["_SYSTEMD_UNIT=a.service"]])]);
        let long = "x".repeat(MESSAGE_MAX + 5);

        for (fields, message, pid) in [
            (
                vec!["MESSAGE=one", "MESSAGE=two", "_PID=7", "SYSLOG_PID=8"],
                "one",
                Some(7),
            ),
            (vec!["MESSAGE="], "", None),
            (vec!["_PID=4294967296"], "", None),
            (
                vec![&*format!("MESSAGE={long}")],
                &long[..MESSAGE_MAX],
                None,
            ),
        ] {
            show(&mut selector, &fields);
            let (record, _) = selector.record(Timestamp::default());
            assert_eq!((record.message, record.pid), (message.as_bytes(), pid));
        }
    }

    #[test]
    fn looking_stops_early_only_where_nothing_can_follow() {
        let first = [
            "_TRANSPORT=syslog",
            "_PID=1",
            "_SYSTEMD_UNIT=a.service",
            "MESSAGE=x",
        ];
        let mut plain = Selector::new(&[matches(&[&["_SYSTEMD_UNIT=a.service"]])]);
        let mut own = Selector::new(&[matches(&[&["_SYSTEMD_UNIT=a.service", "X=1"]])]);

        assert!(show(&mut plain, &first));
        assert!(!show(&mut plain, &first[..3]));
        assert!(!show(
            &mut plain,
            &["_TRANSPORT=driver", "_PID=1", first[2], first[3]]
        ));
        assert!(
            !show(&mut own, &first),
            "the sender may name its field again"
        );
    }

    #[test]
    fn a_line_is_made_for_those_who_want_one_and_of_the_whole_entry() {
        let ssh: &[&[&str]] = &[&["_SYSTEMD_UNIT=a.service"]];
        let web: &[&[&str]] = &[&["_SYSTEMD_UNIT=b.service"]];
        let mut selector = Selector::new(&[lined(ssh), matches(web)]);
        let of = |unit| {
            [
                "MESSAGE=x",
                "_TRANSPORT=syslog",
                "_PID=1",
                unit,
                "SYSLOG_IDENTIFIER=who",
                "MESSAGE=y",
            ]
        };

        for (unit, line) in [
            ("_SYSTEMD_UNIT=a.service", &b"who[1]: x y"[..]),
            ("_SYSTEMD_UNIT=b.service", b""),
        ] {
            assert!(!show(&mut selector, &of(unit)), "more may follow");
            let (record, jails) = selector.record(Timestamp::default());
            assert_eq!((record.message, record.line), (&b"x"[..], line));
            assert_eq!(jails.len(), 1);
        }
    }

    #[test]
    fn a_jail_that_trusts_senders_believes_anybody() {
        let groups: &[&[&str]] = &[&["SYSLOG_IDENTIFIER=sshd"], &["_COMM=sshd"]];
        let trusting = Task {
            trusts_senders: true,
            ..matches(groups)
        };
        let mut selector = Selector::new(&[matches(groups), trusting]);

        let fields = ["SYSLOG_IDENTIFIER=sshd", "_UID=1000"];

        assert_eq!(jails(&mut selector, &fields), [1]);
    }

    #[test]
    fn a_group_without_fields_is_every_entry_of_roots() {
        let mut selector =
            Selector::new(&[matches(&[&["_SYSTEMD_UNIT=a.service"]]), matches(&[&[]])]);

        assert!(selector.terms().is_empty());
        assert_eq!(jails(&mut selector, &["_UID=0", "X=1"]), [1]);
        assert_eq!(jails(&mut selector, &["_UID=1", "X=1"]), [0_usize; 0]);
    }

    #[test]
    fn notices_of_dropped_entries_concern_those_who_might_have_read_them() {
        for (groups, expected) in [
            (&[&["_SYSTEMD_UNIT=ssh.service"][..]][..], true),
            (&[&["_SYSTEMD_UNIT=nginx.service"]], false),
            (&[&["_SYSTEMD_SLICE=system-sshd.slice"]], true),
            (&[], false),
        ] {
            let mut selector = Selector::new(&[matches(groups)]);
            show(&mut selector, &NOTICE_OF_SSH);
            let notice = selector.notice();
            assert_eq!(notice.is_some(), expected, "{groups:?}");
            assert!(notice.is_none_or(|n| (&*n.unit, n.messages) == ("ssh.service", 4625)));
        }
    }

    #[test]
    fn nobody_but_journald_can_give_notice() {
        let mut selector = Selector::new(&[matches(&[&["_SYSTEMD_UNIT=ssh.service"]])]);
        let forged = NOTICE_OF_SSH.map(|f| f.replace("=driver", "=journal"));

        show(&mut selector, &forged.each_ref().map(|f| &**f));

        assert_eq!(selector.notice(), None);
    }

    #[test]
    fn terms_are_few_and_groups_that_libsystemd_refuses_are_left_out() {
        let selector = Selector::new(&[
            matches(&[
                &["_SYSTEMD_UNIT=b.service", "_UID=0"],
                &["lower=x"],
                &["1X=y"],
            ]),
            matches(&[
                &["_SYSTEMD_UNIT=a.service"],
                &["_COMM=c", "_UID=0"],
                &["_COMM=c", "_UID=0"],
            ]),
        ]);

        let terms: Vec<String> = selector
            .terms()
            .iter()
            .map(|g| g.iter().map(|(f, v)| format!("{f}={v} ")).collect())
            .collect();
        assert_eq!(
            terms,
            [
                "_SYSTEMD_UNIT=a.service _SYSTEMD_UNIT=b.service ",
                "_COMM=c _UID=0 ",
                "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e _TRANSPORT=driver ",
            ]
        );
    }
}
