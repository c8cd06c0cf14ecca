//! A real journald of one test's own, and senders that it sees in a unit of the test's choosing.
//!
//! Needs root and `/etc/machine-id`; works without systemd as init. Everything is under a name that
//! only this test has, and is removed in the end.

#![expect(clippy::unwrap_used, reason = "a test's tools, used by tests only")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One journald with volatile storage.
pub(crate) struct Journald {
    name: String,
    daemon: Child,
    /// Links to logger, which journald knows by their names.
    programs: tempfile::TempDir,
}

impl Journald {
    /// Starts one; `settings` are further lines of journald.conf.
    pub(crate) fn start(settings: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bt{}n{count}", std::process::id());
        let programs = tempfile::tempdir().unwrap();
        fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let config = PathBuf::from(format!("/run/systemd/journald@{name}.conf.d"));
        fs::create_dir_all(&config).unwrap();
        let text = format!("[Journal]\nStorage=volatile\nSyncIntervalSec=1s\n{settings}\n");
        fs::write(config.join("test.conf"), text).unwrap();
        let daemon = launch(&name);
        Self {
            name,
            daemon,
            programs,
        }
    }

    /// Ends it and starts it again on the same files.
    pub(crate) fn restart(&mut self) {
        self.signal("TERM");
        self.daemon.wait().unwrap();
        let _ = fs::remove_dir_all(format!("/run/systemd/journal.{}", self.name));
        self.daemon = launch(&self.name);
    }

    /// Begins new files, as when the old are full, and waits until it has.
    pub(crate) fn rotate(&self) {
        let before = self.archived().len();
        self.signal("USR2");
        wait_until(|| self.archived().len() > before);
    }

    /// Deletes the files that are full, as when space is short.
    pub(crate) fn vacuum(&self) {
        for path in self.archived() {
            fs::remove_file(path).unwrap();
        }
    }

    /// Stops it where it is.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Where the journal files are.
    pub(crate) fn directory(&self) -> PathBuf {
        let machine = fs::read_to_string("/etc/machine-id").unwrap();
        PathBuf::from(format!("/run/log/journal/{}.{}", machine.trim(), self.name))
    }

    /// Its namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What journalctl shows of `unit`, in its usual form.
    pub(crate) fn show(&self, unit: &str) -> String {
        let mut journalctl = command("journalctl");
        journalctl.arg("--directory").arg(self.directory());
        let match_unit = format!("_SYSTEMD_UNIT={unit}");
        let output = journalctl.args(["--quiet", "--all", &match_unit]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// A name for a unit that no other test uses.
    pub(crate) fn unit(&self, stem: &str) -> String {
        format!("{stem}-{}.service", self.name)
    }

    /// A process of root in `unit`, called `program`.
    pub(crate) fn sender(&self, unit: &str, program: &str) -> Sender {
        self.spawn(unit, program, &[])
    }

    /// The same of an ordinary user.
    pub(crate) fn user_sender(&self, unit: &str, program: &str) -> Sender {
        let drop = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ];
        self.spawn(unit, program, &drop)
    }

    fn spawn(&self, unit: &str, program: &str, wrapper: &[&str]) -> Sender {
        let path = self.programs.path().join(program);
        if !path.exists() {
            symlink("/usr/bin/logger", &path).unwrap();
        }
        let groups: Vec<PathBuf> = ["", "systemd", "unified"]
            .iter()
            .map(|part| Path::new("/sys/fs/cgroup").join(part))
            .filter(|root| root.join("cgroup.procs").exists())
            .map(|root| root.join("system.slice").join(unit))
            .collect();
        // The shell enters the unit's control group and becomes the program.
        let script = "until [ \"$1\" = -- ]; do mkdir -p $1; echo $$ >$1/cgroup.procs; shift; done; \
                      shift; exec \"$@\"";
        let mut child = command("/bin/sh")
            .args(["-c", script, "sh"])
            .args(&groups)
            .arg("--")
            .args(wrapper)
            .arg(path)
            .args(["--tag", program, "--socket"])
            .arg(format!("/run/systemd/journal.{}/dev-log", self.name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Sender {
            input: child.stdin.take(),
            child,
            groups,
        }
    }

    /// The files that are full.
    pub(crate) fn archived(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.directory()).unwrap();
        let paths = files.map(|f| f.unwrap().path());
        paths
            .filter(|p| p.to_string_lossy().contains("system@"))
            .collect()
    }

    fn signal(&self, signal: &str) {
        let pid = self.daemon.id().to_string();
        let status = command("/bin/kill").args(["-s", signal, &pid]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = fs::remove_dir_all(self.directory());
        let _ = fs::remove_dir_all(format!("/run/systemd/journal.{}", self.name));
        let _ = fs::remove_dir_all(format!("/run/systemd/journald@{}.conf.d", self.name));
    }
}

/// A process that logs what it is told, and stays until dropped, because journald looks up its unit
/// only after the message has arrived.
pub(crate) struct Sender {
    child: Child,
    input: Option<ChildStdin>,
    groups: Vec<PathBuf>,
}

impl Sender {
    /// Logs one line.
    pub(crate) fn say(&mut self, line: &str) {
        let mut input = self.input.as_ref().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
        for group in &self.groups {
            let _ = fs::remove_dir(group);
        }
    }
}

/// Waits for what another process or thread does. There is nothing to be notified by. The limit only
/// ends a test that has failed: a busy machine must not reach it.
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited a minute in vain");
}

fn launch(name: &str) -> Child {
    let daemon = command("/lib/systemd/systemd-journald")
        .arg(name)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = format!("/run/systemd/journal.{name}/dev-log");
    let machine = fs::read_to_string("/etc/machine-id").unwrap();
    let file = format!("/run/log/journal/{}.{name}/system.journal", machine.trim());
    wait_until(|| [&socket, &file].iter().all(|p| Path::new(p).exists()));
    daemon
}

#[expect(clippy::disallowed_methods, reason = "a test, not the daemon")]
fn command(program: &str) -> Command {
    Command::new(program)
}
