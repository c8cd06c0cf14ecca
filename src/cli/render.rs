//! Text from values, and nothing else: the same values and the same time give the same text.

use std::fmt::Write as _;
use std::io::IsTerminal;

use serde::Serialize;

use crate::cli::client::{Jail, Reason, Status};
use crate::dbus::wire::{BanInfo, BanLine, FOREVER};
use crate::engine::time::{Span, Timestamp};

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether states are coloured.
    pub(crate) colour: bool,
}

impl Style {
    /// As stdout is, and as `NO_COLOR` and `TERM` say.
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colour: std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// `text` in the colour of that number, see console_codes(4).
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Red, for what is wrong or somebody's failure.
pub(crate) const RED: &str = "31";
/// Green, for what is well.
pub(crate) const GREEN: &str = "32";
/// Yellow, for what to look at.
pub(crate) const YELLOW: &str = "33";
/// Bold, for what to read first.
pub(crate) const BOLD: &str = "1";

/// `1 ban`, `2 bans`.
pub(crate) fn plural(count: impl TryInto<u64>, noun: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Anything as a line of JSON.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    text + "\n"
}

/// Bans, each a line of JSON.
pub(crate) fn bans_json(bans: &[BanInfo]) -> String {
    bans.iter()
        .map(|ban| to_json(&BanLine::from(ban)))
        .collect()
}

/// The daemon and its jails.
pub(crate) fn status(status: &Status, now: Timestamp, style: Style) -> String {
    let mut text = String::new();
    let (dot, state) = mark(&status.state, style);
    let _ = writeln!(text, "{dot} banishd {} - {state}", status.version);
    let _ = writeln!(text, "    Config: {}", status.directory);
    let _ = writeln!(text, "  Firewall: {}", status.backend);
    let (bans, total) = (status.bans, status.bans_total);
    let _ = writeln!(text, "      Bans: {bans} in force, {total} in all");
    if status.journal_usec > 0 {
        let read = ago(status.journal_usec, now);
        let _ = writeln!(text, "   Journal: latest entry read is from {read}");
    }
    if status.suppressed > 0 {
        let _ = writeln!(
            text,
            "Suppressed: {} that journald dropped unread, attacks may be among them\n            \
             (raise LogRateLimitBurst= of the unit that logs so much, see systemd.exec(5))",
            plural(status.suppressed, "message")
        );
    }
    for trouble in &status.troubles {
        let _ = writeln!(text, "   Trouble: {}", plain(trouble));
    }
    for notice in &status.notices {
        let _ = writeln!(text, "    Notice: {notice}");
    }
    text.push('\n');
    let mut rows =
        vec![["JAIL", "STATE", "BANS", "FAILING", "TOTAL", "LAST BAN"].map(str::to_owned)];
    for jail in &status.jails {
        rows.push([
            jail.name.clone(),
            jail.state.clone(),
            jail.bans.to_string(),
            jail.failing.to_string(),
            jail.bans_total.to_string(),
            match jail.last_ban_usec {
                0 => "-".to_owned(),
                usec => ago(usec, now),
            },
        ]);
    }
    text + &table(&rows)
}

/// One jail.
pub(crate) fn jail(jail: &Jail, now: Timestamp, style: Style) -> String {
    let mut text = String::new();
    let (dot, state) = mark(&jail.state, style);
    let _ = match jail.description.as_str() {
        "" => writeln!(text, "{dot} {}", jail.name),
        description => writeln!(text, "{dot} {} - {description}", jail.name),
    };
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:>10}: {value}");
        }
    };
    line("State", state);
    line("Problem", jail.problem.clone());
    line("Units", jail.units.join(" "));
    line("Matches", jail.matches.join(" + "));
    line("Bans of", jail.bans_of.join(" "));
    line("Ports", jail.ports.join(" "));
    if jail.max_failures > 0 {
        line("Policy", policy(jail));
    }
    line(
        "Bans",
        format!("{} in force, {} in all", jail.bans, jail.bans_total),
    );
    let failures = format!(
        "{} in all, {} failing",
        jail.failures_total,
        plural(jail.failing, "offender")
    );
    line("Failures", failures);
    if jail.spared_total > 0 {
        line(
            "Spared",
            format!("{} (ignoreip or protected)", jail.spared_total),
        );
    }
    if jail.unresolved_total > 0 {
        let unresolved = format!(
            "{} of no known address",
            plural(jail.unresolved_total, "failure")
        );
        line("Unresolved", unresolved);
    }
    line("Dropped", plural(jail.packets_dropped, "packet"));
    if jail.last_ban_usec > 0 {
        line("Last ban", ago(jail.last_ban_usec, now));
    }
    text
}

