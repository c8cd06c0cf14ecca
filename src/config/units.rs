//! Which units a service's entries come from, for a jail that should read the journal and does not
//! say which entries.
//!
//! Comes in: names: of the filter, of the program, of the jail. Goes out: matches and which name they
//! are by, or nothing. Pure; the whole journal is never the answer.

use crate::engine::settings::{MatchGroup, Matches};

/// Entries, and why just these.
#[derive(Debug)]
pub(crate) struct Guess {
    /// Which entries.
    pub(crate) matches: Matches,
    /// Whose name means them.
    pub(crate) because: &'static str,
    /// Whether that service is known here; else there may be no such unit.
    pub(crate) is_known: bool,
}

/// The entries of the service that the name of the filter means, or its `daemon`, or the name of the jail:
/// the first that means one. The daemon of a service that is not known here is taken for its unit, because
/// nothing else writes what the filter looks for.
pub(crate) fn guess(filter: &str, daemon: Option<&str>, jail: &str) -> Option<Guess> {
    let by = |name: &str, because| {
        let matches = of_units(units(name)?);
        Some(Guess {
            matches,
            because,
            is_known: true,
        })
    };
    let daemon = daemon.unwrap_or_default().trim();
    let by_daemon = || {
        is_plain(daemon).then(|| Guess {
            matches: of_units(&[daemon]),
            because: "the filter's _daemon; make sure that there is such a unit",
            is_known: false,
        })
    };
    by(filter, "the filter's name")
        .or_else(|| by(daemon, "the filter's _daemon"))
        .or_else(by_daemon)
        .or_else(|| by(jail, "the jail's name"))
}

/// Whether it is the name of one program and no pattern.
fn is_plain(daemon: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    daemon.starts_with(|c: char| c.is_ascii_alphanumeric()) && daemon.chars().all(is_part)
}

fn of_units(units: &[&str]) -> Matches {
    let group = |field: &str, name: String| MatchGroup::from([(field.to_owned(), vec![name])]);
    let mut groups: Vec<MatchGroup> = units
        .iter()
        .map(|unit| group("_SYSTEMD_UNIT", format!("{unit}.service")))
        .collect();
    if units.is_empty() {
        groups.push(group("_UID", "0".to_owned()));
    }
    // OpenSSH may have one instance of a template for each connection.
    if units.contains(&"sshd") {
        groups.extend(
            units
                .iter()
                .map(|unit| group("_SYSTEMD_SLICE", format!("system-{unit}.slice"))),
        );
    }
    Matches(groups)
}

