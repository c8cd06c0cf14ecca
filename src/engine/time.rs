//! Points in time and lengths of time, in microseconds as everywhere in systemd.
//!
//! Two clocks come in as plain numbers: the wall clock (CLOCK_REALTIME), which records, the store and
//! the bus speak, and the boot clock (CLOCK_BOOTTIME), by which a live ban ends. Nothing here reads
//! a clock, and every sum saturates.

use std::fmt;

/// A point on the wall clock: microseconds since 1970, as journald stamps its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `usec` microseconds after 1970.
    #[must_use]
    pub const fn from_usec(usec: u64) -> Self {
        Self(usec)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn usec(self) -> u64 {
        self.0
    }

    /// `span` later, saturating at the end of time.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// `span` earlier, saturating at 1970.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// This point after the wall clock was set by `step` microseconds.
    #[must_use]
    pub const fn shifted(self, step: i64) -> Self {
        Self(self.0.saturating_add_signed(step))
    }
}

/// A point on the boot clock: microseconds since boot, time asleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boottime(u64);

impl Boottime {
    /// The point `usec` microseconds after boot.
    #[must_use]
    pub const fn from_usec(usec: u64) -> Self {
        Self(usec)
    }

    /// Microseconds since boot.
    #[must_use]
    pub const fn usec(self) -> u64 {
        self.0
    }

    /// `span` later, saturating at the end of time.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `usec` microseconds.
    #[must_use]
    pub const fn from_usec(usec: u64) -> Self {
        Self(usec)
    }

    /// A span of `secs` seconds, saturating.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds.
    #[must_use]
    pub const fn usec(self) -> u64 {
        self.0
    }

    /// Both spans together, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Prints as systemd prints spans, largest unit first: `1h 30min`, `10min`, `90s` as `1min 30s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 7] = [
            (604_800_000_000, "w"),
            (86_400_000_000, "d"),
            (3_600_000_000, "h"),
            (60_000_000, "min"),
            (1_000_000, "s"),
            (1_000, "ms"),
            (1, "us"),
        ];
        let mut rest = self.0;
        let mut first = true;
        for (size, unit) in UNITS {
            if rest >= size {
                let gap = if first { "" } else { " " };
                write!(f, "{gap}{}{unit}", rest / size)?;
                rest %= size;
                first = false;
            }
        }
        if first { f.write_str("0") } else { Ok(()) }
    }
}

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanTime {
    /// For this long.
    For(Span),
    /// Until somebody lifts it.
    Forever,
}

impl BanTime {
    /// When a ban ends that begins at `start`; `None` for never, which is also the answer where the
    /// end is too far away for a signed number, as in the store.
    #[must_use]
    pub fn end(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::For(span) => {
                Some(start.plus(span)).filter(|end| i64::try_from(end.usec()).is_ok())
            }
            Self::Forever => None,
        }
    }
}

impl fmt::Display for BanTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => span.fmt(f),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// One reading of the clocks, taken by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_REALTIME; may step in either direction.
    pub wall: Timestamp,
    /// CLOCK_BOOTTIME; never steps.
    pub boot: Boottime,
    /// How long the machine has slept since boot: CLOCK_BOOTTIME less CLOCK_MONOTONIC. The kernel's
    /// element timeouts do not run in that time.
    pub asleep: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_like_systemd_prints_them() {
        for (secs, text) in [
            (0, "0"),
            (90, "1min 30s"),
            (600, "10min"),
            (5400, "1h 30min"),
            (604_800 + 86_400, "1w 1d"),
        ] {
            assert_eq!(Span::from_secs(secs).to_string(), text);
        }
    }

    #[test]
    fn sums_saturate_at_both_ends_of_time() {
        let last = Timestamp::from_usec(u64::MAX);
        assert_eq!(last.plus(Span::from_secs(1)), last);
        assert_eq!(
            Timestamp::default().minus(Span::from_secs(1)),
            Timestamp::default()
        );
        assert_eq!(Timestamp::default().since(last), Span::ZERO);
        assert_eq!(Timestamp::from_usec(5).shifted(-9), Timestamp::default());
    }
}
