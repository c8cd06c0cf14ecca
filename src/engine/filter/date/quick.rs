//! The two commonest dates read by hand, because nearly every line of a log begins with one.
//!
//! Comes in: a line. Goes out: what the template of the same date would find, sooner; or nothing,
//! and then the template decides.

use std::ops::Range;

use crate::engine::filter::date::moment::{Moment, fraction, month};
use crate::engine::filter::date::zone;

/// Reads a date at the beginning of a line: where it stands, and what it says.
pub(crate) type Read = fn(&[u8]) -> Option<(Range<usize>, Moment)>;

/// `Nov 21 10:11:12`, without a fraction or a year behind it.
pub(crate) fn syslog(line: &[u8]) -> Option<(Range<usize>, Moment)> {
    let start = blanks(line);
    let text = line.get(start..)?;
    let (date, rest) = text.split_at_checked(15)?;
    let &[_, _, _, b' ', d, e, b' ', h, i, b':', m, n, b':', s, t] = date else {
        return None;
    };
    let day = if d == b' ' { digit(e)? } else { pair(d, e)? };
    let moment = Moment {
        month: Some(month(date)?),
        day: Some(within(day, 1, 31)?),
        hour: within(pair(h, i)?, 0, 23)?,
        minute: within(pair(m, n)?, 0, 59)?,
        second: within(pair(s, t)?, 0, 59)?,
        ..Moment::default()
    };
    // A fraction or a year may follow, or the date may go on as a word.
    let more = match rest {
        [b'.' | b' ', next, ..] => next.is_ascii_digit(),
        [next, ..] => is_word(*next),
        [] => false,
    };
    (!more).then_some((start..start + date.len(), moment))
}

/// `2026-11-21T10:11:12.345678+01:00`, or with a blank between and perhaps no fraction or zone.
pub(crate) fn iso(line: &[u8]) -> Option<(Range<usize>, Moment)> {
    let start = blanks(line);
    let text = line.get(start..)?;
    let (date, mut rest) = text.split_at_checked(19)?;
    let &[
        c @ (b'1' | b'2'),
        d,
        y,
        z,
        b'-',
        o,
        p,
        b'-',
        e,
        f,
        b'T' | b' ',
        h,
        i,
        b':',
        m,
        n,
        b':',
        s,
        t,
    ] = date
    else {
        return None;
    };
    let year = i16::from(pair(c, d)?) * 100 + i16::from(pair(y, z)?);
    let mut moment = Moment {
        year: Some(year).filter(|year| (1900..=2099).contains(year)),
        month: Some(within(pair(o, p)?, 1, 12)?),
        day: Some(within(pair(e, f)?, 1, 31)?),
        hour: within(pair(h, i)?, 0, 23)?,
        minute: within(pair(m, n)?, 0, 59)?,
        second: within(pair(s, t)?, 0, 59)?,
        ..Moment::default()
    };
    moment.year?;
    if let Some((digits, behind)) = decimals(rest) {
        moment.nanosecond = fraction(digits)?;
        rest = behind;
    }
    if let Some((seconds, behind)) = offset(rest) {
        moment.offset = Some(seconds);
        rest = behind;
    }
    // Anything that might still belong to the date is the template's to judge.
    let done = match rest {
        [b' ', b'+' | b'-' | b'Z' | b'U' | b'G' | b' ' | b'\t', ..] => false,
        [next, ..] => *next != b'\t' && !is_word(*next) && !b"+-.,".contains(next),
        [] => true,
    };
    done.then_some((start..line.len() - rest.len(), moment))
}

/// How many characters to leave out before the date: none, or one bracket.
fn blanks(line: &[u8]) -> usize {
    usize::from(matches!(line.first(), Some(b'[' | b'<' | b'(')))
}

/// The digits of a fraction, and what is behind them.
fn decimals(text: &[u8]) -> Option<(&str, &[u8])> {
    let [b'.' | b',', digits @ ..] = text else {
        return None;
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, behind) = digits.split_at_checked(count)?;
    Some((std::str::from_utf8(digits).ok()?, behind))
}

/// A zone right behind the time, in seconds east of UTC, and what is behind it.
fn offset(text: &[u8]) -> Option<(i32, &[u8])> {
    let length = match text {
        [b'Z', ..] => 1,
        [b'+' | b'-', _, _, b':', ..] => 6,
        [b'+' | b'-', ..] => 5,
        _ => return None,
    };
    let (name, behind) = text.split_at_checked(length)?;
    let &[_, ref digits @ ..] = name else {
        return None;
    };
    let &[h, _, .., m, _] = digits else {
        return (length == 1).then_some((0, behind));
    };
    let plain = digits.iter().all(|b| b.is_ascii_digit() || *b == b':');
    let in_range = h <= b'1' && m <= b'5';
    let name = std::str::from_utf8(name).ok()?;
    Some((zone::offset(name).filter(|_| plain && in_range)?, behind))
}

fn digit(byte: u8) -> Option<i8> {
    i8::try_from(byte.checked_sub(b'0')?)
        .ok()
        .filter(|n| *n <= 9)
}

fn pair(tens: u8, ones: u8) -> Option<i8> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn within(value: i8, low: i8, high: i8) -> Option<i8> {
    (low..=high).contains(&value).then_some(value)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
