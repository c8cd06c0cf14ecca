//! `logencoding` and `logtimezone`: how the bytes and the dates of log files are read.
//!
//! Comes in: text. Goes out: an encoding, a time zone, or why not. The host's own zone and the names of
//! zones are asked of the system here, and nowhere else.

use encoding_rs::Encoding;
use jiff::tz::{Offset, TimeZone};

/// The encoding of this name, as Python or the Web calls it; `None` for UTF-8.
///
/// # Errors
/// There is none.
pub(crate) fn encoding(text: &str) -> Result<Option<&'static Encoding>, String> {
    let name = text.trim().to_lowercase();
    if [
        "",
        "auto",
        "locale",
        "utf8",
        "utf_8",
        "utf-8-sig",
        "utf_8_sig",
    ]
    .contains(&name.as_str())
    {
        return Ok(None);
    }
    let hyphened = name.replace(['_', ' '], "-");
    let bare = hyphened.replace('-', "");
    let found = [name.as_str(), &hyphened, &bare]
        .into_iter()
        .find_map(|label| Encoding::for_label_no_replacement(label.as_bytes()));
    match found {
        Some(encoding) => Ok(Some(encoding).filter(|it| *it != encoding_rs::UTF_8)),
        None => Err(format!(
            "'{name}' is no encoding that is known: use auto, utf-8, latin-1, koi8-r, …"
        )),
    }
}

/// The time zone of the host.
pub(crate) fn host_zone() -> TimeZone {
    TimeZone::system()
}

/// The time zone of this name: `UTC`, `Z`, `GMT+1`, `CET+0100`, `+02:00`, `Europe/Berlin`.
///
/// # Errors
/// There is none.
pub(crate) fn zone(text: &str) -> Result<TimeZone, String> {
    let text = text.trim();
    if ["Z", "UTC", "GMT"].contains(&text) {
        return Ok(TimeZone::UTC);
    }
    let letters = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .len();
    let offset = text
        .get(letters..)
        .filter(|_| letters <= 5)
        .and_then(offset);
    if let Some(offset) = offset {
        return Ok(offset.to_time_zone());
    }
    TimeZone::get(text).map_err(|_| {
        format!("'{text}' is no time zone: use UTC, UTC+0200 or a name such as Europe/Berlin")
    })
}

/// `+2`, `+02`, `-0330`, `+05:30`: east of Greenwich is positive.
fn offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text.get(1..)?;
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    let number = |text: &str, lengths: &[usize], max: i32| {
        let digits = text.chars().all(|c| c.is_ascii_digit()) && lengths.contains(&text.len());
        text.parse::<i32>()
            .ok()
            .filter(|number| digits && *number <= max)
    };
    let seconds = number(hours, &[1, 2], 23)? * 3600 + number(minutes, &[2], 59)? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_the_names_of_python_and_the_web() {
        for (text, expected) in [
            ("auto", None),
            ("UTF-8", None),
            ("utf_8", None),
            ("latin-1", Some("windows-1252")),
            ("iso8859_15", Some("ISO-8859-15")),
            ("cp1251", Some("windows-1251")),
            ("KOI8-R", Some("KOI8-R")),
            ("shift_jis", Some("Shift_JIS")),
            ("euc_jp", Some("EUC-JP")),
            ("ascii", Some("windows-1252")),
        ] {
            let found = encoding(text).map(|found| found.map(Encoding::name));
            assert_eq!(found, Ok(expected), "{text}");
        }
        assert!(encoding("utf-7").is_err());
        assert!(encoding("rot13").is_err());
    }

    #[test]
    fn zones_are_offsets_or_names() {
        for (text, seconds) in [
            ("UTC", 0),
            ("Z", 0),
            ("UTC+0200", 7200),
            ("GMT-3", -10_800),
            ("CET+01:00", 3600),
            ("+05:30", 19_800),
            ("-0330", -12_600),
        ] {
            let offset = zone(text).map(|zone| zone.to_fixed_offset().map(Offset::seconds).ok());
            assert_eq!(offset, Ok(Some(seconds)), "{text}");
        }
        for text in ["UTC+", "UTC+25", "+1:5", "Nowhere/Land", "2"] {
            assert!(zone(text).is_err(), "{text}");
        }
    }
}
