//! The local user and group files. Comes in: their text, or a name. Goes out: what stands in it. NSS is
//! never asked: its modules may need the network.

use std::fs;
use std::path::Path;

/// An entry of `/etc/passwd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// The name.
    pub name: &'a str,
    /// The number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
}

/// An entry of `/etc/group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The name.
    pub name: &'a str,
    /// The number.
    pub gid: u32,
    members: &'a str,
}

/// The users in the text of `/etc/passwd`; lines that make no sense are left out.
pub fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        // name:password:uid:gid:…
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { name, uid, gid })
    })
}

/// The groups in the text of `/etc/group`; lines that make no sense are left out.
pub fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        // name:password:gid:members
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        let members = fields.next()?;
        Some(Group { name, gid, members })
    })
}

impl<'a> Group<'a> {
    /// The names of those who are not in it by their primary group.
    pub fn members(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let names = self.members.split(',').map(str::trim);
        names.filter(|name| !name.is_empty())
    }
}

/// The text of `etc/passwd` under `root`; empty where there is none.
#[must_use]
pub fn passwd(root: &Path) -> String {
    read(&root.join("etc/passwd"))
}

/// The text of `etc/group` under `root`; empty where there is none.
#[must_use]
pub fn group(root: &Path) -> String {
    read(&root.join("etc/group"))
}

/// One name that is no UTF-8 must not hide all others.
fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_read_line_by_line_and_nonsense_is_left_out() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbad line\nada:x:1000:1001::/home/ada:\nx:x:-1:0\n";
        let group = "adm:x:4:ada, eve\nshort:x:5\nadmx:x:many:ada\njournal:x:999:\n";

        let users: Vec<_> = users(passwd).map(|u| (u.name, u.uid, u.gid)).collect();
        assert_eq!(users, [("root", 0, 0), ("ada", 1000, 1001)]);
        let groups: Vec<_> = groups(group)
            .map(|g| (g.name, g.gid, g.members().collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            groups,
            [("adm", 4, vec!["ada", "eve"]), ("journal", 999, vec![])]
        );
    }
}
