//! Jails that count the bans of others: what was fail2ban's log, and our own.

use std::fs;
use std::path::Path;

use banishd::config::diagnostic::Level;
use banishd::config::files::Layout;
use banishd::config::load;
use banishd::engine::settings::{JailName, JailSettings, Settings};

use crate::config::stream::copy;
use crate::config::{load_over_shipped, root};
use crate::support::fail2ban::{Fail2ban, each};

/// Debian's tree, its logs in `log` below it, with this in `jail.local`; and what is said of the jails that
/// count bans, without places.
fn stock(fail2ban: &Fail2ban, local: &str, change: impl Fn(&Path)) -> (Settings, Vec<String>) {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path();
    let log = tree.join("log");
    copy(&fail2ban.etc(), tree, &log.display().to_string());
    fs::create_dir_all(log.join("nginx")).expect("a directory");
    for name in ["auth.log", "nginx/error.log"] {
        fs::write(log.join(name), "").expect("a log");
    }
    let jails = "[sshd]\nenabled = true\n[nginx-http-auth]\nenabled = true\n";
    fs::write(tree.join("jail.local"), format!("{local}\n{jails}")).expect("a file");
    change(tree);
    let (settings, problems) = load(&Layout::fail2ban(tree.to_owned()));
    let told = problems
        .iter()
        .filter(|it| it.level != Level::Note || it.message.contains("bans of"));
    let told = told.map(|it| format!("{}: {}", it.level, it.message));
    (settings, told.collect())
}

fn of<'a>(settings: &'a Settings, name: &str) -> &'a JailSettings {
    let name = JailName::new(name).expect("a name");
    settings.jails.get(&name).expect("the jail runs")
}

fn counted(jail: &JailSettings) -> Vec<&str> {
    jail.bans_of.iter().map(|name| &**name).collect()
}

const ALL: &str = "note: this jail counts the bans of all other jails";

#[test]
fn debians_recidive_counts_the_bans_of_all_jails_but_its_own() {
    each(counts_all_but_its_own);
}

fn counts_all_but_its_own(fail2ban: &Fail2ban) {
    let on = "[recidive]\nenabled = true\n";
    for (local, log, files, matches) in [
        (on, false, 0, ""),
        (on, true, 1, ""),
        (
            "[DEFAULT]\nbackend = systemd\n[recidive]\nenabled = true\n",
            false,
            0,
            "PRIORITY=5 _SYSTEMD_UNIT=fail2ban.service",
        ),
        (
            "[recidive]\nenabled = true\nskip_if_nologs = true\n",
            false,
            0,
            "",
        ),
        ("[recidive]\nenabled = true\nbackend = bans\n", true, 0, ""),
    ] {
        let (settings, told) = stock(fail2ban, local, |tree| {
            if log {
                fs::write(tree.join("log/fail2ban.log"), "").expect("a log");
            }
        });
        let jail = of(&settings, "recidive");
        assert_eq!(counted(jail), ["nginx-http-auth", "sshd"], "{local}");
        assert_eq!(jail.files.len(), files, "{local}");
        assert_eq!(jail.matches.to_string(), matches, "{local}");
        assert_eq!(told, [ALL], "{local}");
        assert_eq!(of(&settings, "sshd").bans_of, Default::default());
    }
}

#[test]
fn an_edited_filter_counts_the_bans_that_it_finds() {
    each(counts_what_the_filter_finds);
}

fn counts_what_the_filter_finds(fail2ban: &Fail2ban) {
    let filter = |text: &'static str| {
        move |tree: &Path| {
            fs::write(tree.join("filter.d/mine.conf"), text).expect("a filter");
        }
    };
    let jail = "[again]\nenabled = true\nfilter = mine\nlogpath = /var/log/fail2ban.log\n";
    for (text, expected, said) in [
        (
            r"failregex = NOTICE\s+\[sshd\] Ban <HOST>$",
            &["sshd"][..],
            "note: this jail counts the bans of sshd",
        ),
        (
            r"failregex = NOTICE\s+\[(?!sshd\]|again\])[^]]+\] Ban <HOST>$",
            &["nginx-http-auth"],
            "note: this jail counts the bans of nginx-http-auth",
        ),
        (
            "failregex = \\] Ban <HOST>$\nignoreregex = \\[nginx-",
            &["sshd"],
            "note: this jail counts the bans of sshd",
        ),
        (
            r"failregex = \] Ban <IP6>$",
            &["nginx-http-auth", "sshd"],
            ALL,
        ),
        (
            r"failregex = \] Unban <HOST>$",
            &[],
            "warning: this jail counts the bans of other jails, and its filter finds none of them",
        ),
    ] {
        let text: &'static str = format!("[Definition]\n{text}\n").leak();
        let (settings, told) = stock(fail2ban, jail, filter(text));
        assert_eq!(counted(of(&settings, "again")), expected, "{text}");
        assert_eq!(told, [said], "{text}");
    }
}

#[test]
fn the_log_that_fail2ban_conf_names_means_bans() {
    each(counts_by_logtarget);
}

fn counts_by_logtarget(fail2ban: &Fail2ban) {
    let jail = "[recidive]\nenabled = true\nlogpath = /srv/f2b\n";
    let (settings, told) = stock(fail2ban, jail, |tree| {
        let text = "[Definition]\nlogtarget = /srv/f2b[padding=off]\n";
        fs::write(tree.join("fail2ban.local"), text).expect("a file");
    });
    assert_eq!(
        counted(of(&settings, "recidive")),
        ["nginx-http-auth", "sshd"]
    );
    assert_eq!(told, [ALL]);
}

#[test]
fn a_log_of_fail2bans_that_cannot_be_read_is_not_missed() {
    each(misses_no_log);
}

fn misses_no_log(fail2ban: &Fail2ban) {
    let (settings, told) = stock(fail2ban, "[recidive]\nenabled = true\n", |tree| {
        fs::create_dir(tree.join("log/fail2ban.log")).expect("a directory");
    });
    assert_eq!(counted(of(&settings, "recidive")).len(), 2);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("warning: ") && told[0].ends_with("is no regular file"));
}

#[test]
fn the_shipped_recidive_counts_bans_once_it_is_enabled() {
    let admin = tempfile::tempdir().expect("a directory");
    let local = admin.path().join("jail.local");
    let read = |text: &str| {
        fs::write(&local, text).expect("a file");
        let (settings, problems) = load_over_shipped(admin.path());
        let told: Vec<String> = problems.iter().map(|it| it.message.clone()).collect();
        let jail = of(&settings, "recidive");
        let counted: Vec<String> = jail.bans_of.iter().map(ToString::to_string).collect();
        (counted, told.join("\n"))
    };
    let on = "[recidive]\nenabled = true\n";
    assert_eq!(
        read(on),
        (
            vec!["sshd".to_owned()],
            "this jail counts the bans of all other jails".to_owned()
        )
    );
    let (counted, told) = read(&format!("{on}[sshd]\nenabled = false\n"));
    assert_eq!(counted, Vec::<String>::new());
    assert_eq!(
        told,
        "this jail counts the bans of other jails, and there are none"
    );
    assert!(root().join("config/filter.d/recidive.conf").exists());
}
