//! Any text is a configuration file, perhaps a bad one.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = banishd::config::parse_only(text);
});
