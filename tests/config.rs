//! Configuration trees to settings or diagnostics.
//!
//! Each directory below `tests/data/config` stands for /etc/banishd, over the shipped files; what it
//! amounts to is in `tests/snapshots` (`INSTA_UPDATE=always` writes it anew).

mod language;
mod repeat;
mod stock;
mod stream;
mod tutorial;
mod values;
mod verify;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use banishd::config::diagnostic::{Diagnostic, Level};
use banishd::config::files::Layout;
use banishd::config::{load, parse_only};
use banishd::engine::filter::Names;
use banishd::engine::settings::{Escalation, JailSettings, Journal, Settings};
use proptest::prelude::{ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_assume, proptest};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn load_over_shipped(admin: &Path) -> (Settings, Vec<Diagnostic>) {
    load(&Layout {
        admin: admin.to_owned(),
        vendor: root().join("config"),
        services: root().join("tests/data/none"),
        ..Layout::default()
    })
}

/// The jail as an administrator would want to read it.
fn jail(jail: &JailSettings) -> String {
    let ignored: Vec<String> = jail
        .ignore
        .iter()
        .map(|member| member.to_string())
        .collect();
    let mut text = format!(
        "  {:?}\n  maxretry {} findtime {} bantime {}\n  ignores {:?}, itself: {}\n  drops {:?} {}\n  reads {}\n",
        jail.description,
        jail.max_retry,
        jail.find_time,
        jail.ban_time,
        ignored,
        jail.ignore_self,
        jail.rules.protocol,
        jail.rules.ports,
        jail.matches,
    );
    text += &unusual(jail);
    let spec = jail.filter.spec();
    if spec.name != "sshd" {
        let _ = writeln!(text, "  filter {:?} on {:?}", spec.name, spec.text);
        let prefix = spec.prefix.iter().map(|line| format!("first {line}"));
        let ignored = spec.ignore.iter().map(|line| format!("not {line}"));
        let dates = spec.dates.iter().map(|line| format!("date {line}"));
        for line in prefix
            .chain(spec.fail.iter().cloned())
            .chain(ignored)
            .chain(dates)
        {
            let _ = writeln!(text, "    {line}");
        }
        if spec.max_lines > 1 {
            let _ = writeln!(text, "    {} lines at once", spec.max_lines);
        }
    }
    text
}

/// What the shipped jail does not have.
fn unusual(jail: &JailSettings) -> String {
    let mut text = String::new();
    let mut line = |name: &str, is_unusual: bool, value: String| {
        if is_unusual {
            let _ = writeln!(text, "  {name} {value}");
        }
    };
    let journal = &jail.journal;
    line(
        "journal",
        *journal != Journal::System,
        format!("{journal:?}"),
    );
    line("trusts", jail.trusts_senders, "senders".to_owned());
    for file in &jail.files {
        let tail = if file.is_tail { " from its end" } else { "" };
        line("file", true, format!("{}{tail}", file.pattern));
    }
    line("files", jail.polls, "are polled".to_owned());
    if let Some(encoding) = jail.encoding {
        line("bytes", true, encoding.name().to_owned());
    }
    let spec = jail.filter.spec();
    line(
        "names",
        spec.names != Names::Warn,
        format!("{:?}", spec.names),
    );
    let fixed = spec.zone.to_fixed_offset().ok();
    line(
        "zone",
        fixed.is_some_and(|zone| zone.seconds() != 0),
        format!("{fixed:?}"),
    );
    let matches = jail.max_matches;
    line("keeps", matches != 5, format!("{matches} lines"));
    line(
        "spares",
        !jail.ignore_names.is_empty(),
        format!("{:?}", jail.ignore_names),
    );
    line(
        "spares",
        !jail.ignore_files.is_empty(),
        format!("{:?}", jail.ignore_files),
    );
    if let Some(command) = &jail.ignore_command {
        line(
            "asks",
            true,
            format!("{command:?}, and remembers {:?}", jail.ignore_cache),
        );
    }
    if let Some(growth) = &jail.escalation {
        line("bans grow", true, grows(growth));
    }
    text
}

fn grows(growth: &Escalation) -> String {
    format!(
        "by {} {} {:?} up to {:?}, randomly {}, all jails: {}",
        growth.formula,
        growth.factor,
        growth.multipliers,
        growth.max.map(|max| max.to_string()),
        growth.random,
        growth.all_jails
    )
}

