//! Journals that somebody else exported.

use std::collections::BTreeMap;
use std::io::Cursor;

use banishd::engine::filter::{Filter, FilterSpec, Text};
use banishd::engine::record::MESSAGE_MAX;
use banishd::engine::settings::{JailName, Matches};
use banishd::engine::time::Timestamp;
use banishd::journal::matches::Selector;
use banishd::journal::script::{Script, Token, replay, token};
use banishd::journal::{LogSource, Start};
use banishd::reader::task::Task;

/// Any bytes are an export. Tokens go on, texts are bounded, and no entry reaches a jail that does not ask
/// for it.
pub(crate) fn export(bytes: &[u8]) {
    let mut rest = bytes;
    while let Token::Field { name, length, .. } = token(rest) {
        assert!(!name.is_empty() && length > name.len());
        rest = rest
            .get(length..)
            .expect("a token is no longer than its input");
    }
    let tasks = [task(Text::default()), task(Text::Line)];
    let mut selector = Selector::new(&tasks);
    let mut source = Script::new(Cursor::new(bytes));
    let start = Start::Since(Timestamp::default());
    if source.open(&start, selector.terms()).is_err() {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = replay(&mut source, &mut selector, |record, jails| {
        assert!(record.message.len() <= MESSAGE_MAX);
        assert!(!record.line.contains(&b'\n'));
        assert!(jails.is_sorted() && jails.iter().all(|jail| *jail < 2));
        assert!(text.contains("ssh.service"));
    });
}

fn task(text: Text) -> Task {
    let spec = FilterSpec {
        text,
        ..FilterSpec::default()
    };
    let filter = Filter::compile(spec).expect("it has no patterns");
    let unit = ("_SYSTEMD_UNIT".to_owned(), vec!["ssh.service".to_owned()]);
    let name = JailName::new("sshd").expect("it is a name");
    Task {
        matches: Matches(vec![BTreeMap::from([unit])]),
        ..Task::new(name, filter)
    }
}
