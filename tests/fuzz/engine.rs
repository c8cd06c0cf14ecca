//! What the engine reads: records, addresses, formulas.

use std::path::Path;
use std::sync::OnceLock;

use banishd::ask::words;
use banishd::config::files::Layout;
use banishd::config::load;
use banishd::dbus::{names, wire};
use banishd::engine::address::{AddressSet, Offender};
use banishd::engine::filter::{Filter, FilterSpec, Look, Memory};
use banishd::engine::ledger::formula::{Formula, Random, Terms};
use banishd::engine::record::Record;
use banishd::engine::settings::Settings;

static REMEMBERING: OnceLock<[Filter; 2]> = OnceLock::new();
static SHIPPED: OnceLock<Settings> = OnceLock::new();

/// Any bytes are a log: its lines go through the shipped filters, and through one that remembers
/// connections and one that wants several lines. What is found is found by the trial too.
pub(crate) fn record(bytes: &[u8]) {
    let settings = SHIPPED.get_or_init(|| {
        let vendor = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut roots = vendor.ancestors().map(|root| root.join("config"));
        let vendor = roots.find(|config| config.join("jail.conf").exists());
        let none = "/nonexistent".into();
        load(&Layout {
            admin: none,
            vendor: vendor.expect("our own configuration is there"),
            ..Layout::default()
        })
        .0
    });
    let shipped = settings.jails.values().map(|jail| &jail.filter);
    for filter in shipped.chain(REMEMBERING.get_or_init(remembering)) {
        let mut memories = [Memory::default(), Memory::default()];
        for line in bytes.split(|byte| *byte == b'\n') {
            let record = Record {
                message: line,
                line,
                is_dated: line.len() % 2 == 0,
                ..Record::default()
            };
            let [one, other] = &mut memories;
            let found = filter.find(one, &record, &Look::default());
            let trial = filter.trial(other, &record, &Look::default());
            let first = trial.hits.into_iter().next();
            assert_eq!(found, first.and_then(|hit| hit.found));
        }
    }
}

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

/// An address that can be read is read the same when it is written, alone, in a set and in a cursor. Any word
/// has a place on the bus that no other word has.
pub(crate) fn word(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut offenders = Vec::new();
    let mut paths = Vec::new();
    for word in words::parse(&text) {
        assert!(!word.is_empty() && !word.contains(char::is_whitespace));
        paths.push((names::encode(&word), word.clone()));
        if let Ok(Some((jail, offender))) = wire::parse_cursor(&word) {
            let again = wire::parse_cursor(&format!("{jail}/{offender}"));
            assert!(again.is_ok_and(|again| again == Some((jail, offender))));
        }
        let Ok(offender) = word.parse::<Offender>() else {
            continue;
        };
        assert_eq!(offender.to_string().parse(), Ok(offender));
        assert!(offender.contains(&offender));
        assert_eq!(offender.is_host(), !offender.to_string().contains('/'));
        offenders.push(offender);
    }
    paths.sort();
    paths.dedup();
    for pair in paths.windows(2) {
        assert!(matches!(pair, [(one, _), (other, _)] if one != other));
    }
    let set: AddressSet = offenders.iter().copied().collect();
    assert!(offenders.iter().all(|offender| set.touches(offender)));
    let again: AddressSet = set.iter().collect();
    assert_eq!(again, set);
}

/// A formula that can be read has one value, each time.
pub(crate) fn formula(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(constant) = Formula::constant(&text) {
        assert!(constant.is_finite());
    }
    let Ok(formula) = Formula::parse(&text) else {
        return;
    };
    let value = |formula: &Formula| {
        let mut terms = Terms {
            time: 600.0,
            count: 3.0,
            factor: 1.5,
            random: Random::seeded(&["sshd", "192.0.2.1"]),
        };
        formula.value(&mut terms).to_bits()
    };
    let again = Formula::parse(&formula.to_string()).expect("it is the same text");
    assert_eq!(value(&again), value(&formula));
}
