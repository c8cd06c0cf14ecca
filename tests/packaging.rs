//! Units, policies, man pages and the interface agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(top().join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The words of a page as a reader sees them: escapes of roff undone.
fn page(file: &str) -> String {
    read(&format!("man/{file}")).replace("\\-", "-")
}

/// The values of `attribute` in elements `<element …>` of an XML text that has one element a line or more.
fn attributes(xml: &str, element: &str, attribute: &str) -> BTreeSet<String> {
    xml.split(&format!("<{element} "))
        .skip(1)
        .filter_map(|rest| {
            let tag = rest.split('>').next()?;
            let value = tag.split(&format!("{attribute}=\"")).nth(1)?;
            Some(value.split('"').next()?.to_owned())
        })
        .collect()
}

/// Names of options in a configuration file, commented out or not.
fn options(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| line.trim_start_matches('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, _)| key.trim_end())
        .filter(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

/// Pages of ours that a text names in the form `name(5)` or `.BR name (5)`.
fn pages_named(text: &str) -> BTreeSet<String> {
    let plain = text.replace("\\-", "-").replace(" (", "(");
    let mut found = BTreeSet::new();
    for word in plain.split(|c: char| c.is_whitespace() || c == ',' || c == '"') {
        let word = word.strip_prefix("man:").unwrap_or(word);
        let Some((page, section)) = word.split_once('(') else {
            continue;
        };
        let ours = page.starts_with("banish") || page.starts_with("org.banishd.");
        if let (true, Some(section)) = (ours, section.chars().next().filter(char::is_ascii_digit)) {
            found.insert(format!("{page}.{section}"));
        }
    }
    found
}

#[test]
fn every_page_of_ours_that_anything_refers_to_exists() {
    // `make install` links this name to banishd.service.8.
    let mut have: BTreeSet<String> = BTreeSet::from(["banishd.8".to_owned()]);
    have.extend(files("man").iter().map(|path| name(path)));
    let mut texts = Vec::new();
    for folder in ["units", "man", "config"] {
        for path in files(folder) {
            texts.push((name(&path), fs::read_to_string(&path).unwrap()));
        }
    }

    for (from, text) in texts {
        for page in pages_named(&text) {
            assert!(
                have.contains(&page),
                "{from} refers to {page}, which is not in man/"
            );
        }
    }
}

#[test]
fn the_manual_of_the_bus_names_all_that_is_on_it() {
    let manual = page("org.banishd.Banish1.5");
    for interface in ["Manager", "Jail"] {
        let xml = read(&format!("dbus/org.banishd.Banish1.{interface}.xml"));
        for element in ["method", "signal", "property"] {
            for member in attributes(&xml, element, "name") {
                assert!(
                    manual.contains(&member),
                    "{interface}.{member} is not in the manual"
                );
            }
        }
    }
}

#[test]
fn every_polkit_action_is_in_the_manual_of_the_bus() {
    let manual = page("org.banishd.Banish1.5");
    for action in attributes(&read("dbus/org.banishd.Banish1.policy"), "action", "id") {
        assert!(manual.contains(&action), "{action} is not in the manual");
    }
}

#[test]
fn every_option_of_the_shipped_configuration_has_its_place_in_a_manual() {
    for (file, manual) in [
        ("config/banishd.conf", "banishd.conf.5"),
        ("config/jail.conf", "banishd.jail.5"),
    ] {
        let text = page(manual);
        let all = options(&read(file));
        assert!(!all.is_empty(), "no options in {file}");
        for option in all {
            assert!(
                text.contains(&option),
                "'{option}' of {file} is not in {manual}"
            );
        }
    }
}

#[test]
fn the_user_of_the_unit_is_the_one_that_is_made_and_may_own_the_name() {
    let unit = read("units/banishd.service");
    let user = unit
        .lines()
        .find_map(|line| line.strip_prefix("User="))
        .unwrap();

    assert!(users().contains(user));
    assert!(read("dbus/org.banishd.Banish1.conf").contains(&format!("<policy user=\"{user}\">")));
}

/// The users that are made.
fn users() -> BTreeSet<String> {
    let made = read("units/banishd.sysusers");
    let words = made.lines().map(|line| line.split_whitespace());
    let users = words.filter_map(|mut words| (words.next()? == "u").then(|| words.next())?);
    users.map(str::to_owned).collect()
}

/// The values of an option in a unit file.
fn values(unit: &str, option: &str) -> Vec<String> {
    let text = read(&format!("units/{unit}"));
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let found = lines.filter(|(key, _)| *key == option);
    found.map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn each_socket_is_the_daemons_alone_and_leads_to_its_program() {
    let places = banishd::ask::Places::default();
    let daemon = values("banishd.service", "User");
    for (name, listens) in [("resolve", places.resolve), ("action", places.action)] {
        let (socket, service) = (
            format!("banishd-{name}.socket"),
            format!("banishd-{name}@.service"),
        );
        assert_eq!(values(&socket, "ListenStream"), [listens.to_str().unwrap()]);
        assert_eq!(values(&socket, "Accept"), ["yes"]);
        assert_eq!(values(&socket, "SocketUser"), daemon);
        assert_eq!(values(&socket, "SocketMode"), ["0600"]);
        assert_eq!(values(&socket, "TriggerLimitIntervalSec"), ["0"]);
        let program = format!("/usr/lib/banishd/banishd-{name}");
        assert_eq!(values(&service, "ExecStart"), [program]);
        for option in ["Wants", "After"] {
            assert!(
                values("banishd.service", option)[0].contains(&socket),
                "{option}"
            );
        }
    }
}

#[test]
fn names_are_looked_up_by_a_user_without_any_right() {
    let service = "banishd-resolve@.service";

    let user = &values(service, "User")[0];

    assert!(users().contains(user) && *user != values("banishd.service", "User")[0]);
    for (option, expected) in [
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("AmbientCapabilities", "-"),
    ] {
        let found = values(service, option);
        let found = found.first().map_or("-", String::as_str);
        assert_eq!(found, expected, "{option}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let directory = tempfile::tempdir().unwrap();
    for path in files("units") {
        let unit = fs::read_to_string(&path).unwrap();
        // What they start is not installed here.
        let unit = unit
            .replace("/usr/lib/banishd/banishd", "/bin/true #")
            .replace("/usr/bin/banishctl", "/bin/true");
        fs::write(directory.path().join(name(&path)), unit).unwrap();
    }
    for unit in [
        "banishd.service",
        "banishd-action.socket",
        "banishd-resolve.socket",
    ] {
        #[expect(clippy::disallowed_methods, reason = "the test runs systemd-analyze")]
        let mut verify = std::process::Command::new("systemd-analyze");
        verify
            .args(["verify", "--man=no"])
            .arg(directory.path().join(unit));
        let verified = verify.output().unwrap();
        let said = String::from_utf8(verified.stderr).unwrap();
        assert!(!said.contains("banishd"), "{unit}: {said}");
    }
}

#[test]
fn activation_leads_to_the_unit_by_its_alias() {
    let alias = "dbus-org.banishd.Banish1.service";

    assert!(read("dbus/org.banishd.Banish1.service").contains(&format!("SystemdService={alias}")));
    assert!(read("units/banishd.service").contains(&format!("Alias={alias}")));
}

#[test]
fn a_unit_that_fails_often_is_started_again_and_keeps_its_bans() {
    let unit = read("units/banishd.service");

    for line in ["StartLimitIntervalSec=0", "Restart=always"] {
        assert!(
            unit.lines().any(|l| l == line),
            "{line} is what keeps the bans"
        );
    }
}

/// The Makefile, with the names that lists stand for.
fn expanded() -> String {
    let makefile = read("Makefile").replace("\\\n", " ");
    let value = |list: &str| {
        let line = makefile
            .lines()
            .find(|line| line.starts_with(list))
            .unwrap();
        line.split_once(":=").unwrap().1.trim().to_owned()
    };
    let (units, programs) = (value("UNITS"), value("PROGRAMS"));
    makefile
        .replace("$(UNITS)", &units)
        .replace("$(PROGRAMS)", &programs)
}

#[test]
fn every_program_is_built_installed_and_packaged() {
    let install = expanded();
    let (_, install) = install.split_once("\ninstall:").unwrap();
    let package = read("units/debian/build");
    for path in files("src/bin") {
        let program = name(&path).strip_suffix(".rs").unwrap().to_owned();
        assert!(read("Cargo.toml").contains(&format!("name = \"{program}\"")));
        assert!(install.contains(&program), "{program} is not installed");
        assert!(
            package.contains(&format!("/{program}")),
            "{program} is not stripped"
        );
    }
}

#[test]
fn make_install_and_uninstall_name_every_file_we_ship() {
    let makefile = expanded();
    let (_, rest) = makefile.split_once("\ninstall:").unwrap();
    let (install, uninstall) = rest.split_once("\nuninstall:").unwrap();

    for folder in ["units", "dbus"] {
        for path in files(folder) {
            let file = name(&path);
            let xml = file.ends_with(".xml") && install.contains("dbus/*.xml");
            assert!(
                xml || install.contains(&file),
                "{folder}/{file} is not installed"
            );
            let stem = file
                .strip_suffix(".sysusers")
                .map_or(file.clone(), |s| format!("{s}.conf"));
            let wild = file.ends_with(".xml") && uninstall.contains("dbus/*.xml");
            assert!(
                wild || uninstall.contains(&stem),
                "{folder}/{file} is not uninstalled"
            );
        }
    }
    for path in files("config/completions") {
        let file = format!("/{}", name(&path));
        assert!(install.contains(&format!("config/completions{file} ")));
        let to = install
            .split_whitespace()
            .find(|word| word.starts_with("$(DATADIR)") && word.ends_with(&file));
        let to = to.expect("a place for it");
        assert!(uninstall.contains(to), "{to} is not uninstalled");
    }
}
