//! The first line is a pattern, the rest a message.
#![no_main]

use banishd::engine::filter::steering::is_steerable;
use banishd::engine::filter::{Filter, FilterSpec, Look, Memory};
use banishd::engine::record::Record;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (pattern, message) = text.split_once('\n').unwrap_or((text, ""));
    let _ = is_steerable(pattern);
    let filter = Filter::compile(FilterSpec {
        fail: vec![pattern.to_owned()],
        ..FilterSpec::default()
    });
    if let Ok(filter) = filter {
        let record = Record {
            message: message.as_bytes(),
            ..Record::default()
        };
        let _ = filter.find(&mut Memory::default(), &record, &Look::default());
    }
});
