//! Who can be banned: an address or a prefix in one canonical form, and sets of addresses that must
//! not be.
//!
//! IPv4-mapped IPv6 becomes IPv4 and host bits are cleared on the way in, so that one peer has one
//! spelling everywhere: in the ledger, in the kernel, on the bus.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// An address or a prefix in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offender(IpNet);

impl Offender {
    /// One host; an IPv4-mapped IPv6 address becomes the IPv4 address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }

    /// A prefix, host bits cleared, an IPv4-mapped one as IPv4.
    #[must_use]
    pub fn prefix(net: IpNet) -> Self {
        let net = match net {
            IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
                (Some(v4), Some(len)) => Ipv4Net::new(v4, len).map_or(net, IpNet::V4),
                _ => net,
            },
            IpNet::V4(_) => net,
        };
        Self(net.trunc())
    }

    /// The first address; for a host, the address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// As a network.
    #[must_use]
    pub fn network(&self) -> IpNet {
        self.0
    }

    /// Whether this is one address rather than a prefix.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// Whether `other` lies within.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether a ban of this could be meant: `None` if so, else why not. Refused are unspecified,
    /// multicast and loopback addresses, and prefixes wider than /16 (IPv4) or /32 (IPv6).
    #[must_use]
    pub fn unbannable(&self) -> Option<&'static str> {
        let address = self.0.addr();
        let widest = if address.is_ipv4() { 16 } else { 32 };
        if self.0.prefix_len() < widest {
            Some("the prefix is too wide (at most /16 for IPv4 and /32 for IPv6)")
        } else if address.is_unspecified() {
            Some("it is the unspecified address")
        } else if address.is_loopback() {
            Some("it is a loopback address")
        } else if address.is_multicast() {
            Some("it is a multicast address")
        } else {
            None
        }
    }
}

impl FromStr for Offender {
    type Err = AddressError;

    /// Reads `192.0.2.1`, `2001:db8::1`, `192.0.2.0/24`; `[2001:db8::1]` and an IPv4-mapped IPv6
    /// address are accepted too.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(address) => Ok(Self::host(address)),
            Err(_) => bare.parse::<IpNet>().map(Self::prefix).map_err(|_| error()),
        }
    }
}

/// `192.0.2.1` for a host, `192.0.2.0/24` for a prefix.
impl fmt::Display for Offender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// Text that is no address and no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an IP address or prefix")]
pub struct AddressError(String);

/// A set of addresses and prefixes, such as `ignoreip`.
///
/// Invariant: one entry covers no other, and they are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet(Vec<IpNet>);

impl AddressSet {
    /// Whether the set and `offender` have an address in common.
    #[must_use]
    pub fn touches(&self, offender: &Offender) -> bool {
        let net = offender.network();
        // Members do not overlap: only the last that begins no later can hold it, and if any lies within it
        // the next one does. Lists of `ignoreip` may be long, and every failure asks.
        let next = self
            .0
            .partition_point(|member| member.network() <= net.network());
        let mut near = self.0.iter().skip(next.saturating_sub(1)).take(2);
        near.any(|member| member.contains(&net) || net.contains(member))
    }

    /// The members, narrower ones that a wider one covers left out.
    pub fn iter(&self) -> impl Iterator<Item = Offender> + '_ {
        self.0.iter().copied().map(Offender)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Offender> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Offender>>(members: I) -> Self {
        let nets: Vec<IpNet> = members.into_iter().map(|member| member.network()).collect();
        let mut nets = IpNet::aggregate(&nets);
        nets.sort_unstable();
        Self(nets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offender(text: &str) -> Offender {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_one_spelling() {
        for (text, canonical) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("2001:db8:0:0::7/64", "2001:db8::/64"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.77/32", "192.0.2.77"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            assert_eq!(offender(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn text_that_is_no_address_is_refused() {
        for text in [
            "",
            "host",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1/33",
            "1.2.3.4 ",
            "2001:db8::/129",
        ] {
            assert!(text.parse::<Offender>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_bans_loopback_multicast_or_half_the_internet() {
        for text in [
            "0.0.0.0",
            "::",
            "127.0.0.1",
            "::1",
            "224.0.0.1",
            "ff02::1",
            "0.0.0.0/0",
            "10.0.0.0/8",
            "2000::/3",
        ] {
            assert!(offender(text).unbannable().is_some(), "{text}");
        }
        for text in ["192.0.2.1", "192.0.0.0/16", "2001:db8::/32", "2001:db8::1"] {
            assert!(offender(text).unbannable().is_none(), "{text}");
        }
    }

    #[test]
    fn a_prefix_touches_the_set_if_it_covers_a_member() {
        let set: AddressSet = ["192.0.2.0/24", "192.0.2.7", "2001:db8::1"]
            .map(offender)
            .into_iter()
            .collect();
        for (text, touches) in [
            ("192.0.2.7", true),
            ("192.0.3.7", false),
            ("192.0.0.0/16", true),
            ("2001:db8::/64", true),
            ("2001:db8::2", false),
        ] {
            assert_eq!(set.touches(&offender(text)), touches, "{text}");
        }
        assert_eq!(set.iter().count(), 2);
    }

    /// Addresses and prefixes that are close together.
    fn close() -> impl Strategy<Value = Offender> {
        let v4 = (0_u8..16, 24_u8..=32).prop_map(|(low, length)| format!("192.0.2.{low}/{length}"));
        let v6 = (0_u8..16, 112_u8..=128).prop_map(|(low, length)| format!("::{low:x}/{length}"));
        prop_oneof![v4, v6].prop_map(|text| offender(&text))
    }

    proptest! {
        #[test]
        fn membership_is_what_a_look_at_each_member_says(
            members in proptest::collection::vec(close(), 0..12),
            asked in close(),
        ) {
            let touches = members.iter().any(|m| m.contains(&asked) || asked.contains(m));

            let set: AddressSet = members.into_iter().collect();

            prop_assert_eq!(set.touches(&asked), touches);
        }
    }
}
