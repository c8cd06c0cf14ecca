//! `banishctl verify`, as a program.

#![expect(clippy::disallowed_methods, reason = "a test, not the daemon")]

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use banishd::sys::service_view::{View, take};

use crate::config::root;
use crate::dbus::bus::{banishctl, text};
use crate::support::copy_program;

fn verify(admin: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(banishctl());
    command.arg("verify").arg(admin).arg("--vendor-dir");
    command.arg(root().join("config")).args(arguments);
    command.output().expect("banishctl runs")
}

/// A directory with this jail.local.
fn tree(jails: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("jail.local"), jails).expect("a file");
    directory
}

fn shown(output: &Output, tree: &Path) -> String {
    text(&output.stdout).replace(&tree.display().to_string(), "/etc/banishd")
}

#[test]
fn problems_are_shown_with_their_lines_and_counted() {
    let tree =
        tree("[sshd]\nmaxretry = many\nbantimes = 1h\n[other]\nenabled = true\nfilter = sshd\n");

    let output = verify(tree.path(), &[]);

    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        shown(&output, tree.path()),
        "\
/etc/banishd/jail.local:2:12: error: 'many' is no whole number
 2 | maxretry = many
   |            ^
  = correct 'maxretry'

/etc/banishd/jail.local:3:1: warning: there is no option 'bantimes'
 3 | bantimes = 1h
   | ^
  = ignored: did you mean 'bantime'?

/etc/banishd: 1 error, 1 warning, no notes; 1 jail would run, 1 would not: sshd
"
    );
}

#[test]
fn what_is_good_ends_with_success() {
    let tree = tree("[sshd]\nmaxretry = 4\n");

    let output = verify(tree.path(), &[]);

    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        shown(&output, tree.path())
    );
    assert_eq!(
        shown(&output, tree.path()),
        "/etc/banishd: no errors, no warnings, no notes; 1 jail would run\n"
    );
}

#[test]
fn root_a_command_that_others_could_have_written_is_warned_of() {
    let tree = tree("[sshd]\nignorecommand = true\n");
    let file = tree.path().join("jail.local");
    fs::set_permissions(file, Permissions::from_mode(0o666)).expect("a mode");

    let output = verify(tree.path(), &[]);

    let said = shown(&output, tree.path());
    let warning = "/etc/banishd: warning: the ignorecommand of jail 'sshd' is not run: ";
    assert!(said.contains(warning), "{said}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_is_one_object_with_every_part_of_a_problem() {
    let tree = tree("[sshd]\nmaxretry = many\n");

    let output = verify(tree.path(), &["--json"]);

    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(value["errors"], 1);
    assert_eq!(value["failed"][0]["jail"], "sshd");
    let problem = &value["diagnostics"][0];
    assert_eq!(
        (&problem["level"], &problem["line"], &problem["column"]),
        (&"error".into(), &2.into(), &12.into())
    );
    assert_eq!(problem["remedy"], "correct 'maxretry'");
}

#[test]
fn a_directory_that_is_not_there_is_a_slip_of_the_caller() {
    let output = verify(Path::new("/nonexistent/banishd"), &[]);

    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("There is no directory '/nonexistent/banishd'"));
}

#[test]
fn root_without_the_service_s_user_is_told_what_was_not_judged() {
    let tree = tree("");

    let said = text(&verify(tree.path(), &[]).stderr);

    // On a host that has the user there is nothing to say.
    assert!(
        said.is_empty()
            || said.contains("there is no user 'banishd'")
            || said.contains("in full view"),
        "{said}"
    );
}

