//! What is wrong with a file, in words, and the command that mends it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::engine::settings::{JailName, LogFile};

/// A file that cannot be opened or read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => denied(path, "r"),
        _ => format!(
            "cannot read '{}': {error}, trying again when it changes",
            path.display()
        ),
    }
}

/// A directory that cannot be listed, or a path that cannot be looked at.
pub(crate) fn refused(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => denied(path, "rx"),
        _ => format!("cannot look into '{}': {error}", path.display()),
    }
}

/// Something of which the kernel will not tell.
pub(crate) fn unwatched(error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::ENOSPC) => "; to mend it: sysctl fs.inotify.max_user_watches=524288",
        Some(libc::EMFILE) => "; to mend it: sysctl fs.inotify.max_user_instances=1024",
        _ => "",
    };
    format!("cannot watch it for new files: {error}, looking every second{remedy}")
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
fn denied(path: &Path, rights: &str) -> String {
    let hidden = HIDDEN.iter().find(|top| path.starts_with(top));
    if let Some(top) = hidden.filter(|top| fs::read_dir(top).is_err()) {
        return format!(
            "cannot read '{}': services do not see {top}; to mend it: systemctl edit banishd, [Service] \
             ProtectHome=read-only",
            path.display()
        );
    }
    let blocked = path
        .ancestors()
        .skip(1)
        .filter(|above| above.is_dir())
        .find(|above| {
            // Where a name within can be looked at, the directory may be passed.
            let probe = fs::symlink_metadata(above.join("."));
            probe.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        });
    let (what, rights) = match blocked {
        Some(above) => (above, "x"),
        None => (path, rights),
    };
    format!(
        "cannot read '{}': permission denied; to mend it: setfacl -m u:banishd:{rights} {}",
        path.display(),
        what.display()
    )
}

/// What ProtectHome= hides.
const HIDDEN: [&str; 3] = ["/home", "/root", "/run/user"];
