//! One filter put to its samples.
//!
//! Comes in: where filters and samples are. Goes out: how many lines came out as annotated, and each
//! that did not, with the reason. The clock stands still and the time zone is fixed, as in fail2ban's
//! own tests, so that years and hours that lines leave out are the same everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use crate::cli::conformance::sample::{Expected, Options, Sample, Step, parse};
use crate::config::LogType;
use crate::config::alone;
use crate::config::files::Layout;
use crate::engine::filter::{Filter, FilterSpec, Hit, Look, Memory, Names, Standing, Trial};
use crate::engine::record::Record;
use crate::engine::time::{Span, Timestamp};

/// 2005-08-14 10:00 UTC.
const NOW: Timestamp = Timestamp::from_usec(1_124_013_600_000_000);

/// Central Europe's, whose rules do not change with the host's tables.
const ZONE: &str = "CET-01CEST-02,M3.5.0,M10.5.0";

/// Samples belong to samples this deep at most.
const DEPTH_MAX: usize = 4;

/// What came of one filter.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// The filter.
    pub(crate) filter: String,
    /// So many lines came out as annotated, each counted once with each set of options.
    pub(crate) passed: usize,
    /// What did not.
    pub(crate) failed: Vec<Miss>,
}

/// Something that did not come out as annotated.
#[derive(Debug, Serialize)]
pub(crate) struct Miss {
    /// The file of samples, or of the filter.
    pub(crate) file: PathBuf,
    /// The line in it; 0 for none.
    pub(crate) line: usize,
    /// The filter's arguments.
    pub(crate) options: BTreeMap<String, String>,
    /// Why.
    pub(crate) reason: String,
}

/// A filter with its samples, under way.
pub(crate) struct Suite<'a> {
    layout: &'a Layout,
    logs: &'a Path,
    name: &'a str,
    zone: TimeZone,
    cases: BTreeMap<Options, Case>,
    /// The patterns that matched a line, with whatever options.
    hit: BTreeSet<String>,
    verdict: Verdict,
}

/// The filter with one set of options.
struct Case {
    /// `None` where it cannot be used.
    filter: Option<Filter>,
    memory: Memory,
    is_journal: bool,
}

/// Where something went wrong.
struct Spot<'a> {
    file: &'a Path,
    line: usize,
    options: &'a Options,
}

impl<'a> Suite<'a> {
    /// The filter `name` of `layout` on its samples; `None` where there are none.
    pub(crate) fn run(layout: &'a Layout, name: &'a str, logs: &'a Path) -> Option<Verdict> {
        let file = logs.join(name);
        if !file.is_file() {
            return None;
        }
        let mut suite = Self {
            layout,
            logs,
            name,
            zone: TimeZone::posix(ZONE).unwrap_or(TimeZone::UTC),
            cases: BTreeMap::new(),
            hit: BTreeSet::new(),
            verdict: Verdict {
                filter: name.to_owned(),
                ..Verdict::default()
            },
        };
        suite.file(&file, 0);
        suite.patterns_without_a_hit();
        Some(suite.verdict)
    }