/// All that came of a tree, with the directories as they would be called.
fn report(admin: &Path) -> String {
    let (settings, problems) = load_over_shipped(admin);
    let mut text = String::new();
    for problem in &problems {
        let _ = writeln!(text, "{}", problem.excerpt());
    }
    for (name, settings) in &settings.jails {
        let _ = write!(text, "jail {name}\n{}", jail(settings));
    }
    for (name, reason) in &settings.failed {
        let _ = writeln!(text, "failed {name}: {reason}");
    }
    if settings.incomplete {
        let _ = writeln!(text, "incomplete");
    }
    if settings.global != Default::default() {
        let _ = writeln!(text, "{:?}", settings.global);
    }
    let vendor = root().join("config");
    text.replace(&admin.display().to_string(), "/etc/banishd")
        .replace(&vendor.display().to_string(), "/usr/lib/banishd")
}

fn trees(kind: &str) -> Vec<(String, String)> {
    let directory = root().join("tests/data/config").join(kind);
    let mut trees: Vec<_> = fs::read_dir(directory)
        .expect("the trees are there")
        .map(|entry| entry.expect("a tree").path())
        .collect();
    trees.sort();
    let name = |tree: &Path| {
        tree.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    trees
        .iter()
        .map(|tree| (name(tree).expect("a name"), report(tree)))
        .collect()
}

#[test]
fn good_trees_become_settings() {
    for (name, report) in trees("ok") {
        assert!(!report.contains("error: "), "{name}:\n{report}");
        insta::assert_snapshot!(name, report);
    }
}

#[test]
fn bad_trees_become_precise_diagnostics_and_the_good_jails_run() {
    let trees = trees("bad");
    assert!(trees.len() >= 20);
    for (name, report) in trees {
        assert!(
            report.contains("error: ") || report.contains("warning: "),
            "{name}:\n{report}"
        );
        // What is wrong with [DEFAULT] is wrong with every jail.
        let runs = report.contains("\njail ");
        let none = ["broken-default", "text-before-the-first-section"];
        assert_eq!(runs, !none.contains(&name.as_str()), "{name}:\n{report}");
        insta::assert_snapshot!(name, report);
    }
}

#[test]
fn the_shipped_files_have_nothing_to_complain_of() {
    let (settings, problems) = load_over_shipped(&root().join("tests/data/none"));

    assert_eq!(problems, []);
    assert_eq!(settings.failed.len(), 0);
    assert!(!settings.incomplete);
}

/// Whoever uncomments a line of banishd.conf changes nothing by that.
#[test]
fn the_shipped_comments_show_the_defaults() {
    let admin = tempfile::tempdir().expect("a directory");
    let text = fs::read_to_string(root().join("config/banishd.conf")).expect("banishd.conf");
    let spoken: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => option,
            _ => line,
        })
        .collect();
    fs::write(admin.path().join("banishd.conf"), spoken.join("\n")).expect("a file");

    let (settings, problems) = load_over_shipped(admin.path());

    assert_eq!(spoken.iter().filter(|line| line.contains(" = ")).count(), 6);
    assert_eq!(problems, []);
    assert_eq!(settings.global, Default::default());
}

#[test]
fn without_the_package_there_is_nothing_but_a_clear_word() {
    let empty = tempfile::tempdir().expect("a directory");
    let layout = Layout {
        admin: empty.path().join("etc"),
        vendor: empty.path().join("usr"),
        services: empty.path().join("services"),
        ..Layout::default()
    };

    let (settings, problems) = load(&layout);

    assert!(settings.incomplete);
    assert_eq!(settings.jails.len(), 0);
    let vendor = layout.vendor.display().to_string();
    let lines: Vec<String> = problems
        .iter()
        .map(|p| p.to_string().replace(&vendor, "VENDOR"))
        .collect();
    assert_eq!(
        lines.join("\n"),
        "\
VENDOR/banishd.conf: error: there is no such file (install banishd again, or create the file)
VENDOR/jail.conf: error: there is no such file (install banishd again, or create the file)"
    );
}

