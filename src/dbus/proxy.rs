//! The client's half: the same interfaces as seen from outside, for banishctl and for tests.
#![expect(
    missing_docs,
    reason = "the members are documented where they are served"
)]

use zbus::proxy;
use zbus::wire::{OwnedFd, OwnedObjectPath};

use crate::dbus::wire::{BanInfo, ImportInfo, ImportSums, JailEntry};

/// The manager, see org.banishd.Banish1(5).
#[proxy(
    interface = "org.banishd.Banish1.Manager",
    default_service = "org.banishd.Banish1",
    default_path = "/org/banishd/Banish1"
)]
pub trait Manager {
    fn get_jail(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    fn list_jails(&self) -> zbus::Result<Vec<JailEntry>>;

    #[zbus(allow_interactive_auth)]
    fn list_bans(&self, jail: &str, after: &str, max: u32) -> zbus::Result<(Vec<BanInfo>, String)>;

    #[zbus(allow_interactive_auth)]
    fn lookup_address(&self, address: &str) -> zbus::Result<Vec<BanInfo>>;

    #[zbus(allow_interactive_auth)]
    fn list_ban_lines(&self, jail: &str, address: &str) -> zbus::Result<Vec<String>>;

    #[zbus(allow_interactive_auth)]
    fn dump_bans_by_file_descriptor(&self, jail: &str) -> zbus::Result<OwnedFd>;

    #[zbus(allow_interactive_auth)]
    fn ban(&self, jail: &str, address: &str) -> zbus::Result<bool>;

    #[zbus(allow_interactive_auth)]
    fn ban_for(
        &self,
        jail: &str,
        address: &str,
        duration_usec: u64,
        flags: u64,
    ) -> zbus::Result<bool>;

    #[zbus(allow_interactive_auth)]
    fn import(&self, bans: &[ImportInfo]) -> zbus::Result<ImportSums>;

    #[zbus(allow_interactive_auth)]
    fn unban(&self, jail: &str, address: &str) -> zbus::Result<bool>;

    #[zbus(allow_interactive_auth)]
    fn unban_address(&self, address: &str) -> zbus::Result<u32>;

    #[zbus(allow_interactive_auth)]
    fn unban_all(&self, jail: &str) -> zbus::Result<u32>;

    #[zbus(allow_interactive_auth)]
    fn start_jail(&self, name: &str) -> zbus::Result<()>;

    #[zbus(allow_interactive_auth)]
    fn stop_jail(&self, name: &str) -> zbus::Result<()>;

    #[zbus(allow_interactive_auth)]
    fn reload(&self) -> zbus::Result<Vec<String>>;
}

/// A jail, see org.banishd.Banish1(5).
#[proxy(
    interface = "org.banishd.Banish1.Jail",
    default_service = "org.banishd.Banish1",
    assume_defaults = false
)]
pub trait Jail {
    #[zbus(allow_interactive_auth)]
    fn list_ignored(&self) -> zbus::Result<Vec<String>>;

    #[zbus(allow_interactive_auth)]
    fn test_message(&self, message: &str) -> zbus::Result<(bool, String, String)>;
}