    fn file(&mut self, path: &Path, depth: usize) {
        let options = &Options::default();
        let spot = |line| Spot {
            file: path,
            line,
            options,
        };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) => return self.miss(&spot(0), error.to_string()),
        };
        let steps = match parse(&text) {
            Ok(steps) => steps,
            Err((line, reason)) => return self.miss(&spot(line), reason),
        };
        for step in steps {
            match step {
                Step::Line(sample) => self.line(path, &sample),
                Step::File { number, .. } if depth >= DEPTH_MAX => {
                    self.miss(
                        &spot(number),
                        "files belong to files without end".to_owned(),
                    );
                }
                Step::File { name, .. } => self.file(&self.logs.join(name), depth + 1),
            }
        }
    }

    fn line(&mut self, file: &Path, sample: &Sample) {
        for options in sample.options.iter() {
            let conditions = [&options.condition, &sample.expected.constraint];
            let mut conditions = conditions.into_iter().flatten();
            if !conditions.all(|condition| condition.holds(self.name, &options.arguments)) {
                continue;
            }
            let spot = Spot {
                file,
                line: sample.number,
                options,
            };
            match self.evaluate(&spot, sample) {
                None => {}
                Some(Ok(())) => self.verdict.passed += 1,
                Some(Err(reason)) => self.miss(&spot, reason),
            }
        }
    }

    /// Tries a line with one set of options; `None` where the filter cannot be used with them.
    fn evaluate(&mut self, spot: &Spot<'_>, sample: &Sample) -> Option<Result<(), String>> {
        if !self.cases.contains_key(spot.options) {
            let case = self.case(spot);
            self.cases.insert(spot.options.clone(), case);
        }
        let case = self.cases.get_mut(spot.options)?;
        let filter = case.filter.as_ref()?;
        let line = match case.is_journal {
            true => &[spot.options.prefix.as_bytes(), &sample.text].concat(),
            false => &sample.text,
        };
        let record = Record {
            time: NOW,
            pid: None,
            message: line,
            line,
            is_dated: !case.is_journal,
        };
        let look = Look {
            now: NOW,
            is_live: false,
            find_time: Span::from_usec(u64::MAX),
            max_matches: 1000,
            ..Look::default()
        };
        let trial = filter.trial(&mut case.memory, &record, &look);
        let patterns = &filter.spec().fail;
        let hit = trial.hits.iter().filter_map(|hit| patterns.get(hit.rule));
        self.hit.extend(hit.cloned());
        let zone = (!case.is_journal).then_some(&self.zone);
        Some(judge(&sample.expected, &trial, zone))
    }

    fn case(&mut self, spot: &Spot<'_>) -> Case {
        let options = spot.options;
        let mut text = options.filter.as_deref().unwrap_or(self.name).to_owned();
        for (name, value) in &options.arguments {
            text.push_str(&format!("[{name}=\"{value}\"]"));
        }
        let kind = options.arguments.get("logtype");
        let filter = self.filter(&text);
        if let Ok(filter) = &filter {
            for pattern in filter.spec().fail.iter().filter(|text| is_greedy(text)) {
                let reason = "text before the address can swallow another one";
                self.miss(spot, format!("{reason}: {pattern}"));
            }
        }
        Case {
            filter: filter.map_err(|reason| self.miss(spot, reason)).ok(),
            memory: Memory::default(),
            is_journal: kind.is_some_and(|kind| kind == "journal"),
        }
    }

    fn filter(&self, text: &str) -> Result<Filter, String> {
        let alone = alone::filter(self.layout, text, LogType::File);
        let spec = FilterSpec {
            zone: self.zone.clone(),
            names: Names::Raw,
            ..alone.map_err(|problems| texts(&problems))?.spec
        };
        Filter::compile(spec).map_err(|errors| texts(&errors))
    }

    /// Every pattern is there for some line.
    fn patterns_without_a_hit(&mut self) {
        let mut told = std::mem::take(&mut self.hit);
        let file = self.logs.join(self.name);
        for (options, case) in std::mem::take(&mut self.cases) {
            let Some(filter) = case.filter else { continue };
            for pattern in &filter.spec().fail {
                if told.insert(pattern.clone()) {
                    let spot = Spot {
                        file: &file,
                        line: 0,
                        options: &options,
                    };
                    self.miss(&spot, format!("no line matches this failregex: {pattern}"));
                }
            }
        }
    }

    fn miss(&mut self, spot: &Spot<'_>, reason: String) {
        self.verdict.failed.push(Miss {
            file: spot.file.to_owned(),
            line: spot.line,
            options: spot.options.arguments.clone(),
            reason,
        });
    }
}

/// Whether something before the address takes as much as it can while what follows the address is not
/// held at the end: then of several addresses in a line an attacker may choose which one is taken.
fn is_greedy(pattern: &str) -> bool {
    let tags = ["<HOST>", "<ADDR>", "<SUBNET>", "<IP4>", "<IP6>", "<DNS>"];
    let place = |tag: &&str| pattern.find(*tag).map(|at| (at, at + tag.len()));
    let Some((start, end)) = tags.iter().filter_map(place).min() else {
        return false;
    };
    let before = pattern.get(..start).unwrap_or_default();
    let before = before.rsplit(['^', '$']).next().unwrap_or_default();
    let behind = pattern.get(end..).unwrap_or_default();
    let greedy = [".*", ".+"].into_iter().any(|dots| {
        before.match_indices(dots).any(|(at, _)| {
            let is_escaped = before.get(..at).is_some_and(|text| text.ends_with('\\'));
            !is_escaped
                && !before
                    .get(at + 2..)
                    .is_some_and(|text| text.starts_with('?'))
        })
    });
    greedy && !behind.is_empty() && !behind.ends_with('$')
}

