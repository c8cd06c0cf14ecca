//! The world as the service sees it: what its unit hides is hidden from this process, and its user's
//! rights are all the rights it has left.
//!
//! Comes in: a process of root, before it has threads. Goes out: the same process, which can look at
//! files and judge whether the service could read them, and can do little else any more. What it does
//! cannot be undone; nothing outside the process changes.

#![expect(
    unsafe_code,
    reason = "users and mount namespaces have no safe wrapper in std"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use crate::sys::accounts;

/// How a unit confines its service.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// `User=`; its groups come along. Empty for root.
    pub user: &'a str,
    /// `Group=`, if it is not the user's own.
    pub group: Option<&'a str>,
    /// `SupplementaryGroups=`; those that do not exist are left out.
    pub groups: &'a [String],
    /// Whether it has a capability for which the modes of files do not count.
    pub reads_all: bool,
    /// Directories and files that nobody could enter or read (`ProtectHome=yes`).
    pub closed: &'a [&'a str],
    /// Directories that are empty to it (`PrivateTmp=yes`).
    pub private: &'a [&'a str],
}

/// Why the view could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The package is not installed, or not wholly.
    #[error("there is no user '{0}'")]
    NoUser(String),
    /// A mount namespace, or a mount in it.
    #[error("cannot hide what the service does not see")]
    Mount(#[source] io::Error),
    /// The user's rights.
    #[error("cannot take the rights of the user '{0}'")]
    User(String, #[source] io::Error),
}

/// Takes the view, for good.
///
/// # Errors
/// There is no such user, and nothing was changed; nothing could be hidden, and the rights are the
/// user's all the same; or the rights could not be taken, and it is not known what they are.
pub fn take(view: &View<'_>) -> Result<(), ViewError> {
    let user = lookup(view.user)?;
    let hidden = hide(view).map_err(ViewError::Mount);
    become_user(&user, view).map_err(|error| ViewError::User(view.user.to_owned(), error))?;
    hidden
}

struct User {
    name: CString,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

fn lookup(name: &str) -> Result<User, ViewError> {
    let name = if name.is_empty() { "root" } else { name };
    let missing = || ViewError::NoUser(name.to_owned());
    let name_c = CString::new(name).map_err(|_| missing())?;
    // SAFETY: `passwd` is plain integers and pointers, for which zeroes are valid.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut buffer = vec![0; 16 * 1024];
    let mut found = ptr::null_mut();
    // SAFETY: the name ends with a NUL, the buffer is as long as said, and all outlive the call.
    let status = unsafe {
        libc::getpwnam_r(
            name_c.as_ptr(),
            &mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &mut found,
        )
    };
    match status == 0 && !found.is_null() {
        true => Ok(User {
            name: name_c,
            uid: entry.pw_uid,
            gid: entry.pw_gid,
        }),
        false => Err(missing()),
    }
}

/// Mounts empty directories over what is not to be seen, in a mount namespace of this process.
fn hide(view: &View<'_>) -> io::Result<()> {
    // SAFETY: unshare(2) takes a number.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    // From here on nothing that is mounted is seen outside.
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE, None)?;
    for (paths, mode) in [(view.closed, c"mode=000"), (view.private, c"mode=1777")] {
        for path in paths.iter().map(Path::new) {
            let target = CString::new(path.as_os_str().as_bytes())?;
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            if path.is_dir() {
                mount(Some(c"tmpfs"), &target, flags, Some(mode))?;
            } else if path.is_file() && Path::new(INACCESSIBLE).exists() {
                let source = CString::new(INACCESSIBLE)?;
                mount(Some(&source), &target, libc::MS_BIND, None)?;
            }
        }
    }
    Ok(())
}

/// What systemd itself mounts over such files: an empty one of mode 000.
const INACCESSIBLE: &str = "/run/systemd/inaccessible/reg";

fn mount(
    kind: Option<&CStr>,
    target: &CStr,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    let options = options.map_or(ptr::null(), |options| options.as_ptr().cast());
    // SAFETY: every pointer is null where mount(2) allows it, or a string that outlives the call.
    check(unsafe { libc::mount(kind, target.as_ptr(), kind, flags, options) })
}

/// Groups first: afterwards there is no right left to change them.
fn become_user(user: &User, view: &View<'_>) -> io::Result<()> {
    let text = accounts::group(Path::new("/"));
    let number = |name: &str| {
        let found = accounts::groups(&text).find(|group| group.name == name);
        found.map(|group| group.gid).or_else(|| name.parse().ok())
    };
    let gid = view.group.and_then(number).unwrap_or(user.gid);
    // SAFETY: the name is a string that outlives the call, the rest are numbers.
    check(unsafe { libc::initgroups(user.name.as_ptr(), gid) })?;
    join(view.groups.iter().filter_map(|name| number(name)))?;
    // SAFETY: prctl(2) takes numbers here.
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) })?;
    // SAFETY: setresgid(2) and setresuid(2) take numbers.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: as above.
    check(unsafe { libc::setresuid(user.uid, user.uid, user.uid) })?;
    keep(if view.reads_all {
        1 << CAP_DAC_READ_SEARCH
    } else {
        0
    })
}

/// Joins further groups.
fn join(more: impl Iterator<Item = libc::gid_t>) -> io::Result<()> {
    // SAFETY: with no room getgroups(2) writes nothing and says how many there are.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).map_err(|_| io::Error::last_os_error())?];
    // SAFETY: there is room for as many as there are.
    check(unsafe { libc::getgroups(count, groups.as_mut_ptr()) }.min(0))?;
    groups.extend(more);
    // SAFETY: the list is as long as said.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })
}

/// In `linux/capability.h`.
const CAP_DAC_READ_SEARCH: u32 = 2;

/// Gives up every capability but these.
fn keep(capabilities: u32) -> io::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3 and this process; then effective, permitted, inheritable, twice 32 bits.
    let header = [0x2008_0522_u32, 0];
    let sets = [capabilities, capabilities, 0, 0, 0, 0];
    // SAFETY: capset(2) reads the two structs, which consist of just these numbers.
    let status = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    check(if status == 0 { 0 } else { -1 })
}

fn check(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_user_nothing_is_changed() {
        let view = View {
            user: "no-such-user",
            group: None,
            groups: &[],
            reads_all: false,
            closed: &["/root"],
            private: &[],
        };

        let error = take(&view).unwrap_err();

        assert_eq!(error.to_string(), "there is no user 'no-such-user'");
        assert!(Path::new("/").is_dir());
    }
}
