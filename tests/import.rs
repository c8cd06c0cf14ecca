//! fail2ban's databases, made here by our own SQL after the schemas that there have been, to bans on a
//! private bus.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use banishd::cli::import::{DatabaseError, Lasts, OldBan, read};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::dbus::bus::{PrivateBus, banishctl, bus_with, text};
use crate::dbus::script::Script;
use crate::journal::journald::wait_until;
use crate::support::fail2ban::{Fail2ban, each};

/// What all schemas have.
const COMMON: &str = "
    CREATE TABLE fail2banDb (version INTEGER);
    CREATE TABLE jails (name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
    CREATE TABLE logs (jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER DEFAULT 0);
    INSERT INTO jails VALUES ('sshd', 1);";

/// A database of a schema, with these rows of `bans` and `bips`.
fn make(directory: &Path, schema: u32, bans: &[&str], bips: &[&str]) -> PathBuf {
    let path = directory.join(format!("v{schema}"));
    let db = Connection::open(&path).unwrap();
    db.execute_batch(COMMON).unwrap();
    db.execute("INSERT INTO fail2banDb VALUES (?1)", [schema])
        .unwrap();
    let columns = match schema {
        1 => "jail TEXT, ip TEXT, timeofban INTEGER, data JSON",
        2 => "jail TEXT, ip TEXT, timeofban INTEGER, bantime INTEGER, data JSON",
        _ => {
            "jail TEXT, ip TEXT, timeofban INTEGER, bantime INTEGER, bancount INTEGER DEFAULT 1, data JSON"
        }
    };
    db.execute_batch(&format!("CREATE TABLE bans ({columns})"))
        .unwrap();
    for row in bans {
        db.execute_batch(&format!("INSERT INTO bans VALUES ({row})"))
            .unwrap();
    }
    if schema >= 4 {
        let columns = "ip TEXT, jail TEXT, timeofban INTEGER, bantime INTEGER, bancount INTEGER DEFAULT 1, \
                       data JSON, PRIMARY KEY (ip, jail)";
        db.execute_batch(&format!("CREATE TABLE bips ({columns})"))
            .unwrap();
        for row in bips {
            db.execute_batch(&format!("INSERT INTO bips VALUES ({row})"))
                .unwrap();
        }
    }
    path
}

fn ban(id: &str, since: u64, lasts: Lasts, bans: u32, failures: u32) -> OldBan {
    OldBan {
        jail: "sshd".to_owned(),
        id: id.to_owned(),
        since,
        lasts,
        bans,
        failures,
    }
}

#[test]
fn every_schema_gives_the_latest_ban_of_each_address_and_how_many_there_were() {
    let directory = tempfile::tempdir().unwrap();
    let data = r#"'{"matches": ["a line"], "failures": 5}'"#;
    let first = format!("'sshd', '192.0.2.1', 1000, {data}");
    let later = "'sshd', '192.0.2.1', 2000, NULL";
    let v1 = make(directory.path(), 1, &[later, &first, &first], &[]);
    let v2 = make(
        directory.path(),
        2,
        &[
            "'sshd', '192.0.2.1', 1000, -2, NULL",
            "'sshd', '192.0.2.2', 1000, 600, 'no JSON'",
            "'sshd', '192.0.2.3', 1000, -1, NULL",
        ],
        &[],
    );
    let v3 = make(
        directory.path(),
        3,
        &[
            &format!("'sshd', '192.0.2.1', 2000, 1200, 7, {data}"),
            &format!("'sshd', '192.0.2.1', 1000, 600, 6, {data}"),
        ],
        &[],
    );
    for (path, schema, expected) in [
        (v1, 1, vec![ban("192.0.2.1", 2000, Lasts::AsTheJail, 3, 0)]),
        (
            v2,
            2,
            vec![
                ban("192.0.2.1", 1000, Lasts::AsTheJail, 1, 0),
                ban("192.0.2.2", 1000, Lasts::For(600), 1, 0),
                ban("192.0.2.3", 1000, Lasts::Forever, 1, 0),
            ],
        ),
        (v3, 3, vec![ban("192.0.2.1", 2000, Lasts::For(1200), 7, 5)]),
    ] {
        let found = read(&path).unwrap();
        assert_eq!((found.schema, found.bans), (schema, expected));
    }
}

#[test]
fn of_two_tables_the_latest_word_counts_and_the_higher_number() {
    let directory = tempfile::tempdir().unwrap();
    let data = r#"'{"failures": 5}'"#;
    let v4 = make(
        directory.path(),
        4,
        &[
            "'sshd', '192.0.2.1', 1000, 600, 1, NULL",
            "'sshd', '192.0.2.2', 1500.5, 600, 1, NULL",
        ],
        &[
            &format!("'192.0.2.1', 'sshd', 3000, 2400, 4, {data}"),
            "'2001:db8::1', 'sshd', 3000, -1, 1, x'7b7d'",
            "'session-77', 'sshd', 3000, 600, 1, ''",
        ],
    );

    let expected = [
        ban("192.0.2.1", 3000, Lasts::For(2400), 4, 5),
        ban("192.0.2.2", 1500, Lasts::For(600), 1, 0),
        ban("2001:db8::1", 3000, Lasts::Forever, 1, 0),
        ban("session-77", 3000, Lasts::For(600), 1, 0),
    ];
    assert_eq!(read(&v4).unwrap().bans, expected);
}

/// What is in a directory, and the bytes of each file but the index that a WAL's reader writes.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .filter(|path| !path.to_string_lossy().ends_with("-shm"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn what_the_last_writer_left_undone_is_seen_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let row = "'192.0.2.1', 'sshd', 3000, 600, 1, NULL";
    let path = make(directory.path(), 4, &[], &[row]);
    let plain = contents(directory.path());
    assert_eq!(read(&path).unwrap().bans.len(), 1);
    assert_eq!(contents(directory.path()), plain);

    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    let insert = "INSERT INTO bips VALUES ('192.0.2.2', 'sshd', 3000, 600, 1, NULL)";
    writer.execute_batch(insert).unwrap();
    let logged = contents(directory.path());
    assert_eq!(
        read(&path).unwrap().bans.len(),
        2,
        "one is in the write-ahead log only"
    );
    assert_eq!(contents(directory.path()), logged);
    drop(writer);

    // Cut off in the middle of a transaction that has already reached the file.
    let writer = Connection::open(&path).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN")
        .unwrap();
    for n in 0..2000 {
        let insert = format!(
            "INSERT INTO bips VALUES ('{n}', 'sshd', 3000, 600, 1, '{}')",
            "x".repeat(100)
        );
        writer.execute_batch(&insert).unwrap();
    }
    let cut = tempfile::tempdir().unwrap();
    for (from, _) in contents(directory.path()) {
        fs::copy(&from, cut.path().join(from.file_name().unwrap())).unwrap();
    }
    let before = contents(cut.path());
    assert_eq!(before.len(), 2, "the database and its journal");
    assert_eq!(read(&cut.path().join("v4")).unwrap().bans.len(), 2);
    assert_eq!(contents(cut.path()), before);
}

