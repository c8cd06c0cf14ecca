//! The set-up of a hundred tutorials, as people have it in /etc/fail2ban: it must do what it says.

use std::fs;
use std::path::Path;

use banishd::config::diagnostic::{Diagnostic, Level};
use banishd::config::files::Layout;
use banishd::config::load;
use banishd::engine::filter::{Look, Memory, Names, Text};
use banishd::engine::record::Record;
use banishd::engine::settings::{JailName, JailSettings, LogLevel, Protocol, Settings};
use banishd::engine::time::{BanTime, Span};

use crate::config::root;

/// Copies the tree, its log being `log`.
fn tree(log: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    let from = root().join("tests/data/config/tutorial");
    for directory in ["", "filter.d", "action.d"] {
        fs::create_dir_all(copy.path().join(directory)).expect("a directory");
        for entry in fs::read_dir(from.join(directory)).expect("the tree") {
            let path = entry.expect("a file").path();
            if path.is_file() {
                let text = fs::read_to_string(&path).expect("a file");
                let name = path.file_name().expect("a name");
                let to = copy.path().join(directory).join(name);
                fs::write(to, text.replace("/var/log/auth.log", log)).expect("a file");
            }
        }
    }
    copy
}

fn read(tree: &Path) -> (Settings, Vec<Diagnostic>) {
    load(&Layout {
        services: root().join("tests/data/none"),
        ..Layout::fail2ban(tree.to_owned())
    })
}

fn ssh(settings: &Settings) -> &JailSettings {
    let name = JailName::new("SSH").expect("a name");
    settings.jails.get(&name).expect("the jail SSH")
}

#[test]
fn the_classic_tutorial_runs_and_falls_back_to_the_journal() {
    let tree = tree("/nonexistent/var/log/auth.log");

    let (settings, problems) = read(tree.path());

    let place = format!("{}/", tree.path().display());
    let told: Vec<String> = problems
        .iter()
        .map(|problem| problem.to_string().replace(&place, ""))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    fail2ban.conf:7:1: note: the options dbfile, logtarget, pidfile, socket, syslogsocket mean nothing to banishd (ignored: the state is in /var/lib/banishd, the log is the journal, systemd knows the process, banishd is on the system bus)
    jail.local:25:11: note: there is no log file /nonexistent/var/log/auth.log (the journal is read instead: _SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service + _SYSTEMD_SLICE=system-ssh.slice + _SYSTEMD_SLICE=system-sshd.slice, by the filter's name)
    ");
    assert!(problems.iter().all(|problem| problem.level == Level::Note));
    assert_eq!(settings.failed.len(), 0);
    assert_eq!(settings.global.log_level, LogLevel::Notice);
    assert_eq!(settings.global.purge_age, Span::from_secs(2 * 86_400));
    let jail = ssh(&settings);
    assert_eq!(jail.max_retry, 6);
    assert_eq!(jail.find_time, Span::from_secs(600));
    assert_eq!(jail.ban_time, BanTime::For(Span::from_secs(600)));
    assert_eq!(jail.rules.ports.to_string(), "22");
    assert_eq!(jail.rules.protocol, Protocol::Tcp);
    assert_eq!(jail.files, []);
    assert!(
        jail.matches
            .to_string()
            .starts_with("_SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service + "),
        "{}",
        jail.matches
    );
    let spec = jail.filter.spec();
    assert_eq!(
        (spec.text, spec.names, spec.fail.len()),
        (Text::Line, Names::Warn, 11)
    );
}

#[test]
fn a_unit_that_only_a_filters_daemon_attests_is_warned_of() {
    let tree = tempfile::tempdir().expect("a directory");
    let filter = "[Definition]\n_daemon = DAEMON\nfailregex = ^failed from <HOST>$\n";
    fs::create_dir(tree.path().join("filter.d")).expect("a directory");
    let jail = "[mine]\nenabled = true\nfilter = mine\nlogpath = /nonexistent/log\n";
    fs::write(tree.path().join("jail.conf"), jail).expect("a file");
    for (daemon, level) in [
        ("myapp", Some(Level::Warning)),
        ("murmur", Some(Level::Note)),
        ("(?:a|b)", Some(Level::Error)),
    ] {
        let filter = filter.replace("DAEMON", daemon);
        fs::write(tree.path().join("filter.d/mine.conf"), filter).expect("a file");

        let (_, problems) = read(tree.path());

        let log = |it: &&Diagnostic| it.message == "there is no log file /nonexistent/log";
        let told = problems.iter().find(log);
        assert_eq!(told.map(|it| it.level), level, "{daemon} {problems:?}");
    }
}

#[test]
fn the_classic_tutorial_reads_its_log_file_where_there_is_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("auth.log");
    fs::write(&log, "").expect("a log");
    let tree = tree(&log.display().to_string());

    let (settings, problems) = read(tree.path());

    assert!(problems.iter().all(|problem| problem.level == Level::Note));
    let jail = ssh(&settings);
    let files: Vec<&str> = jail
        .files
        .iter()
        .map(|file| file.pattern.as_str())
        .collect();
    assert_eq!(files, [log.to_str().expect("text")]);
    assert_eq!(jail.matches.to_string(), "");
}

/// The journal's entry, as the daemon shows it to a filter that expects lines.
#[test]
fn the_classic_tutorial_s_filter_finds_failures_in_entries_of_the_journal() {
    let tree = tree("/nonexistent/var/log/auth.log");
    let (settings, _) = read(tree.path());
    let jail = ssh(&settings);

    for (message, failed) in [
        (
            "Failed password for root from 192.0.2.7 port 2200 ssh2",
            true,
        ),
        (
            "Failed password for invalid user x from 192.0.2.7 port 2200 ssh2",
            true,
        ),
        ("Invalid user x from 192.0.2.7 port 2200", true),
        (
            "Accepted password for root from 192.0.2.7 port 2200 ssh2",
            false,
        ),
    ] {
        let line = format!("host sshd[12]: {message}");
        let record = Record {
            message: message.as_bytes(),
            line: line.as_bytes(),
            ..Record::default()
        };
        let found = jail
            .filter
            .find(&mut Memory::default(), &record, &Look::default());
        let who = found.map(|found| found.who.to_string());
        assert_eq!(who.as_deref(), failed.then_some("192.0.2.7"), "{message}");
    }
}

#[test]
fn an_etc_fail2ban_is_read_where_etc_banishd_is_missing_or_empty() {
    let etc = tempfile::tempdir().expect("a directory");
    let (own, theirs) = (etc.path().join("banishd"), etc.path().join("fail2ban"));
    let chosen = || Layout::of_host(etc.path(), Path::new("/usr/lib/banishd"));
    assert_eq!((chosen().admin, chosen().global), (own.clone(), "banishd"));

    fs::create_dir(&theirs).expect("a directory");
    assert_eq!(chosen().admin, own);
    for name in ["jail.conf", "fail2ban.conf"] {
        fs::write(theirs.join(name), "").expect("a file");
    }
    assert_eq!(
        (chosen().admin, chosen().global),
        (theirs.clone(), "fail2ban")
    );
    // The package makes these.
    fs::create_dir_all(own.join("jail.d")).expect("a directory");
    assert_eq!(chosen().admin, theirs);
    fs::write(own.join("jail.local"), "").expect("a file");
    assert_eq!((chosen().admin, chosen().global), (own, "banishd"));
    let told = Layout::choose(Some(&theirs), Path::new("/usr/lib/banishd"));
    assert_eq!(told, Layout::fail2ban(theirs));
}
