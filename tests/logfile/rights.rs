//! The program itself, run by an ordinary user: what it may not read is told with what mends it, and read as
//! soon as it may.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::support::copy_program;

#[test]
fn root_what_may_not_be_read_is_told_once_and_read_when_it_may() {
    let place = Place::new();
    let program = Program::start(&place);
    place.log("door.log").say(0..3);
    program.says("Ban 10.0.0.0");

    // logrotate makes the new file, and never was it readable.
    drop(place.log("new"));
    allow(&place.path("new"), 0o600);
    fs::rename(place.path("door.log"), place.path("door.log.1")).unwrap();
    fs::rename(place.path("new"), place.path("door.log")).unwrap();
    let path = place.path("door.log").display().to_string();
    program.says(&format!("chgrp adm '{path}' && chmod g+r '{path}'"));
    place.log("door.log").say(3..6);
    allow(&place.path("door.log"), 0o644);
    program.says("Ban 10.0.0.3");

    assert_eq!(program.log().matches("may not read").count(), 1);
}

/// A dry run with one jail that bans after one failure in `door.log`.
struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    fn start(place: &Place) -> Self {
        allow(place.0.path(), 0o755);
        let file = |name: &str, text: &str| {
            let path = place.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let path = place.path("door.log");
        drop(place.log("door.log"));
        file(
            "etc/jail.conf",
            &format!(
                "[door]\nenabled = true\nfilter = door\nport = all\nmaxretry = 1\nlogpath = {}\n",
                path.display()
            ),
        );
        file(
            "etc/filter.d/door.conf",
            "[Definition]\nfailregex = Failed password for \\S+ from <HOST> port\n",
        );
        let log = place.path("log");
        let program = place.path("banishd");
        copy_program(env!("CARGO_BIN_EXE_banishd"), &program);
        #[expect(clippy::disallowed_methods, reason = "a test, not the daemon")]
        let child = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program)
            .args(["--dry-run", "--vendor-dir", "/nonexistent"])
            .args(["--bus", "unix:path=/nonexistent", "--config-dir"])
            .arg(place.path("etc"))
            .env_remove("JOURNAL_STREAM")
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn();
        Self {
            child: child.unwrap(),
            log,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn says(&self, text: &str) {
        for _ in 0..6000 {
            if self.log().contains(text) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("no '{text}' in:\n{}", self.log());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