#[test]
fn what_is_no_database_of_fail2bans_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    assert!(matches!(read(&path), Err(DatabaseError::Io(_))));
    assert!(matches!(read(directory.path()), Err(DatabaseError::Io(_))));
    fs::write(&path, "[DEFAULT]\n".repeat(100)).unwrap();
    assert!(matches!(read(&path), Err(DatabaseError::Sqlite(_))));
    let other = directory.path().join("other");
    let pipe = directory.path().join("pipe");
    #[expect(clippy::disallowed_methods, reason = "the test makes a pipe")]
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let error = read(&pipe).unwrap_err().to_string();
    assert_eq!(error, "it is no regular file");
    // A journal is no file to wait for either.
    let beside = make(directory.path(), 4, &[], &[]);
    fs::rename(&pipe, format!("{}-journal", beside.display())).unwrap();
    let error = read(&beside).unwrap_err().to_string();
    assert_eq!(error, "it is no regular file");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE a (b)")
        .unwrap();
    assert!(matches!(read(&other), Err(DatabaseError::Foreign)));
}

/// Runs banishctl and returns its exit code, stdout and stderr.
fn ctl(bus: &PrivateBus, arguments: &[&str]) -> (i32, String, String) {
    let output = bus.run(banishctl().to_str().unwrap(), arguments);
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn root_bans_are_handed_over_and_what_is_not_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = make(
        directory.path(),
        4,
        &["'sshd', '192.0.2.9', 1000, 600, 1, NULL"],
        &[
            "'192.0.2.1', 'sshd', 1000, -1, 3, NULL",
            "'192.0.2.2', 'sshd', 4000000000, 600, 1, NULL",
            "'127.0.0.1', 'sshd', 1000, -1, 1, NULL",
            "'192.0.2.3', 'nginx-http-auth', 1000, -1, 1, NULL",
            "'192.0.2.4', 'postfix', 1000, -1, 1, NULL",
            "'192.0.2.5', 'postfix', 1000, -1, 1, NULL",
            "'session-77', 'sshd', 1000, -1, 1, NULL",
        ],
    );
    let file = path.to_str().unwrap();
    let script = Script::new();
    let (bus, _service) = bus_with(&script);

    let (code, tried, error) = ctl(&bus, &["import", "--dry-run", file]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(
        tried.contains("Would hand over 4 bans in force and 1 ban that are over"),
        "{tried}"
    );
    assert!(
        script.with(|state| state.commands.is_empty()),
        "nothing was asked for"
    );

    let skipped = "Skipped 2 bans of 'postfix', a jail that banishd does not have.\n\
                   Skipped 1 ban that are of no addresses, such as 'session-77'.\n\
                   Skipped 1 ban of addresses that are not to be banned ('ignoreip', this host's own, …).\n\
                   Skipped 1 ban of jails that are stopped or failed.\n";
    for took in [
        "Took over 2 bans in force; 0 bans stood already; 1 ban that are over count as earlier ones.",
        "Took over 0 bans in force; 2 bans stood already; 1 ban that are over count as earlier ones.",
    ] {
        let (code, said, error) = ctl(&bus, &["import", file]);
        let expected = format!("Read 8 bans from {file} (schema 4).\n{took}\n{skipped}");
        assert_eq!((code, said, error), (0, expected, String::new()));
    }
    let earlier = script.with(|state| state.bans.values().map(|ban| ban.earlier).max());
    assert_eq!(earlier, Some(2));

    let (_, json, _) = ctl(&bus, &["import", "--json", file]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["known"], &json["no_jail"]), (&2.into(), &1.into()));
    assert_eq!(json["skipped"][0]["jail"], "postfix");
}

