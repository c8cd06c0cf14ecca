//! Dates in lines of log files.

use banishd::engine::filter::date::{DateMemory, Dated, Dates};
use banishd::engine::time::Timestamp;
use jiff::tz::TimeZone;

const NOW: Timestamp = Timestamp::from_usec(1_795_338_600_000_000);

/// The first line is a `datepattern`, the others are lines of a log. What is cut out lies within the line, and
/// a date that is found is the one that its template alone finds.
pub(crate) fn date(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let pattern = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let lines: Vec<&[u8]> = lines.take(LINES_MAX).collect();
    for patterns in [
        vec![],
        vec![pattern.clone()],
        vec![pattern, "{NONE}".to_owned()],
    ] {
        let Ok(dates) = Dates::compile(&patterns, &TimeZone::UTC) else {
            continue;
        };
        let mut memory = DateMemory::default();
        for line in &lines {
            let Some(dated) = dates.find(&mut memory, line, NOW) else {
                continue;
            };
            assert!(line.get(dated.cut.clone()).is_some());
            if let Some(name) = dated.template.and_then(|template| dates.name(template))
                && patterns.is_empty()
            {
                assert_eq!(
                    by_template(name, line),
                    Some((dated.time, dated.cut)),
                    "{name}"
                );
            }
        }
    }
}

/// What a template finds that no short cut has been made for.
fn by_template(name: &str, line: &[u8]) -> Option<(Option<Timestamp>, std::ops::Range<usize>)> {
    let dates = Dates::compile(&[name.to_owned()], &TimeZone::UTC).expect("it is one of ours");
    let Dated { time, cut, .. } = dates.find(&mut DateMemory::default(), line, NOW)?;
    Some((time, cut))
}

/// More show nothing new.
const LINES_MAX: usize = 20;
