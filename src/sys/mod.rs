//! The kernel, where libraries do not reach: the only unsafe code besides libsystemd.

pub mod memfd;
pub mod netlink;
