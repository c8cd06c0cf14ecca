//! Debian's whole tree, every jail forced on, read by fail2ban and by us.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use banishd::config::dump::dump;
use banishd::config::files::Layout;
use banishd::config::load;

use crate::config::stream::{copy, differences, ours, theirs};
use crate::support::fail2ban::{Fail2ban, each};

/// The jails that a tree has.
fn jails(tree: &Path) -> Vec<String> {
    let text = fs::read_to_string(tree.join("jail.conf")).expect("jail.conf");
    let headers = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let own = |name: &&str| !["INCLUDES", "DEFAULT"].contains(name);
    headers.filter(own).map(str::to_owned).collect()
}

/// Makes an empty file for each `logpath`, a `*` in it replaced by a word. A jail whose log lies
/// elsewhere than in the tree gets another one: a jail without a file would read the journal here.
fn create_logs(tree: &Path) {
    let root = tree.display().to_string();
    let elsewhere = format!("{root}/elsewhere.log");
    fs::write(&elsewhere, "").expect("a file");
    let mut moved = String::new();
    let dump = dump(&Layout::fail2ban(tree.to_owned()), None);
    let data = serde_json::to_value(&dump).expect("JSON");
    for (name, jail) in data["jails"].as_object().expect("jails") {
        let paths = &jail["options"]["logpath"]["value"];
        let paths = paths.as_str().unwrap_or_default().lines();
        let (inside, outside): (Vec<&str>, Vec<&str>) =
            paths.partition(|path| path.starts_with(&root) || path.starts_with("/etc/"));
        if !outside.is_empty() {
            let _ = write!(moved, "[{name}]\nlogpath = {elsewhere}\n");
        }
        for path in inside.into_iter().filter(|path| path.starts_with(&root)) {
            let path = path.split(' ').next().unwrap_or_default();
            let path = path.replace('*', "any");
            let directory = Path::new(&path).parent().expect("a directory");
            fs::create_dir_all(directory).expect("a directory");
            fs::write(&path, "").expect("a file");
        }
    }
    fs::create_dir_all(tree.join("jail.d")).expect("a directory");
    fs::write(tree.join("jail.d/elsewhere.local"), moved).expect("a file");
}

/// Where we read otherwise than the fail2ban of a suite, and why.
const NAMED: [(&str, &str, &str); 1] = [(
    "bookworm",
    "pass2allow-ftp: action iptables-multiport",
    "an argument also goes before what [Init] says for IPv6, as in fail2ban 1.1: before, this jail \
     that lets addresses in rejected those of IPv6",
)];

/// Reads the stock tree with `words` in every section of `jail.local` both ways.
#[track_caller]
fn check(fail2ban: &Fail2ban, words: &str, more: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path();
    let logs = tree.join("log").display().to_string();
    copy(&fail2ban.etc(), tree, &logs);
    let names = jails(tree);
    let mut local = more.to_owned();
    for name in &names {
        let _ = write!(local, "[{name}]\nenabled = true\n{words}\n");
    }
    fs::write(tree.join("jail.local"), local).expect("a file");
    create_logs(tree);

    let theirs = theirs(fail2ban, tree).expect("fail2ban reads its own files");
    let (ours, errors) = ours(tree);

    assert!(names.len() > 80, "{names:?}");
    assert!(theirs.len() >= names.len());
    assert_eq!(errors, Vec::<String>::new());
    let mut differences = differences(&theirs, &ours);
    differences.retain(|(place, ..)| {
        let is_it = |(suite, named, _): &(_, _, _)| *suite == fail2ban.suite && named == place;
        !NAMED.iter().any(is_it)
    });
    let count = differences.len();
    assert!(
        differences.is_empty(),
        "{count} differences: {differences:#?}"
    );
}

#[test]
fn every_stock_jail_of_fail2ban_reads_as_fail2ban_reads_it() {
    each(|fail2ban| check(fail2ban, "", ""));
}

#[test]
fn every_stock_jail_reads_as_in_fail2ban_with_the_journal_and_every_extra() {
    let variables = "[DEFAULT]\nmode = aggressive\nbantime.increment = true\nbantime = 1d 6h\n\
        destemail = root@example.org\nblocklist_de_apikey = x\nbanaction = nftables\n\
        banaction_allports = nftables[type=allports]\n";
    let words =
        "backend = systemd\naction = %(action_mwl)s\n    xarf-login-attack[service=%(__name__)s]\n";
    each(|fail2ban| check(fail2ban, words, variables));
}

#[test]
fn every_stock_action_reads_as_fail2ban_reads_it() {
    each(check_actions);
}

fn check_actions(fail2ban: &Fail2ban) {
    let actions = fs::read_dir(fail2ban.etc().join("action.d")).expect("actions");
    let mut more = String::new();
    for action in actions {
        let name = action
            .expect("an action")
            .file_name()
            .into_string()
            .expect("a name");
        let action = name.strip_suffix(".conf").unwrap_or(&name);
        let _ = write!(
            more,
            "[with-{name}]\nenabled = true\nfilter = sshd[mode=extra]\nlogpath = /etc/passwd\naction = {action}[port=\"1,2\"]\n"
        );
    }
    assert!(more.lines().count() > 300);
    check(fail2ban, "", &more);
}

#[test]
fn every_stock_jail_of_fail2ban_becomes_settings() {
    each(check_settings);
}

/// What `load` makes of the stock tree with every jail forced on and every log there.
fn check_settings(fail2ban: &Fail2ban) {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path();
    copy(
        &fail2ban.etc(),
        tree,
        &tree.join("log").display().to_string(),
    );
    let names = jails(tree);
    let mut local = String::new();
    for name in &names {
        let _ = write!(
            local,
            "[{name}]\nenabled = true\nlogpath = %(fail2ban_confpath)s/any.log\n"
        );
    }
    fs::write(tree.join("jail.local"), local).expect("a file");
    fs::write(tree.join("any.log"), "").expect("a log");

    let (settings, problems) = load(&Layout::fail2ban(tree.to_owned()));

    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let told = told.join("\n").replace(&format!("{}/", tree.display()), "");
    assert_eq!(settings.failed, Default::default(), "{told}");
    // One jail lets addresses in, which is nothing for us.
    assert_eq!(settings.jails.len(), names.len() - 1, "{told}");
    assert!(problems.len() <= 25, "{told}");
}
