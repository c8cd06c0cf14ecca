//! A script, run. Comes in: a script and how long it may take. Goes out: how it ended and what it
//! printed last. What it left running in the background ends with our unit.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
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
    let mut tail = Tail::of(output);
    let timed_out = match tail.follow(&child, limit) {
        Ok(true) => false,
        ended => {
            child::terminate(&child);
            // It is killed in any case, if only for its children.
            let _ = tail.follow(&child, GRACE);
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
        output: String::from_utf8_lossy(&tail.latest).trim_end().to_owned(),
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
    /// Absent when nobody can print any more.
    output: Option<PipeReader>,
    latest: Vec<u8>,
}

impl Tail {
    fn of(output: PipeReader) -> Self {
        Self {
            output: Some(output),
            latest: Vec::new(),
        }
    }

    /// Reads what is printed until the child has ended; whether it has, within `limit`. Then all it
    /// has printed was read: something in the background may hold on to the pipe.
    fn follow(&mut self, child: &Child, limit: Duration) -> io::Result<bool> {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let end = clock::monotonic().saturating_add(limit);
        // From here on only what was printed before the end counts, and the pipe holds no more of it.
        let mut rest = PIPE / CHUNK;
        while rest > 0 {
            let left = end.saturating_sub(clock::monotonic());
            let left = Duration::from_micros(left);
            match child::wait(child, self.output.as_ref(), left)? {
                (true, false) => return Ok(true),
                (false, prints) if !prints || left.is_zero() => return Ok(false),
                (ended, _) => {
                    self.read();
                    rest -= usize::from(ended);
                }
            }
        }
        Ok(true)
    }

    fn read(&mut self) {
        let mut chunk = [0; CHUNK];
        match self.output.as_mut().map(|output| output.read(&mut chunk)) {
            Some(Ok(length @ 1..)) => {
                self.latest.extend(chunk.get(..length).unwrap_or_default());
                let excess = self.latest.len().saturating_sub(OUTPUT_MAX);
                self.latest.drain(..excess);
            }
            _ => self.output = None,
        }
    }
}

/// What systemd says to us is not for the command.
const OURS: [&str; 4] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
];

/// What a pipe holds (pipe(7)), and how much of it is read at once.
const PIPE: usize = 64 * 1024;
const CHUNK: usize = 4096;
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
        let deaf = "trap '' TERM; echo $$; sleep 1000 & while :; do sleep 1000; done";
        // Long enough for a shell to begin, however busy the machine is.
        let limits = [100, 1_000, 10_000, 100_000].map(Duration::from_millis);
        let group = limits.into_iter().find_map(|limit| {
            assert!(ran("sleep 1000", &[], limit).1 && ran("yes", &[], limit).1);
            let (status, timed_out, group) = ran(deaf, &[], limit);
            assert_eq!((status, timed_out), (None, true));
            (!group.is_empty()).then_some(group)
        });
        // What is killed takes a moment to be gone.
        let gone = format!(
            "while ps -o s= -s {} | grep -qv Z; do :; done",
            group.unwrap()
        );
        assert_eq!(ran(&gone, &[], LONG), (Some(0), false, String::new()));
    }

    #[test]
    fn something_left_in_the_background_is_not_waited_for() {
        let (status, timed_out, output) = ran("echo now; sleep 30 & echo $!", &[], LONG);

        assert_eq!((status, timed_out), (Some(0), false));
        let pid = output.strip_prefix("now\n").unwrap();
        assert_eq!(ran(&format!("kill {pid}"), &[], LONG).0, Some(0));
    }
}