#[test]
fn what_is_called_like_a_table_and_is_none_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("views");
    let db = Connection::open(&path).unwrap();
    for view in [
        "bans AS SELECT i AS jail, i AS ip, i AS timeofban",
        "fail2banDb AS SELECT i AS version",
    ] {
        let rows =
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)";
        db.execute_batch(&format!("CREATE VIEW {view} FROM {rows}"))
            .unwrap();
    }

    assert!(matches!(read(&path), Err(DatabaseError::Foreign)));
}

#[test]
fn a_journal_that_names_a_further_file_is_not_played_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path(), 4, &[], &[]);
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    fs::write(
        directory.path().join("v4-journal"),
        [&b"any"[..], &magic].concat(),
    )
    .unwrap();

    let error = read(&path).unwrap_err();

    assert!(error.to_string().contains("several databases"), "{error}");
}

#[test]
fn root_a_long_list_goes_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..2500)
        .map(|n| format!("'10.1.{}.{}', 'sshd', 1000, -1, 1, NULL", n / 250, n % 250))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let path = make(directory.path(), 4, &[], &rows);
    let script = Script::new();
    let (bus, _service) = bus_with(&script);

    let (_, said, error) = ctl(&bus, &["import", path.to_str().unwrap()]);

    assert!(
        said.contains("Took over 2500 bans in force"),
        "{said}{error}"
    );
    assert_eq!(script.with(|state| state.commands.len()), 3);
}

