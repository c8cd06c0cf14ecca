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
    let mut texts = vec![(
        "units/banishd.service".to_owned(),
        read("units/banishd.service"),
    )];
    for folder in ["man", "config"] {
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

    assert!(read("units/banishd.sysusers").contains(&format!("u     {user} ")));
    assert!(read("dbus/org.banishd.Banish1.conf").contains(&format!("<policy user=\"{user}\">")));
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

#[test]
fn make_install_and_uninstall_name_every_file_we_ship() {
    let makefile = read("Makefile");
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
}
