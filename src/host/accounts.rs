//! Who is an administrator. Comes in: `etc/passwd` and `etc/group`, and nothing else: the daemon cannot
//! ask NSS, whose modules may need the network. A directory user counts by name if the local group file
//! lists it; a group that only a directory knows has no members here. Goes out: a test of users.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
        let text = |name| {
            let bytes = fs::read(root.join("etc").join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self::parse(&text("passwd"), &text("group"), groups)
    }

    /// The same from the text of both files.
    #[must_use]
    pub fn parse(passwd: &str, group: &str, groups: &[String]) -> Self {
        let mut admins = Self::default();
        let mut gids = BTreeSet::new();
        for line in group.lines() {
            // name:password:gid:members
            let mut fields = line.split(':');
            let (Some(name), Some(gid), Some(members)) =
                (fields.next(), fields.nth(1), fields.next())
            else {
                continue;
            };
            if groups.iter().any(|wanted| wanted == name) {
                gids.extend(gid.parse::<u32>());
                let members = members
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                admins.names.extend(members.map(str::to_owned));
            }
        }
        for line in passwd.lines() {
            // name:password:uid:gid:…
            let mut fields = line.split(':').skip(2);
            let mut number = || fields.next()?.parse::<u32>().ok();
            if let (Some(uid), Some(gid)) = (number(), number())
                && gids.contains(&gid)
            {
                admins.uids.insert(uid);
            }
        }
        admins
    }

    /// Whether this user is root or a member.
    #[must_use]
    pub fn include(&self, uid: u32, name: &str) -> bool {
        uid == 0 || self.uids.contains(&uid) || self.names.contains(name)
    }
}
