//! Any bytes are lines and any text is a date pattern, and what is cut out lies within the line.
#![no_main]

use banishd::engine::filter::date::{DateMemory, Dates};
use banishd::engine::time::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_usec(1_795_338_600_000_000);

fuzz_target!(|input: (&str, Vec<&[u8]>)| {
    let (pattern, lines) = input;
    for patterns in [vec![], vec![pattern.to_owned()]] {
        let Ok(dates) = Dates::compile(&patterns, &TimeZone::UTC) else {
            continue;
        };
        let mut memory = DateMemory::default();
        for line in &lines {
            if let Some(dated) = dates.find(&mut memory, line, NOW) {
                assert!(line.get(dated.cut).is_some());
            }
        }
    }
});
