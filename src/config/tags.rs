//! `<name>` in a value, replaced by what the name stands for.
//!
//! Comes in: a value and somebody who knows what names stand for. Goes out: the value with every tag
//! replaced that is known, the innermost first, until nothing changes; others stay as they are, for
//! the engine or for whoever runs a command. Pure, and no text makes it slow or large.

use crate::config::compose::Composer;
use crate::config::diagnostic::Diagnostic;
use crate::config::tree::{VALUE_MAX, Value};

/// So deep may tags stand for other tags.
const PASSES_MAX: usize = 25;

/// Replaces the tags of `value`; `known` tells what one stands for, `None` where it stays.
///
/// # Errors
/// What `known` has to say, or that there is no end to it.
pub(crate) fn replace(
    mut value: Value,
    known: impl Fn(&str) -> Option<Result<Value, Diagnostic>>,
) -> Result<Value, Diagnostic> {
    for _ in 0..PASSES_MAX {
        let mut out = Composer::new(&value.lines);
        let mut rest = value.text.as_str();
        let mut changed = false;
        while let Some((before, name, after)) = innermost(rest) {
            out.push(before);
            match known(name) {
                Some(found) => {
                    let found = found?;
                    out.insert(&found.text, &found.lines, after);
                    changed = true;
                }
                None => out.push(&format!("<{name}>")),
            }
            rest = after;
            if out.len() > VALUE_MAX {
                return Err(endless(&value));
            }
        }
        out.push(rest);
        if !changed {
            return Ok(value);
        }
        (value.text, value.lines) = out.finish();
    }
    Err(endless(&value))
}

fn endless(value: &Value) -> Diagnostic {
    Diagnostic::error(
        value.entry.value_place(),
        "the tags in this value refer to themselves, or to too much",
        "break the circle",
    )
}

/// The text before the first tag that holds no other, its name, and the text after it.
fn innermost(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(length) = text.get(from..)?.find('>') {
        let end = from + length;
        // A '<' before `from` belongs to a tag that was looked at already.
        let head = text.get(from..end)?;
        let name = head
            .rfind('<')
            .and_then(|start| Some((from + start, head.get(start + 1..)?)));
        if let Some((start, name)) = name
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
        {
            return Some((text.get(..start)?, name, text.get(end + 1..)?));
        }
        from = end + 1;
    }
    None
}
