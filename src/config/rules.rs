//! fail2ban's firewall actions: what they would drop is what the jail drops.
//!
//! Comes in: the names of actions and their properties. Goes out: ports and protocol. Nothing of an
//! action is run here, its commands are not even looked at.

use crate::config::action::ResolvedAction;
use crate::config::diagnostic::Place;
use crate::config::ports::{self, Transport};
use crate::config::reading::Reading;
use crate::engine::settings::{JailRules, Ports, Protocol};

/// Which traffic the jail drops: what its firewall actions would, or what it says itself. `None` after
/// an error, and for a jail that is no use here.
pub(crate) fn read(
    reading: &mut Reading,
    actions: &[ResolvedAction],
    services: &str,
) -> Option<JailRules> {
    let mut drops: Option<Drop> = None;
    for action in actions {
        let own = |name: &str| {
            reading
                .text(name)
                .filter(|_| ["port", "protocol"].contains(&name))
        };
        let given = |name: &str| action.properties.get(name).map(|value| value.text.trim());
        let property = |name: &str| given(name).or_else(|| own(name));
        let file = &action.file;
        match deed(file, property, services) {
            Ok(Deed::Drop(drop)) => {
                if drop.is_widened {
                    widened(reading, &action.place);
                }
                if action.is_modified {
                    let message = format!("the action '{file}' is not as fail2ban ships it");
                    reading.note(
                        &action.place,
                        message,
                        "its commands are not run: its ports and its protocol are dropped",
                    );
                }
                drops = Some(match drops {
                    Some(before) => before.and(drop),
                    None => drop,
                });
            }
            Ok(Deed::Admit) => {
                let message = "the action lets an address in, and nobody else is kept out";
                reading.warn(
                    &action.place,
                    message,
                    "the jail is off: banishd only shuts out",
                );
                return None;
            }
            Ok(Deed::Else) => {
                let message = format!("the action '{file}' is not run by this version");
                reading.note(
                    &action.place,
                    message,
                    "bans go into the kernel's nftables all the same",
                );
            }
            Err(reason) => {
                let place = blamed(reading, action, services);
                reading.error(&place, reason, "correct 'port' or 'protocol'");
                return None;
            }
        }
    }
    match drops {
        Some(drops) => Some(drops.rules),
        None => own(reading, services),
    }
}

/// What the jail's own `port` and `protocol` say.
fn own(reading: &mut Reading, services: &str) -> Option<JailRules> {
    let transport = match reading.value("protocol") {
        Some(_) => reading.parsed("protocol", ports::protocol)?,
        None => Transport::Known(Protocol::Tcp),
    };
    let ports = match reading.value("port") {
        Some(_) => reading.parsed("port", |text| ports::ports(text, services))?,
        None => Ports::All,
    };
    let drop = dropped(transport, ports);
    if drop.is_widened {
        let place = reading.place_of("protocol");
        widened(reading, &place);
    }
    Some(drop.rules)
}

fn widened(reading: &mut Reading, place: &Place) {
    let message = "no jail drops such a protocol alone";
    reading.warn(place, message, "all traffic of an offender is dropped");
}

/// The property that makes no sense, or the jail's own option where the action merely passes it on.
fn blamed(reading: &Reading, action: &ResolvedAction, services: &str) -> Place {
    let wrong = |name: &&str, text: &str| match *name {
        "port" => ports::ports(text, services).is_err(),
        _ => ports::protocol(text).is_err(),
    };
    let blamed = ["port", "protocol"].into_iter().find_map(|name| {
        let value = action.properties.get(name)?;
        wrong(&name, &value.text).then_some((name, value))
    });
    match blamed {
        Some((name, value)) if reading.text(name) == Some(value.text.trim()) => {
            reading.place_of(name)
        }
        Some((_, value)) => value.entry.value_place().clone(),
        None => action.place.clone(),
    }
}

/// What an action does to an offender.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    /// Its traffic is dropped.
    Drop(Drop),
    /// Its traffic is let through, and everybody else's is not.
    Admit,
    /// Something beside the firewall: a mail, a report, a file.
    Else,
}

/// Traffic that is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drop {
    /// Which.
    rules: JailRules,
    /// That is more than was asked for, because no jail drops such a protocol alone.
    is_widened: bool,
}

/// Which traffic an action drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `port` and `protocol` say.
    ByPort,
    /// All ports of `protocol`.
    EveryPort,
    /// All.
    Everything,
}

/// What the action `file` does with these properties.
///
/// # Errors
/// Its ports or its protocol make no sense.
fn deed<'a>(
    file: &str,
    property: impl Fn(&str) -> Option<&'a str>,
    services: &str,
) -> Result<Deed, String> {
    let Some(shape) = shape(file, &property) else {
        return Ok(Deed::Else);
    };
    let block = property("blocktype").unwrap_or_default().trim();
    if ["RETURN", "ACCEPT"]
        .iter()
        .any(|word| block.eq_ignore_ascii_case(word))
    {
        return Ok(Deed::Admit);
    }
    let port = property("port").filter(|_| shape == Shape::ByPort);
    let protocol = property("protocol").filter(|_| shape != Shape::Everything);
    let transport = ports::protocol(protocol.unwrap_or(shape.protocol()))?;
    let ports = ports::ports(port.unwrap_or("all"), services)?;
    Ok(Deed::Drop(dropped(transport, ports)))
}

fn dropped(transport: Transport, ports: Ports) -> Drop {
    let (protocol, ports, is_widened) = match transport {
        Transport::Known(protocol) => (protocol, ports, false),
        Transport::Other => (Protocol::All, Ports::All, true),
    };
    Drop {
        rules: JailRules { protocol, ports },
        is_widened,
    }
}

