//! Files that root alone could have written. Comes in: a path. Goes out: where it leads, or which part
//! of the way somebody else could change. Read-only, and safe against whoever is not root: every
//! directory, link and file on the way is root's own, so nobody else can put another in its place.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What is wrong with a path.
#[derive(Debug, thiserror::Error)]
pub enum NotRooted {
    /// It cannot be looked at.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Somebody else owns a part of it.
    #[error("'{}' belongs to user {uid}, not to root", path.display())]
    Owner {
        /// The part.
        path: PathBuf,
        /// The owner.
        uid: u32,
    },
    /// Others may write to a part of it.
    #[error("others than root may write to '{}'", path.display())]
    Writable {
        /// The part.
        path: PathBuf,
    },
    /// Links lead in a circle.
    #[error("too many symbolic links")]
    Loop,
}

/// The path without links, if root alone can have written what lies there.
///
/// # Errors
/// Which part of the way is not root's.
pub fn resolve(path: &Path) -> Result<PathBuf, NotRooted> {
    let absolute = std::path::absolute(path)?;
    let mut left: Vec<PathBuf> = parts(&absolute);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    check(&done)?;
    while let Some(part) = left.pop() {
        if part == Path::new("..") {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        if !check(&next)? {
            done = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(NotRooted::Loop);
        }
        let target = fs::read_link(&next)?;
        if target.is_absolute() {
            done = PathBuf::from("/");
        }
        left.extend(parts(&target));
    }
    Ok(done)
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.rev().collect()
}

/// Whether `path` is a link. In a directory with the sticky bit everybody may make files, but nobody
/// else's can be replaced.
fn check(path: &Path) -> Result<bool, NotRooted> {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o022;
    let found = fs::symlink_metadata(path)?;
    let path = path.to_owned();
    if found.uid() != 0 {
        let uid = found.uid();
        return Err(NotRooted::Owner { path, uid });
    }
    let is_shared = found.is_dir() && found.mode() & STICKY != 0;
    if !found.is_symlink() && !is_shared && found.mode() & OTHERS_WRITE != 0 {
        return Err(NotRooted::Writable { path });
    }
    Ok(found.is_symlink())
}

/// As many as the kernel follows.
const LINKS_MAX: u32 = 40;