/// When a jail bans, and for how long.
fn policy(jail: &Jail) -> String {
    let find = Span::from_usec(jail.find_usec);
    let failures = plural(jail.max_failures, "failure");
    let verb = if jail.max_failures == 1 {
        "bans"
    } else {
        "ban"
    };
    let lasting = match jail.ban_usec {
        FOREVER => "for ever".to_owned(),
        usec => format!("for {}", Span::from_usec(usec)),
    };
    let most = match jail.ban_max_usec {
        most if most == jail.ban_usec => String::new(),
        FOREVER => ", longer each time".to_owned(),
        most => format!(", longer each time, at most {}", Span::from_usec(most)),
    };
    format!("{failures} within {find} {verb} {lasting}{most}")
}

/// A list of bans.
pub(crate) fn bans(bans: &[BanInfo], now: Timestamp) -> String {
    if bans.is_empty() {
        return "No bans.\n".to_owned();
    }
    let head = [
        "JAIL", "ADDRESS", "SINCE", "ENDS", "FAILURES", "EARLIER", "ORIGIN",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(bans.iter().map(|ban| {
        [
            ban.jail.clone(),
            ban.address.clone(),
            ago(ban.since_usec, now),
            ends(ban.until_usec, now),
            ban.failures.to_string(),
            ban.earlier.to_string(),
            ban.origin.clone(),
        ]
    }));
    table(&rows)
}

/// Why an address is banned, or that it is not.
pub(crate) fn why(address: &str, reasons: &[Reason], now: Timestamp) -> String {
    if reasons.is_empty() {
        return format!("{address} is not banned.\n");
    }
    let mut text = String::new();
    for Reason { ban, lines } in reasons {
        let (jail, banned) = (&ban.jail, &ban.address);
        let since = ago(ban.since_usec, now);
        let cause = match ban.origin.as_str() {
            "manual" => "by hand".to_owned(),
            _ => format!("after {}", plural(ban.failures, "failure")),
        };
        let _ = writeln!(text, "{banned} was banned from {jail} {since}, {cause}");
        let _ = writeln!(text, "      Ends: {}", ends(ban.until_usec, now));
        let _ = writeln!(text, "   Earlier: {}", plural(ban.earlier, "ban"));
        let mut name = "Lines";
        for line in lines {
            let _ = writeln!(
                text,
                "{name:>10}{} {}",
                if name.is_empty() { ' ' } else { ':' },
                plain(line)
            );
            name = "";
        }
    }
    text
}

/// Text that others chose, without what could move a terminal's cursor.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// The same, each ban a line of JSON.
pub(crate) fn why_json(reasons: &[Reason]) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        #[serde(flatten)]
        ban: BanLine<'a>,
        lines: &'a [String],
    }
    let objects = reasons.iter().map(|reason| Object {
        ban: BanLine::from(&reason.ban),
        lines: &reason.lines,
    });
    objects.map(|object| to_json(&object)).collect()
}

/// A ban that began or changed, in one line.
pub(crate) fn ban_told(event: &str, ban: &BanInfo) -> String {
    let verb = if event == "BanNew" {
        "banned"
    } else {
        "now banned"
    };
    let lasting = match ban.until_usec {
        FOREVER => "for ever".to_owned(),
        until => format!("for {}", coarse(until.saturating_sub(ban.since_usec))),
    };
    let why = match ban.failures {
        0 => format!("({})", ban.origin),
        n => format!("after {}", plural(n, "failure")),
    };
    format!("{}: {} {verb} {lasting} {why}", ban.jail, ban.address)
}

