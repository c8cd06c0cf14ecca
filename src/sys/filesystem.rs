//! What kind of file system a file is on.

#![expect(unsafe_code, reason = "libc's fstatfs writes through a raw pointer")]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// Whether inotify may miss changes of `file`: others than this kernel write to it, or write to it under
/// another inode.
#[must_use]
pub fn is_mute(file: &File) -> bool {
    let mut stat = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the kernel writes one statfs, to which the pointer is.
    if unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
        return true;
    }
    // SAFETY: fstatfs succeeded and so has written all of it.
    let stat = unsafe { stat.assume_init() };
    MUTE.contains(&(stat.f_type & 0xffff_ffff))
}

/// AFS, Ceph, Coda, CIFS, FUSE, NFS, overlayfs, SMB, SMB2, VirtualBox's, Plan 9's (magic.h).
const MUTE: [libc::__fsword_t; 11] = [
    0x5346_414f,
    0x00c3_6400,
    0x7375_7245,
    0xff53_4d42,
    0x6573_5546,
    0x6969,
    0x794c_7630,
    0x517b,
    0xfe53_4d42,
    0x786f_4256,
    0x0102_1997,
];
