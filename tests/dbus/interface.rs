//! The interface as served, as installed in `dbus/`, as allowed by the policies and as documented in
//! the man page is one and the same. `BLESS=1` writes `dbus/*.xml` from what is served.

use std::path::PathBuf;

use banishd::dbus::error::Kind;
use banishd::dbus::names::{JAIL_INTERFACE, MANAGER_INTERFACE, MANAGER_PATH};
use banishd::dbus::polkit::Action;

use crate::dbus::bus::ROOT;
use crate::dbus::peer::introspect;

const DOCTYPE: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n\
    \x20                     \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";

const JAIL_PATH: &str = "/org/banishd/Banish1/jail/sshd";

fn file(path: &str) -> String {
    let path = PathBuf::from(ROOT).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One interface out of the introspection of an object.
fn part(xml: &str, interface: &str) -> String {
    let start = xml
        .find(&format!("<interface name=\"{interface}\">"))
        .unwrap();
    let length = xml[start..].find("</interface>").unwrap();
    let body = &xml[start..start + length];
    format!("{DOCTYPE}<node>\n  {body}</interface>\n</node>\n")
}

async fn served() -> [(&'static str, String); 2] {
    let manager = part(&introspect(MANAGER_PATH).await, MANAGER_INTERFACE);
    let jail = part(&introspect(JAIL_PATH).await, JAIL_INTERFACE);
    [(MANAGER_INTERFACE, manager), (JAIL_INTERFACE, jail)]
}

#[tokio::test]
async fn the_installed_interface_files_are_what_is_served() {
    for (interface, xml) in served().await {
        let path = format!("dbus/{interface}.xml");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(PathBuf::from(ROOT).join(&path), &xml).unwrap();
        }
        assert_eq!(file(&path), xml, "BLESS=1 cargo test writes {path}");
    }
}

/// `(kind, name)` of every method, signal and property.
fn members(xml: &str) -> Vec<(&str, &str)> {
    let member = |line: &'_ str| -> Option<(usize, usize, usize)> {
        let kind = ["method", "signal", "property"]
            .into_iter()
            .find(|kind| line.trim_start().starts_with(&format!("<{kind} name=\"")))?;
        let from = line.find('"')? + 1;
        let length = line[from..].find('"')?;
        Some((kind.len(), from, length))
    };
    xml.lines()
        .filter_map(|line| {
            let (kind, from, length) = member(line)?;
            let start = line.find('<')? + 1;
            Some((&line[start..start + kind], &line[from..from + length]))
        })
        .collect()
}

#[tokio::test]
async fn every_member_has_its_paragraph_in_the_man_page() {
    let page = file("man/org.banishd.Banish1.5").replace("\\-", "-");
    for (interface, xml) in served().await {
        let members = members(&xml);
        assert!(members.len() > 20, "{interface}");
        for (kind, name) in members {
            let brackets = if kind == "property" { "" } else { "()" };
            let paragraph = format!("\n.TP\n.B {name}{brackets}\n");
            assert!(
                page.contains(&paragraph),
                "{interface}: {kind} {name} is undocumented"
            );
        }
    }
}

#[test]
fn every_error_and_every_action_is_documented() {
    let page = file("man/org.banishd.Banish1.5").replace("\\-", "-");
    let errors = Kind::ALL.map(Kind::name);
    let actions = Action::ALL.map(Action::id);
    for name in errors.iter().chain(&actions) {
        assert!(page.contains(name), "{name} is undocumented");
    }
}

#[test]
fn polkit_knows_our_actions_and_no_others_and_lets_us_ask() {
    let policy = file("dbus/org.banishd.Banish1.policy");
    let listed: Vec<&str> = policy
        .split("<action id=\"")
        .skip(1)
        .map(|rest| &rest[..rest.find('"').unwrap()])
        .collect();
    assert_eq!(listed, Action::ALL.map(Action::id));
    // polkit answers a daemon that is not root, and takes details from it, only as an action's owner
    let owner = "<annotate key=\"org.freedesktop.policykit.owner\">unix-user:banishd</annotate>";
    assert_eq!(policy.matches(owner).count(), listed.len());
}

#[tokio::test]
async fn the_bus_policy_withholds_every_signal_that_carries_an_address() {
    let conf = file("dbus/org.banishd.Banish1.conf");
    let [(_, manager), (_, jail)] = served().await;
    for member in manager.split("<signal ").skip(1) {
        let member = &member[..member.find("</signal>").unwrap()];
        let name = member.split('"').nth(1).unwrap();
        let denied = conf.contains(&format!("receive_member=\"{name}\""));
        assert_eq!(denied, member.contains("name=\"address\""), "{name}");
    }
    assert!(
        !jail.contains("<signal "),
        "signals of jails need a rule too"
    );
    for interface in [MANAGER_INTERFACE, JAIL_INTERFACE] {
        assert!(conf.contains(&format!("send_interface=\"{interface}\"")));
    }
}

#[test]
fn the_xml_files_are_well_formed() {
    if std::env::var_os("CI").is_none() && !PathBuf::from("/usr/bin/xmllint").exists() {
        return;
    }
    for name in [
        "org.banishd.Banish1.Manager.xml",
        "org.banishd.Banish1.Jail.xml",
        "org.banishd.Banish1.conf",
        "org.banishd.Banish1.policy",
    ] {
        #[expect(clippy::disallowed_methods, reason = "tests run xmllint")]
        let checked = std::process::Command::new("xmllint")
            .args(["--noout", "--nonet"])
            .arg(PathBuf::from(ROOT).join("dbus").join(name))
            .output()
            .unwrap();
        assert!(checked.status.success(), "{name}: {checked:?}");
    }
}
