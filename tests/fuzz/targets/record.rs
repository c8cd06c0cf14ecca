//! Any bytes are a message, and the shipped filters find an address in it only where one is.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use banishd::config::files::Layout;
use banishd::config::load;
use banishd::engine::filter::{Look, Memory};
use banishd::engine::record::Record;
use banishd::engine::settings::Settings;

static SHIPPED: OnceLock<Settings> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    let settings = SHIPPED.get_or_init(|| {
        let vendor = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let none = vendor.join("none");
        load(&Layout {
            admin: none.clone(),
            vendor,
            services: none,
            ..Layout::default()
        })
        .0
    });
    for jail in settings.jails.values() {
        let record = Record {
            message,
            ..Record::default()
        };
        let _ = jail
            .filter
            .find(&mut Memory::default(), &record, &Look::default());
    }
});
