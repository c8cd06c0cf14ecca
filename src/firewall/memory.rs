//! A firewall in memory: for tests and `--dry-run`. Blocks nothing.
//!
//! Comes in: jails and changes. Goes out: who would be dropped. It keeps the sets that the nftables
//! backend keeps, by the same rules, and never more.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::address::Offender;
use crate::engine::effect::Change;
use crate::engine::settings::{JailName, JailRules, Ports, Protocol};
use crate::engine::time::{Boottime, Span};
use crate::firewall::{Clock, FirewallBackend, FirewallError};

/// A firewall that only remembers. Clones share what they remember, so that a test can look on.
#[derive(Clone)]
pub struct Memory {
    clock: Arc<Mutex<Clock>>,
    state: Arc<Mutex<State>>,
}

impl Memory {
    /// An empty firewall; elements end by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock: Arc::new(Mutex::new(clock)),
            state: Arc::default(),
        }
    }

    /// The elements of a jail's sets, or with `None` of the sets of all jails, and their ends.
    #[must_use]
    pub fn elements(&self, jail: Option<&JailName>) -> BTreeMap<Offender, Option<Boottime>> {
        let now = self.now();
        let state = lock(&self.state);
        let set = state.sets.get(&jail.cloned()).into_iter().flatten();
        let live = set.filter(|(_, end)| end.is_none_or(|end| end > now));
        live.map(|(offender, end)| (*offender, *end)).collect()
    }

    /// The jails that drop what `from` sends to this port.
    #[must_use]
    pub fn dropping(&self, from: IpAddr, protocol: Protocol, port: u16) -> Vec<JailName> {
        let covers = |jail: Option<&JailName>| {
            self.elements(jail)
                .keys()
                .any(|member| member.contains(&Offender::host(from)))
        };
        if !covers(None) {
            return Vec::new();
        }
        let jails = lock(&self.state).jails.clone();
        let dropping = jails.into_iter().filter(|(jail, rules)| {
            let ports = match &rules.ports {
                Ports::All => true,
                Ports::Ranges(ranges) => ranges.iter().any(|(a, b)| (*a..=*b).contains(&port)),
            };
            ports && [Protocol::All, protocol].contains(&rules.protocol) && covers(Some(jail))
        });
        dropping.map(|(jail, _)| jail).collect()
    }

    /// Refuses the next `times` calls that change something.
    pub fn refuse(&self, times: u32) {
        lock(&self.state).refusals = times;
    }

    /// Forgets everything, as if somebody had flushed the tables.
    pub fn lose(&self) {
        *lock(&self.state) = State::default();
    }

    fn now(&self) -> Boottime {
        (*lock(&self.clock))()
    }

    fn change(
        &self,
        replace: Option<&[(JailName, JailRules)]>,
        changes: &[Change],
    ) -> Result<(), FirewallError> {
        let now = self.now();
        let mut state = lock(&self.state);
        if state.refusals > 0 {
            state.refusals -= 1;
            return Err(refused("a change, as the test wishes"));
        }
        if let Some(jails) = replace {
            let jails = jails.iter().cloned().collect();
            *state = State {
                installed: true,
                jails,
                ..State::default()
            };
        }
        // All or nothing, as in the kernel.
        if !changes
            .iter()
            .all(|change| state.jails.contains_key(jail_of(change)))
        {
            return Err(refused("a jail that is not installed"));
        }
        changes.iter().for_each(|change| state.change(now, change));
        Ok(())
    }
}

impl FirewallBackend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn install(
        &mut self,
        jails: &[(JailName, JailRules)],
        changes: &[Change],
    ) -> Result<(), FirewallError> {
        self.change(Some(jails), changes)
    }

    async fn apply(&mut self, changes: &[Change]) -> Result<(), FirewallError> {
        self.change(None, changes)
    }

    async fn check(&mut self) -> Result<bool, FirewallError> {
        Ok(lock(&self.state).installed)
    }

    async fn dropped(&mut self) -> Result<Vec<(JailName, u64)>, FirewallError> {
        Ok(lock(&self.state)
            .jails
            .keys()
            .map(|jail| (jail.clone(), 0))
            .collect())
    }

    async fn remove(&mut self) -> Result<(), FirewallError> {
        self.lose();
        Ok(())
    }
}

/// The set of no jail is the one of all jails.
#[derive(Default)]
struct State {
    installed: bool,
    jails: BTreeMap<JailName, JailRules>,
    sets: BTreeMap<Option<JailName>, BTreeMap<Offender, Option<Boottime>>>,
    refusals: u32,
}

impl State {
    fn change(&mut self, now: Boottime, change: &Change) {
        match change {
            Change::Block {
                jail,
                offender,
                left,
                longest,
            } => {
                self.put(now, Some(jail), *offender, Some(*left));
                self.put(now, None, *offender, Some(*longest));
            }
            Change::Unblock {
                jail,
                offender,
                others,
            } => {
                self.put(now, Some(jail), *offender, None);
                self.put(now, None, *offender, *others);
            }
        }
    }

    fn put(
        &mut self,
        now: Boottime,
        jail: Option<&JailName>,
        who: Offender,
        left: Option<Option<Span>>,
    ) {
        let set = self.sets.entry(jail.cloned()).or_default();
        match left {
            None | Some(Some(Span::ZERO)) => set.remove(&who),
            Some(left) => set.insert(who, left.map(|left| now.plus(left))),
        };
    }
}

fn jail_of(change: &Change) -> &JailName {
    let (Change::Block { jail, .. } | Change::Unblock { jail, .. }) = change;
    jail
}

fn refused(what: &str) -> FirewallError {
    let source = io::ErrorKind::Other.into();
    FirewallError::Refused {
        what: what.to_owned(),
        source,
    }
}

/// A test that panicked elsewhere does not matter here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
