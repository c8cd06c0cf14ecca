//! A reading thread and its handle.
//!
//! Comes in: [`Work`], other tasks later. Goes out: [`Heard`] through a bounded channel. The thread owns
//! the logs and the filters; the handle only leaves messages and wakes it. It must never keep the daemon
//! waiting: stopping works with a full channel too.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::reader::task::Task;
use crate::reader::{Hangup, Heard, Outlet, Rest, Work};
use crate::sys::waker::Waker;

/// A running reader. Dropping it stops the thread.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The pulse when [`Reader::is_alive`] was last asked.
    asked: AtomicU64,
}

impl Reader {
    /// Does the work that `make` makes, on a new thread of this name, with a waker that must end its
    /// sleep.
    ///
    /// # Errors
    /// No thread or no descriptor is left.
    pub fn spawn<W: Work>(
        name: &str,
        make: impl FnOnce(Waker, Valve) -> W + Send + 'static,
    ) -> io::Result<(Self, Receiver<Heard>)> {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let waker = Waker::new()?;
        let shared = Arc::new(Shared::new(waker.clone()));
        let valve = Valve::new(sender, Arc::clone(&shared))?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(make(waker, valve), &theirs))?;
        let reader = Self {
            shared,
            thread: Some(thread),
            asked: AtomicU64::new(u64::MAX),
        };
        Ok((reader, receiver))
    }

    /// Reads with other tasks from the next record on. What was heard with the old ones comes first,
    /// then [`Heard::Switched`] with this generation; of several switches in a row only the last may
    /// be answered.
    pub fn switch(&self, generation: u64, tasks: Vec<Task>) {
        *self.shared.switch() = Some((generation, tasks));
        self.shared.waker.wake();
    }

    /// Ends the thread and waits for it. What it had not handed over is read again by the next reader.
    pub fn stop(mut self) {
        self.join();
    }

    /// Tells the thread to end, and does not wait for it: once it has, it is not heard any more.
    pub fn leave(mut self) {
        self.tell_to_stop();
        self.thread = None;
    }

    /// Whether the thread is well: it has moved since this was last asked, or it sleeps because there
    /// is nothing to read or nobody takes what it has heard. Asking wakes nobody.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let pulse = self.shared.pulse.load(Ordering::Relaxed);
        let runs = self.thread.as_ref().is_some_and(|t| !t.is_finished());
        runs && (pulse & RESTING != 0 || self.asked.swap(pulse, Ordering::Relaxed) != pulse)
    }

    /// How many entries a jail would have read if they had been root's: what selects them is written
    /// by the sender, whoever that is.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    fn tell_to_stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.shared.hangup.notify_one();
        self.shared.waker.wake();
    }

    fn join(&mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and the closed channel tells the daemon.
            let _ = thread.join();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.join();
    }
}

/// The thread.
fn work(mut work: impl Work, shared: &Shared) {
    while !shared.is_stopping.load(Ordering::Relaxed) {
        let switch = shared.switch().take();
        let result = match switch {
            Some((generation, tasks)) => work.switch(generation, tasks).map(|()| true),
            None => work.turn(),
        };
        if result != Ok(true) {
            return;
        }
    }
}

/// What the handle and the thread both see.
#[derive(Debug)]
struct Shared {
    waker: Waker,
    switch: Mutex<Option<(u64, Vec<Task>)>>,
    is_stopping: AtomicBool,
    hangup: Notify,
    /// Grows with every step; odd while the thread rests.
    pulse: AtomicU64,
    refused: AtomicU64,
}

impl Shared {
    fn new(waker: Waker) -> Self {
        Self {
            waker,
            switch: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
            hangup: Notify::new(),
            pulse: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    fn switch(&self) -> MutexGuard<'_, Option<(u64, Vec<Task>)>> {
        // The lock guards one assignment, which cannot be half done.
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's end of the channel.
#[derive(Debug)]
pub struct Valve {
    sender: Sender<Heard>,
    shared: Arc<Shared>,
    /// Only to wait for room and for the hangup at once.
    runtime: Runtime,
}

impl Valve {
    fn new(sender: Sender<Heard>, shared: Arc<Shared>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self {
            sender,
            shared,
            runtime,
        })
    }
}

impl Outlet for Valve {
    fn send(&mut self, heard: Heard) -> Result<(), Hangup> {
        let heard = match self.sender.try_send(heard) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Hangup),
            Err(TrySendError::Full(heard)) => heard,
        };
        self.rest(Rest::Begins);
        let sent = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.shared.hangup.notified() => Err(Hangup),
                sent = self.sender.send(heard) => sent.map_err(|_| Hangup),
            }
        });
        self.rest(Rest::Ends);
        sent
    }

    fn beat(&mut self) {
        // Only this thread writes it, so a plain load and store do.
        let pulse = self.shared.pulse.load(Ordering::Relaxed);
        self.shared
            .pulse
            .store(pulse.wrapping_add(2), Ordering::Relaxed);
    }

    fn rest(&mut self, asleep: Rest) {
        let pulse = self.shared.pulse.load(Ordering::Relaxed);
        let pulse = match asleep {
            Rest::Begins => pulse | RESTING,
            Rest::Ends => pulse & !RESTING,
        };
        self.shared.pulse.store(pulse, Ordering::Relaxed);
    }

    fn refused(&mut self) {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Messages in flight, each with at most 256 failures.
pub const CAPACITY: usize = 64;
const RESTING: u64 = 1;
