//! Makes up a busy host's journal in export form, the same for the same arguments.
//!
//! Comes in: how many entries, and every how manieth is sshd's. Goes out: text that
//! `systemd-journal-remote` turns into journal files and that `journal::script` reads.

use std::io::{self, Write};

/// The unit of the entries that matter.
pub(crate) const UNIT: &str = "ssh.service";

/// Writes `entries` entries a millisecond apart; every `every`th comes from [`UNIT`]. Those are whole
/// connections, and a sixth of them are failed passwords, half of these of users that there are.
pub(crate) fn write(out: &mut impl Write, entries: u64, every: u64) -> io::Result<()> {
    for number in 0..entries {
        let usec = 1_700_000_000_000_000 + number * 1000;
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let (unit, name, pid, message) = match number % every {
            0 => sshd(number / every),
            _ => other(number, hash),
        };
        write!(
            out,
            "__CURSOR=s=5d1f;i={number:x};b=9d46;m={number:x};t={usec:x};x=0\n\
             __REALTIME_TIMESTAMP={usec}\n\
             __MONOTONIC_TIMESTAMP={}\n\
             _BOOT_ID=9d46bf5918504f24bfa7a5cde3139d13\n\
             _MACHINE_ID=3d1219c7c4c5404aaa1f6d2a48adfda4\n\
             _HOSTNAME=bench\n\
             _TRANSPORT=syslog\n\
             PRIORITY=6\n\
             SYSLOG_FACILITY=4\n\
             SYSLOG_IDENTIFIER={name}\n\
             SYSLOG_PID={pid}\n\
             SYSLOG_TIMESTAMP=Nov 14 22:13:{:02} \n\
             _UID=0\n\
             _GID=0\n\
             _COMM={name}\n\
             _EXE=/usr/sbin/{name}\n\
             _CMDLINE=/usr/sbin/{name} -D\n\
             _CAP_EFFECTIVE=1ffffffffff\n\
             _SELINUX_CONTEXT=unconfined\n\
             _SYSTEMD_CGROUP=/system.slice/{unit}\n\
             _SYSTEMD_UNIT={unit}\n\
             _SYSTEMD_SLICE=system.slice\n\
             _SYSTEMD_INVOCATION_ID=00e5c4a8f0d54dd1b1c6c3e5c0d9{:04x}\n\
             _PID={pid}\n\
             MESSAGE={message}\n\
             _SOURCE_REALTIME_TIMESTAMP={}\n\n",
            number * 1000,
            number / 1000 % 60,
            unit.len(),
            usec - 40,
        )?;
    }
    Ok(())
}

/// What sshd says of seven connections: two try a user that is not there, two try root, one is a
/// scanner's, one speaks no SSH, one is a login. For each line, whose it is.
const CONNECTIONS: [(u64, &str); 24] = [
    (0, "Invalid user admin from {a} port {p}"),
    (0, "pam_unix(sshd:auth): check pass; user unknown"),
    (
        0,
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={a}",
    ),
    (
        1,
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={a}  user=root",
    ),
    (
        0,
        "Failed password for invalid user admin from {a} port {p} ssh2",
    ),
    (1, "Failed password for root from {a} port {p} ssh2"),
    (
        0,
        "Received disconnect from {a} port {p}:11: Bye Bye [preauth]",
    ),
    (
        0,
        "Disconnected from invalid user admin {a} port {p} [preauth]",
    ),
    (
        1,
        "Connection closed by authenticating user root {a} port {p} [preauth]",
    ),
    (2, "Connection closed by {a} port {p}"),
    (3, "Invalid user oracle from {a} port {p}"),
    (3, "pam_unix(sshd:auth): check pass; user unknown"),
    (
        3,
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={a}",
    ),
    (
        3,
        "Failed password for invalid user oracle from {a} port {p} ssh2",
    ),
    (
        4,
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={a}  user=root",
    ),
    (
        3,
        "Connection closed by invalid user oracle {a} port {p} [preauth]",
    ),
    (4, "Failed password for root from {a} port {p} ssh2"),
    (
        4,
        "Received disconnect from {a} port {p}:11: Bye Bye [preauth]",
    ),
    (
        4,
        "Disconnected from authenticating user root {a} port {p} [preauth]",
    ),
    (
        5,
        "banner exchange: Connection from {a} port {p}: invalid format",
    ),
    (
        6,
        "Accepted publickey for deploy from {a} port {p} ssh2: ED25519 SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
    ),
    (
        6,
        "pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    ),
    (6, "Disconnected from user deploy {a} port {p}"),
    (6, "pam_unix(sshd:session): session closed for user deploy"),
];

fn sshd(number: u64) -> (&'static str, &'static str, u64, String) {
    let lines = CONNECTIONS.len() as u64;
    let line = usize::try_from(number % lines).unwrap_or_default();
    let (own, text) = CONNECTIONS.get(line).copied().unwrap_or_default();
    let connection = number / lines * 7 + own;
    // One of ten thousand attackers, always the same for one connection.
    let hash = (connection + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let who = hash % 10_000;
    let address = format!("198.{}.{}.{}", 18 + who % 2, who / 2 % 50, who / 100);
    let port = (1024 + hash / 10_000 % 60_000).to_string();
    let text = text.replace("{a}", &address).replace("{p}", &port);
    (UNIT, "sshd", 1000 + connection % 30_000, text)
}

fn other(number: u64, hash: u64) -> (&'static str, &'static str, u64, String) {
    const UNITS: [(&str, &str); 8] = [
        ("nginx.service", "nginx"),
        ("cron.service", "cron"),
        ("postfix@-.service", "smtpd"),
        ("systemd-networkd.service", "systemd-networkd"),
        ("dovecot.service", "dovecot"),
        ("named.service", "named"),
        ("postgresql@15-main.service", "postgres"),
        ("init.scope", "systemd"),
    ];
    let place = usize::try_from(hash).unwrap_or_default() % UNITS.len();
    let (unit, name) = UNITS.get(place).copied().unwrap_or_default();
    let message = format!(
        "request {hash:x} took {} us, status {}",
        hash % 9973,
        number % 600
    );
    (unit, name, 300 + hash % 8, message)
}
