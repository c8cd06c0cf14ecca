//! Who may do what on a real bus with our policy file, and what happens when the bus goes away.

use banishd::dbus::proxy::ManagerProxy;

use crate::dbus::bus::{PrivateBus, Service, banishctl, bus_with, text, wait_for_name};
use crate::dbus::script::Script;
use crate::journal::journald::wait_until;

const MANAGER: [&str; 3] = [
    "org.banishd.Banish1",
    "/org/banishd/Banish1",
    "org.banishd.Banish1.Manager",
];

fn call<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["call"];
    all.extend(MANAGER);
    all.extend(arguments);
    all
}

#[test]
fn root_an_unprivileged_user_sees_counts_and_nothing_else() {
    let script = Script::new();
    script.fill(3);
    let (bus, _service) = bus_with(&script);
    let denied: [&[&str]; 10] = [
        &["Ban", "ss", "sshd", "192.0.2.1"],
        &["BanFor", "sstt", "sshd", "192.0.2.1", "0", "0"],
        &["Unban", "ss", "sshd", "10.0.0.1"],
        &["UnbanAddress", "s", "10.0.0.1"],
        &["UnbanAll", "s", ""],
        &["StopJail", "s", "sshd"],
        &["Reload"],
        &["ListBans", "ssu", "", "", "0"],
        &["LookupAddress", "s", "10.0.0.1"],
        &["ListBanLines", "ss", "sshd", "10.0.0.1"],
    ];

    for arguments in denied {
        let answer = bus.run_as_nobody("", "busctl", &call(arguments));
        let error = text(&answer.stderr);
        assert!(!answer.status.success(), "{arguments:?}");
        assert!(error.contains("Access denied"), "{arguments:?}: {error}");
        assert!(!error.contains("10.0.0."), "{error}");
    }

    let bus_option = format!("--bus={}", bus.address());
    let reload = ["--print-reply", "--dest=org.banishd.Banish1", MANAGER[1]];
    let reload = [
        &[bus_option.as_str()][..],
        &reload,
        &["org.banishd.Banish1.Manager.Reload"],
    ];
    let reload = bus.run_as_nobody("", "dbus-send", &reload.concat());
    let error = text(&reload.stderr);
    let why = "because polkit did not answer: it is not installed or not running.";
    assert!(error.contains(why), "{error}");
    let jails = bus.run_as_nobody("", "busctl", &call(&["ListJails"]));
    assert!(text(&jails.stdout).contains("\"sshd\" \"active\" 3"));
    let own = ["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus"];
    let own = [&own[..], &["RequestName", "su", MANAGER[0], "0"]].concat();
    assert!(!bus.run_as_nobody("", "busctl", &own).status.success());
    let set = ["set-property", MANAGER[0], "/org/freedesktop/LogControl1"];
    let set = [
        &set[..],
        &["org.freedesktop.LogControl1", "LogLevel", "s", "debug"],
    ]
    .concat();
    assert!(!bus.run_as_nobody("", "busctl", &set).status.success());
    assert!(bus.run("busctl", &set).status.success());
    script.with(|state| assert!(state.commands.is_empty(), "{:?}", state.commands));
}

#[test]
fn root_readers_of_the_journal_may_read_bans_and_not_make_any() {
    let script = Script::new();
    script.fill(3);
    let (bus, _service) = bus_with(&script);

    let list = bus.run_as_nobody("4", "busctl", &call(&["ListBans", "ssu", "", "", "0"]));
    assert!(text(&list.stdout).contains("\"10.0.0.2\""), "{list:?}");
    let ban = call(&["Ban", "ss", "sshd", "192.0.2.1"]);
    assert!(!bus.run_as_nobody("4", "busctl", &ban).status.success());
}