/// As anybody, so that file modes count.
#[test]
fn root_files_that_the_reader_may_not_read_fail_their_jails_alone() {
    let tree = tree("");
    let logs = tree.path().join("logs");
    fs::create_dir_all(logs.join("closed")).expect("directories");
    for (name, mode) in [
        ("mine.log", 0o600),
        ("ours.log", 0o640),
        ("closed/a.log", 0o644),
    ] {
        let path = logs.join(name);
        fs::write(&path, "").expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
    }
    chown(logs.join("ours.log"), Some(0), Some(NOBODY)).expect("a group");
    fs::set_permissions(logs.join("closed"), Permissions::from_mode(0o700)).expect("a mode");
    let jail = |name: &str, path: &str| {
        format!(
            "[{name}]\nenabled = true\nfilter = sshd\nlogpath = {}/{path}\n",
            logs.display()
        )
    };
    let jails = [
        "mine.log",
        "ours.log",
        "closed/a.log",
        "closed/*.log",
        "*.log",
    ];
    let jails = jails
        .iter()
        .zip(["mine", "ours", "closed", "pattern", "some"]);
    let jails: String = jails.map(|(path, name)| jail(name, path)).collect();
    fs::write(tree.path().join("jail.local"), jails).expect("a file");
    let program = tree.path().join("banishctl");
    copy_program(banishctl(), &program);
    let vendor = tree.path().join("vendor/filter.d");
    fs::create_dir_all(&vendor).expect("a directory");
    for name in ["banishd.conf", "jail.conf", "filter.d/sshd.conf"] {
        let to = tree.path().join("vendor").join(name);
        fs::copy(root().join("config").join(name), to).expect("a file");
    }
    fs::set_permissions(tree.path(), Permissions::from_mode(0o755)).expect("a mode");

    let output = Command::new(&program)
        .arg("verify")
        .arg(tree.path())
        .arg("--vendor-dir")
        .arg(tree.path().join("vendor"))
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("banishctl runs");

    let all = shown(&output, tree.path());
    let problems: Vec<&str> = all
        .lines()
        .filter(|line| {
            line.contains(": error: ") || line.contains(": warning: ") || line.contains("would run")
        })
        .collect();
    insta::assert_snapshot!(problems.join("\n"), @r"
    /etc/banishd/jail.local:4:11: error: the service may not read '/etc/banishd/logs/mine.log'
    /etc/banishd/jail.local:12:11: error: the service may not read '/etc/banishd/logs/closed/a.log'
    /etc/banishd/jail.local:16:11: error: the service may not read '/etc/banishd/logs/closed'
    /etc/banishd/jail.local:20:11: warning: the service may not read '/etc/banishd/logs/mine.log'
    /etc/banishd: 3 errors, 1 warning, no notes; 3 jails would run, 3 would not: closed, mine, pattern
    ");
}

/// Runs verify in a mount namespace with a user `banishd`, logs under /home and a drop-in, none of which
/// the host has.
const IN_A_HOST: &str = r#"
    set -e
    mount --make-rprivate /
    for name in passwd group; do
        { cat /etc/$name; cat "$1/$name"; } >"$1/all-$name"
        mount --bind "$1/all-$name" /etc/$name
    done
    mount -t tmpfs -o mode=755 tmpfs /home
    mkdir -p /home/web /etc/systemd/system
    for name in open ops root; do echo x >/home/web/$name.log; done
    chmod 600 /home/web/root.log
    chmod 640 /home/web/ops.log
    chown 0:61001 /home/web/ops.log
    mount -t tmpfs tmpfs /etc/systemd/system
    mkdir /etc/systemd/system/banishd.service.d
    printf '[Service]\n%s\n' "$4" >/etc/systemd/system/banishd.service.d/logs.conf
    exec "$2" verify "$1" --vendor-dir "$3" --json"#;

/// A tree with a jail for each of the logs, the accounts, and in `vendor` what is shipped.
fn tree_with_accounts() -> tempfile::TempDir {
    let jail = |name: &str| {
        format!("[{name}]\nenabled = true\nfilter = sshd\nlogpath = /home/web/{name}.log\n")
    };
    let tree = tree(&["open", "ops", "root"].map(jail).concat());
    fs::set_permissions(tree.path(), Permissions::from_mode(0o755)).expect("a mode");
    let user = "banishd:x:61000:61000::/:/usr/sbin/nologin\n";
    fs::write(tree.path().join("passwd"), user).expect("a file");
    fs::write(
        tree.path().join("group"),
        "banishd:x:61000:\nops:x:61001:\n",
    )
    .expect("a file");
    let vendor = tree.path().join("vendor");
    fs::create_dir_all(vendor.join("filter.d")).expect("a directory");
    for name in ["banishd.conf", "jail.conf", "filter.d/sshd.conf"] {
        fs::copy(root().join("config").join(name), vendor.join(name)).expect("a file");
    }
    tree
}

#[test]
fn root_drop_ins_of_the_unit_decide_what_the_service_may_read() {
    let tree = tree_with_accounts();
    // The view closes /tmp, where the tree may be.
    let keep = "PrivateTmp=no\n";
    for (said, failed, remark) in [
        ("", "open ops root", ""),
        ("ProtectHome=no", "ops root", ""),
        ("ProtectHome=read-only\nSupplementaryGroups=ops", "root", ""),
        (
            "ProtectHome=no\nAmbientCapabilities=CAP_DAC_READ_SEARCH\n\
             CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
            "",
            "",
        ),
        (
            "ProtectHome=no\nInaccessiblePaths=/home/web",
            "open ops root",
            "",
        ),
        (
            "ProtectHome=no\nBindPaths=/srv",
            "ops root",
            "Judged without what banishd.service says with BindPaths=.\n",
        ),
    ] {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", IN_A_HOST, "sh"]);
        unshare.arg(tree.path()).arg(banishctl());
        unshare.arg(tree.path().join("vendor"));
        let output = unshare
            .arg(format!("{keep}{said}"))
            .output()
            .expect("unshare runs");

        let value: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let jails = value["failed"].as_array().expect("a list").iter();
        let jails: Vec<&str> = jails.filter_map(|jail| jail["jail"].as_str()).collect();
        assert_eq!(jails.join(" "), failed, "{said}: {value:#}");
        assert_eq!(text(&output.stderr), remark, "{said}");
    }
}

/// Debian's number of the user and of the group that own nothing.
const NOBODY: u32 = 65_534;

/// The process that takes the view cannot be this one, so it is this program once more.
#[test]
fn root_the_view_hides_directories_and_takes_the_user_s_rights() {
    if std::env::var_os(CHILD).is_some() {
        let closed = std::env::var(CHILD).expect("a path");
        let view = View {
            user: "nobody",
            group: None,
            groups: &["adm".to_owned()],
            reads_all: false,
            closed: &[&closed],
            private: &["/var/tmp"],
        };
        let taken = take(&view).map_err(|error| error.to_string());
        let kind = |path: &str| fs::metadata(path).map_err(|error| error.kind());
        let _ = writeln!(
            std::io::stdout(),
            "VIEW {taken:?} {:?} {:?} {:?}",
            kind(&format!("{closed}/file")).map(|_| ()),
            fs::File::open("/etc/shadow")
                .map(|_| ())
                .map_err(|error| error.kind()),
            fs::read_dir("/var/tmp")
                .map(Iterator::count)
                .map_err(|error| error.kind()),
        );
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("a mode");
    fs::write(directory.path().join("file"), "").expect("a file");
    let name = "config::verify::root_the_view_hides_directories_and_takes_the_user_s_rights";

    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, directory.path())
        .output()
        .expect("this program runs");

    let said = text(&output.stdout);
    let line = said
        .lines()
        .find_map(|line| line.split_once("VIEW "))
        .map(|(_, line)| line.to_owned());
    assert_eq!(
        line.as_deref(),
        Some("Ok(()) Err(PermissionDenied) Err(PermissionDenied) Ok(0)"),
        "{said}{}",
        text(&output.stderr)
    );
    assert!(directory.path().join("file").exists());
}

const CHILD: &str = "BANISHD_TEST_VIEW";
