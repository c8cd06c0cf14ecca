//! What the groups of a filter's patterns mean: every name that one of them captures under has a slot,
//! and a few names say something to the filter itself.
//!
//! Comes in: the patterns' group names. Goes out: the slots, the same for all patterns of a filter, so
//! that what the prefix, a pattern and earlier lines of a connection captured can be laid over one another.

use std::ops::Deref;

use crate::engine::filter::rule::{Groups, Rule};

/// The slots of one filter.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    names: Vec<Box<str>>,
    /// `alt_user_2` fills `user` where that is empty: from, to; in the order in which they are tried.
    alternates: Vec<(usize, usize)>,
    /// `tuple_id`, `tuple_id_1` …: further parts of the identity.
    pub(crate) tuple: Vec<usize>,
    pub(crate) ip4: Option<usize>,
    pub(crate) ip6: Option<usize>,
    pub(crate) cidr: Option<usize>,
    pub(crate) dns: Option<usize>,
    pub(crate) id: Option<usize>,
    pub(crate) user: Option<usize>,
    /// Names the connection.
    pub(crate) connection: Option<usize>,
    /// The line is no failure by itself.
    pub(crate) nofail: Option<usize>,
    /// The connection ends.
    pub(crate) forget: Option<usize>,
    /// The attempt succeeded.
    pub(crate) gained: Option<usize>,
    /// Our own: the failure is counted in advance.
    pub(crate) advance: Option<usize>,
}

/// Where the groups of one pattern go: group, slot.
pub(crate) type Places = Vec<(usize, usize)>;

/// What is in the slots: `None` for a group that took no part.
pub(crate) type Values<'t> = Vec<Option<&'t [u8]>>;

impl Slots {
    /// The slots that these patterns need.
    pub(crate) fn of<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut slots = Self::default();
        for (name, _) in rules.flat_map(Rule::names) {
            slots.add(name);
        }
        let mut alternates: Vec<Box<str>> = slots.names.clone();
        alternates.retain(|name| name.starts_with("alt_"));
        alternates.sort_unstable();
        for name in alternates {
            if let (Some(from), Some(target)) = (slots.find(&name), alternate_of(&name)) {
                let to = slots.add(target);
                slots.alternates.push((from, to));
            }
        }
        let mut tuple: Vec<&Box<str>> = slots.names.iter().collect();
        tuple.retain(|name| name.starts_with("tuple_"));
        tuple.sort_unstable();
        slots.tuple = tuple.iter().filter_map(|name| slots.find(name)).collect();
        let find = |name: &str| slots.find(name);
        Self {
            ip4: find("ip4"),
            ip6: find("ip6"),
            cidr: find("cidr"),
            dns: find("dns"),
            id: find("fid"),
            user: find("user"),
            connection: find("mlfid"),
            nofail: find("nofail"),
            forget: find("mlfforget"),
            gained: find("mlfgained"),
            advance: find("advance"),
            ..slots
        }
    }

    /// Where the groups of `rule` go.
    pub(crate) fn places(&self, rule: &Rule) -> Places {
        rule.names()
            .filter_map(|(name, group)| Some((group, self.find(name)?)))
            .collect()
    }

    /// Puts what a match captured over what is there: groups that hold nothing replace nothing.
    pub(crate) fn lay<'t>(
        &self,
        values: &mut Values<'t>,
        places: &Places,
        (groups, text): (&Groups, &'t [u8]),
    ) {
        values.resize(self.names.len(), None);
        for (group, slot) in places {
            let captured = groups.text(*group, text);
            if let (Some(value), Some(captured)) = (values.get_mut(*slot), captured)
                && (value.is_none() || !captured.is_empty())
            {
                *value = Some(captured);
            }
        }
    }

    /// Fills what is empty from its alternates.
    pub(crate) fn fill(&self, values: &mut Values<'_>) {
        for (from, to) in &self.alternates {
            let alternate = values.get(*from).copied().flatten();
            if let Some(value) = values.get_mut(*to)
                && value.is_none_or(<[u8]>::is_empty)
                && alternate.is_some_and(|text| !text.is_empty())
            {
                *value = alternate;
            }
        }
    }

    /// The names with what is in their slots.
    pub(crate) fn pairs<'v, V: Deref<Target = [u8]>>(
        &'v self,
        values: &'v [Option<V>],
    ) -> impl Iterator<Item = (&'v str, &'v [u8])> {
        let pairs = self.names.iter().zip(values);
        pairs.filter_map(|(name, value)| Some((&**name, value.as_deref()?)))
    }

    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| **own == *name)
    }

    fn add(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len().saturating_sub(1)
        })
    }
}

/// What is in a slot, if it is anything.
pub(crate) fn text<V: Deref<Target = [u8]>>(
    values: &[Option<V>],
    slot: Option<usize>,
) -> Option<&[u8]> {
    let text = values.get(slot?)?.as_deref()?;
    (!text.is_empty()).then_some(text)
}

/// `user` of `alt_user` and `alt_user_1`; but `user1` of `alt_user1`, as in fail2ban.
fn alternate_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix("alt_")?;
    match name.rsplit_once('_') {
        Some((head, number))
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(head)
        }
        _ => Some(name),
    }
}
