//! Who is an administrator. Comes in: `etc/passwd` and `etc/group`, and nothing else: the daemon cannot
//! ask NSS, whose modules may need the network. A directory user counts by name if the local group file
//! lists it; a group that only a directory knows has no members here. Goes out: a test of users.

use std::collections::BTreeSet;
use std::path::Path;

use crate::sys::accounts::{self, Group};

/// Root and the members of some groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admins {
    names: BTreeSet<String>,
    uids: BTreeSet<u32>,
}

impl Admins {
    /// The members of `groups`, by the group file or by primary group.
    #[must_use]
    pub fn read(root: &Path, groups: &[String]) -> Self {
        Self::parse(&accounts::passwd(root), &accounts::group(root), groups)
    }

    /// The same from the text of both files.
    #[must_use]
    pub fn parse(passwd: &str, group: &str, groups: &[String]) -> Self {
        let mut admins = Self::default();
        let mut gids = BTreeSet::new();
        let wanted = |found: &Group<'_>| groups.iter().any(|name| name == found.name);
        for found in accounts::groups(group).filter(wanted) {
            gids.insert(found.gid);
            admins.names.extend(found.members().map(str::to_owned));
        }
        let users = accounts::users(passwd).filter(|user| gids.contains(&user.gid));
        admins.uids.extend(users.map(|user| user.uid));
        admins
    }

    /// Whether this user is root or a member.
    #[must_use]
    pub fn include(&self, uid: u32, name: &str) -> bool {
        uid == 0 || self.uids.contains(&uid) || self.names.contains(name)
    }
}
