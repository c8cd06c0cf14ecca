//! nftables over netlink.
//!
//! Comes in: jails and changes. Goes out: transactions on the table `inet banishd`, which lives as long
//! as the socket that made it. It starts no program, keeps no copy of the elements but the few
//! prefixes, and never lets a packet of a banned address through while it changes the table.

mod elements;
mod layout;
mod message;
mod prefixes;
pub mod reply;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::effect::Change;
use crate::engine::ledger::PREFIXES_MAX;
use crate::engine::settings::{JailName, JailRules};
use crate::firewall::nftables::elements::{Expect, Plan};
use crate::firewall::nftables::layout::{Layout, Owner};
use crate::firewall::nftables::message::{Batch, DUMP, Kind, Sealed, Writer};
use crate::firewall::nftables::prefixes::Prefixes;
use crate::firewall::{Clock, FirewallBackend, FirewallError};
use crate::sys::netlink::{DATAGRAM, Messages, Socket};

/// The table `inet banishd` and the socket it hangs on.
pub struct Nftables {
    socket: Socket,
    port: u32,
    clock: Clock,
    size: u32,
    wish: Owner,
    sequence: u32,
    buffer: Vec<u8>,
    standing: Option<Standing>,
    prefixes: Prefixes,
}

impl Nftables {
    /// A firewall for at most `max_bans` bans on a new socket; nothing is installed yet.
    pub fn open(max_bans: usize, clock: Clock) -> Result<Self, FirewallError> {
        let socket =
            Socket::open(libc::NETLINK_NETFILTER, 0).map_err(FirewallError::NotSupported)?;
        Self::on(socket, max_bans, clock)
    }

    /// The same on the socket of a process before us, whose table [`FirewallBackend::install`] takes
    /// over. An error if `fd` is no such socket.
    pub fn adopt(fd: OwnedFd, max_bans: usize, clock: Clock) -> Result<Self, FirewallError> {
        let socket = Socket::adopt(fd, libc::NETLINK_NETFILTER)
            .map_err(|source| refused("to take over the socket that was kept", source))?;
        Self::on(socket, max_bans, clock)
    }

    /// Does without owning the table, as it must on kernels before 5.12: others can change it, so
    /// [`FirewallBackend::check`] looks at more.
    #[must_use]
    pub fn unowned(mut self) -> Self {
        self.wish = Owner::Nobody;
        self
    }

    /// Whether nobody else can change what is installed; false on kernels before 5.12.
    #[must_use]
    pub fn owned(&self) -> bool {
        self.standing
            .as_ref()
            .is_some_and(|standing| standing.owner == Owner::Us)
    }

    fn on(socket: Socket, max_bans: usize, clock: Clock) -> Result<Self, FirewallError> {
        let port = socket
            .port()
            .map_err(|source| refused("to name the socket", source))?;
        Ok(Self {
            socket,
            port,
            clock,
            size: room_for(max_bans),
            wish: Owner::Us,
            sequence: 1,
            buffer: vec![0; DATAGRAM],
            standing: None,
            prefixes: Prefixes::default(),
        })
    }

