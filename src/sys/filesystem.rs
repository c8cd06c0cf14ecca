//! What the file system of an open file does that others do not.

#![expect(
    unsafe_code,
    reason = "libc's fstatfs and statx write through raw pointers"
)]

use std::fs::File;
use std::io;
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

/// Has a file system of the network ask its server how `file` is now: what it knows by itself may be a
/// minute old.
pub fn refresh(file: &File) {
    let mut stat = MaybeUninit::<libc::statx>::uninit();
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_FORCE_SYNC;
    // SAFETY: the path is a string that ends with a NUL, and the kernel writes one statx. Where that fails,
    // so does the reading that follows.
    unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            flags,
            libc::STATX_SIZE,
            stat.as_mut_ptr(),
        )
    };
}

/// Where from `offset` on there is something in `file` but a hole, [`u64::MAX`] where nothing is; `None`
/// where nothing is known of holes.
#[must_use]
pub fn next_data(file: &File, offset: u64) -> Option<u64> {
    let offset = i64::try_from(offset).ok()?;
    // SAFETY: the call takes no pointer. It moves a place in the file that nobody here goes by.
    let found = unsafe { libc::lseek(file.as_raw_fd(), offset, libc::SEEK_DATA) };
    let is_over = io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO);
    let found = u64::try_from(found).ok();
    found.or(is_over.then_some(u64::MAX))
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
