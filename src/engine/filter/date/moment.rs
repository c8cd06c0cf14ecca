//! The parts of a date put together.
//!
//! Comes in: what a line said, which may lack the year or the whole day, the time zone of dates that
//! name none, and the present. Goes out: a point in time, or nothing where there is no such day.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::{Offset, TimeZone};

use crate::engine::filter::date::token::Field;
use crate::engine::filter::date::zone;
use crate::engine::time::{Span, Timestamp};

/// The parts of a date that a line named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) year: Option<i16>,
    /// The year has two digits.
    pub(crate) is_short_year: bool,
    pub(crate) month: Option<i8>,
    pub(crate) day: Option<i8>,
    pub(crate) hour: i8,
    /// `hour` is on the clock's face, 1 to 12.
    pub(crate) is_half_day: bool,
    pub(crate) is_afternoon: bool,
    pub(crate) minute: i8,
    pub(crate) second: i8,
    pub(crate) nanosecond: i32,
    /// Seconds east of UTC.
    pub(crate) offset: Option<i32>,
    pub(crate) weekday: Option<Weekday>,
    pub(crate) day_of_year: Option<i16>,
    /// Which week, and on which day weeks begin.
    pub(crate) week: Option<(Weekday, i16)>,
    pub(crate) iso_week: Option<i8>,
    pub(crate) iso_year: Option<i16>,
    /// The whole date as one number, in microseconds.
    pub(crate) epoch: Option<u64>,
}

/// A date without a year lies at most this far in the future.
const AHEAD: Span = Span::from_secs(86_400);

impl Moment {
    /// Takes in what `text` says of `field`; `None` if that is nothing.
    pub(crate) fn set(&mut self, field: Field, text: &str) -> Option<()> {
        match field {
            Field::Year => self.year = Some(number(text)?),
            Field::ShortYear => {
                self.year = Some(number(text)?);
                self.is_short_year = true;
            }
            Field::Month => self.month = Some(narrow(text)?),
            Field::MonthName => self.month = Some(month(text.as_bytes())?),
            Field::Day => self.day = Some(narrow(text)?),
            Field::Hour => self.hour = narrow(text)?,
            Field::Hour12 => {
                self.hour = narrow(text)?;
                self.is_half_day = true;
            }
            Field::Minute => self.minute = narrow(text)?,
            // A leap second is its minute's last.
            Field::Second => self.second = narrow(text)?.min(59),
            Field::Fraction => self.nanosecond = fraction(text)?,
            Field::HalfDay => self.is_afternoon = text.starts_with(['p', 'P']),
            Field::Zone => self.offset = Some(zone::offset(text)?),
            Field::WeekdayName => self.weekday = Some(weekday(text)?),
            Field::Weekday => {
                self.weekday = Some(Weekday::from_sunday_zero_offset(narrow(text)?).ok()?);
            }
            Field::IsoWeekday => {
                self.weekday = Some(Weekday::from_monday_one_offset(narrow(text)?).ok()?);
            }
            Field::IsoWeek => self.iso_week = Some(narrow(text)?),
            Field::IsoYear => self.iso_year = Some(number(text)?),
            Field::DayOfYear => self.day_of_year = Some(number(text)?),
            Field::SundayWeek => self.week = Some((Weekday::Sunday, number(text)?)),
            Field::MondayWeek => self.week = Some((Weekday::Monday, number(text)?)),
            Field::Epoch => self.epoch = Some(epoch(text)?),
            Field::Tai64n => self.epoch = Some(tai64n(text)?),
        }
        Some(())
    }

    /// The point in time; `None` where there is no such day, or it is before 1970.
    pub(crate) fn resolve(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        if let Some(epoch) = self.epoch {
            return Some(Timestamp::from_usec(epoch));
        }
        let own = match self.offset {
            Some(seconds) => Some(Offset::from_seconds(seconds).ok()?.to_time_zone()),
            None => None,
        };
        let zone = own.as_ref().unwrap_or(zone);
        let time = Time::new(self.hour(), self.minute, self.second, self.nanosecond).ok()?;
        let at = |date: Date| point(date.to_datetime(time), zone);
        let today = day(now, zone)?;
        let in_year = |year| at(self.day_in(year, today)?);
        if let Some(year) = self.full_year(today) {
            return in_year(year);
        }
        if self.has_day_of_year() {
            let latest = day(now.plus(AHEAD), zone)?.year();
            return in_year(latest)
                .filter(|time| *time <= now.plus(AHEAD))
                .or_else(|| in_year(latest - 1));
        }
        match self.day {
            Some(day) => at(today.with().day(day).build().ok()?),
            None => at(today)
                .filter(|time| *time <= now)
                .or_else(|| at(today.yesterday().ok()?)),
        }
    }

    fn hour(&self) -> i8 {
        if !self.is_half_day {
            return self.hour;
        }
        self.hour % 12 + if self.is_afternoon { 12 } else { 0 }
    }