fn texts(problems: &[impl ToString]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Whether a line came out as annotated. Without a `zone` its time is of no interest.
fn judge(expected: &Expected, trial: &Trial, zone: Option<&TimeZone>) -> Result<(), String> {
    let failures: Vec<&Hit> = trial.hits.iter().filter(|hit| is_failure(hit)).collect();
    let shown = |hit: &Hit| {
        let who = hit.id.as_deref().unwrap_or("nobody");
        format!("failregex {} finds a failure of '{who}'", hit.rule + 1)
    };
    let hit = match (expected.is_match, failures.as_slice()) {
        (false, []) => return Ok(()),
        (false, [hit, ..]) => return Err(format!("{}, and there is none", shown(hit))),
        (true, []) => return Err(no_failure(trial)),
        (true, [hit]) => hit,
        (true, several) => {
            let all: Vec<String> = several.iter().map(|hit| shown(hit)).collect();
            return Err(format!("more than one pattern: {}", all.join(", ")));
        }
    };
    let same = |what: &str, wanted: Option<&str>, found: Option<&str>| match wanted == found {
        true => Ok(()),
        false => Err(format!(
            "{what} is {}, not {}",
            found.map_or("missing".to_owned(), |text| format!("'{text}'")),
            wanted.map_or("missing".to_owned(), |text| format!("'{text}'")),
        )),
    };
    if let Some(host) = &expected.host {
        same("host", Some(host), hit.id.as_deref())?;
    }
    if let (Some(time), Some(zone)) = (&expected.time, zone) {
        let found = local(trial.time, zone);
        if !is_time(time, &found) {
            same("time", Some(time), Some(&found))?;
        }
    }
    if let Some(attempts) = expected.attempts {
        same(
            "attempts",
            Some(&attempts.to_string()),
            Some(&hit.lines.to_string()),
        )?;
    }
    for (name, value) in &expected.fields {
        let found = hit
            .fields
            .get(name)
            .filter(|text| !text.is_empty() || *value == "");
        match value {
            Value::Null => same(name, None, found.map(String::as_str))?,
            Value::Array(values) => {
                let wanted: BTreeSet<&str> = values.iter().filter_map(Value::as_str).collect();
                let found: BTreeSet<&str> = found.map_or("", String::as_str).lines().collect();
                let text = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(", ");
                same(name, Some(&text(wanted)), Some(&text(found)))?;
            }
            Value::String(text) => same(name, Some(text), found.map(String::as_str))?,
            other => same(name, Some(&other.to_string()), found.map(String::as_str))?,
        }
    }
    Ok(())
}

/// Without connections `<F-NOFAIL>` has no effect on banning, but the annotations go by it.
fn is_failure(hit: &Hit) -> bool {
    let has = |name| {
        hit.fields
            .get(name)
            .is_some_and(|text: &String| !text.is_empty())
    };
    hit.standing == Standing::Failed && (has("mlfid") || !has("nofail"))
}

/// Why a line is no failure.
fn no_failure(trial: &Trial) -> String {
    let standing = trial
        .hits
        .iter()
        .map(|hit| (hit.rule + 1, hit.standing))
        .next();
    match (trial.prefix, trial.ignored, standing) {
        (_, Some(index), _) => format!("ignoreregex {} matches", index + 1),
        (false, ..) => "prefregex does not match".to_owned(),
        (true, None, None) => "no failregex matches".to_owned(),
        (true, None, Some((rule, Standing::Pending))) => {
            format!("failregex {rule} matches, but nobody knows whose failure it is")
        }
        (true, None, Some((rule, _))) => format!("failregex {rule} matches, but it is no failure"),
    }
}

/// A point in time as the annotations write it.
fn local(time: Timestamp, zone: &TimeZone) -> String {
    let micros = i64::try_from(time.usec()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    zone.to_datetime(time).to_string()
}

/// Whether both are the same time; where the annotation names no fraction, any will do.
fn is_time(annotated: &str, found: &str) -> bool {
    let numbers = |text: &str| -> Vec<Option<u32>> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = whole.split(['-', 'T', ':']).map(|part| part.parse().ok());
        let fraction = (!fraction.is_empty()).then(|| format!("{fraction:0<9}").parse().ok());
        whole.chain(fraction).collect()
    };
    let (annotated, mut found) = (numbers(annotated), numbers(found));
    found.resize(annotated.len().max(6), Some(0));
    annotated == found
}
