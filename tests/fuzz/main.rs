//! libFuzzer's way to the laws: puts its inputs to the one that `BANISHD_LAW` names.
#![no_main]

use std::sync::OnceLock;

#[path = "mod.rs"]
mod fuzz;

static LAW: OnceLock<fuzz::Law> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| LAW.get_or_init(law)(bytes));

fn law() -> fuzz::Law {
    let name = std::env::var("BANISHD_LAW").unwrap_or_default();
    let found = fuzz::LAWS.into_iter().find(|(law, _)| *law == name);
    found
        .expect("BANISHD_LAW names a law of tests/fuzz/mod.rs")
        .1
}
