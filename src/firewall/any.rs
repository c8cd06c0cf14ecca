//! The firewall chosen at run time. One that cannot be had now is tried again at every install, so
//! that a missing capability or module is a trouble that heals, never the end of the daemon.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::effect::Change;
use crate::engine::settings::{FirewallChoice, JailName, JailRules};
use crate::engine::time::Boottime;
use crate::firewall::memory::Memory;
use crate::firewall::nftables::Nftables;
use crate::firewall::{FirewallBackend, FirewallError};

/// Whichever firewall was chosen.
pub enum AnyFirewall {
    /// nftables, once it could be opened.
    Nftables(Box<Later>),
    /// Nothing is blocked.
    Memory(Box<Memory>),
}

/// nftables as soon as the kernel lets us.
pub struct Later {
    max_bans: usize,
    clock: fn() -> Boottime,
    kept: Option<OwnedFd>,
    open: Option<Nftables>,
    /// The socket is new: whoever keeps it must be told.
    fresh: bool,
}

impl AnyFirewall {
    /// The firewall of `choice` for at most `max_bans` bans, on the socket that was `kept`, if any.
    #[must_use]
    pub fn choose(
        choice: FirewallChoice,
        max_bans: usize,
        clock: fn() -> Boottime,
        kept: Option<OwnedFd>,
    ) -> Self {
        match choice {
            FirewallChoice::Auto | FirewallChoice::Nftables => Self::Nftables(Box::new(Later {
                max_bans,
                clock,
                kept,
                open: None,
                fresh: false,
            })),
            FirewallChoice::Memory => Self::Memory(Box::new(Memory::new(Box::new(clock)))),
        }
    }

    /// The socket that the firewall's objects live as long as, if it has not been shown before.
    pub fn fresh_socket(&mut self) -> Option<BorrowedFd<'_>> {
        let Self::Nftables(later) = self else {
            return None;
        };
        std::mem::take(&mut later.fresh).then_some(())?;
        later.open.as_ref().map(Nftables::as_fd)
    }
}

impl Later {
    fn opened(&mut self) -> Result<&mut Nftables, FirewallError> {
        let nftables = match (self.open.take(), self.kept.take()) {
            (Some(open), _) => open,
            (None, Some(kept)) => Nftables::adopt(kept, self.max_bans, Box::new(self.clock))?,
            (None, None) => {
                self.fresh = true;
                Nftables::open(self.max_bans, Box::new(self.clock))?
            }
        };
        Ok(self.open.insert(nftables))
    }
}

impl FirewallBackend for AnyFirewall {
    fn name(&self) -> &'static str {
        match self {
            Self::Nftables(_) => "nftables",
            Self::Memory(memory) => memory.name(),
        }
    }

    async fn install(
        &mut self,
        jails: &[(JailName, JailRules)],
        changes: &[Change],
    ) -> Result<(), FirewallError> {
        match self {
            Self::Nftables(later) => later.opened()?.install(jails, changes).await,
            Self::Memory(memory) => memory.install(jails, changes).await,
        }
    }

    async fn apply(&mut self, changes: &[Change]) -> Result<(), FirewallError> {
        match self {
            Self::Nftables(later) => later.opened()?.apply(changes).await,
            Self::Memory(memory) => memory.apply(changes).await,
        }
    }

    async fn check(&mut self) -> Result<bool, FirewallError> {
        match self {
            Self::Nftables(later) => later.opened()?.check().await,
            Self::Memory(memory) => memory.check().await,
        }
    }

    async fn dropped(&mut self) -> Result<Vec<(JailName, u64)>, FirewallError> {
        match self {
            Self::Nftables(later) => later.opened()?.dropped().await,
            Self::Memory(memory) => memory.dropped().await,
        }
    }

    async fn remove(&mut self) -> Result<(), FirewallError> {
        match self {
            Self::Nftables(later) => later.opened()?.remove().await,
            Self::Memory(memory) => memory.remove().await,
        }
    }
}
