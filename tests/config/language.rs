//! The language rule by rule, on small trees of our own, read by fail2ban and by us.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::stream::{differences, ours, theirs};
use crate::support::fail2ban::{Fail2ban, each};

/// Writes a tree: `== name` begins a file.
fn plant(root: &Path, text: &str) {
    fs::write(root.join("fail2ban.conf"), "[Definition]\n").expect("a file");
    for file in text.split("== ").skip(1) {
        let (name, text) = file.split_once('\n').expect("a name");
        let path = root.join(name.trim());
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
}

/// Both read the tree in this file alike.
fn same(fail2ban: &Fail2ban, tree: &Path) {
    let name = tree.display();
    let root = tempfile::tempdir().expect("a directory");
    plant(root.path(), &fs::read_to_string(tree).expect("UTF-8"));

    let theirs = theirs(fail2ban, root.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (ours, errors) = ours(root.path());

    assert!(!theirs.is_empty(), "{name}: fail2ban has no jail");
    assert_eq!(errors, Vec::<String>::new(), "{name}");
    let differences = differences(&theirs, &ours);
    assert!(differences.is_empty(), "{name}: {differences:#?}");
}

/// Where fail2ban refuses everything, we read the option of jail `a` so.
#[track_caller]
fn more(fail2ban: &Fail2ban, text: &str, option: &str, expected: Value) {
    let root = tempfile::tempdir().expect("a directory");
    plant(root.path(), text);

    let theirs = theirs(fail2ban, root.path());
    let (ours, errors) = ours(root.path());

    assert!(theirs.is_err(), "{theirs:?}");
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(ours["a"].get(option), Some(&expected));
}

/// fail2ban refuses the tree, or jail `a`, and so do we with an error that contains `words`.
#[track_caller]
fn refused(fail2ban: &Fail2ban, text: &str, words: &str) {
    let root = tempfile::tempdir().expect("a directory");
    plant(root.path(), text);

    let theirs = theirs(fail2ban, root.path()).unwrap_or_default();
    let (_, errors) = ours(root.path());

    assert!(!theirs.contains_key("a"), "{theirs:?}");
    assert!(
        errors.iter().any(|error| error.contains(words)),
        "{errors:?}"
    );
}

const PLAIN: &str = "
== filter.d/f.conf
[Definition]
failregex = x <HOST>
== action.d/x.conf
[Definition]
actionban = ban <ip>
";

#[test]
fn the_language_is_read_as_fail2ban_reads_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/language");
    let trees = fs::read_dir(directory).expect("trees");
    let trees: Vec<_> = trees.map(|tree| tree.expect("a tree").path()).collect();
    assert_eq!(trees.len(), 9);
    each(|fail2ban| {
        for tree in &trees {
            same(fail2ban, tree);
        }
    });
}

#[test]
fn known_reaches_further_back_than_in_fail2ban() {
    each(known_reaches_further_back);
}

fn known_reaches_further_back(fail2ban: &Fail2ban) {
    more(
        fail2ban,
        &format!(
            "
== jail.conf
[DEFAULT]
backend = systemd
enabled = 1
[a]
filter = f
ignoreip = 1
== jail.d/b.conf
[a]
ignoreip = %(known/ignoreip)s 2
== jail.d/c.conf
[a]
ignoreip = %(known/ignoreip)s 3
{PLAIN}"
        ),
        "ignoreip",
        json!(["1", "2", "3"]),
    );
    more(
        fail2ban,
        &format!(
            "
== jail.conf
[DEFAULT]
backend = systemd
enabled = 1
ignoreip = 1
[a]
filter = f
== jail.local
[DEFAULT]
ignoreip = %(known/ignoreip)s 2
{PLAIN}"
        ),
        "ignoreip",
        json!(["1", "2"]),
    );
    more(
        fail2ban,
        "
== jail.conf
[a]
backend = systemd
enabled = 1
filter = f
datepattern = %(known/datepattern)s
    more
== filter.d/f.conf
[Definition]
failregex = one
datepattern = %%Y
",
        "datepattern",
        json!("%Y\nmore"),
    );
}

/// `-d` prints such a jail; the server then refuses everything.
#[test]
fn two_actions_of_one_name_are_an_error() {
    let root = tempfile::tempdir().expect("a directory");
    let jail = "[a]\nenabled = 1\nfilter = f\naction = x\n  x[p=1]\n";
    plant(root.path(), &format!("== jail.conf\n{jail}{PLAIN}"));

    let (_, errors) = ours(root.path());

    let place = root.path().join("jail.conf").display().to_string();
    let message = "error: two actions of the jail are called 'x'";
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with(&format!("{place}:5:3: {message}")),
        "{errors:?}"
    );
}

#[test]
fn what_fail2ban_refuses_is_refused_with_the_reason() {
    let jail = |text: &str| {
        format!("== jail.conf\n[a]\nbackend = systemd\nenabled = 1\nfilter = f\n{text}\n{PLAIN}")
    };
    let cases = [
        (jail("x = 1\nX = 2"), "'X' is in the section [a] twice"),
        (jail("[b]\n[a]"), "[a] is in this file twice"),
        (jail("nonsense"), "no option"),
        (jail("bantime = %(gone)s"), "not set"),
        (jail("bantime = 5%"), "no reference"),
        (jail("bantime = %(b)s\nb = %(bantime)s"), "circle"),
        (jail("bantime = %(gone/b)s"), "not set"),
        (jail("action = y"), "no action 'y'"),
        (jail("action = x[a"), "'a' makes no sense"),
        (jail("action = x[a=1]y"), "'y' makes no sense"),
        (jail("action = x[,a=1]"), "',a=1]' makes no sense"),
        (jail("action = x[a=\"1\"2]"), "'2]' makes no sense"),
        (jail("action = x[=1]"), "'=1]' makes no sense"),
        (
            jail("").replace("filter = f", "filter = g"),
            "no filter 'g'",
        ),
        (jail("").replace("filter = f", "filter = f f"), "one filter"),
        (
            jail("").replace("filter = f", "filter = f[x"),
            "makes no sense",
        ),
        (
            jail("").replace("x <HOST>", "<one>\none = <two>\ntwo = <one>"),
            "refer to themselves",
        ),
        (
            jail("action = x").replace("ban <ip>", "<y>\n[Init]\ny = 1<y>"),
            "refer to themselves",
        ),
        (
            jail("action = x").replace("ban <ip>", "x\n[Init]\ny = %(z)s"),
            "not set",
        ),
    ];
    each(|fail2ban| {
        for (tree, words) in &cases {
            refused(fail2ban, tree, words);
        }
    });
}
