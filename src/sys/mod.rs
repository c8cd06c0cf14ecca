//! The kernel and libc, where other libraries do not reach: the only unsafe code besides libsystemd.

pub mod accounts;
pub mod child;
pub mod clock;
pub mod filesystem;
pub mod inotify;
pub mod kept;
pub mod memfd;
pub mod mounts;
pub mod names;
pub mod netlink;
pub mod patterns;
pub mod peer;
pub mod readable;
pub mod rooted;
pub mod service_view;
pub mod timerfd;
pub mod user;
pub mod waker;
