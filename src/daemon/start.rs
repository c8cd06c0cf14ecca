//! From nothing to the loop, in the order that leaves no gap: configuration and store, the firewall as
//! remembered, ready, then the protected addresses, and only then what the journal says.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::ask::{self, Asker};
use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::files::Layout;
use crate::config::load;
use crate::daemon::args::Args;
use crate::daemon::flaws::Flaws;
use crate::daemon::logging::LogSwitch;
use crate::daemon::readers::{Readers, tasks};
use crate::daemon::run::{Daemon, Edges};
use crate::daemon::{clock, notify, signals};
use crate::dbus::error::chain;
use crate::dbus::link::link;
use crate::dbus::log_control::Log;
use crate::dbus::service::{self, Bus};
use crate::engine::Engine;
use crate::engine::effect::Remembered;
use crate::engine::protected::Protected;
use crate::engine::settings::{FirewallChoice, Settings};
use crate::firewall::any::AnyFirewall;
use crate::host::{self, Places, rival};
use crate::store::claim::{Claim, Taken};
use crate::store::{Store, StoreError};
use crate::sys::user;

/// What keeps the daemon from running at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A second daemon.
    #[error("cannot start beside another")]
    Second(#[source] Taken),
    /// No event loop.
    #[error("cannot make an event loop")]
    Runtime(#[source] io::Error),
    /// No timer, no signal handler.
    #[error("cannot set up timers and signals")]
    Timers(#[source] io::Error),
    /// A reader ended by itself.
    #[error("a log's reader ended; starting anew")]
    ReaderGone,
    /// The bus's or the host's task ended by itself, which takes a panic.
    #[error("{0} ended; starting anew")]
    TaskGone(&'static str),
}

/// Starts everything, unless another daemon has the state directory, and stops it when told to.
///
/// # Errors
/// What cannot be done without.
pub async fn start(args: Args, log: Arc<LogSwitch>) -> Result<(), StartError> {
    let _claim = match args.dry_run {
        true => None,
        false => Some(Claim::stake(&args.state_dir()).map_err(StartError::Second)?),
    };
    run(args, log).await
}

/// Starts everything, runs until told to stop, and stops.
///
/// # Errors
/// What cannot be done without; everything else is a trouble that `State` and the log tell of.
async fn run(args: Args, log: Arc<LogSwitch>) -> Result<(), StartError> {
    let layout = Layout::choose(args.config_dir.as_deref(), &args.vendor_dir);
    info!(directory = %layout.admin.display(), "reading the configuration");
    let (settings, flaws) = read_settings(&layout, &args);
    log.turn(settings.global.log_level);
    let (store, remembered, store_trouble) = open_store(&args).await;
    let kept = notify::kept_socket();
    let global = &settings.global;
    let firewall = AnyFirewall::choose(global.firewall, global.max_bans, clock::boottime, kept);

    let now = clock::now();
    let wanted = tasks(&settings);
    let host = watch_host(&args, global.protect_groups.clone());
    let engine = Engine::new(now, settings, Protected::default(), remembered);
    let (bus_end, loop_end) = link();
    let (asker, answers) = Asker::new(ask::Places::default());
    let edges = Edges {
        log: Arc::clone(&log),
        store,
        firewall,
        asker,
        answers,
        link: loop_end,
        orders: signals::listen().map_err(StartError::Timers)?,
        protected: host.protected,
        rival: host.rival,
        groups: host.groups,
        layout,
        args: args.clone(),
    };
    let mut daemon = Daemon::new(engine, edges)?;
    daemon.note(store_trouble);
    daemon.flaws = flaws;
    daemon.drain().await;

    let bus = args.bus.map_or(Bus::System, Bus::Address);
    let options = service::Options {
        bus,
        own_uid: user::effective(),
        log: log as Arc<dyn Log>,
        pause: service::PAUSE,
    };
    let mut service = tokio::spawn(service::run(bus_end, options));
    notify::ready();
    let mut readers = Readers::new(args.journal_dir);
    readers.want(wanted);
    daemon.settle(&mut readers);
    if daemon.unread.is_none() {
        daemon.engine.handle_logs(now, |log| readers.reads(log));
    }
    let ending = tokio::select! {
        ending = daemon.run(&mut readers) => ending,
        _ = host.task => Err(StartError::TaskGone("the watch over the host's addresses")),
        _ = &mut service => Err(StartError::TaskGone("the service on the bus")),
    };
    notify::stopping();
    readers.stop();
    service.abort();
    ending
}

/// The watch over the host.
struct Watch {
    protected: watch::Receiver<Protected>,
    rival: watch::Receiver<bool>,
    groups: watch::Sender<Vec<String>>,
    task: JoinHandle<()>,
}

fn watch_host(args: &Args, protect_groups: Vec<String>) -> Watch {
    let places = Places {
        bus: args.bus.clone(),
        ..Places::default()
    };
    let (groups, groups_seen) = watch::channel(protect_groups);
    let (protected_sender, protected) = watch::channel(Protected::default());
    let (rival_sender, rival) = watch::channel(false);
    let task = tokio::spawn(async move {
        tokio::select! {
            () = host::watch(places.clone(), groups_seen, protected_sender) => {}
            () = rival::follow(&places, rival_sender) => {}
        }
    });
    Watch {
        protected,
        rival,
        groups,
        task,
    }
}

/// Reads the configuration, tells the log what is wrong with it, and returns as a trouble what no
/// broken jail tells of: a file that cannot be read may hold `ignoreip`.
fn read_settings(layout: &Layout, args: &Args) -> (Settings, Flaws) {
    let (mut settings, diagnostics) = load(layout);
    diagnostics.iter().for_each(tell);
    if args.dry_run {
        settings.global.firewall = FirewallChoice::Memory;
    }
    let flaws = Flaws::of(&settings, &diagnostics);
    (settings, flaws)
}

/// Tells the log of a diagnostic.
pub(super) fn tell(diagnostic: &Diagnostic) {
    match diagnostic.level {
        Level::Error => error!("{diagnostic}"),
        Level::Warning => warn!("{diagnostic}"),
        Level::Note => info!("{diagnostic}"),
    }
}

/// Opens the store, or goes on without and says why: bans in force matter more than bans remembered.
/// A lock is waited for, because without the store's bans the first install would empty the firewall
/// that was kept for us.
pub async fn open_store(args: &Args) -> (Store, Remembered, Option<String>) {
    if args.dry_run {
        return (Store::in_memory(), Remembered::default(), None);
    }
    let mut tries = TRIES;
    let error = loop {
        tries -= 1;
        match Store::open(&args.state_dir()) {
            Ok(opened) => {
                opened
                    .warnings
                    .iter()
                    .for_each(|warning| warn!("{warning}"));
                return (opened.store, opened.remembered, None);
            }
            Err(error @ StoreError::Locked { .. }) if tries > 0 => {
                warn!("{}, trying again", chain(&error));
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => break error,
        }
    };
    let text = format!("bans are not remembered over a restart: {}", chain(&error));
    error!("{text}");
    (Store::in_memory(), Remembered::default(), Some(text))
}

/// How often a locked store is tried; with the two seconds that each takes, well within the time that
/// systemd gives a start.
const TRIES: u32 = 12;
/// The pause between two.
const PAUSE: Duration = Duration::from_millis(500);
