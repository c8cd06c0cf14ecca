//! ASKS FOR HELP: puts the engine's questions to those who may find out what the daemon may not.
//!
//! Comes in: questions. Goes out, whenever that may be: answers, through one channel. It never makes
//! the loop wait, starts nothing, and looks up nothing itself. A question costs a task and bounded
//! memory; how many are under way and how many wait is bounded too.

mod client;
pub mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::ask::client::Failure;
use crate::engine::effect::{Answer, AskId, Question};
use crate::engine::facts::Facts;
use crate::engine::settings::JailName;
use crate::engine::time::BanTime;
use crate::helper::protocol::{Reply, Request, Tally, is_name, latest};

/// Where the programs listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `banishd-resolve`.
    pub resolve: PathBuf,
    /// `banishd-action`.
    pub action: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            resolve: PathBuf::from("/run/banishd-resolve.socket"),
            action: PathBuf::from("/run/banishd-action.socket"),
        }
    }
}

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who wanted to know: the engine by this name, or else the daemon, of the host's own name.
    pub id: Option<AskId>,
    /// The answer.
    pub answer: Answer,
    /// What the question was about, and the trouble with that, if there is any: a sentence.
    pub about: Option<(String, Option<String>)>,
}

/// The way to an answer. Clones share all limits.
#[derive(Clone, Debug)]
pub struct Asker {
    places: Arc<Places>,
    answers: mpsc::Sender<Answered>,
    waiting: Arc<Semaphore>,
    names: Arc<Semaphore>,
    commands: Turns,
    files: Arc<Semaphore>,
}

/// How long programs may take, their own limits (5 s and 60 s) included; an answer after that is none.
const RESOLVED_WITHIN: Duration = Duration::from_secs(8);
const RAN_WITHIN: Duration = Duration::from_secs(65);
const READ_WITHIN: Duration = Duration::from_secs(10);

/// So many questions wait at most; further ones are not asked.
const WAITING_MAX: usize = 4096;

/// So many of each kind are under way at most; of commands so many of one jail, so that a slow one holds up
/// nobody else's. The socket unit takes more connections than that.
const NAMES_MAX: usize = 16;
const COMMANDS_MAX: usize = 32;
const COMMANDS_OF_JAIL_MAX: usize = 4;
const FILES_MAX: usize = 4;

/// No command is waited for longer than this before it begins: those who keep it busy must not keep
/// themselves from being banned.
const TURN_WITHIN: Duration = Duration::from_secs(60);

impl Asker {
    /// One that asks at `places`, and where its answers come out.
    #[must_use]
    pub fn new(places: Places) -> (Self, mpsc::Receiver<Answered>) {
        let (sender, answers) = mpsc::channel(64);
        let asker = Self {
            places: Arc::new(places),
            answers: sender,
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            names: Arc::new(Semaphore::new(NAMES_MAX)),
            commands: Turns::default(),
            files: Arc::new(Semaphore::new(FILES_MAX)),
        };
        (asker, answers)
    }

    /// Has a question answered. Must be called in a tokio runtime.
    pub fn ask(&self, id: AskId, question: Question) {
        let asker = self.clone();
        let place = Arc::clone(&self.waiting).try_acquire_owned();
        tokio::spawn(async move {
            let found = match place {
                Ok(place) => {
                    // In a task of its own, so that there is an answer even if that panics.
                    let finder = asker.clone();
                    let finding = async move { finder.find_out(question, place).await };
                    let found = tokio::spawn(finding).await;
                    found.unwrap_or_else(|_| Found::unknown("finding it out failed".to_owned()))
                }
                Err(_) => Found::unknown(format!("{WAITING_MAX} questions wait already")),
            };
            asker.tell(Some(id), found).await;
        });
    }

