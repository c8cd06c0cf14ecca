//! The real polkitd on a private bus: that it answers a service that is not root, and what it is told.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::dbus::bus::{PrivateBus, ROOT, Service, text, wait_for_name};
use crate::dbus::script::Script;
use crate::support::copy_program;

const POLKITD: &str = "/usr/lib/polkit-1/polkitd";

/// Allows `nobody` to ban in the jail `sshd` and nothing else.
const RULE: &str = r#"polkit.addRule(function(action, subject) {
    if (action.id == "org.banishd.Banish1.ban-hosts" && subject.user == "nobody"
        && action.lookup("jail") == "sshd" && action.lookup("address") == "192.0.2.7")
        return polkit.Result.YES;
});
"#;

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// polkitd with our actions, owned by the user `daemon`, and [`RULE`], seen by nobody else.
fn polkitd(bus: &PrivateBus) -> Running {
    let policy = Path::new(ROOT).join("dbus/org.banishd.Banish1.policy");
    let policy = std::fs::read_to_string(policy).unwrap();
    let policy = policy.replace("unix-user:banishd", "unix-user:daemon");
    std::fs::write(bus.path("our.policy"), policy).unwrap();
    std::fs::write(bus.path("our.rules"), RULE).unwrap();
    let dir = bus.path("");
    let dir = dir.display();
    let script = format!(
        "mount -t tmpfs -o mode=755 tmpfs /usr/share/polkit-1/actions && \
         mount -t tmpfs -o mode=755 tmpfs /etc/polkit-1/rules.d && \
         cp {dir}/our.policy /usr/share/polkit-1/actions/org.banishd.Banish1.policy && \
         cp {dir}/our.rules /etc/polkit-1/rules.d/10-test.rules && \
         chown -R polkitd /etc/polkit-1/rules.d && exec {POLKITD} --no-debug"
    );
    let child = bus
        .command("unshare")
        .args(["--mount", "--propagation=private", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

/// Serves in a process of its own, as the user `daemon`.
fn service_as_daemon(bus: &PrivateBus) -> Running {
    let program = bus.path("service");
    copy_program(std::env::current_exe().unwrap(), &program);
    let child = bus
        .command(program.to_str().unwrap())
        .args(["--ignored", "--exact", "dbus::polkit::serve_until_killed"])
        .uid(1)
        .gid(1)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

#[test]
#[ignore = "a process that another test starts"]
fn serve_until_killed() {
    let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap();
    let _service = Service::start(&address, &Script::new());
    // Whoever started this ends with it, one way or another.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
}

#[test]
fn root_polkit_decides_for_everybody_else() {
    if !Path::new(POLKITD).exists() {
        return;
    }
    let bus = PrivateBus::start();
    let _polkitd = polkitd(&bus);
    let _service = service_as_daemon(&bus);
    wait_for_name(&bus, "org.freedesktop.PolicyKit1");
    wait_for_name(&bus, "org.banishd.Banish1");
    let send = |bus_option: &str, member: &str, arguments: &[&str]| {
        let member = format!("org.banishd.Banish1.Manager.{member}");
        let dest = "--dest=org.banishd.Banish1";
        let all = [
            bus_option,
            "--print-reply",
            dest,
            "/org/banishd/Banish1",
            &member,
        ];
        bus.run_as_nobody("", "dbus-send", &[&all[..], arguments].concat())
    };
    let option = format!("--bus={}", bus.address());
    let ban = |jail: &str, address: &str| {
        let (jail, address) = (format!("string:{jail}"), format!("string:{address}"));
        send(&option, "Ban", &[&jail, &address])
    };

    let allowed = ban("sshd", "192.0.2.7");
    assert!(
        text(&allowed.stdout).contains("boolean true"),
        "{allowed:?}"
    );

    // dbus-send never allows a question
    let challenged = ban("sshd", "192.0.2.8");
    let error = text(&challenged.stderr);
    assert!(
        error.contains("InteractiveAuthorizationRequired: A password is needed"),
        "{error}"
    );

    // busctl does, but nobody is there to ask
    let arguments = ["call", "org.banishd.Banish1", "/org/banishd/Banish1"];
    let arguments = [&arguments[..], &["org.banishd.Banish1.Manager", "Reload"]].concat();
    let refused = bus.run_as_nobody("", "busctl", &arguments);
    assert!(
        text(&refused.stderr).contains("Access denied"),
        "{refused:?}"
    );
}
