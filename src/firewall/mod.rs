//! ACTS: makes the firewall drop what the ledger says.
//!
//! Comes in: [`Change`]s from the engine, in batches. Goes out: done or why not. It never decides who
//! is banned, never keeps a ban alive past its end, and never touches what is not banishd's.

pub mod any;
pub mod memory;
pub mod nftables;

use crate::engine::effect::Change;
use crate::engine::settings::{JailName, JailRules};
use crate::engine::time::Boottime;

/// A firewall. Every call is idempotent; a batch is applied whole or not at all.
#[expect(
    async_fn_in_trait,
    reason = "the daemon runs on one thread, so no Send bound is wanted"
)]
pub trait FirewallBackend {
    /// Its name on the bus: `nftables`, `memory`.
    fn name(&self) -> &'static str;

    /// Makes the firewall exactly this in one step, replacing what of ours stands there: at no moment
    /// does traffic of an offender that is in both pass.
    async fn install(
        &mut self,
        jails: &[(JailName, JailRules)],
        changes: &[Change],
    ) -> Result<(), FirewallError>;

    /// Carries out `changes` in order.
    async fn apply(&mut self, changes: &[Change]) -> Result<(), FirewallError>;

    /// Whether what `install` made still stands. Cheap: it looks at handles, never at elements.
    async fn check(&mut self) -> Result<bool, FirewallError>;

    /// Packets dropped so far per jail.
    async fn dropped(&mut self) -> Result<Vec<(JailName, u64)>, FirewallError>;

    /// Takes everything of ours away.
    async fn remove(&mut self) -> Result<(), FirewallError>;
}

/// What a backend reads CLOCK_BOOTTIME with. Ends of bans that it must write again are kept by it.
pub type Clock = Box<dyn Fn() -> Boottime + Send>;

/// Why the firewall did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The kernel refused the batch.
    #[error("the kernel refused {what}")]
    Refused {
        /// What was asked: `to add to set 'any4'`.
        what: String,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// The capability is missing.
    #[error("CAP_NET_ADMIN is missing; banishd.service grants it (AmbientCapabilities=)")]
    NotPermitted,
    /// The kernel has no nf_tables.
    #[error("this kernel has no nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)")]
    NotSupported(#[source] std::io::Error),
    /// A set holds as many elements as it may.
    #[error("a set of table 'inet banishd' is full; the limit is 'maxbans' in banishd.conf")]
    Full(#[source] std::io::Error),
    /// Prefixes are written set by set, so they must stay few.
    #[error("more than {0} prefixes are banned, which is the limit; ban wider prefixes or hosts")]
    TooManyPrefixes(usize),
    /// Another process owns a table of our name.
    #[error("table 'inet banishd' belongs to another process; is a second banishd running?")]
    Foreign,
}
