//! Which paths lead to file systems that may never answer: those of the network, and those that a program
//! serves. Comes in: the kernel's list of mounts, a path. Goes out: where the path leads, and whether such a
//! file system is there. Nothing behind its mount point is touched to find out, because to touch it may hang.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// What is mounted where, for the calling thread.
#[derive(Debug)]
pub struct Mounts {
    list: Option<File>,
    /// Each mount point, and whether what is mounted there may hang.
    points: BTreeMap<PathBuf, bool>,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Without links, as far as that can be known without touching `mount`.
    pub path: PathBuf,
    /// The innermost mount on the way that may hang.
    pub mount: Option<PathBuf>,
}

impl Mounts {
    /// As of now. Where the kernel does not tell, nothing is taken for a file system that may hang.
    #[must_use]
    pub fn new() -> Self {
        let mut mounts = Self {
            list: File::open("/proc/thread-self/mountinfo").ok(),
            points: BTreeMap::new(),
        };
        mounts.refresh();
        mounts
    }

    /// What poll(2) reports an error of when the list has changed.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.list.as_ref().map(File::as_raw_fd)
    }

    /// Reads the list anew. Whether it differs.
    pub fn refresh(&mut self) -> bool {
        let points = self.list.as_mut().and_then(|list| read(list).ok());
        points.is_some_and(|points| std::mem::replace(&mut self.points, points) != self.points)
    }

    /// Whether nothing that is mounted may hang.
    #[must_use]
    pub fn are_harmless(&self) -> bool {
        !self.points.values().any(|may_hang| *may_hang)
    }

    /// Where an absolute path leads.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> Spot {
        self.walk(&self.root(), path, |_| ())
    }

    /// Where every path begins.
    #[must_use]
    pub fn root(&self) -> Spot {
        let path = PathBuf::from("/");
        Spot {
            mount: self.may_hang(&path).then(|| path.clone()),
            path,
        }
    }

    /// Where `path` leads from `from`. Each link on the way is given to `link`.
    pub fn walk(&self, from: &Spot, path: &Path, mut link: impl FnMut(&Path)) -> Spot {
        let mut spot = from.clone();
        let mut todo = parts(path);
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_bytes() {
                b"/" => spot = self.root(),
                b".." => drop(spot.path.pop()),
                _ => spot.path.push(&part),
            }
            if self.may_hang(&spot.path) {
                spot.mount = Some(spot.path.clone());
            }
            if spot.mount.is_some() || links == LINKS_MAX {
                continue;
            }
            if let Ok(target) = fs::read_link(&spot.path) {
                links += 1;
                link(&spot.path);
                spot.path.pop();
                todo.extend(parts(&target));
            }
        }
        spot
    }

    fn may_hang(&self, path: &Path) -> bool {
        self.points.get(path).copied().unwrap_or_default()
    }
}

impl Default for Mounts {
    fn default() -> Self {
        Self::new()
    }
}

/// The parts of a path, last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_owned())
        .collect();
    parts.reverse();
    parts
}

fn read(list: &mut File) -> io::Result<BTreeMap<PathBuf, bool>> {
    let mut bytes = Vec::new();
    list.rewind()?;
    list.read_to_end(&mut bytes)?;
    // What is mounted later hides what was there.
    Ok(bytes
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// The mount point of a line of mountinfo, proc_pid_mountinfo(5), and whether its type is one that may hang.
fn parse(line: &[u8]) -> Option<(PathBuf, bool)> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = words.by_ref().nth(4)?;
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    let kind = kind.split(|byte| *byte == b'.').next()?;
    Some((unescape(point), MAY_HANG.contains(&kind)))
}

/// Blanks and the like are written as `\040`.
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let code =
            octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// File systems whose answers come from another host or from a program (`fuse.sshfs` is one of `fuse`), or
/// that bring such a one in when they are touched.
const MAY_HANG: [&[u8]; 22] = [
    b"9p",
    b"afs",
    b"autofs",
    b"beegfs",
    b"ceph",
    b"cifs",
    b"coda",
    b"fuse",
    b"fuseblk",
    b"gfs2",
    b"gpfs",
    b"lustre",
    b"ncpfs",
    b"nfs",
    b"nfs4",
    b"ocfs2",
    b"orangefs",
    b"smb3",
    b"smbfs",
    b"vboxsf",
    b"virtiofs",
    b"wekafs",
];

/// So many links does the kernel follow.
const LINKS_MAX: u32 = 40;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As if these were mounted, and each could hang.
    fn with(points: &[&Path]) -> Mounts {
        Mounts {
            list: None,
            points: points.iter().map(|p| (p.to_path_buf(), true)).collect(),
        }
    }

    #[test]
    fn a_line_names_a_mount_point_and_a_type() {
        for (line, point, may_hang) in [
            ("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw", "/", false),
            (
                "40 27 0:44 / /mnt/two\\040words rw shared:5 master:1 - nfs4 host:/x rw,hard",
                "/mnt/two words",
                true,
            ),
            (
                "41 27 0:45 /sub /a\\134b ro - fuse.sshfs host: rw",
                "/a\\b",
                true,
            ),
            ("42 27 0:46 / /net rw - autofs systemd-1 rw", "/net", true),
            ("43 27 0:47 / /o rw - overlay overlay rw", "/o", false),
        ] {
            let expected = Some((PathBuf::from(point), may_hang));
            assert_eq!(parse(line.as_bytes()), expected, "{line}");
        }
        assert_eq!(parse(b""), None);
        assert!(Mounts::new().points.contains_key(Path::new("/")));
    }

    #[test]
    fn links_are_followed_up_to_what_may_hang() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        let at = |name: &str| real.join(name);
        fs::create_dir_all(at("logs/app")).unwrap();
        fs::create_dir(at("far")).unwrap();
        symlink("../far/logs", at("logs/remote")).unwrap();
        symlink(at("logs/remote"), at("logs/again")).unwrap();
        symlink("loop", at("logs/loop")).unwrap();
        // Behind a mount point links are none of our business.
        symlink("../logs/app", at("far/back")).unwrap();
        let far = at("far");
        let mounts = with(&[&far]);

        for (path, leads, hangs) in [
            ("logs/app/x.log", "logs/app/x.log", false),
            ("logs/./app/../app/x.log", "logs/app/x.log", false),
            ("logs/remote/x.log", "far/logs/x.log", true),
            ("logs/again/x.log", "far/logs/x.log", true),
            ("far/back/x.log", "far/back/x.log", true),
            ("logs/loop", "logs/loop", false),
            ("farther/x.log", "farther/x.log", false),
        ] {
            let spot = mounts.resolve(&at(path));
            assert_eq!(spot.path, at(leads), "{path}");
            assert_eq!(spot.mount, hangs.then(|| far.clone()), "{path}");
        }
        let inner = at("far/inner");
        let mounts = with(&[&far, &inner]);
        assert_eq!(mounts.resolve(&inner.join("x")).mount, Some(inner));
        assert_eq!(with(&[Path::new("/")]).root().mount, Some("/".into()));
    }
}
