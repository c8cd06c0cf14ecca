//! Whom a match tells of.
//!
//! Comes in: what was captured. Goes out: the identity as it stands in the text, and what can be counted
//! under it. Text that only looks like an address never becomes one.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Deref;

use crate::engine::address::Offender;
use crate::engine::filter::Names;
use crate::engine::filter::failure::Who;
use crate::engine::filter::slots::{Slots, text};

/// Whom a match tells of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// As it stands in the text.
    pub(crate) text: String,
    /// What it counts as; `None` for what is no address, and for a name where names count for nothing.
    pub(crate) who: Option<Who>,
}

/// `None` if nobody was captured.
pub(crate) fn identify<V: Deref<Target = [u8]>>(
    slots: &Slots,
    values: &[Option<V>],
    names: Names,
) -> Option<Identity> {
    let address = text(values, slots.ip4).or_else(|| text(values, slots.ip6));
    let host = address.or_else(|| text(values, slots.dns));
    let own = text(values, slots.id);
    let parts = slots.tuple.iter();
    let mut parts = parts.filter_map(|slot| text(values, Some(*slot)));
    if let Some(first) = parts.next() {
        let text = tuple([own, Some(first)].into_iter().chain(parts.map(Some)));
        return Some(Identity {
            who: Some(Who::Other(shorten(&text).into())),
            text,
        });
    }
    if let Some(own) = own.filter(|own| host != Some(own)) {
        let text = String::from_utf8_lossy(own);
        // Without the host's address fail2ban counts nothing, whatever else identifies.
        let is_vain = address.is_none() && host.is_some_and(|host| name(host, names).is_none());
        let who = match text.parse() {
            Ok(offender) => Who::Address(offender),
            Err(_) => Who::Other(shorten(&text).into()),
        };
        return Some(Identity {
            who: (!is_vain).then_some(who),
            text: text.into_owned(),
        });
    }
    if let Some(address) = address {
        let length = text(values, slots.cidr);
        return Some(located(address, length));
    }
    host.map(|host| Identity {
        text: String::from_utf8_lossy(host).into_owned(),
        who: name(host, names),
    })
}

/// An address, with the length of its prefix if there is one; a length that it cannot have is ignored.
fn located(address: &[u8], length: Option<&[u8]>) -> Identity {
    let address = String::from_utf8_lossy(address);
    let whole = length.map(|length| format!("{address}/{}", String::from_utf8_lossy(length)));
    let offender = whole.as_deref().and_then(|whole| whole.parse().ok());
    let offender: Option<Offender> = offender.or_else(|| address.parse().ok());
    Identity {
        who: offender.map(Who::Address),
        text: whole.unwrap_or_else(|| address.into_owned()),
    }
}

/// A host name, which may be an address after all.
fn name(host: &[u8], names: Names) -> Option<Who> {
    let text = std::str::from_utf8(host).ok()?;
    match (text.parse(), names) {
        (Ok(offender), _) => Some(Who::Address(offender)),
        (Err(_), Names::LookUp | Names::Warn) => {
            (text.len() <= NAME_MAX).then(|| Who::Name(text.into()))
        }
        (Err(_), Names::Raw) => Some(Who::Other(shorten(text).into())),
        (Err(_), Names::Never) => None,
    }
}

/// `('192.0.2.1', None, 'x')`, as fail2ban writes it.
fn tuple<'t>(parts: impl Iterator<Item = Option<&'t [u8]>>) -> String {
    let mut out = "(".to_owned();
    for (index, part) in parts.enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let part = part.map_or(Cow::Borrowed("None"), |part| {
            Cow::Owned(format!("'{}'", String::from_utf8_lossy(part)))
        });
        // Writing to a string cannot fail.
        let _ = write!(out, "{comma}{part}");
    }
    out + ")"
}

/// What is remembered of an identity, which the log's writers make as long as they like.
fn shorten(text: &str) -> &str {
    let mut ends = (0..=IDENTITY_MAX).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or(text)
}

/// No identity that means something is longer.
const IDENTITY_MAX: usize = 1024;
/// What the name system allows (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;
