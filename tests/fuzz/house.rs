//! Files of the host that tell whom nobody may ban.

use banishd::host::accounts::Admins;
use banishd::host::resolvers;

/// Any text is `resolv.conf`, `passwd` or `group`; nobody becomes an administrator but by his name or group.
pub(crate) fn files(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for server in resolvers::parse(&text) {
        assert_eq!(server, server.to_canonical());
    }
    let (passwd, group) = text.split_once("\n\n").unwrap_or((&text, &text));
    let none = Admins::parse(passwd, group, &[]);
    assert_eq!(none, Admins::default());
    let admins = Admins::parse(passwd, group, &["sudo".to_owned()]);
    assert!(!admins.include(4242, "eve") || text.contains("eve") || text.contains("4242"));
}
