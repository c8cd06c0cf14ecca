//! A private system bus with our policy, and a service on it with the scripted loop behind.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start dbus-daemon and clients"
)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use banishd::dbus::names::BUS_NAME;
use banishd::dbus::{link, service};

use crate::dbus::script::{Script, options};
use crate::journal::journald::wait_until;

/// dbus-daemon as on a real system: everything is denied that no policy file allows.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=@DIR@/socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <policy context="default">
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  <include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
  <include>@CONF@</include>
</busconfig>
"#;

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A bus that ends with this value.
pub(crate) struct PrivateBus {
    child: Child,
    dir: tempfile::TempDir,
}

impl PrivateBus {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // other users must reach the socket
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let conf = dir.path().join("org.banishd.Banish1.conf");
        let policy = Path::new(ROOT).join("dbus/org.banishd.Banish1.conf");
        let policy = std::fs::read_to_string(policy).unwrap();
        // a user that exists everywhere stands for ours
        std::fs::write(&conf, policy.replace("\"banishd\"", "\"daemon\"")).unwrap();
        let config = CONFIG
            .replace("@DIR@", &dir.path().display().to_string())
            .replace("@CONF@", &conf.display().to_string());
        std::fs::write(dir.path().join("bus.conf"), config).unwrap();
        let child = daemon(dir.path());
        Self { child, dir }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}/socket", self.dir.path().display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(std::fs::remove_file(self.dir.path().join("socket")));
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.child = daemon(self.dir.path());
    }

    /// Runs a program on this bus, as root.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().unwrap()
    }

    /// Runs a program on this bus as `nobody`, who is in these groups.
    pub(crate) fn run_as_nobody(&self, groups: &str, program: &str, arguments: &[&str]) -> Output {
        let mut command = self.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534"]);
        match groups {
            "" => command.arg("--clear-groups"),
            groups => command.arg(format!("--groups={groups}")),
        };
        command.arg(program).args(arguments).output().unwrap()
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn daemon(dir: &Path) -> Child {
    let mut child = Command::new("dbus-daemon")
        .arg("--nofork")
        .arg("--nopidfile")
        .arg("--print-address=1")
        .arg(format!("--config-file={}/bus.conf", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("dbus-daemon is installed");
    // it prints the address when it listens
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("unix:"), "dbus-daemon said {line:?}");
    child
}

/// A service on its own thread, ended with this value.
pub(crate) struct Service {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// Serves `script` on the bus at `address`, which need not be there yet.
    pub(crate) fn start(address: &str, script: &Script) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (script, options) = (script.clone(), options(address));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (bus_end, loop_end) = link::link();
                let served = tokio::spawn(service::run(bus_end, options));
                tokio::select! {
                    () = script.run(loop_end) => {}
                    _ = stopped => {}
                }
                served.abort();
            });
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A bus with a scripted service whose name is taken.
pub(crate) fn bus_with(script: &Script) -> (PrivateBus, Service) {
    let bus = PrivateBus::start();
    let service = Service::start(&bus.address(), script);
    wait_for_name(&bus, BUS_NAME);
    (bus, service)
}

/// Returns when somebody has the name.
pub(crate) fn wait_for_name(bus: &PrivateBus, name: &str) {
    wait_until(|| {
        let asked = bus.run(
            "busctl",
            &[
                "call",
                "org.freedesktop.DBus",
                "/",
                "org.freedesktop.DBus",
                "NameHasOwner",
                "s",
                name,
            ],
        );
        text(&asked.stdout).trim() == "b true"
    });
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn banishctl() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_banishctl"))
}
