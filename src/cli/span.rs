//! Lengths of time as people type them: what the configuration takes, and `forever`.

use crate::config::alone;
use crate::engine::time::BanTime;

/// Reads a length of time; a bare number is seconds.
///
/// # Errors
/// Why it is none.
pub(crate) fn parse(text: &str) -> Result<BanTime, String> {
    let text = text.trim();
    if ["forever", "infinity", "-1"].contains(&text) {
        return Ok(BanTime::Forever);
    }
    match alone::ban_time(text) {
        // In a file every negative number means that; typed by hand it is a slip.
        Ok(BanTime::Forever) => Err(format!("'{text}' is negative: for ever is 'forever'")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Span;

    #[test]
    fn times_are_read_as_systemd_and_fail2ban_write_them() {
        for (text, secs) in [
            ("600", 600),
            ("10min", 600),
            ("10m", 600),
            ("1h 30min", 5400),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("1.5h", 5400),
        ] {
            assert_eq!(
                parse(text),
                Ok(BanTime::For(Span::from_secs(secs))),
                "{text}"
            );
        }
        for text in ["forever", " infinity ", "-1"] {
            assert_eq!(parse(text), Ok(BanTime::Forever), "{text}");
        }
        for text in ["", "0", "soon", "1x", "-5", "1h -", "min"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
