//! What the kernel says.

use banishd::firewall::nftables::reply;
use banishd::host::route::{self, Said};
use banishd::sys::netlink::{Attributes, Messages};

/// Any bytes are a datagram. There is no more in it than fits.
pub(crate) fn netlink(bytes: &[u8]) {
    let mut count = 0;
    for message in Messages(bytes) {
        count += 1;
        assert!(message.body.len() <= bytes.len());
        assert!(Attributes(message.body).count() <= message.body.len() / 4);
        if let Said::Gateways(_, gateways) = route::read(&message) {
            assert!(gateways.len() <= bytes.len() / 4);
        }
    }
    assert!(count <= bytes.len() / 16);
    let _ = reply::table(bytes);
    let found = reply::chains(bytes).count() + reply::rules(bytes).count();
    assert!(found + reply::sets(bytes).count() <= count);
}
