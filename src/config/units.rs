//! Which units a service's entries come from, for a jail that should read the journal and does not
//! say which entries.
//!
//! Comes in: names: of the filter, of the program, of the jail. Goes out: matches, or nothing. Pure; no
//! answer is better than a guess, and the whole journal is never the answer.

use crate::engine::settings::{MatchGroup, Matches};

/// The entries of the service that one of `names` means, the first that means one.
pub(crate) fn matches<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Matches> {
    let units = names.into_iter().find_map(units)?;
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
    Some(Matches(groups))
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
    fn names_of_filters_and_jails_mean_services() {
        for (names, expected) in [
            (
                ["sshd", "x"],
                Some(
                    "_SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service + _SYSTEMD_SLICE=system-ssh.slice + _SYSTEMD_SLICE=system-sshd.slice",
                ),
            ),
            (
                ["nginx-http-auth", "web"],
                Some("_SYSTEMD_UNIT=nginx.service"),
            ),
            (
                ["mine", "Postfix-SASL"],
                Some("_SYSTEMD_UNIT=postfix.service + _SYSTEMD_UNIT=postfix@-.service"),
            ),
            (
                ["apache2", "x"],
                Some("_SYSTEMD_UNIT=apache2.service + _SYSTEMD_UNIT=httpd.service"),
            ),
            (["nginxes", "sshdx"], None),
            (["pam-generic", ""], Some("_UID=0")),
            (["generic-pam", ""], None),
        ] {
            let found = matches(names).map(|matches| matches.to_string());
            assert_eq!(found.as_deref(), expected, "{names:?}");
        }
    }

    #[test]
    fn the_services_are_sorted_and_named_once() {
        assert!(SERVICES.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
