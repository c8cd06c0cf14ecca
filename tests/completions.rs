//! The completions for shells in `config/completions` are made of the command line, and manual and command
//! line name the same things. `BLESS=1` writes the completions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use banishd::cli::command_line;
use clap_complete::{Shell, generate};

/// The words after which the name of a jail may come.
const OF_JAILS: &str = "status|bans|ban|unban|start|stop|test";

/// What a shell reads: what the command line has, and the names of the jails that there are.
fn completions(shell: Shell) -> String {
    let mut made = Vec::new();
    generate(shell, &mut command_line(), "banishctl", &mut made);
    let made = String::from_utf8(made).unwrap();
    match shell {
        Shell::Bash => {
            made + &format!(
                r#"
# Jails by their names.
_banishctl_jails() {{
    _banishctl "$@"
    local word="${{COMP_WORDS[COMP_CWORD]}}"
    if [[ $COMP_CWORD -eq 2 && $word != -* && ${{COMP_WORDS[1]}} =~ ^({OF_JAILS})$ ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(banishctl jails 2>/dev/null)" -- "$word")
    fi
}}
complete -F _banishctl_jails -o nosort -o bashdefault -o default banishctl
"#
            )
        }
        Shell::Zsh => {
            let jails = "_banishctl_jails() {\n    compadd -- ${(f)\"$(banishctl jails 2>/dev/null)\"}\n}\n";
            let mut made = made.replacen("\nautoload -U", &format!("\n{jails}\nautoload -U"), 1);
            for help in ["The jail", "Of this jail only"] {
                made = made.replace(
                    &format!("jail -- {help}:_default"),
                    &format!("jail -- {help}:_banishctl_jails"),
                );
            }
            made
        }
        _ => {
            let words = OF_JAILS.replace('|', " ");
            made + &format!(
                "complete -c banishctl -n \"__fish_seen_subcommand_from {words}\" -f \
                 -a \"(banishctl jails 2>/dev/null)\"\n"
            )
        }
    }
}

#[test]
fn the_installed_completions_are_those_of_the_command_line() {
    for (shell, file) in [
        (Shell::Bash, "banishctl"),
        (Shell::Zsh, "_banishctl"),
        (Shell::Fish, "banishctl.fish"),
    ] {
        let path = format!("config/completions/{file}");
        let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        let made = completions(shell);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&whole, &made).unwrap();
        }
        let installed = fs::read_to_string(whole).unwrap();
        assert!(installed == made, "BLESS=1 cargo test writes {path}");
    }
}

/// Words as bash would offer them after `typed`, with jails of a banishctl that is none.
fn offered(typed: &[&str]) -> Vec<String> {
    let words: Vec<String> = typed.iter().map(|word| format!("'{word}'")).collect();
    let (words, last) = (words.join(" "), typed.len() - 1);
    let script = format!(
        "banishctl() {{ printf 'sshd\\nnginx-http-auth\\n'; }}\n\
         source config/completions/banishctl\n\
         COMP_WORDS=({words}); COMP_CWORD={last}\n\
         $(complete -p banishctl | sed 's/.*-F \\([^ ]*\\).*/\\1/') banishctl '{}' '{}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        typed[last],
        typed[last - 1],
    );
    #[expect(clippy::disallowed_methods, reason = "the test runs bash")]
    let mut bash = std::process::Command::new("bash");
    let bash = bash
        .args(["-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_verbs_options_and_jails() {
    for (typed, expected) in [
        (&["banishctl", "ver"][..], &["verify"][..]),
        (&["banishctl", "ban", "s"], &["sshd"]),
        (&["banishctl", "status", ""], &["sshd", "nginx-http-auth"]),
        (&["banishctl", "verify", "--con"], &["--config-dir"]),
        (&["banishctl", "filter", "con"], &["conformance"]),
    ] {
        assert_eq!(offered(typed), expected, "{typed:?}");
    }
}

/// Every verb, and every long option, of `command` and below it.
fn names(command: &clap::Command, all: &mut (BTreeSet<String>, BTreeSet<String>), above: &str) {
    let options = command.get_arguments().filter_map(clap::Arg::get_long);
    all.1.extend(options.map(|option| format!("--{option}")));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = format!("{above}{}", verb.get_name());
        names(verb, all, &format!("{name} "));
        if !verb.has_subcommands() {
            all.0.insert(name);
        }
    }
}

#[test]
fn manual_and_command_line_name_the_same_verbs_and_options() {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/banishctl.1");
    let manual = fs::read_to_string(whole).unwrap().replace("\\-", "-");
    let mut all = (BTreeSet::new(), BTreeSet::new());
    names(&command_line(), &mut all, "");
    let (verbs, mut options) = all;
    options.extend(["--help", "--version"].map(str::to_owned));

    let commands = manual.split(".SH COMMANDS").nth(1).unwrap();
    let commands = commands.split(".SH OPTIONS").next().unwrap();
    for verb in verbs {
        assert!(
            commands
                .lines()
                .any(|line| line.contains(&verb) && line.starts_with(".B")),
            "'{verb}' is not in the manual"
        );
    }
    let word = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let named = manual
        .split(word)
        .filter(|word| word.starts_with("--") && word.len() > 2);
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    let foreign = BTreeSet::from(["--now".to_owned()]);
    assert_eq!(options.difference(&named).next(), None, "not in the manual");
    let unknown = named
        .difference(&options)
        .find(|name| !foreign.contains(*name));
    assert_eq!(unknown, None, "not on the command line");
}
