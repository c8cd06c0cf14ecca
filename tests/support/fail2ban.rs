//! Debian's fail2ban, unpacked and run beside ours.

#![expect(clippy::disallowed_methods, reason = "a test, not the daemon")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Where the package is unpacked.
pub(crate) static FAIL2BAN: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fail2ban");
    let output = Command::new(script).output().expect("the script runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tests/fail2ban: {error}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
});

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

/// One of its programs.
pub(crate) fn program(name: &str) -> Command {
    let mut command = python();
    command.arg(FAIL2BAN.join("usr/bin").join(name));
    command
}

fn python() -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", FAIL2BAN.join("usr/lib/python3/dist-packages"));
    command
}

/// Runs one of its programs: the lists that it prints, one a line, and its complaints.
pub(crate) fn lists(name: &str, arguments: &[&OsStr]) -> (Vec<Vec<Value>>, String) {
    let output = python()
        .args(["-c", AS_JSON])
        .arg(FAIL2BAN.join("usr/bin").join(name))
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
