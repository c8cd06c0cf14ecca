//! The engine with its edges, driven as `daemon::run` drives them, without bus, timers and log.
//!
//! Comes in: what the reader tells. Goes out: bans in a firewall and a store of the benchmark's choice.
//! An edge that fails ends the benchmark.

#![allow(dead_code, reason = "each benchmark uses some of it")]

use std::path::Path;

use banishd::config::files::Layout;
use banishd::config::load;
use banishd::engine::Engine;
use banishd::engine::effect::{Effect, Event, Outcome, Remembered};
use banishd::engine::protected::Protected;
use banishd::engine::settings::Settings;
use banishd::engine::time::Now;
use banishd::firewall::FirewallBackend;
use banishd::firewall::any::AnyFirewall;
use banishd::store::Store;

use crate::measure::Result;

/// So many words of the reader does the daemon hear before it carries out effects.
pub(crate) const ROUND: usize = 65;

/// So many failures are in one of them, at most.
pub(crate) const WORD: usize = 256;

/// An engine and what carries out its effects.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    /// Without one, every change is done at once.
    pub(crate) firewall: Option<AnyFirewall>,
    /// Bans begun.
    pub(crate) bans: u64,
}

impl Rig {
    /// Goes on from `remembered` with our own sshd jail. The firewall is not installed yet.
    pub(crate) fn new(
        now: Now,
        remembered: Remembered,
        store: Store,
        firewall: Option<AnyFirewall>,
    ) -> Self {
        let engine = Engine::new(now, settings(), Protected::default(), remembered);
        Self {
            engine,
            store,
            firewall,
            bans: 0,
        }
    }

    /// Carries out every effect there is.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Persist(commit) => self.store.commit(&commit)?,
                Effect::Install(jails, changes) => {
                    if let Some(firewall) = &mut self.firewall {
                        firewall.install(&jails, &changes).await?;
                    }
                }
                Effect::Apply(changes) => {
                    if let Some(firewall) = &mut self.firewall {
                        firewall.apply(&changes).await?;
                    }
                }
                Effect::Ask(..) => continue,
                Effect::Announce(events) => {
                    let new = |event: &&Event| matches!(event, Event::BanNew(_));
                    self.bans += events.iter().filter(new).count() as u64;
                    continue;
                }
                Effect::Reply(..) => continue,
            }
            self.engine.handle_outcome(Outcome::Done);
        }
        Ok(())
    }
}

/// The configuration that the package ships.
pub(crate) fn settings() -> Settings {
    load(&layout()).0
}

/// Where it is in the tree.
pub(crate) fn layout() -> Layout {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Layout {
        admin: root.join("target/bench/none"),
        vendor: root.join("config"),
        ..Layout::default()
    }
}
