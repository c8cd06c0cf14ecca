//! The two programs over real sockets, passed as systemd passes them, and the daemon's side of them.
#![expect(
    clippy::disallowed_methods,
    reason = "the test is the service manager, so it starts programs"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use banishd::action;
use banishd::ask::{Answered, Asker, Places};
use banishd::config::files::{Layout, Trust};
use banishd::engine::effect::{Answer, AskId, IgnoreQuestion, Question};
use banishd::engine::settings::JailName;
use banishd::engine::time::Timestamp;
use banishd::helper::protocol::{Envelope, REQUEST_MAX, Reply, Request};
use banishd::resolve;
use tokio::net::UnixListener;
use tokio::sync::mpsc::Receiver;

const RESOLVE: &str = env!("CARGO_BIN_EXE_banishd-resolve");
const ACTION: &str = env!("CARGO_BIN_EXE_banishd-action");

/// Starts a program on a connection, as a socket unit with Accept=yes does.
fn activate(program: &str, arguments: &[&str], connection: impl Into<OwnedFd>) {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"";
    command.args(["-c", script, "sh", program]).args(arguments);
    command
        .stdin(Stdio::from(connection.into()))
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::spawn(move || child.wait());
}

/// One line to a program, and the line that comes back.
fn say(program: &str, arguments: &[&str], line: &[u8]) -> String {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    activate(program, arguments, theirs);
    // It may refuse before it has read everything.
    let _ = ours.write_all(line);
    let _ = ours.shutdown(Shutdown::Write);
    let mut reply = String::new();
    let _ = BufReader::new(ours).read_line(&mut reply);
    reply
}

/// Sockets in a directory with a program behind each, and a configuration.
struct Helpers {
    directory: tempfile::TempDir,
    places: Places,
}

impl Helpers {
    /// With one jail, `door`.
    fn with(ignorecommand: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let places = Places {
            resolve: directory.path().join("resolve"),
            action: directory.path().join("action"),
        };
        let etc = directory.path().join("etc");
        fs::create_dir(&etc).unwrap();
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o755)).unwrap();
        let jail = format!(
            "[door]\nenabled = true\nignorecommand = {ignorecommand}\n\
             [window]\nignorecommand = true\n[gate]\nenabled = perhaps\nignorecommand = true\n"
        );
        fs::write(etc.join("jail.conf"), jail).unwrap();
        mode(&etc.join("jail.conf"), 0o644);
        Self { directory, places }
    }

    fn etc(&self) -> PathBuf {
        self.directory.path().join("etc")
    }

    fn layout(&self) -> Layout {
        Layout {
            admin: self.etc(),
            vendor: PathBuf::from("/nonexistent"),
            trust: Trust::Root,
            ..Layout::default()
        }
    }

    /// The daemon's side, with both programs listening.
    fn listen(&self) -> (Asker, Receiver<Answered>) {
        let etc = self.etc().display().to_string();
        let none = "/nonexistent".to_owned();
        let config = vec![
            "--config-dir".to_owned(),
            etc,
            "--vendor-dir".to_owned(),
            none,
        ];
        for (socket, program, arguments) in [
            (&self.places.resolve, RESOLVE, Vec::new()),
            (&self.places.action, ACTION, config),
        ] {
            let listener = UnixListener::bind(socket).unwrap();
            tokio::spawn(async move {
                while let Ok((connection, _)) = listener.accept().await {
                    let connection = connection.into_std().unwrap();
                    connection.set_nonblocking(false).unwrap();
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    activate(program, &arguments, connection);
                }
            });
        }
        Asker::new(self.places.clone())
    }
}

fn question(jail: &str, lines: &[&str]) -> Question {
    Question::Ignore(Box::new(IgnoreQuestion {
        jail: JailName::new(jail).unwrap(),
        command: "not what is run".to_owned(),
        offender: "192.0.2.1".parse().unwrap(),
        time: Timestamp::from_usec(1_700_000_000_000_000),
        failures: 3,
        lines: lines.iter().map(|line| (*line).into()).collect(),
    }))
}

fn request(jail: &str) -> Request {
    Request::Ignore {
        jail: jail.to_owned(),
        address: "192.0.2.1".to_owned(),
        time_usec: 0,
        failures: 3,
        lines: Vec::new(),
    }
}

async fn answer(asker: &Asker, answers: &mut Receiver<Answered>, question: Question) -> Answered {
    asker.ask(AskId(7), question);
    let answered = answers.recv().await.unwrap();
    assert_eq!(answered.id, Some(AskId(7)));
    answered
}

