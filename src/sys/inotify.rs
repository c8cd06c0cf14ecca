//! Changes of files and directories (inotify(7)). Comes in: paths to watch. Goes out: events, without
//! waiting for them. Our own, because what the crates for it add (streams, recursion, other systems) is
//! more than these four calls.

#![expect(unsafe_code, reason = "inotify's calls")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Everything one thread watches.
#[derive(Debug)]
pub struct Inotify {
    file: File,
    buffer: Vec<u8>,
}

/// Names a watch. The same file or directory watched twice has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch(i32);

/// What to watch for.
#[derive(Clone, Copy, Debug)]
pub enum Interest {
    /// A file's content, its rights and its last name.
    Content,
    /// The names in a directory and the rights of what has them; the directory itself.
    Names,
    /// A directory itself: its name and its rights.
    Itself,
}

/// Something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A watched file.
    Content(Watch),
    /// What has, or had, this name in a watched directory.
    Name(Watch, &'a [u8]),
    /// What is watched is gone, or is elsewhere; [`Inotify::forget`] is due.
    Lost(Watch),
    /// Too much to tell: anything may have changed.
    Anything,
}

impl Inotify {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The user has too many of these (`fs.inotify.max_user_instances`).
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            file: File::from(fd),
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Watches a path, following links.
    ///
    /// # Errors
    /// It is not there, may not be read, or the user watches too much (`fs.inotify.max_user_watches`).
    pub fn watch(&self, path: &Path, interest: Interest) -> io::Result<Watch> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mask = match interest {
            Interest::Content => libc::IN_MODIFY | libc::IN_ATTRIB,
            Interest::Names => {
                libc::IN_CREATE
                    | libc::IN_DELETE
                    | libc::IN_MOVED_FROM
                    | libc::IN_MOVED_TO
                    | libc::IN_ATTRIB
                    | libc::IN_DELETE_SELF
                    | libc::IN_MOVE_SELF
                    | libc::IN_ONLYDIR
            }
            Interest::Itself => {
                libc::IN_ATTRIB | libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_ONLYDIR
            }
        };
        // SAFETY: the pointer is to a string that ends with a NUL and outlives the call.
        match unsafe { libc::inotify_add_watch(self.file.as_raw_fd(), path.as_ptr(), mask) } {
            number @ 0.. => Ok(Watch(number)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Watches an open file, whatever its name is by now.
    ///
    /// # Errors
    /// As [`Inotify::watch`].
    pub fn watch_file(&self, file: &File) -> io::Result<Watch> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.watch(Path::new(&path), Interest::Content)
    }

    /// Watches this no more. What is gone need not be forgotten, but may be.
    pub fn forget(&self, watch: Watch) {
        // SAFETY: the call takes no pointer. It fails where the watch ended by itself.
        unsafe { libc::inotify_rm_watch(self.file.as_raw_fd(), watch.0) };
    }

    /// Gives `each` what has happened since the last call.
    ///
    /// # Errors
    /// As read(2); that nothing has happened is no error.
    pub fn read(&mut self, mut each: impl FnMut(Event<'_>)) -> io::Result<()> {
        loop {
            let count = match self.file.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut bytes = self.buffer.get(..count).unwrap_or_default();
            while let Some((event, rest)) = parse(bytes) {
                event.into_iter().for_each(&mut each);
                bytes = rest;
            }
        }
    }
}

impl AsRawFd for Inotify {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// The first event in `bytes`, if it is one of interest, and what follows it: a watch, a mask, a cookie, the
/// length of the name, the name padded by NULs.
fn parse(bytes: &[u8]) -> Option<(Option<Event<'_>>, &[u8])> {
    let (watch, rest) = bytes.split_first_chunk::<4>()?;
    let (mask, rest) = rest.split_first_chunk::<4>()?;
    let (_cookie, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let (name, rest) = rest.split_at_checked(length)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let watch = Watch(i32::from_ne_bytes(*watch));
    let mask = u32::from_ne_bytes(*mask);
    let lost = libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_UNMOUNT;
    let event = match mask {
        _ if mask & libc::IN_Q_OVERFLOW != 0 => Some(Event::Anything),
        _ if mask & lost != 0 => Some(Event::Lost(watch)),
        // Follows on our own forgetting, too.
        _ if mask & libc::IN_IGNORED != 0 => None,
        _ if name.is_empty() => Some(Event::Content(watch)),
        _ => Some(Event::Name(watch, name)),
    };
    Some((event, rest))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn events(inotify: &mut Inotify) -> Vec<(char, String)> {
        let mut seen = Vec::new();
        let each = |event: Event<'_>| {
            seen.push(match event {
                Event::Content(_) => ('c', String::new()),
                Event::Name(_, name) => ('n', String::from_utf8_lossy(name).into_owned()),
                Event::Lost(_) => ('l', String::new()),
                Event::Anything => ('a', String::new()),
            });
        };
        inotify.read(each).unwrap();
        seen.dedup();
        seen
    }

    #[test]
    fn what_is_watched_is_told_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        let mut inotify = Inotify::new().unwrap();
        let names = inotify.watch(directory.path(), Interest::Names).unwrap();
        let content = inotify.watch_file(&File::open(&path).unwrap()).unwrap();
        assert_eq!(events(&mut inotify), []);

        fs::write(&path, "text").unwrap();
        assert_eq!(events(&mut inotify), [('c', String::new())]);
        fs::write(directory.path().join("other"), "text").unwrap();
        assert_eq!(events(&mut inotify), [('n', "other".to_owned())]);
        inotify.forget(content);
        fs::write(&path, "more").unwrap();
        assert_eq!(events(&mut inotify), []);

        inotify.forget(names);
        inotify.forget(names);
        assert_eq!(events(&mut inotify), []);
    }
}
