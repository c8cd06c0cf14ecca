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
use std::path::Path;
use std::ptr;

/// How a unit confines its service.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// `User=`; its groups come along.
    pub user: &'a str,
    /// Directories that nobody but root could enter (`ProtectHome=yes`).
    pub closed: &'a [&'a str],
    /// Directories that it has of its own, empty (`PrivateTmp=yes`).
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
    become_user(&user).map_err(|error| ViewError::User(view.user.to_owned(), error))?;
    hidden
}

struct User {
    name: CString,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

fn lookup(name: &str) -> Result<User, ViewError> {
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
    for (directories, mode) in [(view.closed, c"mode=000"), (view.private, c"mode=1777")] {
        for directory in directories
            .iter()
            .filter(|directory| Path::new(directory).is_dir())
        {
            let target = CString::new(*directory)?;
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            mount(Some(c"tmpfs"), &target, flags, Some(mode))?;
        }
    }
    Ok(())
}

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
fn become_user(user: &User) -> io::Result<()> {
    // SAFETY: the name is a string that outlives the call, the rest are numbers.
    check(unsafe { libc::initgroups(user.name.as_ptr(), user.gid) })?;
    // SAFETY: setresgid(2) and setresuid(2) take numbers.
    check(unsafe { libc::setresgid(user.gid, user.gid, user.gid) })?;
    // SAFETY: as above.
    check(unsafe { libc::setresuid(user.uid, user.uid, user.uid) })
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
            closed: &["/root"],
            private: &[],
        };

        let error = take(&view).unwrap_err();

        assert_eq!(error.to_string(), "there is no user 'no-such-user'");
        assert!(Path::new("/").is_dir());
    }
}