    /// Of two digits, the year of our century, or of the last one where that is too far ahead.
    fn full_year(&self, today: Date) -> Option<i16> {
        let year = self.year.or(self.iso_year)?;
        if !self.is_short_year {
            return Some(year);
        }
        let this = today.year();
        let year = this - this % 100 + year;
        Some(if year > this + 50 { year - 100 } else { year })
    }

    /// Whether the date says which day of some year it is.
    fn has_day_of_year(&self) -> bool {
        let has_week = self.week.is_some() || self.iso_week.is_some();
        self.month.is_some() || self.day_of_year.is_some() || has_week && self.weekday.is_some()
    }

    /// The day of a year, by whatever is known of it; else as today.
    fn day_in(&self, year: i16, today: Date) -> Option<Date> {
        if let Some(month) = self.month {
            return Date::new(year, month, self.day.unwrap_or(1)).ok();
        }
        let first = Date::new(year, 1, 1).ok()?;
        let days = match (self.day_of_year, self.iso_week, self.week, self.weekday) {
            (Some(day), ..) => i32::from(day) - 1,
            (None, Some(week), _, Some(weekday)) => {
                let year = self.iso_year.unwrap_or(year);
                return Some(ISOWeekDate::new(year, week, weekday).ok()?.date());
            }
            (None, None, Some((start, week)), Some(weekday)) => {
                // Days before the year's first Sunday, or Monday, are in week 0.
                let before = i32::from(start.since(first.weekday()));
                before + (i32::from(week) - 1) * 7 + i32::from(weekday.since(start))
            }
            _ => {
                let day = self.day.unwrap_or(today.day());
                return Date::new(year, today.month(), day).ok();
            }
        };
        let date = first.checked_add(jiff::Span::new().days(days)).ok()?;
        Some(date).filter(|date| date.year() == year)
    }
}

/// The day that it is at some time.
fn day(now: Timestamp, zone: &TimeZone) -> Option<Date> {
    let micros = i64::try_from(now.usec()).ok()?;
    let now = jiff::Timestamp::from_microsecond(micros).ok()?;
    Some(zone.to_datetime(now).date())
}

/// Of an hour that the clock shows twice the first, and of one it skips, as far after the jump.
fn point(civil: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let time = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    Some(Timestamp::from_usec(time.as_microsecond().try_into().ok()?))
}

/// A number, perhaps with a blank in front.
fn number(text: &str) -> Option<i16> {
    text.trim_start().parse().ok()
}

fn narrow(text: &str) -> Option<i8> {
    text.trim_start().parse().ok()
}

/// The month whose English name begins with these three letters.
pub(crate) fn month(name: &[u8]) -> Option<i8> {
    let &[a, b, c, ..] = name else {
        return None;
    };
    Some(match [a, b, c].map(|byte| byte.to_ascii_lowercase()) {
        [b'j', b'a', b'n'] => 1,
        [b'f', b'e', b'b'] => 2,
        [b'm', b'a', b'r'] => 3,
        [b'a', b'p', b'r'] => 4,
        [b'm', b'a', b'y'] => 5,
        [b'j', b'u', b'n'] => 6,
        [b'j', b'u', b'l'] => 7,
        [b'a', b'u', b'g'] => 8,
        [b's', b'e', b'p'] => 9,
        [b'o', b'c', b't'] => 10,
        [b'n', b'o', b'v'] => 11,
        [b'd', b'e', b'c'] => 12,
        _ => return None,
    })
}

fn weekday(name: &str) -> Option<Weekday> {
    let begins = |with: &str| name.get(..3).is_some_and(|n| n.eq_ignore_ascii_case(with));
    let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let index = names.iter().position(|name| begins(name))?;
    Weekday::from_sunday_zero_offset(i8::try_from(index).ok()?).ok()
}

/// Nanoseconds of the digits after a decimal point.
pub(crate) fn fraction(digits: &str) -> Option<i32> {
    let places = u32::try_from(digits.len()).ok()?;
    let value: i32 = digits.parse().ok()?;
    value.checked_mul(10_i32.checked_pow(9_u32.checked_sub(places)?)?)
}

/// Microseconds since 1970: of seconds, milliseconds or microseconds by the number of digits.
fn epoch(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let unit = match whole.len() {
        ..=11 => 1_000_000,
        12..=14 => 1_000,
        _ => 1,
    };
    let nanoseconds = match decimals {
        "" => 0,
        digits => u64::try_from(fraction(digits)?).ok()?,
    };
    let value: u64 = whole.parse().ok()?;
    value
        .checked_mul(unit)?
        .checked_add(nanoseconds * unit / 1_000_000_000)
}

/// The clock is taken for the wall clock, as everybody sets it: no leap seconds are subtracted.
fn tai64n(label: &str) -> Option<u64> {
    let digits = label.strip_prefix('@')?;
    let seconds = u64::from_str_radix(digits.get(..16)?, 16).ok()?;
    let nanoseconds = u64::from_str_radix(digits.get(16..)?, 16).ok()?;
    seconds
        .checked_sub(1 << 62)?
        .checked_mul(1_000_000)?
        .checked_add(nanoseconds / 1000)
}
