//! The seam between the bus and the daemon's loop: requests go in, each with a place for its answer;
//! events come out. Neither side knows more of the other than this file.

use tokio::sync::{mpsc, oneshot};

use crate::engine::address::Offender;
use crate::engine::command::{Command, Refusal, Reply};
use crate::engine::effect::Event;
use crate::engine::ledger::ban::Ban;
use crate::engine::settings::{JailName, JailSettings};
use crate::engine::view::JailView;

/// What the bus asks the loop.
#[derive(Debug)]
pub enum Request {
    /// Change something; answered when the firewall has answered.
    Command(Command, oneshot::Sender<Result<Reply, Refusal>>),
    /// Read the configuration again; answered when it is in force, with the warnings. The error is for
    /// people: every problem with file and line; the old configuration stays.
    Reload(oneshot::Sender<Result<Vec<String>, String>>),
    /// All jails, by name.
    Jails(oneshot::Sender<Vec<JailView>>),
    /// One jail, with its settings unless it failed; `None` if there is none of that name.
    Jail(
        String,
        oneshot::Sender<Option<(JailView, Option<JailSettings>)>>,
    ),
    /// Bans ordered by jail and offender.
    Bans {
        /// Of one jail, or of all.
        jail: Option<JailName>,
        /// Behind this one, which need not exist any more.
        after: Option<(JailName, Offender)>,
        /// At most so many.
        max: usize,
        /// The answer.
        reply: oneshot::Sender<Vec<Ban>>,
    },
    /// Bans that cover an address or lie within a prefix.
    Lookup(Offender, oneshot::Sender<Vec<Ban>>),
    /// The lines that led to a ban, as far as they are remembered.
    Lines(JailName, Offender, oneshot::Sender<Vec<Box<str>>>),
    /// The daemon as a whole.
    Manager(oneshot::Sender<ManagerView>),
    /// Packets dropped for a jail so far.
    Dropped(JailName, oneshot::Sender<u64>),
}

/// The daemon as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagerView {
    /// `starting`, `running`, `degraded`, `reloading` or `stopping`.
    pub state: String,
    /// What is wrong, where degraded: one sentence each.
    pub troubles: Vec<String>,
    /// What to know although nothing is wrong: one sentence each.
    pub notices: Vec<String>,
    /// Where the configuration that runs is.
    pub directory: String,
    /// The firewall: `nftables`, …
    pub backend: String,
    /// Bans in force.
    pub bans: u32,
    /// Bans since the store was made.
    pub bans_total: u64,
    /// Entries that journald dropped before anybody could read them, since start.
    pub suppressed: u64,
    /// How far the journal has been read.
    pub cursor: String,
    /// The time of that entry, microseconds since 1970; 0 if none.
    pub cursor_usec: u64,
}

/// The bus's end.
#[derive(Debug)]
pub struct BusEnd {
    /// Requests to the loop.
    pub requests: mpsc::Sender<Request>,
    /// Events from the loop; the loop never waits for the bus, it replaces what does not fit by
    /// [`News::Reset`].
    pub news: mpsc::Receiver<News>,
}

/// The loop's end.
#[derive(Debug)]
pub struct LoopEnd {
    /// Requests from the bus.
    pub requests: mpsc::Receiver<Request>,
    /// Events to the bus.
    pub news: mpsc::Sender<News>,
}

/// What the loop tells the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// These happened, in this order.
    Events(Vec<Event>),
    /// More happened than fits: read everything anew.
    Reset,
    /// The manager's `State` changed.
    State(String),
    /// A reload began (`true`) or ended.
    Reloading(bool),
}

/// Both ends of a new link.
#[must_use]
pub fn link() -> (BusEnd, LoopEnd) {
    let (request_sender, request_receiver) = mpsc::channel(256);
    let (news_sender, news_receiver) = mpsc::channel(256);
    (
        BusEnd {
            requests: request_sender,
            news: news_receiver,
        },
        LoopEnd {
            requests: request_receiver,
            news: news_sender,
        },
    )
}
