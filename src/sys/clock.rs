//! Reads the clocks that std does not: goes out as microseconds. Never sets one.

#![expect(
    unsafe_code,
    reason = "libc's clock_gettime writes through a raw pointer"
)]

/// CLOCK_REALTIME: microseconds since 1970; may step in either direction.
#[must_use]
pub fn realtime() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// CLOCK_BOOTTIME: microseconds since boot, time asleep included; never steps.
#[must_use]
pub fn boottime() -> u64 {
    read(libc::CLOCK_BOOTTIME)
}

/// CLOCK_MONOTONIC: microseconds since boot, time asleep left out; never steps.
#[must_use]
pub fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills in one timespec, to which the pointer is. It cannot fail: the pointer
    // is good, and every Linux that the crate runs on has these three clocks.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    // A wall clock set to before 1970 reads as 1970.
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let nsec = u64::try_from(time.tv_nsec).unwrap_or(0);
    secs.saturating_mul(1_000_000).saturating_add(nsec / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_run_forward_and_boot_time_is_at_least_time_awake() {
        let (monotonic_before, boot_before, wall) = (monotonic(), boottime(), realtime());

        assert!(monotonic() >= monotonic_before && boottime() >= boot_before);
        assert!(boottime() >= monotonic_before);
        let year_2020 = 1_577_836_800_000_000;
        assert!(wall > year_2020, "{wall}");
    }
}
