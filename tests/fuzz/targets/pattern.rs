//! The first line is a pattern, the rest a message.
#![no_main]

use banishd::engine::filter::steering::is_steerable;
use banishd::engine::filter::{Filter, FilterSpec};
use banishd::engine::record::Record;
use banishd::engine::time::Timestamp;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (pattern, message) = text.split_once('\n').unwrap_or((text, ""));
    let _ = is_steerable(pattern);
    let filter = Filter::compile(FilterSpec {
        name: String::new(),
        fail: vec![pattern.to_owned()],
        ignore: vec![],
    });
    if let Ok(filter) = filter {
        let _ = filter.find(&Record {
            time: Timestamp::default(),
            pid: None,
            message: message.as_bytes(),
        });
    }
});