#[test]
fn a_file_is_read_up_to_one_mebibyte_and_not_beyond() {
    let admin = tempfile::tempdir().expect("a directory");
    let file = admin.path().join("jail.local");
    for (size, refused) in [(1024 * 1024, false), (1024 * 1024 + 1, true)] {
        fs::write(&file, "#".repeat(size)).expect("a file");

        let (settings, problems) = load_over_shipped(admin.path());

        assert_eq!(settings.incomplete, refused);
        assert_eq!(problems.len(), usize::from(refused));
        assert_eq!(settings.jails.len(), 1);
    }
}

#[test]
fn a_link_to_dev_null_hides_a_shipped_file() {
    let admin = tempfile::tempdir().expect("a directory");
    let link = admin.path().join("jail.conf");
    std::os::unix::fs::symlink("/dev/null", link).expect("a link");

    let (settings, problems) = load_over_shipped(admin.path());

    assert_eq!(problems, []);
    assert_eq!(settings.jails.len(), 0);
    assert!(!settings.incomplete);
}

#[test]
fn a_caret_stands_below_what_is_wrong() {
    let admin = tempfile::tempdir().expect("a directory");
    fs::write(
        admin.path().join("jail.local"),
        "[sshd]\n\tbantime = 1h ; é\nport = ssh, nö, 1\n",
    )
    .expect("a file");

    let (_, problems) = load_over_shipped(admin.path());

    let place = format!("{}/", admin.path().display());
    let shown: Vec<String> = problems
        .iter()
        .map(|p| p.excerpt().replace(&place, ""))
        .collect();
    assert_eq!(problems.first().map(|p| p.level), Some(Level::Error));
    assert_eq!(
        shown.join("\n"),
        "\
jail.local:3:8: error: 'nö' is no port: use 1 to 65535, a name of /etc/services, a range or all
 3 | port = ssh, nö, 1
   |        ^
  = correct 'port'"
    );
}

fn described(value: &str) -> Option<String> {
    let admin = tempfile::tempdir().expect("a directory");
    let text = format!("[sshd]\ndescription = {value}\n");
    fs::write(admin.path().join("jail.local"), text).expect("a file");
    let (settings, _) = load_over_shipped(admin.path());
    settings
        .jails
        .values()
        .next()
        .map(|jail| jail.description.clone())
}

/// Lines that a value can have: no blank ends, no comment, nothing that ends the line.
fn line() -> impl Strategy<Value = String> {
    "[!-~äß][ -~äß]{0,20}"
        .prop_map(|line| line.trim().to_owned())
        .prop_filter("a comment", |line| {
            !line.starts_with(['#', ';']) && !line.contains(" ;")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_value_survives_printing_and_parsing(lines in prop::collection::vec(line(), 1..5)) {
        let printed = lines.join("\n    ").replace('%', "%%");
        prop_assert_eq!(described(&printed), Some(lines.join("\n")));
    }

    #[test]
    fn a_list_of_ports_survives_printing_and_parsing(ranges in prop::collection::vec((1u16.., 0u16..50), 1..6)) {
        let word = |(first, more): &(u16, u16)| format!("{first}:{}", first.saturating_add(*more));
        let text: Vec<String> = ranges.iter().map(word).collect();
        let ports = |text: &str| {
            let admin = tempfile::tempdir().expect("a directory");
            fs::write(admin.path().join("jail.local"), format!("[sshd]\nport = {text}\n")).expect("a file");
            let (settings, _) = load_over_shipped(admin.path());
            settings.jails.values().next().map(|jail| jail.rules.ports.clone())
        };
        let once = ports(&text.join(", ")).expect("a jail");
        prop_assert_eq!(ports(&once.to_string()), Some(once));
    }

    #[test]
    fn no_text_is_too_strange_to_be_read(text in "([\\[\\]%()=:;#<> \t\na-c\\\\é]|\\PC){0,200}") {
        let _ = parse_only(&text);
        prop_assume!(!text.contains("INCLUDES"));
        let admin = tempfile::tempdir().expect("a directory");
        fs::write(admin.path().join("jail.local"), &text).expect("a file");
        let (settings, _) = load_over_shipped(admin.path());
        prop_assert!(settings.jails.len() + settings.failed.len() >= 1);
    }

    #[test]
    fn no_bytes_are_too_strange_to_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let admin = tempfile::tempdir().expect("a directory");
        fs::write(admin.path().join("jail.local"), &bytes).expect("a file");
        let (settings, problems) = load_over_shipped(admin.path());
        prop_assert!(!settings.incomplete || !problems.is_empty());
    }
}
