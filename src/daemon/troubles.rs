//! Troubles with those that find things out for us, each told once when it comes and once when it goes.
//!
//! Comes in: what a question was about and what is wrong with that. Goes out: lines of the log, and
//! sentences for the state. An attacker can make us ask, but not make a trouble be told twice.

use std::collections::BTreeMap;

use tracing::{error, info};

/// Subjects and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<String, String>);

impl Troubles {
    /// A subject has this trouble now, or none.
    pub(super) fn note(&mut self, subject: String, trouble: Option<String>) {
        let Self(known) = self;
        match trouble {
            None => {
                if known.remove(&subject).is_some() {
                    info!("this works again: {subject}");
                }
            }
            // What is wrong may be put in other words each time: the first ones stand.
            Some(trouble) => {
                known.entry(subject).or_insert_with(|| {
                    error!("{trouble}");
                    trouble
                });
            }
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong, a sentence each.
    pub(super) fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.values().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_for_a_trouble_stand_until_it_is_over() {
        let mut troubles = Troubles::default();
        let said = |troubles: &Troubles| troubles.sentences().collect::<Vec<_>>();
        for (trouble, expected) in [
            (None, &[][..]),
            (Some("first"), &["first"]),
            (Some("second"), &["first"]),
            (None, &[]),
            (Some("third"), &["third"]),
        ] {
            troubles.note("names".to_owned(), trouble.map(str::to_owned));
            assert_eq!(said(&troubles), expected);
        }
    }
}
