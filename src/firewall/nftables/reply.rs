//! What nf_tables answers.
//!
//! Comes in: messages as bytes. Goes out: tables, chains, rules and sets. Whatever the bytes are, it
//! never panics: what it cannot read is absent.

use crate::firewall::nftables::layout;
use crate::firewall::nftables::message::{Kind, text};
use crate::sys::netlink::{Attributes, Messages};

/// A table, as it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Changes when the table is made anew.
    pub handle: u64,
    /// The socket that alone may change it, by address; 0 for none.
    pub owner: u32,
    /// Its comment; empty without one.
    pub comment: String,
}

/// A rule, as it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Changes when the rule is made anew.
    pub handle: u64,
    /// Its chain.
    pub chain: String,
    /// Its comment; empty without one.
    pub comment: String,
    /// Packets that its counters have seen.
    pub packets: u64,
}

/// A set, as it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    /// Changes when the set is made anew.
    pub handle: u64,
    /// Its name.
    pub name: String,
    /// Whether it belongs to a rule.
    pub anonymous: bool,
}

/// The first table in an answer.
pub fn table(answer: &[u8]) -> Option<Table> {
    objects(answer, Kind::NewTable).next().map(|found| Table {
        handle: long(found.find(layout::TABLE_HANDLE)),
        owner: number(found.find(layout::TABLE_OWNER)),
        comment: found
            .find(layout::TABLE_USERDATA)
            .map(comment)
            .unwrap_or_default(),
    })
}

/// The handles of our table's chains in an answer.
pub fn chains(answer: &[u8]) -> impl Iterator<Item = u64> {
    objects(answer, Kind::NewChain)
        .filter(|chain| is_ours(*chain, layout::CHAIN_TABLE))
        .map(|chain| long(chain.find(layout::CHAIN_HANDLE)))
}

/// The rules of our table in an answer.
pub fn rules(answer: &[u8]) -> impl Iterator<Item = Rule> {
    objects(answer, Kind::NewRule)
        .filter(|rule| is_ours(*rule, layout::RULE_TABLE))
        .map(|rule| Rule {
            handle: long(rule.find(layout::RULE_HANDLE)),
            chain: rule.find(layout::RULE_CHAIN).map(text).unwrap_or_default(),
            comment: rule
                .find(layout::RULE_USERDATA)
                .map(comment)
                .unwrap_or_default(),
            packets: rule
                .find(layout::RULE_EXPRESSIONS)
                .map(counted)
                .unwrap_or_default(),
        })
}

/// The sets of our table in an answer.
pub fn sets(answer: &[u8]) -> impl Iterator<Item = Set> {
    objects(answer, Kind::NewSet)
        .filter(|set| is_ours(*set, layout::SET_TABLE))
        .map(|set| Set {
            handle: long(set.find(layout::SET_HANDLE)),
            name: set.find(layout::SET_NAME).map(text).unwrap_or_default(),
            anonymous: number(set.find(layout::SET_FLAGS)) & layout::SET_IS_ANONYMOUS != 0,
        })
}

fn objects(answer: &[u8], kind: Kind) -> impl Iterator<Item = Attributes<'_>> {
    Messages(answer)
        .filter(move |message| message.kind == kind.number())
        .filter_map(|message| message.body.get(FAMILY_HEADER..))
        .map(Attributes)
}

fn is_ours(object: Attributes<'_>, table: u16) -> bool {
    object
        .find(table)
        .is_some_and(|name| text(name) == layout::TABLE)
}

/// The packets of all counters among some expressions.
fn counted(expressions: &[u8]) -> u64 {
    Attributes(expressions)
        .map(|(_, expression)| Attributes(expression))
        .filter(|expression| {
            expression
                .find(1)
                .is_some_and(|name| text(name) == "counter")
        })
        .filter_map(|expression| expression.find(2))
        .map(|data| long(Attributes(data).find(2)))
        .fold(0, u64::saturating_add)
}

/// The comment among nft's notes, which come as type, length and payload of one, one and `length` bytes.
fn comment(mut notes: &[u8]) -> String {
    while let Some(([kind, length], rest)) = notes.split_first_chunk::<2>() {
        let Some((payload, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        if *kind == 0 {
            return text(payload);
        }
        notes = rest;
    }
    String::new()
}

fn number(payload: Option<&[u8]>) -> u32 {
    payload
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn long(payload: Option<&[u8]>) -> u64 {
    payload
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The length of `nfgenmsg`.
const FAMILY_HEADER: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::settings::{JailName, JailRules, Ports, Protocol};
    use crate::firewall::nftables::layout::{Layout, Owner};
    use crate::firewall::nftables::message::Batch;

    /// A request has the form of the answer to the question what there is.
    fn request(dropped: u64) -> Vec<u8> {
        let name = JailName::new("sshd").unwrap();
        let rules = JailRules {
            protocol: Protocol::Tcp,
            ports: Ports::Ranges(vec![(22, 22)]),
        };
        let (jails, dropped) = ([(name.clone(), rules)], [(name, dropped)]);
        let mut batch = Batch::new(1);
        Layout {
            jails: &jails,
            size: 9,
            dropped: &dropped,
        }
        .create(Owner::Us, &mut batch);
        batch.finish().bytes
    }

    #[test]
    fn a_rule_tells_its_jail_and_what_it_dropped() {
        let request = request(7);

        let found: Vec<_> = rules(&request)
            .filter(|rule| rule.chain == "jails")
            .collect();

        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|rule| rule.comment == "sshd"));
        assert_eq!(found.iter().map(|rule| rule.packets).sum::<u64>(), 7);
        assert_eq!(table(&request).unwrap().comment, "banishd layout 1");
        assert_eq!(
            sets(&request).map(|set| set.name).collect::<Vec<_>>(),
            [
                "any4", "net4", "any6", "net6", "j_sshd4", "j_sshd4n", "j_sshd6", "j_sshd6n"
            ]
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            cut in 0usize..4000, place in 0usize..4000, value: u8, noise: Vec<u8>
        ) {
            let mut answer = request(7);
            if let Some(byte) = answer.get_mut(place) {
                *byte = value;
            }
            answer.truncate(cut);
            for answer in [answer, noise] {
                let _ = table(&answer);
                let all = rules(&answer).count() + sets(&answer).count() + chains(&answer).count();
                prop_assert!(all < 4000);
            }
        }
    }
}
