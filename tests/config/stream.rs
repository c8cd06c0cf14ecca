//! fail2ban's own reading of a tree, as `fail2ban-client -d` prints it, and ours in the same shape.
//!
//! The real one runs beside ours on the same files. Its commands are folded into one table for each
//! jail, and so is our dump; what differs must be named, with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use banishd::config::dump::dump;
use banishd::config::files::Layout;
use serde_json::{Value, json};

use crate::support::fail2ban::Fail2ban;

/// A jail: what it says of everything, by name. Actions are `action NAME`, in a table of their own.
pub(crate) type Jail = BTreeMap<String, Value>;

/// What the real one makes of a tree; `Err` with its complaints where it gives up.
pub(crate) fn theirs(fail2ban: &Fail2ban, tree: &Path) -> Result<BTreeMap<String, Jail>, String> {
    let (commands, complaints) = fail2ban.lists(
        "fail2ban-client",
        &["-c".as_ref(), tree.as_os_str(), "-d".as_ref()],
    );
    let mut jails: BTreeMap<String, Jail> = BTreeMap::new();
    for command in commands {
        match command[0].as_str() {
            Some("failed") => return Err(complaints),
            // It leaves this jail out and goes on.
            Some("config-error") => {}
            Some("add") => {
                let jail = jails.entry(text(&command[1])).or_default();
                jail.insert("backend".to_owned(), command[2].clone());
            }
            Some("set" | "multi-set") if command.len() > 3 => {
                let jail = jails.entry(text(&command[1])).or_default();
                take(jail, &text(&command[2]), &command[3..]);
            }
            _ => {}
        }
    }
    if jails.is_empty() && !complaints.is_empty() {
        return Err(complaints);
    }
    Ok(jails)
}

/// Folds one command into the table of its jail.
fn take(jail: &mut Jail, key: &str, arguments: &[Value]) {
    let mut extend = |key: &str, more: Vec<Value>| {
        let list = jail.entry(key.to_owned()).or_insert_with(|| json!([]));
        list.as_array_mut().expect("a list").extend(more);
    };
    match (key, arguments) {
        ("addfailregex" | "addignoreregex", [Value::Array(list)]) => {
            extend(&key["add".len()..], list.clone());
        }
        ("addfailregex" | "addignoreregex" | "addignoreip", list) => {
            extend(&key["add".len()..], list.to_vec());
        }
        ("addlogpath", [path, end]) => extend("logpath", vec![json!([path, end])]),
        ("addjournalmatch", words) => extend("journalmatch", vec![json!(words)]),
        ("addaction", [name]) => drop(jail.insert(format!("action {}", text(name)), json!({}))),
        ("addaction", [name, _file, arguments]) => {
            let arguments = serde_json::from_str(&text(arguments)).expect("JSON");
            jail.insert(format!("action {}", text(name)), arguments);
        }
        ("action", [name, Value::Array(pairs)]) => {
            let pair = |pair: &Value| (text(&pair[0]), pair[1].clone());
            // A file without [Definition] has every command, as nothing.
            let pairs = pairs.iter().filter(|pair| !pair[1].is_null());
            let properties: Jail = pairs.map(pair).collect();
            jail.insert(format!("action {}", text(name)), json!(properties));
        }
        (_, [value]) => drop(jail.insert(key.to_owned(), value.clone())),
        _ => panic!("{key} {arguments:?}"),
    }
}

/// What we make of a tree, and the complaints that are errors.
pub(crate) fn ours(tree: &Path) -> (BTreeMap<String, Jail>, Vec<String>) {
    let dump = dump(&Layout::fail2ban(tree.to_owned()), None);
    let errors = dump
        .problems
        .iter()
        .filter(|problem| problem.level == banishd::config::diagnostic::Level::Error);
    let errors = errors.map(ToString::to_string).collect();
    let data = serde_json::to_value(&dump).expect("JSON");
    let jails = data["jails"].as_object().expect("a table");
    let jails = jails
        .iter()
        .map(|(name, jail)| (name.clone(), jail_of(jail)));
    (jails.collect(), errors)
}

