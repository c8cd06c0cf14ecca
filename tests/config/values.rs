//! What becomes of a value: where it comes from, how it is printed, and what no text may do.

use std::fs;
use std::path::Path;

use banishd::config::dump::dump;
use banishd::config::files::Layout;
use banishd::config::parse_only;
use proptest::prelude::{ProptestConfig, Strategy, prop};
use proptest::{prop_assert_eq, proptest};
use serde_json::Value;
use tempfile::TempDir;

fn read(tree: &Path) -> Value {
    let dump = dump(&Layout::fail2ban(tree.to_owned()), Some("a"));
    serde_json::to_value(&dump).expect("JSON")["jails"]["a"].take()
}

/// A value, each line with its origin below `root`.
fn shown(value: &Value, root: &Path) -> String {
    let place = format!("{}/", root.display());
    let origins = value["origins"].as_array().expect("places").iter();
    let origins = origins.map(|origin| origin.as_str().expect("a place").replace(&place, ""));
    let lines = value["value"].as_str().expect("a text").split('\n');
    let lines: Vec<String> = lines
        .zip(origins)
        .map(|(line, at)| format!("{line} @ {at}"))
        .collect();
    lines.join("\n")
}

#[test]
fn every_line_of_a_value_is_told_where_it_comes_from() {
    let tree = planted(&[
        (
            "jail.conf",
            "[DEFAULT]\nlong = one\n  two\nban = x\n[a]\nfilter = f[w=q,\n  v=r]\naction = %(ban)s[\n  p=1]\n\
             failregex = %(known/failregex)s\n  own %(long)s\n  %(long)s\n  end\nbantime =\n  5\n",
        ),
        (
            "filter.d/f.conf",
            "[INCLUDES]\nbefore = c.conf\n[Definition]\nfailregex = <re-<w>> %(pre)s\n  %(pre)s<v>\n  %(pre)s\nre-q =\n  a\n  b\n",
        ),
        ("filter.d/c.conf", "[DEFAULT]\npre = c\n"),
        (
            "action.d/x.conf",
            "[Definition]\nactionban = ban <p>\n  <q>\n[Init]\nq = z\n  y\n",
        ),
    ]);
    let root = tree.path();

    let jail = read(root);

    let shown = |value: &Value| shown(value, root);
    assert_eq!(
        shown(&jail["options"]["failregex"]),
        " @ filter.d/f.conf:7
a @ filter.d/f.conf:8
b c @ filter.d/f.conf:9
cr @ filter.d/f.conf:5
c @ filter.d/c.conf:2
own one @ jail.conf:11
two @ jail.conf:3
one @ jail.conf:2
two @ jail.conf:3
end @ jail.conf:13"
    );
    assert_eq!(
        shown(&jail["options"]["bantime"]),
        " @ jail.conf:14\n5 @ jail.conf:15"
    );
    let action = &jail["actions"][0]["properties"];
    assert_eq!(
        shown(&action["actionban"]),
        "ban 1 @ action.d/x.conf:2\nz @ action.d/x.conf:5\ny @ action.d/x.conf:6"
    );
    assert_eq!(shown(&action["p"]), "1 @ jail.conf:9");
    assert_eq!(
        jail["actions"][0]["origin"],
        format!("{}/jail.conf:8", root.display())
    );
}

/// A tree with these files.
fn planted(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    tree
}

#[test]
fn a_filters_tag_may_name_any_option_of_its_jail() {
    let tree = planted(&[
        ("jail.conf", "[a]\nfilter = f\nmaxretry = 7\n"),
        (
            "filter.d/f.conf",
            "[Definition]\nfailregex = <maxretry> <other>\n",
        ),
    ]);

    let jail = read(tree.path());

    assert_eq!(jail["filter_options"]["failregex"]["value"], "7 <other>");
}

#[test]
fn names_of_files_are_looked_for_in_the_tree() {
    let tree = planted(&[
        ("jail.conf", "[a]\nfilter = ./f\naction = ./x\n"),
        ("filter.d/f.conf", "[Definition]\nfailregex = found\n"),
        ("action.d/x.conf", "[Definition]\nactionban = found too\n"),
    ]);

    let jail = read(tree.path());

    assert_eq!(jail["filter_options"]["failregex"]["value"], "found");
    let action = &jail["actions"][0]["properties"];
    assert_eq!(action["actionban"]["value"], "found too");
}

