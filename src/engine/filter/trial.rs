//! A record looked at in full, for people who write filters.
//!
//! Comes in: what [`Compiled::find`] gets. Goes out: everything that it would pass over, too. It goes the
//! same way and leaves the memory as that would.

use std::collections::BTreeMap;

use crate::engine::filter::memory::Scratch;
use crate::engine::filter::sight::{Compiled, Sight};
use crate::engine::filter::{Hit, Look, Memory, Part, Trial};
use crate::engine::record::Record;

impl Compiled {
    /// What becomes of `record`, and why.
    pub(crate) fn trial(
        &self,
        memory: &mut Memory,
        scratch: &mut Scratch,
        (record, look): (&Record<'_>, &Look),
    ) -> Trial {
        let Some(reading) = self.read(memory, scratch, (record, look)) else {
            return Trial::default();
        };
        let date = reading.line.get(reading.date.clone());
        let mut trial = Trial {
            time: reading.time,
            date: date
                .filter(|date| !date.is_empty())
                .map(|date| String::from_utf8_lossy(date).into_owned()),
            template: reading.template,
            ..Trial::default()
        };
        let complaints = &mut memory.complaints;
        if self.ignores_early() {
            trial.ignored = self.ignores(complaints, &scratch.text);
        }
        let content = self.content(complaints, scratch);
        trial.prefix = content.is_some();
        let (None, Some(content)) = (trial.ignored, content) else {
            return trial;
        };
        let sight = Sight {
            filter: self,
            look,
            reading,
            text: &scratch.text,
            prefix: &scratch.prefix,
            content,
        };
        let groups = &mut scratch.groups;
        let before = memory.past.clone();
        for (index, rule) in self.fail.as_slice().iter().enumerate() {
            let search = rule.search(sight.content(), groups);
            if !complaints.heed(Part::Fail, index, search) {
                continue;
            }
            // Only the first one changes what is remembered.
            let mut other = before.clone();
            let past = match trial.hits.is_empty() {
                true => &mut memory.past,
                false => &mut other,
            };
            let mut fields = BTreeMap::new();
            let judgement = sight.judge((past, complaints), (index, groups), Some(&mut fields));
            trial.ignored = trial.ignored.or(judgement.ignored);
            trial.hits.push(Hit {
                rule: index,
                standing: judgement.standing,
                lines: judgement.lines.count,
                id: judgement.identity.as_ref().map(|id| id.text.clone()),
                found: judgement.found(index, sight.reading.time.min(look.now)),
                fields,
            });
            // The lines that matched are taken out, and no other pattern sees them.
            if self.spec.max_lines > 1 {
                break;
            }
        }
        trial
    }
}