    fn replace(
        &mut self,
        table: Option<&reply::Table>,
        jails: &[(JailName, JailRules)],
        changes: &[Change],
    ) -> Result<Owner, FirewallError> {
        let dropped = if table.is_some() {
            self.counters()?
        } else {
            Vec::new()
        };
        let layout = Layout {
            jails,
            // A limit that was lowered must not keep out those who are banned already.
            size: self.size.max(room_for(changes.len())),
            dropped: &dropped,
        };
        let now = (self.clock)();
        let plan = Plan::new(now, changes, &Prefixes::default());
        within_limit(&plan)?;
        // In a table that others can change, anything may have happened to the chains.
        let kept = table.is_some_and(|t| t.owner == self.port && t.comment == layout::LAYOUT);
        if kept {
            let old = self.sets()?;
            let mut batch = Batch::new(self.sequence);
            layout.replace(&old, &mut batch);
            plan.fill(now, &mut batch);
            // A table that is not what its comment says is made anew.
            if self.transact(batch).is_ok() {
                self.prefixes = plan.prefixes;
                return Ok(Owner::Us);
            }
        }
        let wish = self.wish;
        let mut create = |owner| {
            let mut batch = Batch::new(self.sequence);
            if table.is_some() {
                batch.add(Kind::DeleteTable, 0, |m| {
                    m.text(layout::TABLE_NAME, layout::TABLE)
                });
            }
            layout.create(owner, &mut batch);
            plan.fill(now, &mut batch);
            self.transact(batch).map(|()| owner)
        };
        let owner = match create(wish) {
            Err(refusal) if refusal.means_no_owner_flag() => create(Owner::Nobody),
            other => other,
        };
        let owner = owner.map_err(|refusal| self.explain(refusal))?;
        self.prefixes = plan.prefixes;
        Ok(owner)
    }

    fn change(&mut self, changes: &[Change]) -> Result<(), FirewallError> {
        let now = (self.clock)();
        let plan = Plan::new(now, changes, &self.prefixes);
        within_limit(&plan)?;
        if plan.is_empty() {
            return Ok(());
        }
        let mut attempt = |expect| {
            let mut batch = Batch::new(self.sequence);
            plan.change(now, expect, &mut batch);
            self.transact(batch)
        };
        let first = if changes.len() < MANY {
            Expect::Anything
        } else {
            Expect::Fresh
        };
        let outcome = match attempt(first) {
            Err(refusal) if refusal.is(libc::EEXIST) => attempt(Expect::Anything),
            other => other,
        };
        outcome.map_err(|refusal| self.explain(refusal))?;
        self.prefixes = plan.prefixes;
        Ok(())
    }

    /// Our table, or a table of our name.
    fn table(&mut self) -> Result<Option<reply::Table>, FirewallError> {
        let name = |m: &mut Writer<'_>| m.text(layout::TABLE_NAME, layout::TABLE);
        match self.ask(Kind::AskTable, 0, name) {
            Ok(answer) => Ok(reply::table(&answer)),
            Err(source) => match source.raw_os_error() {
                Some(libc::ENOENT) => Ok(None),
                Some(libc::EPERM) => Err(FirewallError::NotPermitted),
                // Nobody answers for nf_tables, or nobody for its family inet.
                Some(libc::EINVAL | libc::EAFNOSUPPORT | libc::EOPNOTSUPP) => {
                    Err(FirewallError::NotSupported(source))
                }
                _ => Err(refused("to show table 'inet banishd'", source)),
            },
        }
    }

    /// The same, if we may change it.
    fn own_table(&mut self) -> Result<Option<reply::Table>, FirewallError> {
        let port = self.port;
        match self.table()? {
            Some(table) if table.owner != 0 && table.owner != port => Err(FirewallError::Foreign),
            table => Ok(table),
        }
    }

    fn counters(&mut self) -> Result<Vec<(JailName, u64)>, FirewallError> {
        let mut all: BTreeMap<JailName, u64> = BTreeMap::new();
        for rule in reply::rules(&self.list(Kind::AskRule, layout::RULE_TABLE)?) {
            if let Some(jail) = JailName::new(&rule.comment).filter(|_| rule.chain == layout::JAILS)
            {
                let sum = all.entry(jail).or_default();
                *sum = sum.saturating_add(rule.packets);
            }
        }
        Ok(all.into_iter().collect())
    }

    fn sets(&mut self) -> Result<Vec<String>, FirewallError> {
        let answer = self.list(Kind::AskSet, layout::SET_TABLE)?;
        Ok(reply::sets(&answer)
            .filter(|set| !set.anonymous)
            .map(|set| set.name)
            .collect())
    }