/// Lines that a value can have: no blank ends, no comment, nothing that ends the line.
fn line() -> impl Strategy<Value = String> {
    "[!-~äß\\[][ -~äß]{0,20}"
        .prop_map(|line| line.trim().to_owned())
        .prop_filter("a comment", |line| {
            !line.starts_with(['#', ';']) && !line.contains(" ;")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_dumped_can_be_read_again(values in prop::collection::vec(prop::collection::vec(line(), 1..4), 3)) {
        let printed: Vec<String> = values.iter().map(|lines| lines.join("\n    ").replace('%', "%%")).collect();
        let [one, two, three] = printed.as_slice() else { panic!() };
        let tree = tempfile::tempdir().expect("a directory");
        let file = tree.path().join("jail.conf");
        let text = format!("[DEFAULT]\nx = {one}\n[a]\nfailregex = {two}\n  %(x)s\nbantime = {three}\ndescription =\n  %(x)s\n");
        fs::write(&file, text).expect("a file");
        let layout = Layout::fail2ban(tree.path().to_owned());
        let first = read(tree.path());

        fs::write(&file, dump(&layout, Some("a")).to_text()).expect("a file");

        let again = read(tree.path());
        let value = |jail: &Value, key: &str| jail["options"][key]["value"].clone();
        for key in ["failregex", "bantime", "description"] {
            prop_assert_eq!(value(&again, key), value(&first, key));
        }
    }

    #[test]
    fn no_text_is_too_strange_to_be_resolved(
        jail in "([\\[\\]%()=:;#<>,\"'?/ \t\na-c]|%\\([a-c]\\)s|<[a-c]>|%\\(known/[a-c]\\)s|\naction = x|\\PC){0,80}",
        filter in "([\\[\\]%()=<>? \na-c]|%\\([a-c]\\)s|<[a-c]>|<known/[a-c]>|\n\\[Init\\]\n|\nfailregex = ){0,60}",
    ) {
        let _ = parse_only(&format!("[a]\nfilter = f\n{jail}\n==\n[Definition]\n{filter}\n==\n[Definition]\n{filter}"));
    }
}

/// Text that stands for a lot of text, or for a lot of work: each is refused, and soon.
#[test]
fn no_text_makes_resolving_slow_deep_or_large() {
    let chain = |reference: fn(usize) -> String, end: &str| {
        let link = |n: usize| format!("x{n} = {}\n", reference(n + 1).repeat(20));
        format!("{}x40 = {end}\n", (0..40).map(link).collect::<String>())
    };
    let many = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<String>();
    let references = chain(|n| format!("%(x{n})s"), "");
    let tags = chain(|n| format!("<x{n}>"), "y");
    let empty_tags = chain(|n| format!("<x{n}>"), "");
    let big = "y".repeat(200_000);
    let inits = many(20_000, |n| format!("i{n} = %(big)s\n"));
    let conditions = many(20_000, |n| format!("q?family=c{n} = 1\n"));
    let jail = "[a]\nfilter = f\naction = x\n";
    let definition = "[Definition]\nfailregex = <x0>\nactionban = <x0>\n";
    for text in [
        format!("{jail}failregex = %(x0)s\n{references}"),
        format!("{jail}==\n{definition}{references}"),
        format!("{jail}==\n{definition}{tags}==\n{definition}{tags}"),
        format!("{jail}==\n{definition}{empty_tags}==\n{definition}{empty_tags}"),
        format!(
            "{jail}==\n[Definition]\nfailregex = {}{}",
            "<".repeat(100_000),
            ">".repeat(100_000)
        ),
        format!(
            "{jail}==\n[Definition]\nfailregex = {}x",
            "<y>".repeat(80_000)
        ),
        format!("{jail}==\n[Definition]\n==\n[Definition]\n[Init]\nbig = {big}\n{inits}"),
        format!("[a]\naction = x[q=\"{big}\"]\n==\n==\n[Init]\n{conditions}"),
        format!("[a]\naction = {}", "x ".repeat(100_000)),
        format!("[a]\naction = x[{}]", "a=1,".repeat(50_000)),
        format!("[a]\naction = {}", "x[a=1,b=2]\n  ".repeat(20_000)),
        format!("[a]\nfailregex = {}", "\n  y".repeat(100_000)),
        format!("[a]\nfailregex = {}", "%(b)s".repeat(50_000)),
        many(2000, |n| format!("[j{n}]\nfilter = f\n")),
    ] {
        let _ = parse_only(&text);
    }
}
