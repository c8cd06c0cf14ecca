//! One way to write a date, ready to be looked for.
//!
//! Comes in: a pattern and where it may stand, then lines. Goes out: where the date stands and what
//! it says. The regular expression is made when it is first needed: most are never.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::engine::filter::date::builtin::Format;
use crate::engine::filter::date::moment::Moment;
use crate::engine::filter::date::quick;
use crate::engine::filter::date::token::{self, Field};
use crate::engine::filter::pattern::Dialect;
use crate::engine::filter::rule::{Groups, Rule, Search};

/// A pattern for dates.
#[derive(Debug)]
pub(crate) struct Template {
    /// As its author wrote it.
    name: String,
    is_anchored: bool,
    /// The regular expression, and what its groups hold.
    regex: String,
    fields: Vec<Field>,
    quick: Option<quick::Read>,
    compiled: OnceLock<Option<Compiled>>,
}

/// Where a date may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the beginning of the line, behind at most two characters that belong to no word.
    Line,
    /// Anywhere but within a word.
    Word,
    /// As the pattern says.
    Own,
}

/// Where a date may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Anywhere but within a word.
    Word,
    /// As the pattern says.
    Own,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    /// The group that is cut out of the line.
    cut: usize,
    fields: Vec<(Field, usize)>,
}

/// The name of the group that is cut out.
const CUT: &str = "date_cut";

impl Template {
    /// A template of a pattern that has been taken apart.
    ///
    /// # Errors
    /// What is wrong with its tokens.
    pub(crate) fn new(name: &str, start: Start, body: &str, end: End) -> Result<Self, String> {
        let expanded = token::expand(body)?;
        let before = match start {
            Start::Line => r"^\W{0,2}",
            Start::Word => r"(?:^|\b|\W)",
            Start::Own => "",
        };
        let behind = match end {
            End::Word => r"(?:\b|\W|$)",
            End::Own => "",
        };
        let cut = match first_group(&expanded.regex) {
            Some(at) => {
                let (head, tail) = expanded.regex.split_at(at);
                format!("{head}(?P<{CUT}>{}", tail.get(1..).unwrap_or_default())
            }
            None => format!("(?P<{CUT}>{})", expanded.regex),
        };
        Ok(Self {
            name: name.to_owned(),
            is_anchored: start == Start::Line || body.starts_with('^'),
            regex: format!("{before}{cut}{behind}"),
            fields: expanded.fields,
            quick: None,
            compiled: OnceLock::new(),
        })
    }

    /// One of ours at the beginning of a line.
    pub(crate) fn at_beginning(format: &Format) -> Arc<Self> {
        let name = format!("{{^LN-BEG}}{}", format.pattern);
        let template = Self::new(&name, Start::Line, format.pattern, End::Word);
        Arc::new(Self {
            quick: format.quick,
            ..template.expect("our own patterns have good tokens")
        })
    }

    /// One of ours anywhere, or where it says.
    pub(crate) fn anywhere(format: &Format) -> Arc<Self> {
        let start = match format.pattern.starts_with('^') {
            true => Start::Own,
            false => Start::Word,
        };
        let template = Self::new(format.pattern, start, format.pattern, End::Word);
        Arc::new(template.expect("our own patterns have good tokens"))
    }

    /// The pattern as its author wrote it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a match can only begin where the line does.
    pub(crate) fn is_anchored(&self) -> bool {
        self.is_anchored
    }

    /// Makes the regular expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let compiled = self.compile()?;
        let _ = self.compiled.set(Some(compiled));
        Ok(())
    }

    fn compile(&self) -> Result<Compiled, String> {
        let rule = Rule::compile(&self.regex, Dialect::default()).map_err(|error| error.what)?;
        let group = |name: &str| {
            rule.group(name)
                .ok_or_else(|| format!("the group '{name}' was lost"))
        };
        let fields = self.fields.iter().enumerate();
        let fields = fields.map(|(index, field)| Ok((*field, group(&token::group(index))?)));
        Ok(Compiled {
            cut: group(CUT)?,
            fields: fields.collect::<Result<_, String>>()?,
            rule,
        })
    }

    /// Where a date stands in `line`, and what it says.
    pub(crate) fn find(&self, line: &[u8], groups: &mut Groups) -> Option<(Range<usize>, Moment)> {
        if let Some(found) = self.quick.and_then(|read| read(line)) {
            return Some(found);
        }
        let compiled = self.compiled.get_or_init(|| self.compile().ok()).as_ref()?;
        if compiled.rule.search(line, groups) != Search::Yes {
            return None;
        }
        let mut moment = Moment::default();
        for (field, group) in &compiled.fields {
            if let Some(text) = groups.text(*group, line) {
                moment.set(*field, std::str::from_utf8(text).ok()?)?;
            }
        }
        // A group that took no part leaves nothing to cut out.
        Some((groups.span(compiled.cut).unwrap_or(0..0), moment))
    }
}

/// Where the first group opens that has no name but captures.
fn first_group(regex: &str) -> Option<usize> {
    let bytes = regex.as_bytes();
    let mut at = 0;
    let mut in_class = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'[' if !in_class => {
                in_class = true;
                // A bracket that closes right away is a member.
                at += usize::from(bytes.get(at + 1) == Some(&b'^'));
                at += usize::from(bytes.get(at + 1) == Some(&b']'));
            }
            b']' => in_class = false,
            b'(' if !in_class && bytes.get(at + 1) != Some(&b'?') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::filter::date::builtin::FORMATS;
    use proptest::prelude::*;

    #[test]
    fn the_first_group_without_a_name_is_found() {
        for (regex, at) in [
            ("a(b)", Some(1)),
            ("(?:a)(?P<x>b)(c)", Some(13)),
            (r"\([(](", Some(5)),
            ("[]()](a)", Some(5)),
            ("[^](](a)", Some(5)),
            ("(?:a)", None),
            ("", None),
        ] {
            assert_eq!(first_group(regex), at, "{regex}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_by_hand_is_what_the_template_finds(
            line in "[\\[<]?(Nov|jan|Mar) [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9]( 20[0-9]{2}|\\.[0-9]{3}|:|x)?[ a-z]{0,3}\
                     |[\\[<]?(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9]([.,][0-9]{1,10})?( ?[-+Z][0-9:]{0,6})?[ .,a-z]{0,3}",
        ) {
            for (format, read) in FORMATS.iter().filter_map(|f| Some((f, f.quick?))) {
                let name = format.pattern;
                let slow = Template::new(name, Start::Line, name, End::Word).unwrap();
                if let Some(quick) = read(line.as_bytes()) {
                    let found = slow.find(line.as_bytes(), &mut Groups::default());
                    prop_assert_eq!(Some(quick), found, "{}", line);
                }
            }
        }
    }
}