fn unknown(answer: &Answer) -> &str {
    match answer {
        Answer::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn root_a_name_is_looked_up_and_the_hosts_own_too() {
    let helpers = Helpers::with("true");
    let (asker, mut answers) = helpers.listen();

    let question = Question::Resolve("localhost".into());
    let Answer::Addresses(found) = answer(&asker, &mut answers, question).await.answer else {
        panic!("nothing");
    };
    assert!(found.contains(&"127.0.0.1".parse().unwrap()), "{found:?}");

    asker.ask_own();
    let own = answers.recv().await.unwrap();
    assert_eq!(
        (own.id, own.about),
        (None, Some(("names".to_owned(), None)))
    );
}

#[tokio::test]
async fn names_with_junk_in_them_are_refused_on_both_sides() {
    let (asker, mut answers) = Asker::new(Places {
        resolve: "/nonexistent/never-asked".into(),
        action: "/nonexistent/never-asked".into(),
    });
    for junk in [
        "",
        "a b",
        "$(reboot)",
        "-h",
        "2130706433",
        "127.1",
        "a\0b",
        "a..b",
    ] {
        let answered = answer(&asker, &mut answers, Question::Resolve(junk.into())).await;
        assert_eq!(unknown(&answered.answer), "this is no name of a host");
        assert_eq!(
            answered.about, None,
            "an attacker's junk is no trouble of ours"
        );

        let name = junk.to_owned();
        let line = Envelope::new(9, Request::Addresses { name }).line();
        let reply = say(RESOLVE, &[], &line);
        assert!(
            reply.contains("\"id\":9") && reply.contains("no name"),
            "{junk:?}: {reply}"
        );
    }
}

#[test]
fn a_lookup_is_bounded_in_length_and_says_why_it_failed() {
    let of = |name: &str| Request::Addresses {
        name: name.to_owned(),
    };
    let many: fn(&str) -> _ = |_| Ok((0..=255).map(|n| [192, 0, 2, n].into()).collect());
    let Ok(Reply::Addresses { addresses }) = resolve::answer(of("many.example"), many) else {
        panic!("nothing");
    };
    assert_eq!(addresses.len(), 64);

    let failing: fn(&str) -> _ = |_| banishd::sys::names::addresses("a\0b");
    assert!(resolve::answer(of("failing.example"), failing).is_err());
    assert!(resolve::answer(request("door"), many).is_err());
}

#[tokio::test]
async fn root_the_ignorecommand_of_a_jail_is_asked() {
    for (command, expected) in [
        ("[ <ip> = 192.0.2.1 ]", Answer::Ignore(true)),
        ("[ <ip> = 192.0.2.2 ]", Answer::Ignore(false)),
        (
            "case \"<matches>\" in *\"'b' \"'$(c)') exit 0;; esac; exit 1",
            Answer::Ignore(true),
        ),
        ("[ $(id -u) -eq 0 ]", Answer::Ignore(true)),
    ] {
        let helpers = Helpers::with(command);
        let (asker, mut answers) = helpers.listen();
        let answered = answer(&asker, &mut answers, question("door", &["a; 'b' $(c)"])).await;
        assert_eq!(answered.answer, expected, "{command}");
        assert_eq!(
            answered.about,
            Some(("ignorecommand door".to_owned(), None))
        );
    }
}

#[tokio::test]
async fn root_a_command_without_a_verdict_is_a_trouble_that_says_why() {
    for (command, jail, why) in [
        (
            "no-such-program <ip>",
            "door",
            "ended with status 127, neither 0 nor 1: ",
        ),
        ("kill -9 $$", "door", "was ended by signal 9"),
        ("true", "wall", "is not run: no jail 'wall' is configured"),
        ("true", "window", "is not run: jail 'window' is not enabled"),
        ("true", "gate", "'perhaps' is neither true nor false"),
        ("", "door", "is not run: jail 'door' has no 'ignorecommand'"),
        ("%(nothing)s", "door", "refers to an option that is not set"),
    ] {
        let helpers = Helpers::with(command);
        let (asker, mut answers) = helpers.listen();
        let answered = answer(&asker, &mut answers, question(jail, &[])).await;
        let text = unknown(&answered.answer);
        assert!(text.contains(why), "{command}: {text}");
        let (subject, trouble) = answered.about.as_ref().unwrap();
        let trouble = trouble.as_ref().unwrap();
        assert_eq!(*subject, format!("ignorecommand {jail}"));
        assert!(text.starts_with(trouble.as_str()), "{trouble}");
        assert!(
            !trouble.contains("not found"),
            "what it prints is not for all"
        );
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What is done to the directory, and what the refusal names.
type Spoiling = (&'static str, fn(&Path), Option<&'static str>);

const SPOILINGS: [Spoiling; 10] = [
    ("as it is", |_| {}, None),
    (
        "readable by a group",
        |etc| mode(&etc.join("jail.conf"), 0o640),
        None,
    ),
    (
        "a file that a group may write",
        |etc| mode(&etc.join("jail.conf"), 0o664),
        Some("jail.conf'"),
    ),
    (
        "a file that all may write",
        |etc| mode(&etc.join("jail.conf"), 0o646),
        Some("jail.conf'"),
    ),
    (
        "a directory that a group may write",
        |etc| mode(etc, 0o775),
        Some("etc'"),
    ),
    (
        "somebody's file",
        |etc| chown(etc.join("jail.conf"), Some(65534), None).unwrap(),
        Some("belongs to user 65534"),
    ),
    (
        "somebody's directory",
        |etc| chown(etc, Some(65534), None).unwrap(),
        Some("belongs to user 65534"),
    ),
    (
        "somebody's file beside it",
        |etc| {
            fs::write(etc.join("jail.local"), "").unwrap();
            chown(etc.join("jail.local"), Some(65534), None).unwrap();
        },
        Some("jail.local'"),
    ),
    (
        "a link of root's to a file of root's",
        |etc| {
            fs::rename(etc.join("jail.conf"), etc.join("real")).unwrap();
            symlink("../etc/./real", etc.join("jail.conf")).unwrap();
        },
        None,
    ),
    (
        "a link of root's into somebody's directory",
        |etc| {
            let theirs = etc.join("theirs");
            fs::create_dir(&theirs).unwrap();
            fs::rename(etc.join("jail.conf"), theirs.join("real")).unwrap();
            chown(&theirs, Some(65534), None).unwrap();
            symlink(theirs.join("real"), etc.join("jail.conf")).unwrap();
        },
        Some("theirs' belongs to user 65534"),
    ),
];

#[test]
fn root_commands_are_taken_from_files_that_root_alone_can_have_written() {
    for (name, spoil, refused) in SPOILINGS {
        let helpers = Helpers::with("true");
        spoil(&helpers.etc());
        let answer = action::answer(request("door"), &helpers.layout(), Duration::from_secs(60));
        match (answer, refused) {
            (
                Ok(Reply::Ran {
                    status: Some(0), ..
                }),
                None,
            ) => {}
            (Err(why), Some(part)) => assert!(why.contains(part), "{name}: {why}"),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn root_a_command_that_takes_too_long_is_ended() {
    let helpers = Helpers::with("echo before; sleep 1000");

    // Long enough for a shell to begin, however busy the machine is.
    let limits = [50, 500, 5_000, 50_000].map(Duration::from_millis);
    let has_begun = limits.into_iter().any(|limit| {
        let reply = action::answer(request("door"), &helpers.layout(), limit).unwrap();
        let Reply::Ran {
            timed_out: true,
            status: None,
            output,
            ..
        } = reply
        else {
            panic!("{reply:?}");
        };
        output == "before"
    });
    assert!(has_begun);
}

#[test]
fn root_strangers_are_not_listened_to() {
    let helpers = Helpers::with("true");
    let path = helpers.directory.path().join("socket");
    fs::set_permissions(helpers.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let perl = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new($ARGV[0]) or die; \
                print $s qq({\"version\":1,\"id\":1,\"verb\":\"own\"}\\n); print <$s>";
    for (uid, user, heard) in [
        (65534, "banishd", false),
        (65534, "nobody", true),
        (0, "banishd", true),
    ] {
        let mut stranger = Command::new("setpriv");
        stranger.args([
            &format!("--reuid={uid}"),
            "--clear-groups",
            "perl",
            "-e",
            perl,
        ]);
        let stranger = stranger.arg(&path).stdout(Stdio::piped()).spawn().unwrap();
        let (connection, _) = listener.accept().unwrap();
        activate(RESOLVE, &["--user", user], connection);
        let said = stranger.wait_with_output().unwrap().stdout;
        assert_eq!(!said.is_empty(), heard, "uid {uid}, known as {user}");
    }
}

#[test]
fn root_what_is_too_long_or_makes_no_sense_is_refused() {
    let endless = vec![b' '; REQUEST_MAX + 4096];
    for (line, why) in [
        (&endless[..], "cut off or too long"),
        (b"hello\n", "this is no request"),
        (b"{\"version\":1,\"id\":1,\"verb\":\"own\"}", "cut off"),
        (b"{\"version\":3,\"id\":1,\"verb\":\"own\"}\n", "version 3"),
        (b"", "cut off"),
    ] {
        for program in [RESOLVE, ACTION] {
            let reply = say(program, &[], line);
            assert!(
                reply.contains("\"refused\"") && reply.contains(why),
                "{reply}"
            );
        }
    }
    let own = Envelope::new(1, Request::Own).line();
    assert!(say(ACTION, &[], &own).contains("only runs commands"));
    assert!(say(RESOLVE, &[], &Envelope::new(1, request("door")).line()).contains("only looks up"));
}

#[test]
fn by_hand_the_programs_say_who_starts_them() {
    for program in [RESOLVE, ACTION] {
        let output = Command::new(program).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains("its socket unit"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn where_nobody_listens_the_unit_to_start_is_named() {
    let helpers = Helpers::with("true");
    let (asker, mut answers) = Asker::new(helpers.places.clone());
    for (question, unit) in [
        (
            Question::Resolve("host.example".into()),
            "banishd-resolve.socket",
        ),
        (question("door", &[]), "banishd-action.socket"),
    ] {
        let answered = answer(&asker, &mut answers, question).await;
        let text = unknown(&answered.answer);
        assert!(
            text.contains(&format!("'systemctl start {unit}'")),
            "{text}"
        );
        assert_eq!(answered.about.unwrap().1.as_deref(), Some(text));
    }
    asker.ask_own();
    let own = answers.recv().await.unwrap();
    assert_eq!(own.about, None, "nobody asked for names");
}

/// A program that does this with each connection.
fn impostor<F: Future<Output = ()> + Send + 'static>(
    helpers: &Helpers,
    serve: impl Fn(tokio::net::UnixStream) -> F + Send + 'static,
) -> (Asker, Receiver<Answered>) {
    let listener = UnixListener::bind(&helpers.places.resolve).unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    Asker::new(helpers.places.clone())
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_answer_is_not_waited_for() {
    let helpers = Helpers::with("true");
    let (asker, mut answers) = impostor(&helpers, async |connection| {
        let _connection = connection;
        std::future::pending().await
    });

    let answered = answer(&asker, &mut answers, Question::Resolve("a.example".into())).await;

    let text = unknown(&answered.answer);
    assert!(text.contains("takes too long"), "{text}");
}

#[tokio::test]
async fn a_program_that_talks_nonsense_is_not_believed() {
    for (said, why) in [
        (String::new(), "broke off"),
        ("hello\n".to_owned(), "talks nonsense"),
        (
            "{\"version\":1,\"id\":0,\"reply\":\"addresses\",\"addresses\":[]}\n".to_owned(),
            "something else",
        ),
        ("x".repeat(200 * 1024), "broke off"),
    ] {
        let helpers = Helpers::with("true");
        let (asker, mut answers) = impostor(&helpers, move |connection| {
            let said = said.clone();
            async move {
                let mut connection = connection.into_std().unwrap();
                connection.set_nonblocking(false).unwrap();
                std::thread::spawn(move || {
                    let mut line = String::new();
                    let _ = BufReader::new(&connection).read_line(&mut line);
                    let _ = connection.write_all(said.as_bytes());
                });
            }
        });
        let answered = answer(&asker, &mut answers, Question::Resolve("a.example".into())).await;
        let text = unknown(&answered.answer);
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn few_questions_are_under_way_and_not_endlessly_many_wait() {
    let helpers = Helpers::with("true");
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (now.clone(), most.clone());
    let (asker, mut answers) = impostor(&helpers, move |connection| {
        let (now, most) = counters.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            drop(connection);
        }
    });

    for id in 0..5000 {
        asker.ask(AskId(id), Question::Resolve("a.example".into()));
    }
    let mut refused = 0;
    for _ in 0..5000 {
        let answered = answers.recv().await.unwrap();
        refused += usize::from(unknown(&answered.answer).contains("wait already"));
    }

    assert!(most.load(Ordering::Relaxed) <= 16, "{most:?}");
    assert_eq!(refused, 5000 - 4096);
}

#[tokio::test]
async fn a_file_of_ignoreip_is_read_and_one_that_cannot_be_is_a_trouble() {
    let helpers = Helpers::with("true");
    let path = helpers.directory.path().join("list");
    fs::write(&path, "192.0.2.1, host.example # us\n").unwrap();
    let (asker, mut answers) = Asker::new(helpers.places.clone());

    let answered = answer(&asker, &mut answers, Question::ReadIgnored(path.clone())).await;
    let words = vec!["192.0.2.1".into(), "host.example".into()];
    assert_eq!(answered.answer, Answer::Words(words));

    fs::remove_file(&path).unwrap();
    let answered = answer(&asker, &mut answers, Question::ReadIgnored(path)).await;
    let text = unknown(&answered.answer);
    assert!(
        text.contains("list' of 'ignoreip' is not known: No such file"),
        "{text}"
    );
    assert_eq!(answered.about.unwrap().1.as_deref(), Some(text));
}
