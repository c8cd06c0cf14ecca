//! fail2ban's language: files, and the values in them.

use banishd::config::{alone, parse_only};

/// Any text is a configuration, perhaps a bad one: a jail, its filter and its action, each up to a line
/// that begins with `==`.
pub(crate) fn configuration(bytes: &[u8]) {
    let _ = parse_only(&String::from_utf8_lossy(bytes));
}

/// Values that people give on a command line too. What `journalmatch` is read as selects something, and is read
/// the same when written out.
pub(crate) fn value(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = alone::encoding(&text);
    let _ = alone::zone(&text);
    let _ = banishd::cli::span::parse(&text);
    let Ok(matches) = alone::matches(&text) else {
        return;
    };
    let mut written = Vec::new();
    for group in &matches.0 {
        assert!(!group.is_empty());
        let terms = group.iter().flat_map(|(field, values)| {
            assert!(!values.is_empty());
            let quoted = |value: &String| value.replace('\\', r"\\").replace('"', "\\\"");
            let terms = values.iter();
            terms.map(move |value| format!("\"{field}={}\"", quoted(value)))
        });
        written.push(terms.collect::<Vec<_>>().join(" "));
    }
    // A backslash takes what follows with it, but no line ever ends within a word.
    assert_eq!(alone::matches(&written.join("\n")), Ok(matches));
}