/// Why a ban ended, in words.
pub(crate) fn ending(result: &str, by: &str) -> String {
    match (result, by) {
        ("expired", _) => "no longer banned".to_owned(),
        ("unbanned", "") => "unbanned".to_owned(),
        ("unbanned", by) => format!("unbanned by {by}"),
        ("stopped", _) => "unbanned, its jail was stopped".to_owned(),
        ("reloaded", _) => "unbanned, the configuration changed".to_owned(),
        (other, _) => format!("unbanned ({other})"),
    }
}

/// The time of day, UTC.
pub(crate) fn clock(now: Timestamp) -> String {
    let seconds = now.usec() / 1_000_000 % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

fn ago(usec: u64, now: Timestamp) -> String {
    match now.usec().checked_sub(usec) {
        Some(span) if span >= 1_000_000 => format!("{} ago", coarse(span)),
        _ => "now".to_owned(),
    }
}

fn ends(usec: u64, now: Timestamp) -> String {
    match usec.checked_sub(now.usec()) {
        _ if usec == FOREVER => "never".to_owned(),
        Some(span) if span >= 1_000_000 => format!("in {}", coarse(span)),
        _ => "now".to_owned(),
    }
}

/// The two largest units of a span, no finer than seconds.
fn coarse(usec: u64) -> String {
    let text = Span::from_usec(usec - usec % 1_000_000).to_string();
    let words: Vec<&str> = text.split(' ').take(2).collect();
    words.join(" ")
}

fn mark(state: &str, style: Style) -> (String, String) {
    let code = match state {
        "running" | "active" => GREEN,
        "failed" => RED,
        "degraded" | "inactive" => YELLOW,
        _ => "0",
    };
    (style.paint(code, "●"), style.paint(code, state))
}

/// Columns as wide as their widest cell; numbers to the right.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    let mut numeric = [true; N];
    for (index, row) in rows.iter().enumerate() {
        for ((width, number), cell) in widths.iter_mut().zip(&mut numeric).zip(row) {
            *width = cell.chars().count().max(*width);
            *number &= index == 0 || cell.chars().all(|c| c.is_ascii_digit());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((width, number), cell) in widths.iter().zip(numeric).zip(row) {
            let _ = match number && rows.len() > 1 {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_usec(1_767_323_045_000_000);
    const PLAIN: Style = Style { colour: false };

    fn sshd() -> Jail {
        Jail {
            name: "sshd".to_owned(),
            description: "OpenSSH logins".to_owned(),
            state: "active".to_owned(),
            units: vec!["ssh.service".to_owned()],
            matches: vec!["_SYSTEMD_UNIT=ssh.service _UID=0".to_owned()],
            ports: vec!["22/tcp".to_owned()],
            max_failures: 3,
            find_usec: 600_000_000,
            ban_usec: 600_000_000,
            ban_max_usec: 3_600_000_000,
            bans: 12,
            failing: 3,
            bans_total: 340,
            failures_total: 1999,
            spared_total: 2,
            last_ban_usec: NOW.usec() - 301_500_000,
            packets_dropped: 77,
            ..Jail::default()
        }
    }

    #[test]
    fn status_shows_what_is_wrong_and_what_to_do() {
        let broken = Jail {
            name: "nginx-http-auth".to_owned(),
            state: "failed".to_owned(),
            ..Jail::default()
        };
        let shown = Status {
            version: "0.1.0".to_owned(),
            state: "degraded".to_owned(),
            troubles: vec!["the store failed, keeping bans in memory".to_owned()],
            notices: vec!["fail2ban runs as well".to_owned()],
            directory: "/etc/fail2ban".to_owned(),
            backend: "nftables".to_owned(),
            bans: 12,
            bans_total: 340,
            suppressed: 1200,
            journal_usec: NOW.usec() - 3_000_000,
            jails: vec![broken, sshd()],
        };

        insta::assert_snapshot!(status(&shown, NOW, PLAIN), @r"
        ● banishd 0.1.0 - degraded
            Config: /etc/fail2ban
          Firewall: nftables
              Bans: 12 in force, 340 in all
           Journal: latest entry read is from 3s ago
        Suppressed: 1200 messages that journald dropped unread, attacks may be among them
                    (raise LogRateLimitBurst= of the unit that logs so much, see systemd.exec(5))
           Trouble: the store failed, keeping bans in memory
            Notice: fail2ban runs as well

        JAIL             STATE   BANS  FAILING  TOTAL  LAST BAN
        nginx-http-auth  failed     0        0      0  -
        sshd             active    12        3    340  5min 1s ago
        ");
    }

    #[test]
    fn a_jail_that_counts_bans_says_whose() {
        let recidive = Jail {
            name: "recidive".to_owned(),
            state: "active".to_owned(),
            bans_of: vec!["nginx".to_owned(), "sshd".to_owned()],
            ports: vec!["all".to_owned()],
            max_failures: 3,
            ..Jail::default()
        };
        let shown = jail(&recidive, NOW, PLAIN);
        assert!(shown.contains("\n   Bans of: nginx sshd\n"), "{shown}");
    }

    #[test]
    fn a_jail_is_shown_line_by_line() {
        insta::assert_snapshot!(jail(&sshd(), NOW, PLAIN), @r"
        ● sshd - OpenSSH logins
             State: active
             Units: ssh.service
           Matches: _SYSTEMD_UNIT=ssh.service _UID=0
             Ports: 22/tcp
            Policy: 3 failures within 10min ban for 10min, longer each time, at most 1h
              Bans: 12 in force, 340 in all
          Failures: 1999 in all, 3 offenders failing
            Spared: 2 (ignoreip or protected)
           Dropped: 77 packets
          Last ban: 5min 1s ago
        ");
    }

    fn ban(address: &str, until_usec: u64) -> BanInfo {
        BanInfo {
            jail: "sshd".to_owned(),
            address: address.to_owned(),
            since_usec: NOW.usec() - 48_000_000,
            until_usec,
            failures: 3,
            earlier: 0,
            origin: "jail".to_owned(),
        }
    }

    #[test]
    fn bans_are_listed_with_times_from_now() {
        let list = [
            ban("192.0.2.1", NOW.usec() + 552_900_000),
            ban("2001:db8::/64", FOREVER),
        ];

        insta::assert_snapshot!(bans(&list, NOW), @r"
        JAIL  ADDRESS        SINCE    ENDS         FAILURES  EARLIER  ORIGIN
        sshd  192.0.2.1      48s ago  in 9min 12s         3        0  jail
        sshd  2001:db8::/64  48s ago  never               3        0  jail
        ");
        assert_eq!(bans(&[], NOW), "No bans.\n");
    }

    #[test]
    fn a_ban_is_explained_by_its_lines() {
        let reasons = [
            Reason {
                ban: ban("192.0.2.1", NOW.usec() + 552_000_000),
                lines: vec![
                    "Failed password for root".to_owned(),
                    "and \u{1b}[2Jagain".to_owned(),
                ],
            },
            Reason {
                ban: BanInfo {
                    origin: "manual".to_owned(),
                    ..ban("192.0.2.0/24", FOREVER)
                },
                lines: Vec::new(),
            },
        ];

        insta::assert_snapshot!(why("192.0.2.1", &reasons, NOW), @r"
        192.0.2.1 was banned from sshd 48s ago, after 3 failures
              Ends: in 9min 12s
           Earlier: 0 bans
             Lines: Failed password for root
                    and \u{1b}[2Jagain
        192.0.2.0/24 was banned from sshd 48s ago, by hand
              Ends: never
           Earlier: 0 bans
        ");
        assert_eq!(why("192.0.2.1", &[], NOW), "192.0.2.1 is not banned.\n");
        assert!(
            why_json(&reasons[..1])
                .contains(r#""lines":["Failed password for root","and \u001b[2Jagain"]"#)
        );
    }

    #[test]
    fn a_ban_is_told_in_a_line() {
        let ban = ban("192.0.2.1", NOW.usec() + 552_000_000);
        let told = ban_told("BanNew", &ban);
        assert_eq!(told, "sshd: 192.0.2.1 banned for 10min after 3 failures");
        assert_eq!(clock(NOW), "03:04:05Z");
        assert_eq!(ending("unbanned", "root"), "unbanned by root");
        assert_eq!(ending("expired", ""), "no longer banned");
    }

    #[test]
    fn only_states_are_coloured() {
        let text = jail(&sshd(), NOW, Style { colour: true });
        assert_eq!(text.matches('\x1b').count(), 4);
    }
}