/// One jail of our dump in the shape of their commands.
fn jail_of(jail: &Value) -> Jail {
    let mut out = Jail::new();
    let mut options = jail["filter_options"].as_object().expect("a table").clone();
    for (key, value) in jail["options"].as_object().expect("a table") {
        options.entry(key).or_insert_with(|| value.clone());
    }
    for (key, value) in options {
        let value = text(&value["value"]);
        let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
        let list = |words: Vec<Value>| (!words.is_empty()).then(|| json!(words));
        let value = match key.as_str() {
            "failregex" | "ignoreregex" => list(lines.map(|line| json!(line)).collect()),
            "ignoreip" => {
                let words = value.split(|c: char| c == ',' || c.is_whitespace());
                list(
                    words
                        .filter(|word| !word.is_empty())
                        .map(|word| json!(word))
                        .collect(),
                )
            }
            "journalmatch" => list(lines.map(|line| json!(words(line))).collect()),
            "logpath" => list(lines.flat_map(paths).collect()),
            "maxretry" | "maxmatches" => Some(json!(value.trim().parse::<i64>().ok())),
            "maxlines" => value.trim().parse::<i64>().ok().map(|number| json!(number)),
            "ignoreself" | "bantime.increment" | "bantime.overalljails" => {
                Some(json!(is_true(&value)))
            }
            // Options of ours, and those that end before the stream begins.
            "enabled" | "filter" | "action" | "logtype" | "port" | "protocol" | "description"
            | "skip_if_nologs" | "systemd_if_nologs" | "journaltrust" | "matchtext" => None,
            _ => Some(json!(value)),
        };
        if let Some(value) = value {
            out.insert(key, value);
        }
    }
    out.entry("backend".to_owned())
        .or_insert_with(|| json!("auto"));
    if text(&out["backend"]).starts_with("systemd") {
        out.remove("logpath");
    }
    for action in jail["actions"].as_array().expect("a list") {
        let mut properties = Jail::new();
        for (key, value) in action["properties"].as_object().expect("a table") {
            let value = text(&value["value"]);
            let value = match key.as_str() {
                "norestored" | "actionstart_on_demand" | "actionrepair_on_unban" => {
                    json!(is_true(&value))
                }
                _ => json!(value),
            };
            properties.insert(key.clone(), value);
        }
        out.insert(
            format!("action {}", text(&action["actname"])),
            json!(properties),
        );
    }
    out
}

/// The files that a line of `logpath` names, with where reading begins.
fn paths(line: &str) -> Vec<Value> {
    let (path, end) = line.rsplit_once(' ').unwrap_or((line, "head"));
    let paths = glob::glob(path).expect("a glob").flatten();
    paths.map(|path| json!([path, end])).collect()
}

/// Words as a shell would see them; enough for what stands here.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => words.push(String::new()),
            (_, c) => words.last_mut().expect("a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_true(text: &str) -> bool {
    ["1", "on", "true", "yes"].contains(&text.to_lowercase().as_str())
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// Every difference between two readings: `jail option theirs ours`.
pub(crate) fn differences(
    theirs: &BTreeMap<String, Jail>,
    ours: &BTreeMap<String, Jail>,
) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        let none = Jail::new();
        let (theirs, ours) = (
            theirs.get(name).unwrap_or(&none),
            ours.get(name).unwrap_or(&none),
        );
        let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for key in keys {
            let [theirs, ours] = [theirs, ours].map(|jail| {
                let mut value = jail.get(key).cloned().unwrap_or_default();
                if let Some(list) = value.as_array_mut().filter(|_| key == "logpath") {
                    // fail2ban leaves the order to the directory.
                    list.sort_by_key(ToString::to_string);
                }
                value
            });
            if theirs != ours {
                found.push((format!("{name}: {key}"), theirs, ours));
            }
        }
    }
    found
}

/// Copies a tree, with the log files of the host moved into it.
pub(crate) fn copy(from: &Path, to: &Path, logs: &str) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to, logs);
        } else {
            let text = fs::read_to_string(&from).expect("UTF-8");
            fs::write(&to, text.replace("/var/log", logs)).expect("a file");
        }
    }
}
