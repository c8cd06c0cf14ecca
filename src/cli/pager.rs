//! Long text on a terminal goes through a pager, as with systemctl.
//!
//! Comes in: text. Goes out: the same, on stdout or by way of a pager. Run by sudo it starts nothing but
//! a `less` that can start nothing itself: whoever may run banishctl as root may not run everything.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::{Command, Stdio};

/// Shows `text`, in a pager if `pages` and stdout is a terminal.
pub(crate) fn show(text: &str, pages: bool) -> io::Result<()> {
    if pages && io::stdout().is_terminal() && through_pager(text)? {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Whether there was a pager to show it.
fn through_pager(text: &str) -> io::Result<bool> {
    let Some(mut pager) = pager() else {
        return Ok(false);
    };
    let mut child = match pager.stdin(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let stdin = child.stdin.take();
    let written = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
    child.wait()?;
    match written {
        // Left before the end.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(true),
        written => written.map(|()| true),
    }
}

/// What `SYSTEMD_PAGER` or `PAGER` says, or else `less`; none where the terminal cannot do with one.
#[expect(
    clippy::disallowed_methods,
    reason = "a pager for people, not the daemon"
)]
fn pager() -> Option<Command> {
    let set = |name: &str| std::env::var_os(name);
    if set("TERM").is_none_or(|term| term == "dumb") {
        return None;
    }
    let elevators = ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"];
    let is_elevated = elevators.into_iter().any(|name| set(name).is_some());
    let said = set("SYSTEMD_PAGER").or_else(|| set("PAGER"));
    let said = said.unwrap_or_else(|| OsString::from("less"));
    let said = said.to_string_lossy().into_owned();
    let mut words = said.split_whitespace();
    let program = words.next().filter(|program| *program != "cat")?;
    let mut pager = match is_elevated {
        true => Command::new("less"),
        false => Command::new(program),
    };
    if is_elevated {
        pager.env("LESSSECURE", "1");
        pager.env_remove("LESSSECURE_ALLOW").env_remove("LESSOPEN");
    } else {
        pager.args(words);
    }
    // As journalctl has it: quit if it fits on one screen or is interrupted, keep colours.
    let options = set("SYSTEMD_LESS").unwrap_or_else(|| OsString::from("FRSXMK"));
    pager.env("LESS", options).env("LESSCHARSET", "utf-8");
    Some(pager)
}
