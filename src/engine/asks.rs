//! What the engine wants to know: questions that are open, answers that still hold, and who waits for
//! them.
//!
//! Comes in: needs, and answers whenever they come. Goes out: questions, each once while it is open.
//! Attackers choose host names, so that everything they can fill is bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::engine::address::{AddressSet, Offender};
use crate::engine::effect::{AskId, Question};
use crate::engine::facts::Facts;
use crate::engine::filter::failure::{Captures, Failure};
use crate::engine::ledger::Key;
use crate::engine::settings::{IgnoreCache, JailName};
use crate::engine::time::{Boottime, Now, Span};
use crate::engine::verdicts::{self, CacheKey, Verdicts};

/// Questions and answers.
#[derive(Debug, Default)]
pub(super) struct Asks {
    last: u64,
    unsaid: VecDeque<(AskId, Question)>,
    open: BTreeMap<AskId, Subject>,
    /// So many of them are about names.
    open_names: usize,
    names: BTreeMap<Box<str>, Named>,
    /// So many failures wait for the addresses of names.
    failures: usize,
    files: BTreeMap<PathBuf, Answered<Listed>>,
    /// Whose ban waits.
    waiting: BTreeMap<JailName, BTreeMap<Offender, Waiting>>,
    /// What `ignorecommand` said lately.
    said: Verdicts,
    /// When it was last told of a name, a file, or a jail's `ignorecommand` that it gives no answer.
    complained: BTreeMap<String, Boottime>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A host name.
    Name(Box<str>),
    /// A file of `ignoreip`.
    File(PathBuf),
    /// Whether an `ignorecommand` spares.
    Verdict(Case),
}

/// What an `ignorecommand` is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// Whom.
    pub(super) key: Key,
    /// Which of their failures.
    pub(super) kind: Captures,
    /// Under what the answer is remembered.
    cache_key: Option<CacheKey>,
}

/// What is known, since when, and whether it was asked for again.
#[derive(Clone, Debug)]
struct Answered<T> {
    /// The latest answer; `None` if there never was one.
    value: Option<T>,
    /// When it came, or when there was none.
    at: Option<Boottime>,
    is_open: bool,
}

/// A host name.
#[derive(Debug, Default)]
struct Named {
    known: Answered<Vec<Offender>>,
    /// It is on an `ignoreip`; the others are from logs.
    is_ours: bool,
    /// Failures of it.
    waiting: Vec<Failure>,
}

/// What a file of `ignoreip` lists.
#[derive(Clone, Debug, Default)]
struct Listed {
    addresses: AddressSet,
    names: Vec<Box<str>>,
}

/// A ban that waits.
#[derive(Clone, Debug)]
struct Waiting {
    /// Answers that came since then count.
    since: Boottime,
    /// The question to the `ignorecommand` that is open; there is one at a time.
    asked: Option<AskId>,
    /// What it said, by the kind of failure.
    verdicts: BTreeMap<Captures, bool>,
}

/// Answers about names hold this long …
const NAME_AGE: Span = Span::from_secs(300);
/// … and so long it holds that there was none …
const GAP_AGE: Span = Span::from_secs(30);
/// … and answers about files.
const FILE_AGE: Span = Span::from_secs(1);
/// So many names from logs are known at once …
const NAMES_MAX: usize = 1024;
/// … are asked for at once …
const OPEN_MAX: usize = 256;
/// … and so many failures wait for them.
const FAILURES_MAX: usize = 4096;
/// More addresses of a name are not looked at.
const ADDRESSES_MAX: usize = 64;
/// So many bans of a jail wait at once; beyond it, what is known must do.
const WAITING_MAX: usize = 512;
/// More words of a file are not looked at.
const WORDS_MAX: usize = 65_536;
/// More names in a file are not looked at.
const LISTED_NAMES_MAX: usize = 256;
/// That something gives no answer is told this often.
const COMPLAINT: Span = Span::from_secs(600);

impl Asks {
    /// The next question to put.
    pub(super) fn poll(&mut self) -> Option<(AskId, Question)> {
        self.unsaid.pop_front()
    }

    /// Whether there is one.
    pub(super) fn has_questions(&self) -> bool {
        !self.unsaid.is_empty()
    }

