//! The table: its sets, chains and rules.
//!
//! Comes in: the jails and the traffic they drop. Goes out: the requests that make the table, or
//! make another table's content of it. It never touches elements.
//!
//! A packet looks itself up in the sets of all jails together (`any4`, `net4`, …) and only if it is in
//! one of them goes through the jails' rules. What others began to say to us is looked at, what they
//! answer is not.

use std::net::IpAddr;

use crate::engine::settings::{JailName, JailRules, Ports, Protocol};
use crate::firewall::nftables::message::{APPEND, Batch, CREATE, Kind, Writer};

/// The layout of some jails.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    /// The jails and the traffic each drops.
    pub(super) jails: &'a [(JailName, JailRules)],
    /// Elements that a set of all jails' hosts may hold.
    pub(super) size: u32,
    /// Packets that a jail has dropped already, by its name.
    pub(super) dropped: &'a [(JailName, u64)],
}

impl Layout<'_> {
    /// Adds the requests that make the table with all in it but elements.
    pub(super) fn create(&self, owner: Owner, batch: &mut Batch) {
        batch.add(Kind::NewTable, CREATE, |m| {
            m.text(TABLE_NAME, TABLE);
            m.number(
                TABLE_FLAGS,
                match owner {
                    Owner::Us => FLAG_OWNER,
                    Owner::Nobody => 0,
                },
            );
            m.bytes(TABLE_USERDATA, &comment(LAYOUT));
        });
        batch.add(Kind::NewChain, CREATE, |m| {
            m.text(CHAIN_TABLE, TABLE);
            m.text(CHAIN_NAME, JAILS);
        });
        batch.add(Kind::NewChain, CREATE, |m| {
            m.text(CHAIN_TABLE, TABLE);
            m.text(CHAIN_NAME, HOOK);
            m.nest(CHAIN_HOOK, |m| {
                m.number(HOOK_NUMBER, PREROUTING);
                m.bytes(HOOK_PRIORITY, &PRIORITY.to_be_bytes());
            });
            m.number(CHAIN_POLICY, ACCEPT);
            m.text(CHAIN_TYPE, "filter");
        });
        self.content(batch);
    }

    /// Adds the requests that put this in the place of what a table of this layout has in it, which
    /// is the named sets `old`. The chains stay: packets on their way see all of the one or the other.
    pub(super) fn replace(&self, old: &[String], batch: &mut Batch) {
        for chain in [HOOK, JAILS] {
            batch.add(Kind::DeleteRule, 0, |m| {
                m.text(RULE_TABLE, TABLE);
                m.text(RULE_CHAIN, chain);
            });
        }
        for set in old {
            batch.add(Kind::DeleteSet, 0, |m| {
                m.text(SET_TABLE, TABLE);
                m.text(SET_NAME, set);
            });
        }
        self.content(batch);
    }

    fn content(&self, batch: &mut Batch) {
        let mut id = 0;
        let all = [None]
            .into_iter()
            .chain(self.jails.iter().map(|(name, _)| Some(name)));
        for jail in all {
            for family in Family::BOTH {
                id += 2;
                // Room for all of it is set aside, so the jails' own sets are left to grow.
                let size = jail.is_none().then_some(self.size);
                let hosts = SetName::hosts(jail, family);
                new_set(batch, &hosts.0, id, family.key(), (SET_HAS_TIMEOUTS, size));
                let prefixes = SetName::prefixes(jail, family);
                let flags = SET_HAS_TIMEOUTS | SET_OF_INTERVALS;
                new_set(batch, &prefixes.0, id + 1, family.key(), (flags, None));
            }
        }
        rule(batch, HOOK, "", |e| {
            e.load_direction();
            e.compare(EQUAL, &[DIRECTION_REPLY]);
            e.verdict(ACCEPT);
        });
        for family in Family::BOTH {
            for set in [
                SetName::hosts(None, family),
                SetName::prefixes(None, family),
            ] {
                rule(batch, HOOK, "", |e| {
                    e.source_in(family, &set);
                    e.jump(JAILS);
                });
            }
        }
        for (name, rules) in self.jails {
            let before = self.dropped.iter().find(|(jail, _)| jail == name);
            self.jail(
                batch,
                &mut id,
                (name, rules),
                before.map_or(0, |(_, packets)| *packets),
            );
        }
    }

    fn jail(
        &self,
        batch: &mut Batch,
        id: &mut u32,
        (name, rules): (&JailName, &JailRules),
        mut before: u64,
    ) {
        let protocols = match (rules.protocol, &rules.ports) {
            (Protocol::Tcp, _) => &[Some(TCP)][..],
            (Protocol::Udp, _) => &[Some(UDP)],
            (Protocol::All, Ports::Ranges(_)) => &[Some(TCP), Some(UDP)],
            (Protocol::All, Ports::All) => &[None],
        };
        for protocol in protocols {
            for family in Family::BOTH {
                for set in [
                    SetName::hosts(Some(name), family),
                    SetName::prefixes(Some(name), family),
                ] {
                    let ports = PortMatch::new(batch, id, &rules.ports);
                    rule(batch, JAILS, name, |e| {
                        if let Some(protocol) = protocol {
                            e.load_meta(META_PROTOCOL);
                            e.compare(EQUAL, &[*protocol]);
                            e.destination(&ports);
                        }
                        e.source_in(family, &set);
                        e.count(before);
                        e.verdict(DROP);
                    });
                    before = 0;
                }
            }
        }
    }
}

