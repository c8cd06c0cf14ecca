//! Any bytes are a log: its lines go through the shipped filters, and through one that remembers
//! connections and one that wants several lines.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use banishd::config::files::Layout;
use banishd::config::load;
use banishd::engine::filter::{Filter, FilterSpec, Look, Memory};
use banishd::engine::record::Record;
use banishd::engine::settings::Settings;

static REMEMBERING: OnceLock<[Filter; 2]> = OnceLock::new();
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
    let shipped = settings.jails.values().map(|jail| &jail.filter);
    for filter in shipped.chain(REMEMBERING.get_or_init(remembering)) {
        let mut memory = Memory::default();
        for line in message.split(|byte| *byte == b'\n') {
            let record = Record {
                message: line,
                line,
                is_dated: line.len() % 2 == 0,
                ..Record::default()
            };
            let _ = filter.find(&mut memory, &record, &Look::default());
        }
    }
});

fn remembering() -> [Filter; 2] {
    [1, 3].map(|max_lines| {
        Filter::compile(FilterSpec {
            prefix: Some(r"^<F-MLFID>\w*</F-MLFID>:?<F-CONTENT>.*</F-CONTENT>".to_owned()),
            fail: vec![
                "<F-NOFAIL>n</F-NOFAIL><F-USER>.</F-USER>(?:<ADDR>)?".to_owned(),
                "f<F-USER>.?</F-USER>(?:<SUBNET>)?".to_owned(),
                "<F-MLFFORGET>x</F-MLFFORGET><F-MLFGAINED>g?</F-MLFGAINED>".to_owned(),
            ],
            max_lines,
            ..FilterSpec::default()
        })
        .expect("the patterns are good")
    })
}
