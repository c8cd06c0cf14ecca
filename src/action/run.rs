//! A script, run. Comes in: a script and how long it may take. Goes out: how it ended and what it
//! printed last. What it left running in the background ends with our unit.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::action::script::Script;
use crate::helper::protocol::{OUTPUT_MAX, Reply};
use crate::sys::{child, clock};

/// Runs a script in a session of its own; after `limit` it is ended with all it started.
///
/// # Errors
/// The shell cannot be started or watched.
pub fn run(script: &Script, limit: Duration) -> io::Result<Reply> {
    let began = clock::boottime();
    let (mut child, output) = start(script)?;
    let tail = Tail::follow(output);
    let timed_out = match child::ends_within(&child, limit) {
        Ok(true) => false,
        ended => {
            child::terminate(&child);
            // It is killed in any case, if only for its children.
            let _ = child::ends_within(&child, GRACE);
            child::kill(&child);
            ended?;
            true
        }
    };
    let status = child.wait()?;
    Ok(Reply::Ran {
        status: status.code(),
        signal: status.signal(),
        timed_out,
        duration_usec: clock::boottime().saturating_sub(began),
        output: tail.text(),
    })
}

fn start(script: &Script) -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "running commands is what this program is for"
    )]
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(&script.text).args(&script.arguments);
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    for ours in OURS {
        command.env_remove(ours);
    }
    child::in_own_session(&mut command);
    Ok((command.spawn()?, reader))
}

/// The end of what is printed; however much that is, it is read, so that nobody waits for us.
struct Tail {
    latest: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Tail {
    fn follow(mut output: PipeReader) -> Self {
        let latest = Arc::new(Mutex::new(Vec::new()));
        let (sender, ended) = mpsc::channel();
        let shared = Arc::clone(&latest);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let mut latest = shared.lock().unwrap_or_else(PoisonError::into_inner);
                latest.extend(chunk.get(..length).unwrap_or_default());
                let excess = latest.len().saturating_sub(OUTPUT_MAX);
                latest.drain(..excess);
            }
            // Nobody may be left to hear it.
            let _ = sender.send(());
        });
        Self { latest, ended }
    }

    /// What was printed, once the command has ended; something in the background may hold on to it.
    fn text(&self) -> String {
        let _ = self.ended.recv_timeout(GRACE);
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&latest).trim_end().to_owned()
    }
}

/// What systemd says to us is not for the command.
const OURS: [&str; 4] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
];

/// Between asking and killing.
const GRACE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(text: &str, arguments: &[&str], limit: Duration) -> (Option<i32>, bool, String) {
        let script = Script {
            text: text.to_owned(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        };
        let Reply::Ran {
            status,
            timed_out,
            output,
            ..
        } = run(&script, limit).unwrap()
        else {
            panic!("something else");
        };
        (status, timed_out, output)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_script_has_its_arguments_its_status_and_its_output() {
        for (text, arguments, expected) in [
            ("true", &[][..], (Some(0), "")),
            ("echo out; echo err >&2; exit 3", &[], (Some(3), "out\nerr")),
            (
                "x=${0}\necho \"$x\"",
                &["$(id) 'a' \"b\""],
                (Some(0), "$(id) 'a' \"b\""),
            ),
            ("exec no-such-program", &[], (Some(127), "not found")),
            ("kill -9 $$", &[], (None, "")),
            ("cat", &[], (Some(0), "")),
            ("[ \"$(ps -o sid= -p $$)\" -eq $$ ]", &[], (Some(0), "")),
            ("[ -z \"$LISTEN_FDS$NOTIFY_SOCKET\" ]", &[], (Some(0), "")),
        ] {
            let (status, timed_out, output) = ran(text, arguments, LONG);
            assert_eq!((status, timed_out), (expected.0, false), "{text}: {output}");
            assert!(output.ends_with(expected.1), "{text}: {output}");
        }
    }

    #[test]
    fn of_endless_output_the_end_is_kept() {
        let (status, _, output) = ran("seq 200000; echo last", &[], LONG);

        assert_eq!(status, Some(0));
        assert!(output.len() <= OUTPUT_MAX && output.ends_with("200000\nlast"));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_it_started() {
        let short = Duration::from_millis(100);

        assert_eq!(ran("sleep 1000", &[], short), (None, true, String::new()));
        let deaf = "trap '' TERM; echo $$; sleep 1000 & while :; do sleep 1000; done";
        let (status, timed_out, group) = ran(deaf, &[], short);
        assert_eq!((status, timed_out), (None, true));
        let (_, _, left) = ran(&format!("ps -o s= -s {group} | tr -d 'Z\\n'"), &[], LONG);
        assert_eq!(left, "");
    }

    #[test]
    fn something_left_in_the_background_is_not_waited_for() {
        let (status, timed_out, output) = ran("echo now; sleep 30 & echo $!", &[], LONG);

        assert_eq!((status, timed_out), (Some(0), false));
        let pid = output.strip_prefix("now\n").unwrap();
        assert_eq!(ran(&format!("kill {pid}"), &[], LONG).0, Some(0));
    }
}
