//! The kernel, where libraries do not reach: the only unsafe code besides libsystemd.

pub mod clock;
pub mod kept;
pub mod memfd;
pub mod netlink;
pub mod readable;
pub mod timerfd;
pub mod user;
pub mod waker;
