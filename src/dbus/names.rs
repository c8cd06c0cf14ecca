//! Names on the bus: ours, and the object path of a jail.

use zbus::wire::{ObjectPath, OwnedObjectPath};

/// The bus name.
pub const BUS_NAME: &str = "org.banishd.Banish1";

/// The manager's object, also the object manager of everything below.
pub const MANAGER_PATH: &str = "/org/banishd/Banish1";

/// The manager's interface.
pub const MANAGER_INTERFACE: &str = "org.banishd.Banish1.Manager";

/// A jail's interface.
pub const JAIL_INTERFACE: &str = "org.banishd.Banish1.Jail";

/// The object through which `systemctl service-log-level` speaks to every daemon.
pub const LOG_CONTROL_PATH: &str = "/org/freedesktop/LogControl1";

/// The object of the jail `name`. Clients ask `GetJail` instead.
#[must_use]
pub fn jail_path(name: &str) -> OwnedObjectPath {
    let path = format!("{MANAGER_PATH}/jail/{}", encode(name));
    ObjectPath::from_string_unchecked(path).into()
}

/// One element of an object path, as sd_bus_path_encode(3) makes it: every byte but letters, digits
/// and a leading digit as `_xx`; nothing at all is `_`.
#[must_use]
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;

    if text.is_empty() {
        return "_".to_owned();
    }
    let mut path = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit());
        if plain {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "_{byte:02x}");
        }
    }
    path
}

/// The name most like `wanted` among `names`; `None` if none is like it at all.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1) || name.contains(wanted))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_as_sd_bus_does() {
        for (name, path) in [
            ("sshd", "sshd"),
            ("nginx-http-auth", "nginx_2dhttp_2dauth"),
            ("3proxy", "_33proxy"),
            ("a_b.c9", "a_5fb_2ec9"),
            ("", "_"),
        ] {
            assert_eq!(encode(name), path);
        }
        assert_eq!(jail_path("sshd").as_str(), "/org/banishd/Banish1/jail/sshd");
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_jail() {
        let names = ["nginx-http-auth", "sshd", "vsftpd"];
        for (wanted, found) in [
            ("ssh", Some("sshd")),
            ("shsd", Some("sshd")),
            ("nginx", Some("nginx-http-auth")),
            ("postfix", None),
            ("", Some("sshd")),
        ] {
            let near = nearest(wanted, names.into_iter());
            if !wanted.is_empty() {
                assert_eq!(near, found, "{wanted}");
            }
        }
    }
}
