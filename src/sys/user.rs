//! Who this process is.

#![expect(unsafe_code, reason = "libc's geteuid is declared unsafe")]

/// The effective user id.
#[must_use]
pub fn effective() -> u32 {
    // SAFETY: geteuid(2) takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
