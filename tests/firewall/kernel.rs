//! What the kernel's sets hold, as nft tells it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use banishd::engine::address::Offender;
use serde_json::Value;

use crate::firewall::namespace::run;

/// Set to elements: first and last address, and seconds that the kernel was told.
pub(super) type Kernel = BTreeMap<String, Vec<(IpAddr, IpAddr, Option<u64>)>>;

/// The sets that are not empty.
pub(super) fn kernel() -> Kernel {
    // Not the ruleset: nft 1.0.6 now and then breaks off at the flags of a table that has an owner.
    let text = run("nft -j list sets");
    let ruleset: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let sets = ruleset["nftables"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|object| object.get("set"));
    let elements = |set: &Value| {
        set["elem"]
            .as_array()
            .map(|all| all.iter().map(element).collect())
    };
    sets.filter_map(|set| Some((set["name"].as_str()?.to_owned(), elements(set)?)))
        .collect()
}

pub(super) fn element(element: &Value) -> (IpAddr, IpAddr, Option<u64>) {
    let (value, timeout) = match element.get("elem") {
        Some(full) => (&full["val"], full["timeout"].as_u64()),
        None => (element, None),
    };
    let address = |value: &Value| value.as_str().unwrap().parse::<IpAddr>().unwrap();
    if let Some(prefix) = value.get("prefix") {
        let net = format!("{}/{}", prefix["addr"].as_str().unwrap(), prefix["len"]);
        let net = net.parse::<Offender>().unwrap().network();
        return (net.network(), net.broadcast(), timeout);
    }
    match value.get("range") {
        Some(range) => (address(&range[0]), address(&range[1]), timeout),
        None => (address(value), address(value), timeout),
    }
}

/// Seconds that the kernel was told for an element, which must be there.
pub(super) fn timeout(set: &str, key: &str) -> Option<u64> {
    let key: IpAddr = key.parse().unwrap();
    let kernel = kernel();
    kernel[set]
        .iter()
        .find(|(first, _, _)| *first == key)
        .unwrap()
        .2
}
