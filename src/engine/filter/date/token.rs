//! The language of date patterns: what `%Y` and its like match, and which part of a date that is.
//!
//! Comes in: a pattern, a regular expression with `%` and one letter (or `%Ex` and one letter, for
//! fixed widths) for each part of a date. Goes out: the regular expression, and which of its capture
//! groups holds what. Nothing is compiled here.

use std::fmt::Write;

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Four digits.
    Year,
    /// Two digits of the year of this century, or the last.
    ShortYear,
    /// A number.
    Month,
    /// An English name, or how it begins.
    MonthName,
    /// Of the month.
    Day,
    /// 0 to 23.
    Hour,
    /// 1 to 12.
    Hour12,
    /// Its minute.
    Minute,
    /// 60 and 61 are leap seconds.
    Second,
    /// The digits after the decimal point of a second.
    Fraction,
    /// `am` or `pm`.
    HalfDay,
    /// An offset from UTC, or the name of a zone.
    Zone,
    /// An English name of a day, or how it begins.
    WeekdayName,
    /// 0, Sunday, to 6.
    Weekday,
    /// 1, Monday, to 7.
    IsoWeekday,
    /// 1 to 366.
    DayOfYear,
    /// Of the year, beginning on Sundays.
    SundayWeek,
    /// Of the year, beginning on Mondays.
    MondayWeek,
    /// Of the year by ISO 8601: the first has the year's first Thursday.
    IsoWeek,
    /// The year that has most of such a week.
    IsoYear,
    /// Seconds since 1970, or milliseconds or microseconds by the number of digits.
    Epoch,
    /// A label of TAI64N, in hexadecimal digits.
    Tai64n,
}

/// What names share is written once, so that one look at each byte decides.
const MONTH: &str = "(?i:j(?:an|u[nl])|feb|ma[ry]|a(?:pr|ug)|sep|oct|nov|dec)";
const FULL_MONTH: &str = "(?i:j(?:an(?:uary)?|u(?:ne?|ly?))|feb(?:ruary)?|ma(?:r(?:ch)?|y)|\
                          a(?:pr(?:il)?|ug(?:ust)?)|sep(?:tember)?|oct(?:ober)?|\
                          nov(?:ember)?|dec(?:ember)?)";
const WEEKDAY: &str = "(?i:mon|t(?:ue|hu)|wed|fri|s(?:at|un))";
const FULL_WEEKDAY: &str = "(?i:mon(?:day)?|t(?:ue(?:sday)?|hu(?:rsday)?)|wed(?:nesday)?|\
                            fri(?:day)?|s(?:at(?:urday)?|un(?:day)?))";
const OFFSET: &str = "(?:Z|UTC|GMT|[+-][01][0-9](?::?[0-5][0-9])?)";
const ZONE_NAME: &str = "(?:Z|[A-Z]{3,5})";
const ZONE: &str = "(?:Z|[A-Z]{3,5}|[+-][01][0-9](?::?[0-5][0-9])?)";

/// Seconds since 1970, with a fraction.
pub(crate) const EPOCH: &str = r"[0-9]{10,11}(?:\.[0-9]{3,6})?";

/// The same, or milliseconds or microseconds.
const LONG_EPOCH: &str = r"[0-9]{10,11}(?:[0-9]{3}(?:[0-9]{3})?)?(?:\.[0-9]{3,6})?";

/// Seconds and nanoseconds.
pub(crate) const TAI64N: &str = "@4[0-9a-f]{23}";

/// What a letter after `%` stands for.
fn token(letter: char) -> Option<(Field, &'static str)> {
    Some(match letter {
        'Y' => (Field::Year, "[0-9]{4}"),
        'y' => (Field::ShortYear, "[0-9]{2}"),
        'm' => (Field::Month, "(?:1[0-2]|0?[1-9])"),
        'b' => (Field::MonthName, MONTH),
        'B' => (Field::MonthName, FULL_MONTH),
        'd' => (Field::Day, "(?:3[01]|[12][0-9]|[ 0]?[1-9])"),
        'H' => (Field::Hour, "(?:2[0-3]|[01]?[0-9])"),
        'k' => (Field::Hour, " ?(?:2[0-3]|[01]?[0-9])"),
        'I' => (Field::Hour12, "(?:1[0-2]|0?[1-9])"),
        'l' => (Field::Hour12, " ?(?:1[0-2]|0?[1-9])"),
        'M' => (Field::Minute, "[0-5]?[0-9]"),
        'S' => (Field::Second, "(?:6[01]|[0-5]?[0-9])"),
        'f' => (Field::Fraction, "[0-9]{1,9}"),
        'p' => (Field::HalfDay, "(?i:[ap]m)"),
        'z' => (Field::Zone, OFFSET),
        'Z' => (Field::Zone, ZONE_NAME),
        'a' => (Field::WeekdayName, WEEKDAY),
        'A' => (Field::WeekdayName, FULL_WEEKDAY),
        'w' => (Field::Weekday, "[0-6]"),
        'u' => (Field::IsoWeekday, "[1-7]"),
        'j' => (
            Field::DayOfYear,
            "(?:36[0-6]|3[0-5][0-9]|[12][0-9]{2}|0?[1-9][0-9]|0{0,2}[1-9])",
        ),
        'U' => (Field::SundayWeek, "(?:5[0-3]|[0-4]?[0-9])"),
        'W' => (Field::MondayWeek, "(?:5[0-3]|[0-4]?[0-9])"),
        'V' => (Field::IsoWeek, "(?:5[0-3]|[1-4][0-9]|0?[1-9])"),
        'G' => (Field::IsoYear, "[0-9]{4}"),
        's' => (Field::Epoch, EPOCH),
        _ => return None,
    })
}