#[test]
fn root_errors_of_an_import_say_what_to_do() {
    let script = Script::new();
    let (bus, _service) = bus_with(&script);
    let (code, _, error) = ctl(&bus, &["import", "/nonexistent"]);
    assert!(
        code == 1 && error.contains("'dbfile' in fail2ban.conf"),
        "{error}"
    );

    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path(), 4, &[], &[]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let nobody = bus.run_as_nobody(
        "",
        banishctl().to_str().unwrap(),
        &["import", path.to_str().unwrap()],
    );
    let error = text(&nobody.stderr);
    assert_eq!(nobody.status.code(), Some(4));
    assert!(error.contains("Try it as root"), "{error}");
}

/// Debian's fail2ban, running in a directory of its own, with a jail that executes nothing.
struct Server<'a> {
    fail2ban: &'a Fail2ban,
    directory: TempDir,
    server: Child,
}

impl<'a> Server<'a> {
    fn start(fail2ban: &'a Fail2ban) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("etc/filter.d")).unwrap();
        fs::create_dir_all(path("etc/action.d")).unwrap();
        fs::write(path("log"), "").unwrap();
        fs::write(
            path("etc/filter.d/door.conf"),
            "[Definition]\nfailregex = ^bad <HOST>$\n",
        )
        .unwrap();
        let place = directory.path().display();
        let global = format!(
            "[Definition]\nloglevel = INFO\nlogtarget = {place}/out\nsyslogsocket = auto\nsocket = {place}/socket\n\
             pidfile = {place}/pid\ndbfile = {place}/db\ndbmaxmatches = 10\ndbpurgeage = 1d\n[Thread]\n"
        );
        fs::write(path("etc/fail2ban.conf"), global).unwrap();
        let jail = format!(
            "[sshd]\nenabled = true\nfilter = door\nbackend = polling\nlogpath = {place}/log\nbantime = 1h\n"
        );
        fs::write(path("etc/jail.conf"), jail).unwrap();
        let server = Self::program(fail2ban, &directory, "fail2ban-server", &["-f", "start"])
            .spawn()
            .unwrap();
        let it = Self {
            fail2ban,
            directory,
            server,
        };
        wait_until(|| it.ask(&["ping"]).status.success());
        it
    }

    fn program(
        fail2ban: &Fail2ban,
        directory: &TempDir,
        name: &str,
        arguments: &[&str],
    ) -> Command {
        let mut command = fail2ban.program(name);
        command
            .arg("-c")
            .arg(directory.path().join("etc"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn ask(&self, words: &[&str]) -> Output {
        let mut client = Self::program(self.fail2ban, &self.directory, "fail2ban-client", words);
        client.stdout(Stdio::piped()).output().unwrap()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn what_a_real_fail2ban_writes_is_read_while_it_runs() {
    each(check_a_real_one);
}

fn check_a_real_one(fail2ban: &Fail2ban) {
    let fail2ban = Server::start(fail2ban);
    fail2ban.ask(&[
        "set",
        "sshd",
        "banip",
        "192.0.2.7",
        "192.0.2.8",
        "2001:db8::7",
    ]);
    fail2ban.ask(&["set", "sshd", "unbanip", "192.0.2.8"]);
    let hour = Lasts::For(3600);
    let expected = [("192.0.2.7", hour, 1), ("2001:db8::7", hour, 1)];

    // It writes some time after it has answered.
    wait_until(|| {
        let found = read(&fail2ban.directory.path().join("db")).unwrap();
        assert_eq!(found.schema, 4);
        let bans = found.bans.iter();
        bans.map(|ban| (ban.id.as_str(), ban.lasts, ban.bans))
            .eq(expected)
    });
}