    /// Has the addresses that the host's own name stands for found out. That nobody can tell is of no
    /// matter to who configured no name; that somebody can ends a trouble.
    pub fn ask_own(&self) {
        let asker = self.clone();
        tokio::spawn(async move {
            let mut found = asker.resolve(Request::Own).await;
            found.about.take_if(|(_, trouble)| trouble.is_some());
            asker.tell(None, found).await;
        });
    }

    async fn tell(&self, id: Option<AskId>, found: Found) {
        let Found { answer, about } = found;
        // Without a loop nobody wants to know.
        let _ = self.answers.send(Answered { id, answer, about }).await;
    }

    /// The place among those that wait is given up with the answer.
    async fn find_out(&self, question: Question, _place: OwnedSemaphorePermit) -> Found {
        match question {
            // The program would refuse it as well.
            Question::Resolve(name) if !is_name(&name) => {
                Found::unknown("this is no name of a host".to_owned())
            }
            Question::Resolve(name) => {
                let name = name.into();
                self.resolve(Request::Addresses { name }).await
            }
            Question::ReadIgnored(path) => self.read(path).await,
            Question::Ignore(question) => self.ignore(*question).await,
        }
    }

    async fn resolve(&self, request: Request) -> Found {
        let socket = &self.places.resolve;
        let about = |trouble| Some(("names".to_owned(), trouble));
        match self.look_up(socket, request).await {
            Ok(Reply::Addresses { addresses }) => Found {
                answer: Answer::Addresses(addresses),
                about: about(None),
            },
            // Attackers choose names: that one cannot be found out is no trouble of ours.
            Ok(Reply::Refused { why }) => Found {
                answer: Answer::Unknown(why),
                about: about(None),
            },
            Ok(Reply::Ran { .. }) => Found::unknown("banishd-resolve talks nonsense".to_owned()),
            Err(failure) => {
                let trouble =
                    failure.sentence("names are not looked up", "banishd-resolve", socket);
                Found {
                    answer: Answer::Unknown(trouble.clone()),
                    about: about(Some(trouble)),
                }
            }
        }
    }

    async fn ignore(&self, facts: Facts) -> Found {
        let (jail, socket) = (&facts.jail, &self.places.action);
        let answered = match timeout(TURN_WITHIN, self.commands.wait(jail)).await {
            Ok(_turn) => call(socket, to_ignore(&facts), RAN_WITHIN).await,
            Err(_) => Err(Failure::Busy),
        };
        let printed = match &answered {
            Ok(Reply::Ran { output, .. }) => output.lines().last().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let verdict = match answered {
            Ok(Reply::Ran {
                status: Some(0),
                timed_out: false,
                ..
            }) => Ok(true),
            Ok(Reply::Ran {
                status: Some(1),
                timed_out: false,
                ..
            }) => Ok(false),
            Ok(reply) => Err(format!(
                "the ignorecommand of jail '{jail}' {}",
                went(&reply)
            )),
            Err(failure) => {
                let what = format!("the ignorecommand of jail '{jail}' gives no answer");
                Err(failure.sentence(&what, "banishd-action", socket))
            }
        };
        // Everybody may read a trouble, and what a command prints may hold addresses.
        let trouble = verdict.as_ref().err().cloned();
        let why = |text: String| match printed.as_str() {
            "" => text,
            last => format!("{text}: {last}"),
        };
        Found {
            answer: verdict.map_or_else(|text| Answer::Unknown(why(text)), Answer::Ignore),
            about: Some((format!("ignorecommand {jail}"), trouble)),
        }
    }

    /// A disk that hangs keeps the thread, and with it one of the few places; whoever waits for a place
    /// is answered in time all the same.
    async fn read(&self, path: PathBuf) -> Found {
        let subject = format!("file {}", path.display());
        let reading = async {
            let place = Arc::clone(&self.files).acquire_owned().await;
            let path = path.clone();
            let read = move || {
                let _place = place;
                words::read(&path)
            };
            tokio::task::spawn_blocking(read).await
        };
        let why = match timeout(READ_WITHIN, reading).await {
            Ok(Ok(Ok(words))) => {
                let answer = Answer::Words(words);
                let about = Some((subject, None));
                return Found { answer, about };
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "reading it failed".to_owned(),
            Err(_) => "it cannot be read in time".to_owned(),
        };
        let trouble = format!("'{}' of 'ignoreip' is not known: {why}", path.display());
        Found {
            answer: Answer::Unknown(trouble.clone()),
            about: Some((subject, Some(trouble))),
        }
    }

    async fn look_up(&self, socket: &Path, request: Request) -> Result<Reply, Failure> {
        // It is never closed.
        let _turn = self.names.acquire().await;
        call(socket, request, RESOLVED_WITHIN).await
    }
}

async fn call(socket: &Path, request: Request, within: Duration) -> Result<Reply, Failure> {
    let calling = client::call(socket, request);
    timeout(within, calling).await.unwrap_or(Err(Failure::Slow))
}

/// Whose turn it is to have a command run.
#[derive(Clone, Debug)]
struct Turns {
    all: Arc<Semaphore>,
    /// Of the jails whose commands are wanted; few more than there are.
    of_jails: Arc<Mutex<BTreeMap<JailName, Arc<Semaphore>>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(COMMANDS_MAX)),
            of_jails: Arc::default(),
        }
    }
}