impl Shape {
    /// What is dropped where nothing is said of it.
    fn protocol(self) -> &'static str {
        match self {
            Self::ByPort | Self::EveryPort => "tcp",
            Self::Everything => "all",
        }
    }
}

impl Drop {
    /// What both drop, and perhaps more: a jail has one protocol.
    fn and(self, other: Self) -> Self {
        let (one, two) = (self.rules, other.rules);
        let protocol = match one.protocol == two.protocol {
            true => one.protocol,
            false => Protocol::All,
        };
        Self {
            rules: JailRules {
                protocol,
                ports: ports::both(one.ports, two.ports),
            },
            is_widened: self.is_widened || other.is_widened,
        }
    }
}

fn shape<'a>(file: &str, property: &impl Fn(&str) -> Option<&'a str>) -> Option<Shape> {
    if EVERYTHING.contains(&file) {
        return Some(Shape::Everything);
    }
    let kind = ["type", "actiontype"]
        .iter()
        .find_map(|name| property(name));
    let every = file.contains("allports") || kind.is_some_and(|kind| kind.contains("allports"));
    family(file).then_some(match every || property("port").is_none() {
        true => Shape::EveryPort,
        false => Shape::ByPort,
    })
}

/// Whether `file` is an action of fail2ban's for a firewall, whose file need not be there.
pub(crate) fn is_shipped(file: &str) -> bool {
    SHIPPED.contains(&file) || EVERYTHING.contains(&file)
}

fn family(file: &str) -> bool {
    FAMILIES.iter().any(|family| {
        let rest = file.strip_prefix(family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// The actions of fail2ban for firewalls of Linux.
pub(crate) const SHIPPED: [&str; 17] = [
    "firewallcmd-allports",
    "firewallcmd-ipset",
    "firewallcmd-multiport",
    "firewallcmd-new",
    "firewallcmd-rich-logging",
    "firewallcmd-rich-rules",
    "iptables",
    "iptables-allports",
    "iptables-ipset",
    "iptables-ipset-proto4",
    "iptables-ipset-proto6",
    "iptables-ipset-proto6-allports",
    "iptables-multiport",
    "iptables-new",
    "nftables",
    "nftables-allports",
    "nftables-multiport",
];

/// Actions that name ports: these, and those that begin like them.
const FAMILIES: [&str; 8] = [
    "bsd-ipfw",
    "firewallcmd",
    "ipfw",
    "iptables",
    "nftables",
    "osx-ipfw",
    "pf",
    "symbiosis-blacklist",
];

/// Actions that ask for no port.
const EVERYTHING: [&str; 10] = [
    "apf",
    "csf",
    "ipfilter",
    "iptables-xt_recent-echo",
    "npf",
    "osx-afctl",
    "route",
    "shorewall",
    "shorewall-ipset-proto6",
    "ufw",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, properties: &[(&str, &'static str)]) -> String {
        let property = |name: &str| {
            properties
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        };
        match deed(file, property, "") {
            Ok(Deed::Drop(drop)) => {
                let wide = if drop.is_widened { " widened" } else { "" };
                format!("{:?} {}{wide}", drop.rules.protocol, drop.rules.ports)
            }
            Ok(other) => format!("{other:?}"),
            Err(reason) => reason,
        }
    }

    #[test]
    fn firewall_actions_give_ports_and_protocol() {
        let ssh = [("port", "ssh"), ("protocol", "tcp")];
        for (file, properties, expected) in [
            ("iptables-multiport", ssh.as_slice(), "Tcp 22"),
            ("iptables", &ssh, "Tcp 22"),
            ("nftables", &ssh, "Tcp 22"),
            ("iptables-ipset-proto6", &ssh, "Tcp 22"),
            ("firewallcmd-rich-rules", &ssh, "Tcp 22"),
            ("iptables-allports", &ssh, "Tcp all"),
            (
                "nftables",
                &[("type", "allports"), ("port", "ssh")],
                "Tcp all",
            ),
            (
                "pf",
                &[
                    ("actiontype", "<allports>"),
                    ("port", "ssh"),
                    ("protocol", "tcp"),
                ],
                "Tcp all",
            ),
            ("ufw", &ssh, "All all"),
            ("iptables-xt_recent-echo", &ssh, "All all"),
            (
                "iptables-multiport",
                &[("port", "0:65535"), ("protocol", "tcp,udp")],
                "All all",
            ),
            (
                "iptables-multiport",
                &[("port", "80,443"), ("protocol", "udp")],
                "Udp 80,443",
            ),
            (
                "iptables-multiport",
                &[("port", "80"), ("protocol", "icmp")],
                "All all widened",
            ),
            (
                "iptables-multiport",
                &[("port", "80"), ("blocktype", "RETURN")],
                "Admit",
            ),
            ("iptablesque", &ssh, "Else"),
            ("sendmail-whois-lines", &ssh, "Else"),
        ] {
            assert_eq!(check(file, properties), expected, "{file} {properties:?}");
        }
        assert!(check("iptables", &[("port", "nosuch")]).contains("'nosuch' is no port"));
    }

    #[test]
    fn two_firewall_actions_drop_what_either_drops() {
        let ports = |text| ports::ports(text, "").unwrap();
        let one = dropped(Transport::Known(Protocol::Tcp), ports("5060,5061"));
        let two = dropped(Transport::Known(Protocol::Udp), ports("5060"));

        let both = one.and(two).rules;

        assert_eq!(
            (both.protocol, both.ports.to_string().as_str()),
            (Protocol::All, "5060-5061")
        );
    }
}