#[test]
fn root_signals_with_addresses_reach_only_readers_of_the_journal() {
    let script = Script::new();
    let (bus, _service) = bus_with(&script);
    for (groups, told) in [("", false), ("4", true)] {
        let mut command = bus.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534"]);
        match groups {
            "" => command.arg("--clear-groups"),
            groups => command.arg(format!("--groups={groups}")),
        };
        let out = tempfile::NamedTempFile::new().unwrap();
        command
            .args(["gdbus", "monitor", "--address", &bus.address()])
            .args(["--dest", MANAGER[0]])
            .stdout(out.reopen().unwrap());
        let mut listener = command.spawn().unwrap();
        let until_seen = |wanted: &str| {
            wait_until(|| {
                let seen = std::fs::read_to_string(out.path()).unwrap();
                seen.contains(wanted)
            });
        };
        until_seen("is owned by");

        bus.run("busctl", &call(&["Ban", "ss", "sshd", "192.0.2.1"]));
        bus.run("busctl", &call(&["Reload"]));

        // signals come in order, so what was not there before this one was withheld
        until_seen("Reloading (false");
        let all = std::fs::read_to_string(out.path()).unwrap();
        assert_eq!(all.contains("192.0.2.1"), told, "{all}");
        listener.kill().unwrap();
        listener.wait().unwrap();
        bus.run("busctl", &call(&["UnbanAll", "s", ""]));
    }
}

#[test]
fn root_the_service_comes_back_with_the_bus() {
    let script = Script::new();
    let (mut bus, _service) = bus_with(&script);

    bus.restart();

    wait_for_name(&bus, MANAGER[0]);
    let ban = bus.run("busctl", &call(&["Ban", "ss", "sshd", "192.0.2.1"]));
    assert_eq!(text(&ban.stdout), "b true\n");
}

#[test]
fn root_a_bus_that_starts_later_is_found() {
    let script = Script::new();
    let mut bus = PrivateBus::start();
    bus.stop();
    let _service = Service::start(&bus.address(), &script);

    bus.restart();

    wait_for_name(&bus, MANAGER[0]);
}

#[test]
fn root_a_second_daemon_waits_for_the_name() {
    let (first_script, second_script) = (Script::new(), Script::new());
    let (bus, first) = bus_with(&first_script);
    let _second = Service::start(&bus.address(), &second_script);
    let ban = call(&["Ban", "ss", "sshd", "192.0.2.1"]);
    assert!(bus.run("busctl", &ban).status.success());
    first_script.with(|state| assert_eq!(state.commands.len(), 1));

    drop(first);

    // The bus may not have noticed yet that the first is gone, and then nobody answers.
    wait_until(|| bus.run("busctl", &ban).status.success());
    second_script.with(|state| assert_eq!(state.commands.len(), 1));
}

#[test]
fn root_who_asked_is_told_by_name() {
    let script = Script::new();
    script.fill(1);
    let (bus, _service) = bus_with(&script);

    let answer = bus.run(
        banishctl().to_str().unwrap(),
        &["unban", "sshd", "10.0.0.0"],
    );

    assert_eq!(text(&answer.stdout), "Lifted 1 ban.\n", "{answer:?}");
    script.with(|state| {
        let command = format!("{:?}", state.commands);
        assert!(command.contains("by: \"root\""), "{command}");
    });
}

/// Prints what a ban costs on the bus: `cargo test --test all ban_calls -- --ignored --nocapture`.
#[test]
#[ignore = "measures, asserts nothing"]
fn root_ban_calls_per_second() {
    const CALLS: u32 = 5000;
    let script = Script::new();
    let (bus, _service) = bus_with(&script);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let address = bus.address();
        let builder = zbus::connection::Builder::address(address.as_str());
        let client = builder.build().await.unwrap();
        let manager = ManagerProxy::new(&client).await.unwrap();
        let began = tokio::time::Instant::now();
        for n in 0..CALLS {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
            manager.ban("sshd", &address).await.unwrap();
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("{:.0} sequential Ban calls/s", f64::from(CALLS) / seconds);
        let began = tokio::time::Instant::now();
        let (mut bans, mut after) = (0, String::new());
        loop {
            let (page, next) = manager.list_bans("", &after, 4096).await.unwrap();
            bans += page.len();
            if next.is_empty() {
                break;
            }
            after = next;
        }
        println!("{bans} bans listed in {:?}", began.elapsed());
    });
}
