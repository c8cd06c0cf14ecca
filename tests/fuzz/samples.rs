//! Annotated logs.

use banishd::cli::conformance::sample::{Step, parse};

/// Any bytes are an annotated log. Its lines stand in it, in order.
pub(crate) fn sample(bytes: &[u8]) {
    let Ok(steps) = parse(bytes) else {
        return;
    };
    let mut last = 0;
    for step in steps {
        let number = match step {
            Step::Line(sample) => {
                assert!(!sample.text.contains(&b'\n') && !sample.options.is_empty());
                sample.number
            }
            Step::File { number, .. } => number,
        };
        assert!(last < number);
        last = number;
    }
}