/// The units of the service that `name` means: `nginx-http-auth` is about nginx.
fn units(name: &str) -> Option<&'static [&'static str]> {
    let name = name.to_lowercase();
    let means = |service: &str| {
        name.strip_prefix(service)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    let found = SERVICES.iter().filter(|(service, _)| means(service));
    found
        .max_by_key(|(service, _)| service.len())
        .map(|(_, units)| *units)
}

/// What starts servers that cannot start themselves.
const INETD: &[&str] = &["inetd", "openbsd-inetd", "inetutils-inetd", "xinetd"];

/// What runs PHP.
const PHP: &[&str] = &[
    "apache2",
    "httpd",
    "lighttpd",
    "php-fpm",
    "php7.4-fpm",
    "php8.1-fpm",
    "php8.2-fpm",
    "php8.3-fpm",
    "php8.4-fpm",
    "php8.5-fpm",
];

/// Services, and what their units are called in Debian, Fedora, Arch and openSUSE. Without units it is
/// whatever runs as root.
const SERVICES: [(&str, &[&str]); 70] = [
    ("3proxy", &["3proxy"]),
    ("apache", &["apache2", "httpd"]),
    ("apache2", &["apache2", "httpd"]),
    ("asterisk", &["asterisk"]),
    ("bind", &["named", "bind9"]),
    ("bitwarden", &["bitwarden", "vaultwarden"]),
    (
        "courier",
        &[
            "courier-authdaemon",
            "courier-imap",
            "courier-imap-ssl",
            "courier-pop",
            "courier-pop-ssl",
            "courier-mta",
        ],
    ),
    ("cyrus", &["cyrus-imapd"]),
    ("dante", &["danted", "sockd"]),
    ("directadmin", &["directadmin"]),
    ("dovecot", &["dovecot"]),
    ("dropbear", &["dropbear"]),
    ("drupal", PHP),
    ("ejabberd", &["ejabberd"]),
    ("exim", &["exim4", "exim"]),
    ("exim4", &["exim4", "exim"]),
    ("freeswitch", &["freeswitch"]),
    ("froxlor", PHP),
    ("gitea", &["gitea"]),
    ("grafana", &["grafana-server"]),
    ("gssftpd", INETD),
    ("guacamole", &["guacd"]),
    ("haproxy", &["haproxy"]),
    ("httpd", &["apache2", "httpd"]),
    ("lighttpd", &["lighttpd"]),
    ("mariadb", &["mariadb", "mysql", "mysqld"]),
    ("mongodb", &["mongod", "mongodb"]),
    ("monit", &["monit"]),
    ("monitorix", &["monitorix"]),
    ("mosquitto", &["mosquitto"]),
    ("mssql", &["mssql-server"]),
    ("murmur", &["mumble-server", "murmur", "murmurd"]),
    ("mysqld", &["mariadb", "mysql", "mysqld"]),
    ("nagios", &["nagios-nrpe-server", "nrpe"]),
    ("named", &["named", "bind9"]),
    ("nginx", &["nginx"]),
    ("nsd", &["nsd"]),
    ("openhab", &["openhab"]),
    ("openvpn", &["openvpn", "openvpn-server@server"]),
    ("pam", &[]),
    ("perdition", &["perdition"]),
    ("php-fpm", &["php-fpm"]),
    ("phpmyadmin", PHP),
    ("portsentry", &["portsentry"]),
    ("postfix", &["postfix", "postfix@-"]),
    ("postgresql", &["postgresql", "postgresql@main"]),
    ("proftpd", &["proftpd"]),
    ("prosody", &["prosody"]),
    ("proxmox", &["pvedaemon", "pveproxy"]),
    ("pure-ftpd", &["pure-ftpd", "pure-ftpd-mysql"]),
    ("qmail", &["qmail"]),
    ("scanlogd", &["scanlogd"]),
    ("sendmail", &["sendmail"]),
    ("sieve", &["cyrus-imapd"]),
    ("slapd", &["slapd"]),
    ("softethervpn", &["softether-vpnserver", "vpnserver"]),
    ("sogo", &["sogo", "sogod"]),
    ("squid", &["squid"]),
    ("ssh", &["ssh", "sshd"]),
    ("sshd", &["ssh", "sshd"]),
    ("stunnel", &["stunnel4", "stunnel"]),
    ("traefik", &["traefik"]),
    ("uwimap", INETD),
    ("vaultwarden", &["vaultwarden", "bitwarden"]),
    ("vsftpd", &["vsftpd"]),
    ("webmin", &["webmin"]),
    ("wuftpd", INETD),
    ("xinetd", &["xinetd"]),
    ("xrdp", &["xrdp", "xrdp-sesman"]),
    ("znc", &["znc"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_filters_programs_and_jails_mean_services() {
        for (filter, daemon, jail, expected) in [
            (
                "sshd",
                "sshd",
                "x",
                "_SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service + _SYSTEMD_SLICE=system-ssh.slice + _SYSTEMD_SLICE=system-sshd.slice by the filter's name",
            ),
            (
                "nginx-http-auth",
                "",
                "web",
                "_SYSTEMD_UNIT=nginx.service by the filter's name",
            ),
            (
                "mine",
                "",
                "Postfix-SASL",
                "_SYSTEMD_UNIT=postfix.service + _SYSTEMD_UNIT=postfix@-.service by the jail's name",
            ),
            (
                "mine",
                "murmur",
                "postfix",
                "_SYSTEMD_UNIT=mumble-server.service + _SYSTEMD_UNIT=murmur.service + _SYSTEMD_UNIT=murmurd.service by the filter's _daemon",
            ),
            (
                "mine",
                " My-App ",
                "x",
                "_SYSTEMD_UNIT=My-App.service by the filter's _daemon; make sure that there is such a unit",
            ),
            (
                "mine",
                "myapp",
                "nginx",
                "_SYSTEMD_UNIT=myapp.service by the filter's _daemon; make sure that there is such a unit",
            ),
            ("nginxes", "\\S*", "sshdx", ""),
            ("pam-generic", "(?:a|b)", "", "_UID=0 by the filter's name"),
            ("generic-pam", "(?:a|b)", "", ""),
            ("mine", "a.b", "", ""),
            ("mine", "-x", "", ""),
        ] {
            let found = guess(filter, Some(daemon), jail);
            let found = found.map(|found| format!("{} by {}", found.matches, found.because));
            assert_eq!(
                found.unwrap_or_default(),
                expected,
                "{filter} {daemon} {jail}"
            );
        }
    }

    #[test]
    fn the_services_are_sorted_and_named_once() {
        assert!(SERVICES.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