    /// What an answer is about; `None` if nobody asked or it was answered before.
    pub(super) fn close(&mut self, id: AskId) -> Option<Subject> {
        let subject = self.open.remove(&id)?;
        self.open_names -= usize::from(matches!(subject, Subject::Name(_)));
        Some(subject)
    }

    /// The addresses of a name from a log, if it is known whether it has some.
    pub(super) fn addresses(&self, now: Now, name: &str) -> Option<Vec<Offender>> {
        let known = &self.names.get(name)?.known;
        let holds = known.holds(now.boot, NAME_AGE, now.boot);
        holds.then(|| known.value.clone().unwrap_or_default())
    }

    /// Has `failure` of `name` wait for the addresses; `None` if that is one too many, else whether the
    /// question is new.
    pub(super) fn wait_for(&mut self, name: &str, failure: Failure) -> Option<bool> {
        let is_open = self
            .names
            .get(name)
            .is_some_and(|named| named.known.is_open);
        if self.failures >= FAILURES_MAX || (!is_open && self.open_names >= OPEN_MAX) {
            return None;
        }
        self.make_room(name);
        let named = self.names.entry(name.into()).or_default();
        named.waiting.push(failure);
        self.failures += 1;
        if !is_open {
            named.known.is_open = true;
            self.put(Subject::Name(name.into()), Question::Resolve(name.into()));
        }
        Some(!is_open)
    }

    /// The failures that wait for the addresses of `name`.
    pub(super) fn waiting_for(&self, name: &str) -> &[Failure] {
        self.names.get(name).map_or(&[], |named| &named.waiting)
    }

    /// Takes in the addresses of a name, `None` where there was no answer; returns whether bans may wait
    /// for it.
    pub(super) fn name_answered(
        &mut self,
        now: Now,
        name: &str,
        addresses: Option<Vec<IpAddr>>,
    ) -> bool {
        let named = self.names.entry(name.into()).or_default();
        let hosts = |list: Vec<IpAddr>| {
            let hosts: BTreeSet<Offender> = list.into_iter().map(Offender::host).collect();
            hosts.into_iter().take(ADDRESSES_MAX).collect()
        };
        let keeps = named.is_ours;
        named.known.answer(now.boot, addresses.map(hosts), keeps);
        named.is_ours
    }

    /// The failures that waited for the addresses of `name`, and wait no more.
    pub(super) fn take_failures(&mut self, name: &str) -> Vec<Failure> {
        let named = self.names.get_mut(name);
        let failures = named.map(|named| std::mem::take(&mut named.waiting));
        let failures = failures.unwrap_or_default();
        self.failures -= failures.len();
        failures
    }

    /// Takes in what a file lists, `None` where it could not be read.
    pub(super) fn file_answered(&mut self, now: Now, path: &Path, words: Option<Vec<Box<str>>>) {
        let known = self.files.entry(path.to_owned()).or_default();
        known.answer(now.boot, words.map(Listed::of), true);
    }

    /// Takes in what an `ignorecommand` said in a case, `None` where it said nothing, for this time and,
    /// under `cache`, for later. An answer that nobody waits for any more counts for nothing: the jail's
    /// settings may have changed meanwhile.
    pub(super) fn verdict_answered(
        &mut self,
        now: Now,
        (id, case): (AskId, &Case),
        spare: Option<bool>,
        cache: Option<&IgnoreCache>,
    ) {
        let waiting = self.waiting_mut(&case.key);
        let Some(waiting) = waiting.filter(|waiting| waiting.asked == Some(id)) else {
            return;
        };
        waiting.asked = None;
        let verdict = spare.unwrap_or(false);
        waiting.verdicts.insert(case.kind.clone(), verdict);
        if let (Some(spare), Some(cache), Some(key)) = (spare, cache, case.cache_key.clone()) {
            self.said.put(now, (&case.key.0, key, spare), cache);
        }
    }

    /// Whether it is time to tell that `what` gives no answer.
    pub(super) fn may_complain(&mut self, now: Now, what: &str) -> bool {
        let told = self.complained.get(what);
        let may = told.is_none_or(|at| now.boot >= at.plus(COMPLAINT));
        if may {
            self.complained.insert(what.to_owned(), now.boot);
        }
        may
    }