/// What a letter after `%Ex` stands for.
fn exact_token(letter: char) -> Option<(Field, &'static str)> {
    Some(match letter {
        'Y' => (Field::Year, "(?:19|20)[0-9]{2}"),
        'm' => (Field::Month, "(?:1[0-2]|0[1-9])"),
        'd' => (Field::Day, "(?:3[01]|[12][0-9]|0[1-9])"),
        'H' => (Field::Hour, "(?:2[0-3]|[01][0-9])"),
        'M' => (Field::Minute, "[0-5][0-9]"),
        'S' => (Field::Second, "(?:6[01]|[0-5][0-9])"),
        'z' => (Field::Zone, ZONE),
        'y' | 'k' | 'l' | 'Z' => return token(letter),
        _ => return None,
    })
}

/// A pattern with its tokens replaced by groups.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The regular expression, in Python's syntax as far as its author wrote it.
    pub(crate) regex: String,
    /// What the groups hold that were put in, each named [`group`] and its place in here.
    pub(crate) fields: Vec<Field>,
}

/// The name of the group of a field.
pub(crate) fn group(index: usize) -> String {
    format!("date_{index}")
}

/// Replaces the tokens of `pattern`.
///
/// # Errors
/// What is no token.
pub(crate) fn expand(pattern: &str) -> Result<Expanded, String> {
    let mut out = Expanded::default();
    let mut rest = pattern;
    while let Some(at) = rest.find(['%', '{']) {
        let (before, from) = rest.split_at(at);
        out.regex.push_str(before);
        let braced = [
            ("{EPOCH}", Field::Epoch, EPOCH),
            ("{LEPOCH}", Field::Epoch, LONG_EPOCH),
            ("{TAI64N}", Field::Tai64n, TAI64N),
        ];
        let special = braced.into_iter().find_map(|(text, field, regex)| {
            let head = from.get(..text.len())?;
            let tail = from.get(text.len()..)?;
            let known = head.eq_ignore_ascii_case(text);
            known.then_some((field, regex, tail))
        });
        rest = if let Some((field, regex, tail)) = special {
            out.push(field, regex);
            tail
        } else if let Some(tail) = from.strip_prefix('{') {
            out.regex.push('{');
            tail
        } else {
            let tail = from.strip_prefix('%').unwrap_or_default();
            percent(tail, &mut out)?
        };
    }
    out.regex.push_str(rest);
    Ok(out)
}

/// One token, its `%` taken off; what is left after it.
fn percent<'a>(text: &'a str, out: &mut Expanded) -> Result<&'a str, String> {
    if let Some(tail) = text.strip_prefix('%') {
        out.regex.push('%');
        return Ok(tail);
    }
    let exact = text.strip_prefix("Ex");
    let mut tail = exact.unwrap_or(text).chars();
    let found = match (tail.next(), exact) {
        (Some(letter), None) => token(letter),
        (Some(letter), Some(_)) => exact_token(letter),
        (None, _) => None,
    };
    let Some((field, regex)) = found else {
        let shown: String = text.chars().take(exact.map_or(1, |_| 3)).collect();
        return Err(format!(
            "'%{shown}' stands for no part of a date: a plain percent sign is written '%%'"
        ));
    };
    out.push(field, regex);
    Ok(tail.as_str())
}

impl Expanded {
    fn push(&mut self, field: Field, regex: &str) {
        let name = group(self.fields.len());
        // Writing to a string cannot fail.
        let _ = write!(self.regex, "(?P<{name}>{regex})");
        self.fields.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_becomes_one_group() {
        let expanded = expand("%Y-%Exm 100%% {epoch} a{2}").unwrap();
        assert_eq!(
            expanded.regex,
            format!(
                "(?P<date_0>[0-9]{{4}})-(?P<date_1>(?:1[0-2]|0[1-9])) 100% (?P<date_2>{EPOCH}) a{{2}}"
            )
        );
        assert_eq!(
            expanded.fields,
            [Field::Year, Field::Month, Field::Epoch].as_slice()
        );
    }

    #[test]
    fn what_is_no_token_is_refused_by_name() {
        for (pattern, shown) in [("%Y %x", "'%x'"), ("%Exq", "'%Exq'"), ("5%", "'%'")] {
            let error = expand(pattern).unwrap_err();
            assert!(error.contains(shown), "{pattern}: {error}");
        }
    }
}
