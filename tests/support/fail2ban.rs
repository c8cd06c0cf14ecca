//! Debian's packages of fail2ban, unpacked and run beside ours.

#![expect(clippy::disallowed_methods, reason = "a test, not the daemon")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::Value;

/// Which of them there are. Where they differ banishd follows the last one.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// One of them: fail2ban 1.0.2 of bookworm, 1.1.0 of trixie.
pub(crate) struct Fail2ban {
    /// The Debian suite whose package this is.
    pub(crate) suite: &'static str,
    /// Where it is unpacked.
    pub(crate) root: PathBuf,
}

/// Runs a test with each of them, side by side in threads that are called after the suites.
pub(crate) fn each(test: impl Fn(&Fail2ban) + Sync) {
    thread::scope(|scope| {
        for suite in SUITES {
            let test = || test(&Fail2ban::of(suite));
            let thread = thread::Builder::new().name(suite.to_owned());
            thread.spawn_scoped(scope, test).expect("a thread");
        }
    });
}

/// What a program prints that is no list of Python's becomes `["failed", LINE]`.
const AS_JSON: &str = "\
import ast, json, subprocess, sys
run = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, text=True)
sys.stderr.write(run.stderr)
for line in run.stdout.splitlines():
    line = line.rstrip(',')
    row = ast.literal_eval(line) if line.startswith('[') else ['failed', line]
    print(json.dumps(row, default=str))
";

impl Fail2ban {
    fn of(suite: &'static str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fail2ban");
        let output = Command::new(script).arg(suite).output();
        let output = output.expect("the script runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/fail2ban {suite}: {error}");
        let root = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Self { suite, root }
    }

    /// Its configuration.
    pub(crate) fn etc(&self) -> PathBuf {
        self.root.join("etc/fail2ban")
    }

    /// What its own tests need: sample logs and a configuration.
    pub(crate) fn tests(&self) -> PathBuf {
        self.root
            .join("usr/lib/python3/dist-packages/fail2ban/tests")
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = self.python();
        command.arg(self.root.join("usr/bin").join(name));
        command
    }

    fn python(&self) -> Command {
        Command::new(self.root.join("python"))
    }

    /// Runs one of its programs: the lists that it prints, one a line, and its complaints.
    pub(crate) fn lists(&self, name: &str, arguments: &[&OsStr]) -> (Vec<Vec<Value>>, String) {
        let output = self
            .python()
            .args(["-c", AS_JSON])
            .arg(self.root.join("usr/bin").join(name))
            .args(arguments)
            .output()
            .expect("python3 runs");
        let lists = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        (lists, complaints)
    }
}
