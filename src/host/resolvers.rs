//! Which name servers the host asks. Comes in: the text of resolv.conf. Goes out: their addresses.
//! Never asks one.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// The name servers in `etc/resolv.conf`. Where systemd-resolved stands in between, those that it asks.
#[must_use]
pub fn read(root: &Path) -> BTreeSet<IpAddr> {
    let mut servers = servers_in(&root.join("etc/resolv.conf"));
    if servers.iter().any(IpAddr::is_loopback) {
        servers.extend(servers_in(&root.join("run/systemd/resolve/resolv.conf")));
    }
    servers
}

fn servers_in(path: &Path) -> BTreeSet<IpAddr> {
    // No such file means no name server; an unreadable one is for its owner to mend.
    let text = fs::read(path).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// The addresses in `nameserver` lines, as resolv.conf(5) has them: at the start of a line, the rest of
/// which is ignored. An interface behind `%` is dropped.
#[must_use]
pub fn parse(text: &str) -> BTreeSet<IpAddr> {
    let server = |line: &str| {
        let rest = line.strip_prefix("nameserver")?;
        let word = rest
            .starts_with([' ', '\t'])
            .then(|| rest.split_whitespace().next())??;
        let address = word.split_once('%').map_or(word, |(address, _)| address);
        address
            .parse()
            .ok()
            .map(|address: IpAddr| address.to_canonical())
    };
    text.lines().filter_map(server).collect()
}
