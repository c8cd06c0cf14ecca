//! The text of one option to a typed value.
//!
//! Comes in: text, expanded. Goes out: a value that `engine::settings` accepts, or why not. Pure.

use crate::config::span;
use crate::engine::settings::{MatchGroup, Matches};
use crate::engine::time::{BanTime, Span};

/// `true` for 1, on, true and yes, `false` for 0, off, false and no.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "on" | "true" | "yes" => Some(true),
        "0" | "off" | "false" | "no" | "" => Some(false),
        _ => None,
    }
}

/// A whole number within bounds.
pub(crate) fn number(text: &str, low: u32, high: u32) -> Result<u32, String> {
    match text.trim().parse::<i64>() {
        Err(_) => Err(format!("'{}' is no whole number", text.trim())),
        Ok(number) => u32::try_from(number)
            .ok()
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("{number} is out of range: {low} to {high}")),
    }
}

/// A time that is longer than nothing.
pub(crate) fn time(text: &str) -> Result<Span, String> {
    match ban_time(text)? {
        BanTime::For(span) => Ok(span),
        BanTime::Forever => Err("a time cannot be negative here".to_owned()),
    }
}

/// A time that may be nothing.
pub(crate) fn time_or_none(text: &str) -> Result<Span, String> {
    match span::seconds(text) {
        Ok(0.0) => Ok(Span::ZERO),
        _ => time(text),
    }
}

/// The length of a ban: a negative one is for ever.
pub(crate) fn ban_time(text: &str) -> Result<BanTime, String> {
    let wrong = |reason| format!("'{}' is no time: {reason}", text.trim());
    let seconds = span::seconds(text).map_err(wrong)?;
    if seconds < 0.0 {
        return Ok(BanTime::Forever);
    }
    let micros =
        std::time::Duration::try_from_secs_f64(seconds.min(TIME_MAX)).map(|d| d.as_micros());
    let micros = micros.ok().and_then(|micros| u64::try_from(micros).ok());
    match micros {
        Some(micros @ 1_000_000..) => Ok(BanTime::For(Span::from_usec(micros))),
        _ => Err(format!("'{}' is shorter than a second", text.trim())),
    }
}

/// A hundred years of seconds; more is as good as that.
const TIME_MAX: f64 = 3_155_760_000.0;

/// `FIELD=value FIELD=value + …`; every line and every `+` begins another group.
pub(crate) fn matches(text: &str) -> Result<Matches, String> {
    let mut groups: Vec<MatchGroup> = Vec::new();
    for line in text.lines() {
        let mut group = MatchGroup::new();
        for word in words(line)? {
            if word == "+" {
                groups.push(std::mem::take(&mut group));
                continue;
            }
            let term = word.split_once('=').filter(|(field, _)| is_field(field));
            let (field, value) = term.ok_or_else(|| format!("'{word}' is not FIELD=value"))?;
            let values = group.entry(field.to_owned()).or_default();
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        groups.push(group);
    }
    groups.retain(|group| !group.is_empty());
    Ok(Matches(groups))
}

/// The words of a line, quoted as in a shell.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is never closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// As journald has them: upper case, digits and `_`, at most 64 characters.
fn is_field(name: &str) -> bool {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_matches_are_words_groups_and_lines() {
        for (text, expected) in [
            ("A=1 A=2 B=x", Ok("A=1 A=2 B=x")),
            (
                "A=1 + B=2\nC='a b' D=\"c\\\"d\"",
                Ok("A=1 + B=2 + C=a b D=c\"d"),
            ),
            ("", Ok("")),
            ("+ A=1 +", Ok("A=1")),
            ("a=1", Err("'a=1' is not FIELD=value")),
            ("A", Err("'A' is not FIELD=value")),
            ("A='1", Err("a quote is never closed")),
        ] {
            let found = matches(text).map(|matches| matches.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn times_and_numbers_have_bounds() {
        assert_eq!(ban_time("-1"), Ok(BanTime::Forever));
        assert_eq!(
            ban_time("1000y * 1000"),
            Ok(BanTime::For(Span::from_secs(3_155_760_000)))
        );
        assert!(ban_time("0").is_err());
        assert!(time("-1").is_err());
        assert_eq!(number("3", 1, 5), Ok(3));
        for text in ["0", "6", "-3", "99999999999", "three"] {
            assert!(number(text, 1, 5).is_err(), "{text}");
        }
    }
}
