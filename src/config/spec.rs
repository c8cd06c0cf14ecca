//! The patterns of a filter.
//!
//! Comes in: the text of its options. Goes out: a compiled filter, or every pattern that cannot be
//! used with its place.

use crate::config::diagnostic::Place;
use crate::config::encoding;
use crate::config::reading::Reading;
use crate::config::value;
use crate::engine::filter::{Filter, FilterSpec, Names, Part, Text, steering};

/// More lines than this are not matched together.
const LINES_MAX: u32 = 1000;

/// The text of the filter `name`. `reading` holds its options; what the jail says of it too:
/// `logtimezone`, `usedns`.
pub(crate) fn read(name: &str, reading: &mut Reading) -> FilterSpec {
    let texts = |reading: &Reading, key| {
        let lines = reading.lines(key).into_iter();
        lines.map(|(text, _)| text).collect()
    };
    let lines = reading.parsed("maxlines", |text| value::number(text, 1, LINES_MAX));
    FilterSpec {
        name: name.to_owned(),
        text: reading.parsed("matchtext", text).unwrap_or(Text::Line),
        prefix: reading.text("prefregex").map(str::to_owned),
        fail: texts(reading, "failregex"),
        ignore: texts(reading, "ignoreregex"),
        max_lines: lines
            .and_then(|lines| usize::try_from(lines).ok())
            .unwrap_or(1),
        dates: texts(reading, "datepattern"),
        zone: reading
            .parsed("logtimezone", encoding::zone)
            .unwrap_or_else(encoding::host_zone),
        names: reading.parsed("usedns", names).unwrap_or(Names::Warn),
    }
}

/// Compiles the filter `name`, whose options `reading` holds.
pub(crate) fn compile(name: &str, reading: &mut Reading) -> Option<Filter> {
    let spec = read(name, reading);
    let lists = ["failregex", "ignoreregex", "datepattern"].map(|key| reading.lines(key));
    let [fail, ignore, dates] = lists;
    if fail.is_empty() && reading.has_error() {
        // The filter could not be read.
        return None;
    }
    if fail.is_empty() {
        let place = reading.place.clone();
        reading.error(
            &place,
            "there is no failregex: nothing would count as a failure",
            "set 'failregex' in the filter's [Definition] or in the jail",
        );
        return None;
    }
    steerable(reading, &fail, spec.text);
    let errors = match Filter::compile(spec) {
        Ok(filter) => return Some(filter),
        Err(errors) => errors,
    };
    for error in errors {
        let (key, list) = match error.part {
            Part::Prefix => ("prefregex", &[][..]),
            Part::Fail => ("failregex", fail.as_slice()),
            Part::Ignore => ("ignoreregex", ignore.as_slice()),
            Part::Date => ("datepattern", dates.as_slice()),
        };
        let place = list.get(error.index).map(|(_, place)| place.clone());
        let place = place.unwrap_or_else(|| reading.place_of(key));
        reading.error(&place, error.reason, "correct the pattern");
    }
    None
}

/// Tells of patterns whose address an attacker may choose. In a filter for lines they are a stranger's,
/// and notes of the same words are said once.
fn steerable(reading: &mut Reading, fail: &[(String, Place)], text: Text) {
    for (_, place) in fail.iter().filter(|(text, _)| steering::is_steerable(text)) {
        let message = "text in the message, a user name for example, can make this pattern find another address";
        let remedy = "anchor it: '^' at its beginning and no '.*' before the address, or '$' at its end and no '.*' after it";
        match text {
            Text::Message => reading.warn(place, message, remedy),
            Text::Line => reading.note(place, message, remedy),
        }
    }
}

fn text(text: &str) -> Result<Text, String> {
    match text {
        "message" => Ok(Text::Message),
        "line" => Ok(Text::Line),
        other => Err(format!("'{other}' is neither message nor line")),
    }
}

fn names(text: &str) -> Result<Names, String> {
    match text.to_lowercase().as_str() {
        "yes" => Ok(Names::LookUp),
        "warn" => Ok(Names::Warn),
        "no" => Ok(Names::Never),
        "raw" => Ok(Names::Raw),
        other => Err(format!(
            "'{other}' makes no sense: use yes, warn, no or raw"
        )),
    }
}