    /// The handles of all in our table but elements.
    fn handles(&mut self) -> Result<Vec<u64>, FirewallError> {
        let mut handles: Vec<u64> =
            reply::chains(&self.list(Kind::AskChain, layout::CHAIN_TABLE)?).collect();
        let rules = self.list(Kind::AskRule, layout::RULE_TABLE)?;
        handles.extend(reply::rules(&rules).map(|rule| rule.handle));
        let sets = self.list(Kind::AskSet, layout::SET_TABLE)?;
        handles.extend(reply::sets(&sets).map(|set| set.handle));
        handles.sort_unstable();
        Ok(handles)
    }

    fn list(&mut self, kind: Kind, table: u16) -> Result<Vec<u8>, FirewallError> {
        self.ask(kind, DUMP, |m| m.text(table, layout::TABLE))
            .map_err(|source| refused("to show table 'inet banishd'", source))
    }

    fn ask(
        &mut self,
        kind: Kind,
        flags: u16,
        attributes: impl Fn(&mut Writer<'_>),
    ) -> io::Result<Vec<u8>> {
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.sequence;
            self.sequence = sequence.wrapping_add(1);
            self.socket
                .send(&message::question(kind, flags, sequence, &attributes))?;
            if let Some(answer) = self.answer(sequence)? {
                return Ok(answer);
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// The answer to a question; `None` if it changed while it was given.
    fn answer(&mut self, sequence: u32) -> io::Result<Option<Vec<u8>>> {
        let mut answer = Vec::new();
        let mut steady = true;
        while let Some(datagram) = self.socket.receive(&mut self.buffer)? {
            let mut more = false;
            for message in Messages(datagram).filter(|m| m.sequence == sequence) {
                match message.verdict() {
                    Some(0) | None => {}
                    Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
                if i32::from(message.kind) == libc::NLMSG_DONE {
                    return Ok(steady.then_some(answer));
                }
                steady &= message.flags & INTERRUPTED == 0;
                more |= message.flags & MULTIPART != 0;
            }
            if Messages(datagram).any(|m| m.sequence == sequence) {
                answer.extend_from_slice(datagram);
                if !more {
                    return Ok(Some(answer));
                }
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    fn transact(&mut self, batch: Batch) -> Result<(), Refusal> {
        let sealed = batch.finish();
        self.sequence = sealed.next;
        match self.exchange(&sealed) {
            Ok(None) => Ok(()),
            Ok(Some((sequence, error))) => Err(Refusal {
                asked: sealed.describe(sequence),
                error,
            }),
            Err(error) => Err(Refusal { asked: None, error }),
        }
    }

    /// `None` if the batch was carried out, else what was refused first.
    fn exchange(&mut self, batch: &Sealed) -> io::Result<Option<(u32, io::Error)>> {
        self.socket.send(&batch.bytes)?;
        let mut refusal = None;
        let count = batch.next.wrapping_sub(batch.first);
        while let Some(datagram) = self.socket.receive(&mut self.buffer)? {
            for message in Messages(datagram) {
                let is_ours = message.sequence.wrapping_sub(batch.first) < count;
                let Some(errno) = message.verdict().filter(|_| is_ours) else {
                    continue;
                };
                if errno != 0 && refusal.is_none() {
                    refusal = Some((message.sequence, io::Error::from_raw_os_error(errno)));
                }
                if [batch.acknowledged, batch.first].contains(&message.sequence) {
                    return Ok(refusal);
                }
            }
        }
        refusal
            .map(Some)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn explain(&mut self, refusal: Refusal) -> FirewallError {
        let Refusal { asked, error } = refusal;
        let made = asked.as_ref().map(|(kind, _)| *kind);
        let what = asked.map_or_else(
            || "a change of table 'inet banishd'".to_owned(),
            |(_, what)| what,
        );
        match error.raw_os_error() {
            Some(libc::EPERM) => match self.own_table() {
                Err(error) => error,
                Ok(_) => FirewallError::NotPermitted,
            },
            Some(libc::ENFILE) => FirewallError::Full(error),
            Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP) if made == Some(Kind::NewTable) => {
                FirewallError::NotSupported(error)
            }
            _ => refused(&what, error),
        }
    }
}

impl FirewallBackend for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    async fn install(
        &mut self,
        jails: &[(JailName, JailRules)],
        changes: &[Change],
    ) -> Result<(), FirewallError> {
        let table = self.own_table()?;
        let owner = self.replace(table.as_ref(), jails, changes)?;
        let handle = self.table()?.map_or(0, |table| table.handle);
        let handles = match owner {
            Owner::Us => Vec::new(),
            Owner::Nobody => self.handles()?,
        };
        self.standing = Some(Standing {
            owner,
            handle,
            handles,
        });
        Ok(())
    }

    async fn apply(&mut self, changes: &[Change]) -> Result<(), FirewallError> {
        changes
            .chunks(CHUNK)
            .try_for_each(|piece| self.change(piece))
    }

    async fn check(&mut self) -> Result<bool, FirewallError> {
        let table = self.own_table()?;
        let Some(standing) = self.standing.take() else {
            return Ok(false);
        };
        let same = match (table, standing.owner) {
            (Some(table), _) if table.handle != standing.handle => false,
            // Nobody else can have changed what is in a table of ours.
            (Some(table), Owner::Us) => table.owner == self.port,
            (Some(_), Owner::Nobody) => self.handles().map(|found| found == standing.handles)?,
            (None, _) => false,
        };
        self.standing = Some(standing);
        Ok(same)
    }

    async fn dropped(&mut self) -> Result<Vec<(JailName, u64)>, FirewallError> {
        self.counters()
    }

    async fn remove(&mut self) -> Result<(), FirewallError> {
        self.standing = None;
        self.prefixes = Prefixes::default();
        if self.own_table()?.is_none() {
            return Ok(());
        }
        let mut batch = Batch::new(self.sequence);
        batch.add(Kind::DeleteTable, 0, |m| {
            m.text(layout::TABLE_NAME, layout::TABLE)
        });
        self.transact(batch)
            .map_err(|refusal| self.explain(refusal))
    }
}

/// The socket, for whoever is to keep it while we are away.
impl AsFd for Nftables {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What was installed, to know it again.
#[derive(Debug)]
struct Standing {
    owner: Owner,
    handle: u64,
    handles: Vec<u64>,
}

/// A batch that was not carried out.
#[derive(Debug)]
struct Refusal {
    asked: Option<(Kind, String)>,
    error: io::Error,
}

impl Refusal {
    fn is(&self, errno: i32) -> bool {
        self.error.raw_os_error() == Some(errno)
    }

    fn means_no_owner_flag(&self) -> bool {
        let table = matches!(self.asked, Some((Kind::NewTable, _)));
        table && (self.is(libc::EINVAL) || self.is(libc::EOPNOTSUPP))
    }
}

fn refused(what: &str, source: io::Error) -> FirewallError {
    FirewallError::Refused {
        what: what.to_owned(),
        source,
    }
}

/// The size of a set for `bans`: an element that is replaced counts twice until its transaction is over.
fn room_for(bans: usize) -> u32 {
    u32::try_from(bans.saturating_add(CHUNK)).unwrap_or(u32::MAX)
}

fn within_limit(plan: &Plan<'_>) -> Result<(), FirewallError> {
    match plan.prefixes.count() {
        count if count > PREFIXES_MAX => Err(FirewallError::TooManyPrefixes(PREFIXES_MAX)),
        _ => Ok(()),
    }
}

/// Changes in one transaction, at most.
const CHUNK: usize = 16_384;
/// From here on it pays to try with one request for each element instead of three: that the kernel
/// takes it back where one is in already costs an RCU grace period, some 10 ms.
const MANY: usize = 1000;
/// How often a list that changed while it was read is asked for again.
const DUMP_ATTEMPTS: u32 = 5;
/// `NLM_F_MULTI`.
const MULTIPART: u16 = 0x2;
/// `NLM_F_DUMP_INTR`.
const INTERRUPTED: u16 = 0x10;
