//! Who must not be banned whatever they do: the host itself, what it cannot live without, and the
//! administrators who are logged in. The daemon watches the host and feeds this in.

use crate::engine::address::{AddressSet, Offender};
use crate::engine::time::Timestamp;

/// The protected addresses at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    /// The host's own addresses.
    pub own: AddressSet,
    /// Gateways.
    pub gateways: AddressSet,
    /// Name servers.
    pub resolvers: AddressSet,
    /// Remote peers of live login sessions of root or of a protected group, and when each began.
    pub sessions: Vec<(Offender, Timestamp)>,
}

impl Protected {
    /// Why `offender` must not be banned for failures that began at `first`; `None` if it may.
    #[must_use]
    pub fn reason(&self, offender: &Offender, first: Timestamp) -> Option<&'static str> {
        let logged_in = |(peer, began): &(Offender, Timestamp)| {
            (offender.contains(peer) || peer.contains(offender)) && *began < first
        };
        if self.own.touches(offender) {
            Some("it is this host's own address")
        } else if self.gateways.touches(offender) {
            Some("it is this host's gateway")
        } else if self.resolvers.touches(offender) {
            Some("it is a name server of this host")
        } else if self.sessions.iter().any(logged_in) {
            Some("an administrator is logged in from it")
        } else {
            None
        }
    }
}
