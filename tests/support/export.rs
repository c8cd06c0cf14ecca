//! Makes up a busy host's journal in export form, the same for the same arguments.
//!
//! Comes in: how many entries, and every how manieth is sshd's. Goes out: text that
//! `systemd-journal-remote` turns into journal files and that `journal::script` reads.

use std::io::{self, Write};

/// The unit of the entries that matter.
pub(crate) const UNIT: &str = "ssh.service";

/// Writes `entries` entries a millisecond apart; every `every`th comes from [`UNIT`], and a third of
/// those is a failed password.
pub(crate) fn write(out: &mut impl Write, entries: u64, every: u64) -> io::Result<()> {
    for number in 0..entries {
        let usec = 1_700_000_000_000_000 + number * 1000;
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let (unit, name, pid, message) = match number % every {
            0 => (
                UNIT,
                "sshd",
                1000 + number / 60 % 30_000,
                sshd(number / every, hash),
            ),
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

fn sshd(number: u64, hash: u64) -> String {
    let address = format!(
        "198.{}.{}.{}",
        18 + hash % 2,
        hash / 2 % 64,
        hash / 128 % 200
    );
    let port = 1024 + hash % 60_000;
    match number % 3 {
        0 => format!("Failed password for root from {address} port {port} ssh2"),
        1 => format!("Received disconnect from {address} port {port}:11: Bye Bye [preauth]"),
        _ => format!("Disconnected from authenticating user root {address} port {port} [preauth]"),
    }
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
