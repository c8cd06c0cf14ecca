//! The only reader of the clocks: everybody else is told the time.

use crate::engine::time::{Boottime, Now, Span, Timestamp};
use crate::sys::clock;

/// All clocks at this moment.
#[must_use]
pub fn now() -> Now {
    let monotonic = clock::monotonic();
    let boot = clock::boottime();
    Now {
        wall: Timestamp::from_usec(clock::realtime()),
        boot: Boottime::from_usec(boot),
        asleep: Span::from_usec(boot.saturating_sub(monotonic)),
    }
}

/// CLOCK_BOOTTIME at this moment.
#[must_use]
pub fn boottime() -> Boottime {
    Boottime::from_usec(clock::boottime())
}
