//! `bantime.*`: how bans grow.
//!
//! Comes in: the texts of the options. Goes out: an [`Escalation`], or which option is wrong and why. Pure.

use crate::config::reading::Reading;
use crate::config::value;
use crate::engine::ledger::formula::Formula;
use crate::engine::settings::Escalation;
use crate::engine::time::Span;

/// Reads `bantime.*`; `None` where bans do not grow.
pub(crate) fn read(reading: &mut Reading) -> Option<Escalation> {
    if !reading.switch("bantime.increment", false) {
        return None;
    }
    let mut escalation = match usual() {
        Ok(escalation) => escalation,
        Err(reason) => {
            let place = reading.place_of("bantime.increment");
            reading.error(&place, reason, "set 'bantime.formula'");
            return None;
        }
    };
    for key in OPTIONS {
        let text = reading.text(key).unwrap_or_default().to_owned();
        if let Err(reason) = set(&mut escalation, key, &text) {
            let place = reading.place_of(key);
            reading.error(&place, reason, format!("correct '{key}'"));
        }
    }
    Some(escalation)
}

/// The options beside `bantime.increment`.
const OPTIONS: [&str; 6] = [
    "bantime.formula",
    "bantime.factor",
    "bantime.multipliers",
    "bantime.maxtime",
    "bantime.rndtime",
    "bantime.overalljails",
];

/// How bans grow where nothing is said of it: they double.
fn usual() -> Result<Escalation, String> {
    Ok(Escalation {
        formula: Formula::parse(DOUBLING)?,
        factor: 1.0,
        multipliers: Vec::new(),
        max: None,
        random: Span::ZERO,
        all_jails: false,
    })
}

/// Twenty times at most.
const DOUBLING: &str = "ban.Time * (1 << min(ban.Count, 20)) * banFactor";

/// Sets what the option `key` says in `text`. An empty text says nothing.
///
/// # Errors
/// What is wrong with it.
fn set(escalation: &mut Escalation, key: &str, text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    match key {
        "bantime.formula" => escalation.formula = Formula::parse(text)?,
        "bantime.factor" => escalation.factor = factor(text)?,
        "bantime.multipliers" => {
            let words = text.split(|c: char| c == ',' || c.is_whitespace());
            let words = words.filter(|word| !word.is_empty());
            escalation.multipliers = words.map(factor).collect::<Result<_, _>>()?;
        }
        "bantime.maxtime" => escalation.max = Some(value::time(text)?),
        "bantime.rndtime" => escalation.random = value::time_or_none(text)?,
        _ => {
            let known = value::boolean(text);
            escalation.all_jails =
                known.ok_or_else(|| format!("'{text}' is neither true nor false"))?;
        }
    }
    Ok(())
}

/// A number, which may be computed: `2.0 / 2.885385`.
fn factor(text: &str) -> Result<f64, String> {
    let factor = Formula::constant(text)?;
    match factor >= 0.0 {
        true => Ok(factor),
        false => Err(format!("'{text}' is negative: bans would shrink")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_sets_its_part_or_says_why_not() {
        let mut escalation = usual().unwrap();
        for (key, text) in [
            ("bantime.formula", "ban.Time * 2"),
            ("bantime.factor", "2.0 / 0.5"),
            ("bantime.multipliers", "1 2 4, 8"),
            ("bantime.maxtime", "5w"),
            ("bantime.rndtime", "10m"),
            ("bantime.overalljails", "yes"),
            ("bantime.maxtime", ""),
        ] {
            assert_eq!(set(&mut escalation, key, text), Ok(()), "{key}");
        }

        assert_eq!(
            escalation,
            Escalation {
                formula: Formula::parse("ban.Time * 2").unwrap(),
                factor: 4.0,
                multipliers: vec![1.0, 2.0, 4.0, 8.0],
                max: Some(Span::from_secs(5 * 7 * 86_400)),
                random: Span::from_secs(600),
                all_jails: true,
            }
        );
        for (key, text, reason) in [
            ("bantime.factor", "much", "unknown name 'much'"),
            ("bantime.factor", "-1", "negative"),
            ("bantime.multipliers", "1 2 x", "unknown name 'x'"),
            ("bantime.maxtime", "-1", "cannot be negative"),
            ("bantime.rndtime", "soon", "'soon' is no time"),
            ("bantime.overalljails", "perhaps", "neither true nor false"),
        ] {
            let error = set(&mut escalation, key, text).unwrap_err();
            assert!(error.contains(reason), "{key} {text}: {error}");
        }
    }
}
