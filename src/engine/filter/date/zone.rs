//! Time zones as logs name them.
//!
//! Comes in: `+02:00`, `Z`, `CEST`. Goes out: seconds east of UTC. A name that means several zones
//! (`IST`, `BST` in Asia) is taken for the one that logs usually mean, or for none.

/// Seconds east of UTC; `None` where nobody knows such a zone.
pub(crate) fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return named(text).map(|quarters| quarters * 900),
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = match digits.get(2..)? {
        "" => 0,
        text => text.parse().ok()?,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}

/// In quarters of an hour.
fn named(name: &str) -> Option<i32> {
    Some(match name {
        "Z" | "UTC" | "GMT" | "UT" | "WET" => 0,
        // Europe.
        "WEST" | "BST" | "CET" | "MEZ" => 4,
        "CEST" | "MEST" | "MESZ" | "EET" => 8,
        "EEST" | "MSK" => 12,
        "MSD" => 16,
        // America.
        "NST" => -14,
        "NDT" => -10,
        "ADT" | "BRT" | "ART" => -12,
        "AST" | "EDT" | "CLT" => -16,
        "EST" | "CDT" | "PET" | "COT" => -20,
        "CST" | "MDT" => -24,
        "MST" | "PDT" => -28,
        "PST" | "AKDT" => -32,
        "AKST" | "HDT" => -36,
        "HST" => -40,
        // Africa.
        "WAT" => 4,
        "CAT" | "SAST" => 8,
        "EAT" => 12,
        // Asia and the Pacific.
        "IRST" => 14,
        "GST" => 16,
        "PKT" => 20,
        "IST" => 22,
        "WIB" | "ICT" => 28,
        "HKT" | "SGT" | "MYT" | "PHT" | "AWST" => 32,
        "JST" | "KST" => 36,
        "ACST" => 38,
        "AEST" | "CHST" => 40,
        "ACDT" => 42,
        "AEDT" => 44,
        "NZST" => 48,
        "NZDT" => 52,
        "SST" => -44,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_told_by_offset_and_by_name() {
        for (text, seconds) in [
            ("Z", Some(0)),
            ("UTC", Some(0)),
            ("+02", Some(7200)),
            ("-0330", Some(-12_600)),
            ("+05:45", Some(20_700)),
            ("PDT", Some(-25_200)),
            ("CEST", Some(7200)),
            ("WARN", None),
            ("", None),
        ] {
            assert_eq!(offset(text), seconds, "{text}");
        }
    }
}
