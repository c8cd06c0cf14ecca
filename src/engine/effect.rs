//! What the engine wants done, and the answer.
//!
//! Effects leave [`crate::engine::Engine::poll_effect`] one at a time and are carried out in that
//! order: a ban is persisted, blocked, announced; an unban is unblocked, persisted, announced. So the
//! kernel never blocks more than the ledger on disk says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::engine::address::Offender;
use crate::engine::command::{Refusal, Reply, RequestId};
use crate::engine::facts::Facts;
use crate::engine::filter::failure::Failure;
use crate::engine::jail::window::Window;
use crate::engine::ledger::ban::{Ban, History};
use crate::engine::record::{LogName, Position};
use crate::engine::settings::{JailName, JailRules};
use crate::engine::time::Span;

/// A to-do for the daemon. `Persist`, `Install` and `Apply` are answered by an [`Outcome`] before the
/// next effect comes; the others are not answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write all of it in one transaction.
    Persist(Box<Commit>),
    /// Make the firewall exactly this, replacing in one step whatever of ours stands there.
    Install(Vec<(JailName, JailRules)>, Vec<Change>),
    /// Change the firewall, all or nothing.
    Apply(Vec<Change>),
    /// Tell the bus and the log.
    Announce(Vec<Event>),
    /// Answer a command.
    Reply(RequestId, Result<Reply, Refusal>),
    /// Find something out and tell [`crate::engine::Engine::handle_answer`], whenever that may be.
    Ask(AskId, Question),
}

/// Names a question until its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// What the engine cannot know by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The addresses of a host name.
    Resolve(Box<str>),
    /// What a `file:` of `ignoreip` lists: words separated by blanks or commas, comments taken out.
    ReadIgnored(PathBuf),
    /// Whether an `ignorecommand` wants this offender spared.
    Ignore(Box<Facts>),
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A name's addresses; none where it has none.
    Addresses(Vec<IpAddr>),
    /// A file's words, each an address, a prefix or a host name.
    Words(Vec<Box<str>>),
    /// Whether the offender is to be spared.
    Ignore(bool),
    /// Nothing, for this reason.
    Unknown(String),
}

/// How an effect went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Done,
    /// Not at all; the text says why.
    Failed(String),
}

/// One transaction of the store. The position belongs to everything else in it: after a crash
/// reading goes on exactly there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// Bans made or changed, with the lines that led to them; `None` leaves those as they are.
    pub bans: Vec<(Ban, Option<Vec<Box<str>>>)>,
    /// Bans that ended.
    pub unbans: Vec<(JailName, Offender)>,
    /// Failure windows as they are now; `None` where one is empty.
    pub windows: Vec<(JailName, Offender, Option<Window>)>,
    /// Histories as they are now; `None` where one is forgotten.
    pub histories: Vec<(JailName, Offender, Option<History>)>,
    /// Jails as they are now; `None` where one is gone.
    pub jails: Vec<(JailName, Option<JailRecord>)>,
    /// How far each log is accounted for, where that changed; `None` for a log that is read no more.
    pub positions: Vec<(LogName, Option<Position>)>,
    /// The failures of a host name that wait for its addresses, all of them, oldest first.
    pub unresolved: Vec<(Box<str>, Vec<Failure>)>,
    /// Must survive a power cut, because the journal cannot repeat it: a command by hand.
    pub durable: bool,
}

/// What the store gives back at start: the sum of all commits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// Bans that had not ended.
    pub bans: Vec<Ban>,
    /// Failure windows.
    pub windows: Vec<(JailName, Offender, Window)>,
    /// Histories.
    pub histories: Vec<(JailName, Offender, History)>,
    /// Jails.
    pub jails: Vec<(JailName, JailRecord)>,
    /// How far each log is accounted for; empty on the first start.
    pub positions: BTreeMap<LogName, Position>,
    /// Failures of host names whose addresses were not found out; of one name, oldest first.
    pub unresolved: Vec<Failure>,
}

/// What the store keeps of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JailRecord {
    /// The traffic it drops, so that its bans stay in force while its configuration is broken.
    pub rules: JailRules,
    /// Bans since the store was made.
    pub bans_total: u64,
    /// Failures since the store was made.
    pub failures_total: u64,
}

/// One change to what the firewall drops. Every change is idempotent. It says what the union of all
/// jails needs as well: an address leaves the union only when no jail bans it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Drop this offender's traffic to the jail, replacing an earlier end.
    Block {
        /// The jail.
        jail: JailName,
        /// Whom.
        offender: Offender,
        /// For how long; `None` for ever.
        left: Option<Span>,
        /// The longest ban of this offender in any jail, this one included; `None` for ever.
        longest: Option<Span>,
    },
    /// Let this offender's traffic to the jail through.
    Unblock {
        /// The jail.
        jail: JailName,
        /// Whom.
        offender: Offender,
        /// The longest ban that remains in other jails: outer `None` if no jail bans it any more,
        /// inner `None` for ever.
        others: Option<Option<Span>>,
    },
}

/// Something that happened, for the bus and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A ban began.
    BanNew(Ban),
    /// The end of a ban moved.
    BanChanged(Ban),
    /// A ban ended.
    BanRemoved {
        /// The jail.
        jail: JailName,
        /// Who was banned.
        offender: Offender,
        /// Why it ended.
        result: Removal,
        /// Who asked for it; empty where nobody did.
        by: String,
    },
    /// A jail appeared.
    JailNew(JailName),
    /// A jail is gone.
    JailRemoved(JailName),
    /// A jail's state or settings changed.
    JailChanged(JailName),
    /// Someone failed often enough but is not banned.
    Spared {
        /// The jail.
        jail: JailName,
        /// Who.
        offender: Offender,
        /// Why: `it is this host's own address`, …
        why: &'static str,
    },
    /// The limit of bans is reached; this one was not made.
    TooManyBans {
        /// The jail.
        jail: JailName,
        /// Who.
        offender: Offender,
    },
    /// A question got no answer, or a log names a host by a name: a sentence, for the log alone.
    Warning(String),
    /// An edge failed; what happens instead follows the comma.
    Degraded(String),
    /// Everything works again.
    Recovered,
}

/// Why a ban ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Its time was over.
    Expired,
    /// Somebody lifted it.
    Unbanned,
    /// Its jail was stopped.
    Stopped,
    /// Its jail is no longer configured.
    Reloaded,
}

impl Removal {
    /// The word on the bus: `expired`, `unbanned`, `stopped`, `reloaded`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unbanned => "unbanned",
            Self::Stopped => "stopped",
            Self::Reloaded => "reloaded",
        }
    }
}
