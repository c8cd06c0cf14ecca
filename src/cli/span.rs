//! Lengths of time as people type them: `600`, `10min`, `1h 30min`, `2d`, `forever`.

use crate::engine::time::{BanTime, Span};

/// Reads a length of time in systemd's or fail2ban's spelling; a bare number is seconds.
///
/// # Errors
/// The text is neither, or no time at all.
pub fn parse(text: &str) -> Result<BanTime, SpanError> {
    let text = text.trim();
    if ["forever", "infinity", "-1"].contains(&text) {
        return Ok(BanTime::Forever);
    }
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at_checked(digits).ok_or(SpanError)?;
        let tail = tail.trim_start();
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at_checked(letters).ok_or(SpanError)?;
        let number: u64 = number.parse().map_err(|_| SpanError)?;
        let seconds = number.checked_mul(seconds(unit).ok_or(SpanError)?);
        sum = seconds.and_then(|s| sum.checked_add(s)).ok_or(SpanError)?;
        rest = tail.trim_start();
    }
    match sum {
        0 => Err(SpanError),
        sum => Ok(BanTime::For(Span::from_secs(sum))),
    }
}

fn seconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "" | "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hr" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        "mo" | "month" | "months" | "M" => 2_629_800,
        "y" | "year" | "years" => 31_557_600,
        _ => return None,
    })
}

/// Text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is a number of seconds, a sum such as '1h 30min', or 'forever'")]
pub struct SpanError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_systemd_and_fail2ban_write_them() {
        for (text, secs) in [
            ("600", 600),
            ("10min", 600),
            ("10m", 600),
            ("1h 30min", 5400),
            ("1h30m", 5400),
            ("2d", 172_800),
        ] {
            assert_eq!(
                parse(text),
                Ok(BanTime::For(Span::from_secs(secs))),
                "{text}"
            );
        }
        assert_eq!(parse("forever"), Ok(BanTime::Forever));
        for text in [
            "",
            "0",
            "soon",
            "1x",
            "-5",
            "1h -",
            "99999999999999999999",
            "min",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