    /// Whose bans wait.
    pub(super) fn waiting(&self) -> Vec<Key> {
        let keys = |(jail, of_jail): (&JailName, &BTreeMap<Offender, Waiting>)| {
            let keys = of_jail.keys().map(|offender| (jail.clone(), *offender));
            keys.collect::<Vec<Key>>()
        };
        self.waiting.iter().flat_map(keys).collect()
    }

    /// Whether an answer is yet to come that the ban of `key` waits for in any case, and which will have it
    /// decided on again.
    pub(super) fn is_awaited(
        &self,
        now: Now,
        key: &Key,
        (names, files): (&[String], &[PathBuf]),
    ) -> bool {
        let of_jail = self.waiting.get(&key.0);
        let Some(waiting) = of_jail.and_then(|of_jail| of_jail.get(&key.1)) else {
            return false;
        };
        let is_open = |name: &str| {
            self.names.get(name).is_some_and(|named| {
                let known = &named.known;
                let holds = || known.holds(now.boot, NAME_AGE, waiting.since);
                named.is_ours && known.is_open && !holds()
            })
        };
        let listed = files
            .iter()
            .filter_map(|path| self.files.get(path)?.value.as_ref());
        waiting.asked.is_some()
            || names.iter().any(|name| is_open(name))
            || listed.flat_map(|it| &it.names).any(|name| is_open(name))
    }

    /// Notes that the ban of `key` waits, unless too many do; returns since when.
    pub(super) fn wait(&mut self, now: Now, key: &Key) -> Option<Boottime> {
        let of_jail = self.waiting.entry(key.0.clone()).or_default();
        if let Some(waiting) = of_jail.get(&key.1) {
            return Some(waiting.since);
        }
        (of_jail.len() < WAITING_MAX).then(|| {
            let waiting = Waiting {
                since: now.boot,
                asked: None,
                verdicts: BTreeMap::new(),
            };
            of_jail.insert(key.1, waiting);
            now.boot
        })
    }

    /// The ban of `key` waits no more.
    pub(super) fn settle(&mut self, key: &Key) {
        if let Some(of_jail) = self.waiting.get_mut(&key.0) {
            of_jail.remove(&key.1);
            if of_jail.is_empty() {
                self.waiting.remove(&key.0);
            }
        }
    }

    /// What the `ignorecommand` says of failures of a kind; `None` if that is yet to be answered. `facts`
    /// are for the question, if it is to be put.
    pub(super) fn verdict(
        &mut self,
        now: Now,
        (key, kind): (&Key, &Captures),
        facts: impl FnOnce() -> Facts,
        cache: Option<&IgnoreCache>,
    ) -> Option<bool> {
        let waiting = self.waiting.get_mut(&key.0)?.get_mut(&key.1)?;
        let known = waiting.verdicts.get(kind).copied();
        if known.is_some() || waiting.asked.is_some() {
            return known;
        }
        let facts = facts();
        let cache_key = cache.and_then(|cache| verdicts::key(cache, &facts));
        if let (Some(cache), Some(cache_key)) = (cache, &cache_key)
            && let Some(spare) = self.said.find(now, (&key.0, cache_key), cache)
        {
            return Some(spare);
        }
        waiting.asked = Some(AskId(self.last + 1));
        let case = Case {
            key: key.clone(),
            kind: kind.clone(),
            cache_key,
        };
        self.put(Subject::Verdict(case), Question::Ignore(Box::new(facts)));
        None
    }

    /// Forgets what was answered under other settings, and in jails that `changed` what was asked.
    pub(super) fn forget_verdicts(&mut self, changed: impl Fn(&JailName) -> bool) {
        self.said.clear();
        self.complained.clear();
        self.waiting.retain(|jail, _| !changed(jail));
    }

    /// Whether one of these names and files lists `offender`, as far as is known.
    pub(super) fn lists(&self, names: &[String], files: &[PathBuf], offender: &Offender) -> bool {
        let of_name = |name: &str| {
            let known = self
                .names
                .get(name)
                .and_then(|named| named.known.value.as_ref());
            let touches = |host: &Offender| offender.contains(host);
            known.is_some_and(|hosts| hosts.iter().any(touches))
        };
        let of_file = |path: &PathBuf| {
            let known = self.files.get(path).and_then(|file| file.value.as_ref());
            known.is_some_and(|listed| {
                listed.addresses.touches(offender) || listed.names.iter().any(|name| of_name(name))
            })
        };
        names.iter().any(|name| of_name(name)) || files.iter().any(of_file)
    }

