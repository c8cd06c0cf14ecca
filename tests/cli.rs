//! Output and exit codes of banishctl, on a private bus with the scripted loop behind.

use crate::dbus::bus::{PrivateBus, banishctl, bus_with, text};
use crate::dbus::script::Script;

/// Runs banishctl and returns its exit code, stdout and stderr.
fn ctl(bus: &PrivateBus, arguments: &[&str]) -> (i32, String, String) {
    let output = bus.run(banishctl().to_str().unwrap(), arguments);
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn root_the_verbs_do_what_they_say() {
    let script = Script::new();
    let (bus, _service) = bus_with(&script);
    for (arguments, code, stdout) in [
        (
            &["ban", "sshd", "192.0.2.1"][..],
            0,
            "Banned 192.0.2.1 in 'sshd'.\n",
        ),
        (
            &["ban", "sshd", "192.0.2.1"],
            0,
            "192.0.2.1 was banned in 'sshd' already.\n",
        ),
        (
            &["ban", "sshd", "192.0.2.1", "--for", "1h 30min", "--json"],
            0,
            "{\"changed\":true}\n",
        ),
        (
            &["ban", "sshd", "::ffff:192.0.2.1", "--for", "-1"],
            0,
            "Banned 192.0.2.1 in 'sshd'.\n",
        ),
        (&["unban", "192.0.2.1"], 0, "Lifted 1 ban.\n"),
        (&["unban", "sshd", "192.0.2.1"], 0, "Nothing was banned.\n"),
        (&["unban", "--all"], 0, "Nothing was banned.\n"),
        (&["stop", "sshd"], 0, ""),
        (&["start", "sshd"], 0, ""),
        (&["reload"], 0, "jail.conf:2:1: hm\n"),
        (&["bans"], 0, "No bans.\n"),
        (&["bans", "--json"], 0, ""),
        (&["jails"], 0, "nginx-http-auth\nsshd\n"),
        (
            &["jails", "--json"],
            0,
            "{\"jail\":\"nginx-http-auth\"}\n{\"jail\":\"sshd\"}\n",
        ),
        (&["why", "192.0.2.1"], 0, "192.0.2.1 is not banned.\n"),
        (&["why", "192.0.2.1", "--json"], 0, ""),
        (&["test", "sshd", "hello"], 0, "No failure for 'sshd'.\n"),
    ] {
        let (code_got, out, error) = ctl(&bus, arguments);
        assert_eq!(
            (code_got, out.as_str()),
            (code, stdout),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn root_why_shows_the_lines_that_led_to_a_ban() {
    let script = Script::new();
    let (bus, _service) = bus_with(&script);
    ctl(&bus, &["ban", "sshd", "192.0.2.1"]);

    let (_, out, _) = ctl(&bus, &["why", "192.0.2.1"]);
    assert!(out.starts_with("192.0.2.1 was banned from sshd"), "{out}");
    assert!(out.ends_with("     Lines: a line of 192.0.2.1\n"), "{out}");
    let (_, out, _) = ctl(&bus, &["why", "192.0.2.1", "--json"]);
    assert!(out.contains(r#""lines":["a line of 192.0.2.1"]"#), "{out}");
}

#[test]
fn root_errors_say_what_to_do_and_set_the_exit_code() {
    let script = Script::new();
    let (bus, _service) = bus_with(&script);
    script.with(|state| state.reload = Some("jail.conf:3:1: unknown option 'x'".to_owned()));
    for (arguments, code, stderr) in [
        (
            &["status", "shsd"][..],
            1,
            "No jail 'shsd' is configured; did you mean 'sshd'?\n",
        ),
        (
            &["reload"],
            1,
            "jail.conf:3:1: unknown option 'x'\n\
             Nothing was changed: the old configuration stays in force.\n",
        ),
        (
            &["unban", "sshd"],
            1,
            "'sshd' is not an IP address or prefix. \
             'banishctl unban --all sshd' lifts every ban of a jail.\n",
        ),
        (
            &["ban", "sshd", "192.0.2"],
            1,
            "'192.0.2' is not an IP address or prefix.\n",
        ),
        (
            &["ban", "nginx-http-auth", "192.0.2.1"],
            1,
            "Jail 'nginx-http-auth' is stopped; 'banishctl start nginx-http-auth' lets it run again.\n",
        ),
    ] {
        let (code_got, out, error) = ctl(&bus, arguments);
        assert_eq!(
            (code_got, out.as_str(), error.as_str()),
            (code, "", stderr),
            "{arguments:?}"
        );
    }
    assert_eq!(ctl(&bus, &["ban", "sshd"]).0, 2);
    assert_eq!(
        ctl(&bus, &["ban", "sshd", "192.0.2.1", "--for", "soon"]).0,
        2
    );

    let ctl_path = banishctl();
    let denied = bus.run_as_nobody("", ctl_path.to_str().unwrap(), &["bans"]);
    // the build tree may be closed to other users; then the shell's 126 stands for nothing
    if denied.status.code() != Some(126) && denied.status.code() != Some(127) {
        assert_eq!(denied.status.code(), Some(4), "{denied:?}");
        assert!(text(&denied.stderr).contains("sudo"));
    }
}

#[test]
fn root_without_daemon_or_bus_it_says_how_to_get_one() {
    let mut bus = PrivateBus::start();
    let (code, _, error) = ctl(&bus, &["status"]);
    assert_eq!(code, 3);
    assert!(
        error.contains("'systemctl start banishd' starts it"),
        "{error}"
    );

    bus.stop();
    let (code, _, error) = ctl(&bus, &["status"]);
    assert_eq!(code, 3);
    assert!(error.contains("is dbus running?"), "{error}");
}

#[test]
fn root_status_and_bans_are_json_on_request() {
    let script = Script::new();
    script.fill(5000);
    let (bus, _service) = bus_with(&script);

    let (_, status, error) = ctl(&bus, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect(&error);
    assert_eq!(status["bans"], 5000);
    assert_eq!(status["jails"][1]["ports"][0], "22/tcp");
    let (_, bans, _) = ctl(&bus, &["bans", "--json"]);
    let bans = bans.lines().map(serde_json::from_str::<serde_json::Value>);
    let bans: Vec<_> = bans.map(Result::unwrap).collect();
    assert_eq!((bans.len(), &bans[0]["jail"]), (5000, &"sshd".into()));
    let (_, plain, _) = ctl(&bus, &["status"]);
    assert!(plain.contains("sshd"), "{plain}");
    assert!(!plain.contains('\x1b'), "{plain}");
}

#[test]
fn root_a_closed_pipe_ends_the_output_quietly() {
    let script = Script::new();
    script.fill(5000);
    let (bus, _service) = bus_with(&script);
    let line = format!("set -o pipefail; {} bans | head -1", banishctl().display());

    let output = bus.run("bash", &["-c", &line]);

    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success(), "{output:?}");
}