/// Who may change the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The socket that makes it (Linux 5.12).
    Us,
    /// Whoever has the capability.
    Nobody,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

impl Family {
    /// The one and the other.
    pub(super) const BOTH: [Self; 2] = [Self::Four, Self::Six];

    /// The family of an address.
    pub(super) fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() {
            Self::Four
        } else {
            Self::Six
        }
    }

    /// nft's number of the type of such addresses, and their length.
    fn key(self) -> (u32, u32) {
        match self {
            Self::Four => (7, 4),
            Self::Six => (8, 16),
        }
    }

    fn digit(self) -> char {
        match self {
            Self::Four => '4',
            Self::Six => '6',
        }
    }
}

/// The name of a set. Different jails have different sets: what follows a jail's name ends in a
/// digit for hosts and in `n` for prefixes and is as long as that says.
#[derive(Debug)]
pub(super) struct SetName(String);

impl SetName {
    /// `j_sshd4`, and `any4` for all jails.
    pub(super) fn hosts(jail: Option<&JailName>, family: Family) -> Self {
        let digit = family.digit();
        Self(jail.map_or_else(|| format!("any{digit}"), |jail| format!("j_{jail}{digit}")))
    }

    /// `j_sshd4n`, and `net4` for all jails.
    pub(super) fn prefixes(jail: Option<&JailName>, family: Family) -> Self {
        let digit = family.digit();
        Self(jail.map_or_else(|| format!("net{digit}"), |jail| format!("j_{jail}{digit}n")))
    }

    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a rule looks at the port.
enum PortMatch {
    All,
    Range(u16, u16),
    Set(String, u32),
}

impl PortMatch {
    /// Several ranges need a set of their own, which belongs to one rule and goes with it.
    fn new(batch: &mut Batch, id: &mut u32, ports: &Ports) -> Self {
        let ranges = match ports {
            Ports::All => return Self::All,
            Ports::Ranges(ranges) => ranges,
        };
        if let [(first, last)] = ranges.as_slice() {
            return Self::Range(*first, *last);
        }
        *id += 2;
        let name = "__set%d".to_owned();
        let intervals = ranges.iter().any(|(first, last)| first != last);
        let kind = if intervals { SET_OF_INTERVALS } else { 0 };
        let flags = SET_IS_ANONYMOUS | SET_IS_CONSTANT | kind;
        new_set(batch, &name, *id, (INET_SERVICE, 2), (flags, None));
        batch.add(Kind::NewElement, CREATE, |m| {
            m.text(1, TABLE);
            m.text(2, &name);
            m.number(4, *id);
            m.nest(3, |list| {
                for (first, last) in ranges {
                    port_element(list, *first, 0);
                    if let Some(after) = last.checked_add(1).filter(|_| intervals) {
                        port_element(list, after, 1);
                    }
                }
            });
        });
        Self::Set(name, *id)
    }
}

fn port_element(list: &mut Writer<'_>, port: u16, flags: u32) {
    list.nest(1, |element| {
        element.nest(1, |key| key.bytes(1, &port.to_be_bytes()));
        element.number(3, flags);
    });
}

fn new_set(
    batch: &mut Batch,
    name: &str,
    id: u32,
    (key, length): (u32, u32),
    (flags, size): (u32, Option<u32>),
) {
    batch.add(Kind::NewSet, CREATE, |m| {
        m.text(SET_TABLE, TABLE);
        m.text(SET_NAME, name);
        m.number(SET_FLAGS, flags);
        m.number(SET_KEY_TYPE, key);
        m.number(SET_KEY_LENGTH, length);
        m.number(SET_ID, id);
        if let Some(size) = size {
            m.nest(SET_DESCRIPTION, |m| m.number(1, size));
        }
        m.bytes(SET_USERDATA, &BIG_ENDIAN_KEY);
    });
}

fn rule(batch: &mut Batch, chain: &str, about: &str, build: impl FnOnce(&mut Expressions<'_, '_>)) {
    batch.add(Kind::NewRule, CREATE | APPEND, |m| {
        m.text(RULE_TABLE, TABLE);
        m.text(RULE_CHAIN, chain);
        m.nest(RULE_EXPRESSIONS, |list| build(&mut Expressions(list)));
        if !about.is_empty() {
            m.bytes(RULE_USERDATA, &comment(about));
        }
    });
}

/// Appends expressions to a rule. They hand values on in register 1.
struct Expressions<'a, 'b>(&'a mut Writer<'b>);

impl Expressions<'_, '_> {
    fn add(&mut self, name: &str, data: impl FnOnce(&mut Writer<'_>)) {
        self.0.nest(1, |expression| {
            expression.text(1, name);
            expression.nest(2, data);
        });
    }

    fn load_meta(&mut self, key: u32) {
        self.add("meta", |m| {
            m.number(1, REGISTER);
            m.number(2, key);
        });
    }

    fn load_direction(&mut self) {
        self.add("ct", |m| {
            m.number(1, REGISTER);
            m.number(2, CT_DIRECTION);
        });
    }

    fn load_packet(&mut self, (base, offset, length): (u32, u32, u32)) {
        self.add("payload", |m| {
            m.number(1, REGISTER);
            m.number(2, base);
            m.number(3, offset);
            m.number(4, length);
        });
    }

    fn compare(&mut self, how: u32, with: &[u8]) {
        self.add("cmp", |m| {
            m.number(1, REGISTER);
            m.number(2, how);
            m.nest(3, |m| m.bytes(1, with));
        });
    }

    fn look_up(&mut self, set: &str, id: Option<u32>) {
        self.add("lookup", |m| {
            m.text(1, set);
            m.number(2, REGISTER);
            if let Some(id) = id {
                m.number(4, id);
            }
        });
    }

    fn destination(&mut self, ports: &PortMatch) {
        if matches!(ports, PortMatch::All) {
            return;
        }
        self.load_packet(DESTINATION_PORT);
        match ports {
            PortMatch::All => {}
            PortMatch::Range(first, last) if first == last => {
                self.compare(EQUAL, &first.to_be_bytes());
            }
            PortMatch::Range(first, last) => {
                self.compare(AT_LEAST, &first.to_be_bytes());
                self.compare(AT_MOST, &last.to_be_bytes());
            }
            PortMatch::Set(name, id) => self.look_up(name, Some(*id)),
        }
    }

    fn source_in(&mut self, family: Family, set: &SetName) {
        let (number, source) = match family {
            Family::Four => (2, (NETWORK_HEADER, 12, 4)),
            Family::Six => (10, (NETWORK_HEADER, 8, 16)),
        };
        self.load_meta(META_FAMILY);
        self.compare(EQUAL, &[number]);
        self.load_packet(source);
        self.look_up(set.as_str(), None);
    }

    fn count(&mut self, packets: u64) {
        self.add("counter", |m| {
            m.long(1, 0);
            m.long(2, packets);
        });
    }

    fn verdict(&mut self, code: u32) {
        self.add("immediate", |m| {
            m.number(1, 0);
            m.nest(2, |m| m.nest(2, |m| m.number(1, code)));
        });
    }

    fn jump(&mut self, chain: &str) {
        self.add("immediate", |m| {
            m.number(1, 0);
            m.nest(2, |m| {
                m.nest(2, |m| {
                    m.number(1, JUMP);
                    m.text(2, chain);
                });
            });
        });
    }
}

/// Text as nft keeps comments: type 0, length, text, NUL.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let mut bytes = vec![0, length];
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

/// The table's name; its family is `inet`.
pub(super) const TABLE: &str = "banishd";
/// The chain of the jails' rules.
pub(super) const JAILS: &str = "jails";
/// The chain that sees every packet.
pub(super) const HOOK: &str = "prerouting";
/// The table's comment. The number changes whenever a table made by an older version can no longer
/// be filled by [`Layout::replace`].
pub(super) const LAYOUT: &str = "banishd layout 1";
/// `NFT_TABLE_F_OWNER`.
pub(super) const FLAG_OWNER: u32 = 2;
/// `NFT_SET_ANONYMOUS`.
pub(super) const SET_IS_ANONYMOUS: u32 = 0x1;

/// After connection tracking (-200), so that directions are known; before DNAT (-100), so that ports
/// are the published ones, also of containers; and before firewalld (-140).
const PRIORITY: i32 = -160;
const PREROUTING: u32 = 0;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const JUMP: u32 = (-3i32).cast_unsigned();
const REGISTER: u32 = 1;
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const CT_DIRECTION: u32 = 1;
const DIRECTION_REPLY: u8 = 1;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const DESTINATION_PORT: (u32, u32, u32) = (TRANSPORT_HEADER, 2, 2);
const TCP: u8 = 6;
const UDP: u8 = 17;
const INET_SERVICE: u32 = 13;
const SET_IS_CONSTANT: u32 = 0x2;
const SET_OF_INTERVALS: u32 = 0x4;
const SET_HAS_TIMEOUTS: u32 = 0x10;
/// nft's own note that a set's keys are in network order.
const BIG_ENDIAN_KEY: [u8; 6] = {
    let [a, b, c, d] = 2u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};

/// Attributes of a table.
pub(super) const TABLE_NAME: u16 = 1;
pub(super) const TABLE_FLAGS: u16 = 2;
pub(super) const TABLE_HANDLE: u16 = 4;
pub(super) const TABLE_USERDATA: u16 = 6;
pub(super) const TABLE_OWNER: u16 = 7;
/// Attributes of a chain.
pub(super) const CHAIN_TABLE: u16 = 1;
pub(super) const CHAIN_HANDLE: u16 = 2;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
/// Attributes of a rule.
pub(super) const RULE_TABLE: u16 = 1;
pub(super) const RULE_CHAIN: u16 = 2;
pub(super) const RULE_HANDLE: u16 = 3;
pub(super) const RULE_EXPRESSIONS: u16 = 4;
pub(super) const RULE_USERDATA: u16 = 7;
/// Attributes of a set.
pub(super) const SET_TABLE: u16 = 1;
pub(super) const SET_NAME: u16 = 2;
pub(super) const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DESCRIPTION: u16 = 9;
const SET_ID: u16 = 10;
const SET_USERDATA: u16 = 13;
pub(super) const SET_HANDLE: u16 = 16;