    /// Asks for whatever is not known of these names and files since `since`; returns whether answers
    /// are missing.
    pub(super) fn inquire(
        &mut self,
        now: Now,
        (names, files): (&[String], &[PathBuf]),
        since: Boottime,
    ) -> bool {
        let mut wanted: BTreeSet<Box<str>> = names.iter().map(|name| (**name).into()).collect();
        let mut missing = false;
        for path in files {
            let file = self.files.entry(path.clone()).or_default();
            wanted.extend(file.value.iter().flat_map(|listed| listed.names.clone()));
            if file.holds(now.boot, FILE_AGE, since) {
                continue;
            }
            missing = true;
            if !std::mem::replace(&mut file.is_open, true) {
                let question = Question::ReadIgnored(path.clone());
                self.put(Subject::File(path.clone()), question);
            }
        }
        for name in wanted {
            let named = self.names.entry(name.clone()).or_default();
            named.is_ours = true;
            if named.known.holds(now.boot, NAME_AGE, since) {
                continue;
            }
            missing = true;
            if !std::mem::replace(&mut named.known.is_open, true) {
                self.put(Subject::Name(name.clone()), Question::Resolve(name));
            }
        }
        missing
    }

    /// Follows a wall clock that was set by `step` microseconds; returns whose failures moved.
    pub(super) fn shift(&mut self, step: i64) -> Vec<Box<str>> {
        let mut moved = Vec::new();
        for (name, named) in &mut self.names {
            for failure in &mut named.waiting {
                failure.time = failure.time.shifted(step);
            }
            if !named.waiting.is_empty() {
                moved.push(name.clone());
            }
        }
        moved
    }

    fn waiting_mut(&mut self, key: &Key) -> Option<&mut Waiting> {
        self.waiting.get_mut(&key.0)?.get_mut(&key.1)
    }

    fn put(&mut self, subject: Subject, question: Question) {
        self.last += 1;
        let id = AskId(self.last);
        self.open_names += usize::from(matches!(subject, Subject::Name(_)));
        self.open.insert(id, subject);
        self.unsaid.push_back((id, question));
    }

    /// Makes room for one more name from a log: the one that was answered longest ago gives way.
    fn make_room(&mut self, name: &str) {
        let foreign = |named: &&Named| !named.is_ours;
        if self.names.contains_key(name) || self.names.len() < NAMES_MAX {
            return;
        }
        let idle = self
            .names
            .iter()
            .filter(|(_, named)| foreign(named) && !named.known.is_open);
        let oldest = idle.min_by_key(|(_, named)| named.known.at);
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            self.names.remove(&oldest);
        }
    }
}

impl<T> Default for Answered<T> {
    fn default() -> Self {
        Self {
            value: None,
            at: None,
            is_open: false,
        }
    }
}

impl<T> Answered<T> {
    /// Whether it need not be asked for: it is younger than `age`, or came after `since`.
    fn holds(&self, now: Boottime, age: Span, since: Boottime) -> bool {
        let age = if self.value.is_some() {
            age
        } else {
            age.min(GAP_AGE)
        };
        let fresh = |at: Boottime| now < at.plus(age) || at >= since;
        self.at.is_some_and(fresh)
    }

    /// Takes in an answer; no answer leaves the last one where it is to be kept.
    fn answer(&mut self, now: Boottime, value: Option<T>, keeps: bool) {
        self.is_open = false;
        self.at = Some(now);
        if value.is_some() || !keeps {
            self.value = value;
        }
    }
}

impl Listed {
    fn of(words: Vec<Box<str>>) -> Self {
        let (mut addresses, mut names) = (Vec::new(), Vec::new());
        for word in words.into_iter().take(WORDS_MAX) {
            match word.parse::<Offender>() {
                Ok(offender) => addresses.push(offender),
                Err(_) if names.len() < LISTED_NAMES_MAX => names.push(word),
                Err(_) => {}
            }
        }
        let addresses = addresses.into_iter().collect();
        Self { addresses, names }
    }
}