impl Turns {
    /// Waits until it is the turn of `jail`; that lasts as long as what is returned.
    async fn wait(&self, jail: &JailName) -> [Option<OwnedSemaphorePermit>; 2] {
        let of_jail = self.of_jail(jail).acquire_owned().await;
        let of_all = Arc::clone(&self.all).acquire_owned().await;
        // They are never closed.
        [of_jail.ok(), of_all.ok()]
    }

    fn of_jail(&self, jail: &JailName) -> Arc<Semaphore> {
        let mut all = self.of_jails.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, turns| name == jail || Arc::strong_count(turns) > 1);
        let turns = all.entry(jail.clone());
        let new = || Arc::new(Semaphore::new(COMMANDS_OF_JAIL_MAX));
        Arc::clone(turns.or_insert_with(new))
    }
}

fn to_ignore(facts: &Facts) -> Request {
    let Facts { tally, .. } = facts;
    let captures = facts.captures.iter();
    Request::Ignore {
        jail: facts.jail.to_string(),
        address: facts.offender.to_string(),
        time_usec: facts.time.usec(),
        failures: facts.failures,
        lines: latest(&facts.lines),
        captures: captures
            .map(|(group, text)| (group.into(), text.into()))
            .collect(),
        tally: Tally {
            ban_usec: match tally.ban_time {
                BanTime::For(span) => Some(span.usec()),
                BanTime::Forever => None,
            },
            bans: tally.bans,
            bans_total: tally.bans_total,
            failing: tally.failing,
            failures_total: tally.failures_total,
        },
    }
}

/// An answer, and what it is about.
struct Found {
    answer: Answer,
    about: Option<(String, Option<String>)>,
}

impl Found {
    fn unknown(why: String) -> Self {
        let answer = Answer::Unknown(why);
        Self {
            answer,
            about: None,
        }
    }
}

/// How a command that gave no verdict went.
fn went(reply: &Reply) -> String {
    match reply {
        Reply::Refused { why } => format!("is not run: {why}"),
        Reply::Ran {
            timed_out: true,
            duration_usec,
            ..
        } => {
            format!("was ended after {} seconds", duration_usec / 1_000_000)
        }
        Reply::Ran {
            status: Some(status),
            ..
        } => format!("ended with status {status}, neither 0 nor 1"),
        Reply::Ran { signal, .. } => format!("was ended by signal {}", signal.unwrap_or_default()),
        Reply::Addresses { .. } => "is not run: banishd-action talks nonsense".to_owned(),
    }
}
