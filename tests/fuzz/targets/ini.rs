//! Any text is a configuration, perhaps a bad one: a jail, its filter and its action, each up to a line
//! that begins with `==`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = banishd::config::parse_only(text);
});
