//! Requests to nf_tables as bytes.
//!
//! Comes in: kinds, flags, attributes. Goes out: one batch, which the kernel carries out whole or not
//! at all, or one question. It knows the framing only; what is asked is `layout`'s and `elements`'.

use crate::sys::netlink::{Attributes, HEADER, Messages};

/// Several requests in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    first: u32,
    next: u32,
    last: usize,
}

impl Batch {
    /// An empty batch whose messages are numbered from `first`.
    pub(super) fn new(first: u32) -> Self {
        let mut batch = Self {
            bytes: Vec::with_capacity(4096),
            first,
            next: first,
            last: 0,
        };
        batch.frame(BATCH_BEGIN, REQUEST, [0, 0], SUBSYSTEM, |_| {});
        batch
    }

    /// Adds a request with its attributes.
    pub(super) fn add(&mut self, kind: Kind, flags: u16, attributes: impl FnOnce(&mut Writer<'_>)) {
        self.last = self.bytes.len();
        self.frame(kind.number(), REQUEST | flags, [INET, 0], 0, attributes);
    }

    /// The batch ready to send, with an acknowledgement asked of its last request only.
    pub(super) fn finish(mut self) -> Sealed {
        let acknowledged = self.next.wrapping_sub(1);
        if let Some([low, high]) = self.bytes.get_mut(self.last + 6..self.last + 8) {
            let flags = u16::from_ne_bytes([*low, *high]) | ACK;
            [*low, *high] = flags.to_ne_bytes();
        }
        self.frame(BATCH_END, REQUEST, [0, 0], SUBSYSTEM, |_| {});
        Sealed {
            first: self.first,
            acknowledged,
            next: self.next,
            bytes: self.bytes,
        }
    }

    fn frame(
        &mut self,
        kind: u16,
        flags: u16,
        family: [u8; 2],
        resource: u16,
        attributes: impl FnOnce(&mut Writer<'_>),
    ) {
        frame(
            &mut self.bytes,
            (kind, flags, self.next),
            (family, resource),
            attributes,
        );
        self.next = self.next.wrapping_add(1);
    }
}

/// A batch that is complete.
#[derive(Debug)]
pub(super) struct Sealed {
    /// What to send.
    pub(super) bytes: Vec<u8>,
    /// The number of its first message; errors about the whole batch answer this one.
    pub(super) first: u32,
    /// The number of the message whose acknowledgement means success.
    pub(super) acknowledged: u32,
    /// The first number that is free again.
    pub(super) next: u32,
}

impl Sealed {
    /// The request with this number as kind and object, for people: `new element of set 'any4'`.
    pub(super) fn describe(&self, sequence: u32) -> Option<(Kind, String)> {
        let message = Messages(&self.bytes).find(|m| m.sequence == sequence)?;
        let kind = Kind::of(message.kind)?;
        let attributes = Attributes(message.body.get(4..)?);
        let name = |attribute| attributes.find(attribute).map(text).unwrap_or_default();
        Some((
            kind,
            match kind {
                Kind::NewTable => "to make table 'inet banishd'".to_owned(),
                Kind::DeleteTable => "to delete table 'inet banishd'".to_owned(),
                Kind::NewChain => format!("to make chain '{}'", name(3)),
                Kind::NewRule => format!("a rule in chain '{}'", name(2)),
                Kind::DeleteRule => format!("to empty chain '{}'", name(2)),
                Kind::NewSet => format!("to make set '{}'", name(2)),
                Kind::DeleteSet => format!("to delete set '{}'", name(2)),
                Kind::NewElement => format!("to add to set '{}'", name(2)),
                Kind::DeleteElement => format!("to delete from set '{}'", name(2)),
                _ => "a question".to_owned(),
            },
        ))
    }
}

/// One question outside a batch; `flags` says whether it asks for one object or for all.
pub(super) fn question(
    kind: Kind,
    flags: u16,
    sequence: u32,
    attributes: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = (kind.number(), REQUEST | flags, sequence);
    frame(&mut bytes, header, ([INET, 0], 0), attributes);
    bytes
}

/// Appends attributes to a message.
#[derive(Debug)]
pub(super) struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    /// A string, with the NUL that the kernel wants.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, |bytes| {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        });
    }

