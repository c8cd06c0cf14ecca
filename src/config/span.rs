//! Time expressions: `10m`, `1d 6h`, `2*3600`, `-1`.
//!
//! Comes in: text. Goes out: seconds, or why not. Pure, and no text makes it slow or deep.

/// The value of `text` in seconds; negative where it says so.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let mut parser = Parser {
        rest: text.trim(),
        depth: 0,
    };
    let value = parser.sum()?;
    match parser.rest {
        "" if value.is_finite() => Ok(value),
        "" => Err("it is no finite number".to_owned()),
        rest => Err(format!("'{}' makes no sense there", start(rest))),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// So deep may parentheses and signs nest.
const DEPTH_MAX: usize = 20;

impl Parser<'_> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut total = self.product()?;
        loop {
            if self.takes('+') {
                total += self.product()?;
            } else if self.takes('-') {
                total -= self.product()?;
            } else if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                // '1d 6h': what stands side by side is added.
                total += self.product()?;
            } else {
                return Ok(total);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut product = self.signed()?;
        loop {
            if self.takes('*') {
                product *= self.signed()?;
            } else if self.takes('/') {
                product /= self.signed()?;
            } else {
                return Ok(product);
            }
        }
    }

    fn signed(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is too deeply nested".to_owned());
        }
        let value = if self.takes('-') {
            -self.signed()?
        } else if self.takes('(') {
            let inner = self.sum()?;
            if !self.takes(')') {
                return Err("a ')' is missing".to_owned());
            }
            inner
        } else {
            self.number()?
        };
        self.depth -= 1;
        Ok(value)
    }

    /// A number with or without a unit.
    fn number(&mut self) -> Result<f64, String> {
        let end = |rest: &str, of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let digits = end(self.rest, |c| c.is_ascii_digit() || c == '.');
        let (number, rest) = self.rest.split_at(digits);
        let Ok(number) = number.parse::<f64>() else {
            return Err(match start(self.rest) {
                "" => "a number is missing at its end".to_owned(),
                found => format!("'{found}' stands where a number should"),
            });
        };
        let rest = rest.trim_start();
        let (word, rest) = rest.split_at(end(rest, char::is_alphabetic));
        let unit = match word {
            "" => 1.0,
            word => unit(word).ok_or_else(|| {
                format!("'{word}' is no unit of time: use s, m, h, d, w, mo or y")
            })?,
        };
        self.rest = rest.trim_start();
        let next = self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if word.is_empty() && next {
            return Err(format!(
                "an operator or a unit is missing before '{}'",
                start(self.rest)
            ));
        }
        Ok(number * unit)
    }

    fn takes(&mut self, symbol: char) -> bool {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

/// The seconds in a unit.
fn unit(word: &str) -> Option<f64> {
    Some(match word.to_lowercase().as_str() {
        "s" | "ss" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "mm" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hh" | "hou" | "hour" | "hours" => 3600.0,
        "d" | "dd" | "da" | "day" | "days" => 86_400.0,
        "w" | "ww" | "wee" | "week" | "weeks" => 604_800.0,
        "mo" | "mon" | "month" | "months" => 2_629_800.0,
        "y" | "yy" | "yea" | "year" | "years" => 31_557_600.0,
        _ => return None,
    })
}

/// The beginning of `text`, for people.
fn start(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_computed_like_fail2bans() {
        for (text, expected) in [
            ("600", 600.0),
            ("10m", 600.0),
            ("10 Min", 600.0),
            ("1d 6h", 108_000.0),
            ("1d12h30m", 131_400.0),
            ("1h+30min", 5400.0),
            ("1y-6mo", 15_778_800.0),
            ("2*3600", 7200.0),
            ("1.5h", 5400.0),
            ("(1h + 5m) / 5", 780.0),
            ("-1", -1.0),
            (" 1 week 2 days ", 777_600.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "missing"),
            ("10 minits", "'minits' is no unit"),
            ("ten", "'ten' stands where a number should"),
            ("1 2", "missing before '2'"),
            ("(1", "')' is missing"),
            ("1/0", "no finite"),
            ("10m)", "makes no sense"),
            ("1..2", "'1..2' stands"),
        ] {
            let error = seconds(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(seconds(&"-".repeat(100_000)).is_err());
        assert!(seconds(&"(".repeat(100_000)).is_err());
    }
}
