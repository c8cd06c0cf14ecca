//! What is wrong with a file, in words, and the command that mends it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::engine::settings::{JailName, LogFile};

/// A file that cannot be opened or read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => denied(path, "g+r"),
        _ => format!(
            "cannot read '{}': {error}, trying again when it changes",
            path.display()
        ),
    }
}

/// A directory that cannot be listed, or a path that cannot be looked at.
pub(crate) fn refused(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => denied(path, "g+rx"),
        _ => format!("cannot look into '{}': {error}", path.display()),
    }
}

/// A directory of which the kernel will not tell.
pub(crate) fn unwatched(path: &Path, error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::ENOSPC) => "; to mend it: sysctl fs.inotify.max_user_watches=524288",
        Some(libc::EMFILE) => "; to mend it: sysctl fs.inotify.max_user_instances=1024",
        _ => "",
    };
    format!(
        "cannot watch '{}': {error}, looking every second{remedy}",
        path.display()
    )
}

/// What was written when nobody read, and is gone.
pub(crate) fn missed(path: &Path, offset: u64, packed: Option<&Path>) -> String {
    let path = path.display();
    match packed {
        Some(packed) => format!(
            "'{path}' was put away and packed as '{}', which nobody here unpacks: lines after byte {offset} are not \
             read; to mend it: let logrotate(8) use gzip, or delaycompress",
            packed.display()
        ),
        None => format!(
            "'{path}' was emptied or replaced while nobody read it, and what it held is not beside it: lines \
             after byte {offset}, if there were any, are not read"
        ),
    }
}

/// What cannot be unpacked.
pub(crate) fn broken(path: &Path, why: &io::Error) -> String {
    format!(
        "what was '{}' before it was packed is broken, the rest is not read: {why}",
        path.display()
    )
}

/// One file too many.
pub(crate) fn too_many(path: &Path, most: usize) -> String {
    format!(
        "'{}' and perhaps others are not read: {most} files are, and no more",
        path.display()
    )
}

/// A jail none of whose files is there.
pub(crate) fn missing(jail: &JailName, files: &[LogFile]) -> String {
    let patterns: Vec<&str> = files.iter().map(|file| file.pattern.as_str()).collect();
    format!(
        "jail '{jail}' reads nothing: there is no '{}', waiting for it",
        patterns.join("' and no '")
    )
}

/// The first thing on the way to `path` that we may not pass, and what would let us.
fn denied(path: &Path, right: &str) -> String {
    let refused = |path: &Path| {
        let error = fs::metadata(path.join(".")).err();
        error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let closed = above.into_iter().find(|directory| refused(directory));
    let (name, right) = match closed {
        Some(directory) => (directory.display(), "g+rx"),
        None => (path.display(), right),
    };
    let remedy = match HIDDEN
        .iter()
        .any(|hidden| closed.unwrap_or(path).starts_with(hidden))
    {
        true => {
            "systemctl edit banishd.service, and set ProtectHome=read-only in [Service]".to_owned()
        }
        false => format!("chgrp adm '{name}' && chmod {right} '{name}'"),
    };
    format!(
        "the service may not read '{}'; to mend it: {remedy}",
        path.display()
    )
}

/// What ProtectHome= hides.
const HIDDEN: [&str; 3] = ["/home", "/root", "/run/user"];