    /// A number in network order.
    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.bytes(kind, &number.to_be_bytes());
    }

    /// A long number in network order.
    pub(super) fn long(&mut self, kind: u16, number: u64) {
        self.bytes(kind, &number.to_be_bytes());
    }

    /// Bytes as they are.
    pub(super) fn bytes(&mut self, kind: u16, payload: &[u8]) {
        self.attribute(kind, |bytes| bytes.extend_from_slice(payload));
    }

    /// Attributes within an attribute; together at most [`NEST_LIMIT`] bytes.
    pub(super) fn nest(&mut self, kind: u16, attributes: impl FnOnce(&mut Writer<'_>)) {
        self.attribute(kind | NESTED, |bytes| attributes(&mut Writer(bytes)));
    }

    fn attribute(&mut self, kind: u16, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        payload(self.0);
        let length = self.0.len() - start;
        // An attribute too long would be cut short here, and the kernel would refuse the message.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(slot) = self.0.get_mut(start..start + 2) {
            slot.copy_from_slice(&length.to_ne_bytes());
        }
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// What a message to nf_tables, or from it, is about (`NFT_MSG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    NewTable = 0,
    AskTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    AskChain = 4,
    NewRule = 6,
    AskRule = 7,
    DeleteRule = 8,
    NewSet = 9,
    AskSet = 10,
    DeleteSet = 11,
    NewElement = 12,
    DeleteElement = 14,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::NewTable,
        Self::AskTable,
        Self::DeleteTable,
        Self::NewChain,
        Self::AskChain,
        Self::NewRule,
        Self::AskRule,
        Self::DeleteRule,
        Self::NewSet,
        Self::AskSet,
        Self::DeleteSet,
        Self::NewElement,
        Self::DeleteElement,
    ];

    /// The kind of a message with this number, `None` for what we never send.
    pub(super) fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number in a message header.
    pub(super) fn number(self) -> u16 {
        (SUBSYSTEM << 8) | self as u16
    }
}

/// The text in a NUL-terminated attribute; what is no UTF-8 is replaced.
pub(super) fn text(payload: &[u8]) -> String {
    let end = payload
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(payload.len());
    String::from_utf8_lossy(payload.get(..end).unwrap_or_default()).into_owned()
}

fn frame(
    bytes: &mut Vec<u8>,
    (kind, flags, sequence): (u16, u16, u32),
    (family, resource): ([u8; 2], u16),
    attributes: impl FnOnce(&mut Writer<'_>),
) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.resize(start + HEADER, 0);
    bytes.extend_from_slice(&family);
    bytes.extend_from_slice(&resource.to_be_bytes());
    attributes(&mut Writer(bytes));
    let length = u32::try_from(bytes.len() - start).unwrap_or(u32::MAX);
    if let Some(slot) = bytes.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_ne_bytes());
    }
}

/// Elements in one message stay below this: an attribute's length has 16 bits.
pub(super) const NEST_LIMIT: usize = 60_000;
/// `NLM_F_DUMP`: all objects rather than one.
pub(super) const DUMP: u16 = 0x300;
/// `NLM_F_CREATE`.
pub(super) const CREATE: u16 = 0x400;
/// `NLM_F_EXCL`: it must not exist yet.
pub(super) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_APPEND`.
pub(super) const APPEND: u16 = 0x800;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const NESTED: u16 = 0x8000;
const INET: u8 = 1;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_framed_and_asks_for_one_acknowledgement() {
        let mut batch = Batch::new(7);
        batch.add(Kind::NewTable, CREATE, |m| m.text(1, "banishd"));
        batch.add(Kind::NewSet, CREATE, |m| {
            m.text(1, "banishd");
            m.text(2, "any4");
            m.nest(9, |m| m.number(1, 5));
        });

        let sealed = batch.finish();

        let seen: Vec<_> = Messages(&sealed.bytes)
            .map(|m| (m.kind, m.flags, m.sequence))
            .collect();
        assert_eq!(
            seen,
            [
                (16, 1, 7),
                (0xa00, 0x401, 8),
                (0xa09, 0x405, 9),
                (17, 1, 10)
            ]
        );
        assert_eq!((sealed.first, sealed.acknowledged, sealed.next), (7, 9, 11));
        assert_eq!(
            sealed.describe(9),
            Some((Kind::NewSet, "to make set 'any4'".to_owned()))
        );
    }
}
