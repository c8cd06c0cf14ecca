//! fail2ban's tags: what `<HOST>` stands for, and `<F-USER>…</F-USER>` as a group. What only looks like
//! a tag is text.

use crate::engine::filter::pattern::ast::Node;
use crate::engine::filter::pattern::parse::{Opener, Parser};
use crate::engine::filter::pattern::{PatternError, SKIPPED};

/// Four numbers, an IPv4-mapped prefix before them left out. Ranges are checked when it is parsed.
macro_rules! ip4 {
    () => {
        r"(?:::[fF]{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})"
    };
}

/// Groups of hexadecimal digits and colons.
macro_rules! ip6 {
    () => {
        r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|:))"
    };
}

macro_rules! addr {
    () => {
        concat!(r"\[?(?:", ip4!(), "|", ip6!(), r")\]?")
    };
}

macro_rules! dns {
    () => {
        r"(?P<dns>[\w.^_-]*\w)"
    };
}

impl<'a> Parser<'a> {
    /// A tag that stands here, or `None` for a `<` that opens none.
    pub(super) fn tag(&mut self) -> Result<Option<Node>, PatternError> {
        let at = self.place();
        let Some(name) = tag_name(self.rest()) else {
            return Ok(None);
        };
        let length = name.len() + 2;
        if name == "SKIPLINES" {
            self.skip(length);
            return self.skip_lines(at).map(Some);
        }
        if let Some(text) = meaning(name, self.dialect.has_names) {
            self.skip(length);
            return self.meaning(text, at).map(Some);
        }
        let Some(group) = group(name) else {
            return Ok(None);
        };
        self.skip(length);
        let number = self.begin(Some(&group), at)?;
        self.open.push(Opener::Tag(name));
        let flags = self.flags;
        let node = self.branches()?;
        self.open.pop();
        self.flags = flags;
        if !self.take(&format!("</{name}>")) {
            return Err(PatternError {
                at,
                what: format!("the tag <{name}> is never closed by </{name}>"),
            });
        }
        self.end(number);
        Ok(Some(Node::Capture(number, Box::new(node))))
    }

    /// Whether a tag is closed here.
    pub(super) fn is_at_closing_tag(&self) -> Result<bool, PatternError> {
        let closing = tag_name(self.rest()).and_then(|name| name.strip_prefix('/'));
        let Some(closing) = closing else {
            return Ok(false);
        };
        if self.open.last() == Some(&Opener::Tag(closing)) {
            return Ok(true);
        }
        match self.open.contains(&Opener::Tag(closing)) {
            false => Ok(false),
            true => Err(PatternError {
                at: self.place(),
                what: format!("the tag </{closing}> closes in the wrong place"),
            }),
        }
    }

    /// The end of this line and any number of complete ones, as few as possible. They are captured
    /// under names of their own, because what was skipped is not used up by the match.
    fn skip_lines(&mut self, at: usize) -> Result<Node, PatternError> {
        let is_skip = |name: &str| name.starts_with(SKIPPED);
        let names = self.groups.iter().filter_map(|group| group.name.as_deref());
        let name = format!("{SKIPPED}{}", names.filter(|name| is_skip(name)).count());
        let number = self.begin(Some(&name), at)?;
        let newline = self.meaning(r"\n", at)?;
        let lines = self.meaning(r"(?:[^\n]*\n)*?", at)?;
        self.end(number);
        Ok(Node::concat(vec![
            newline,
            Node::Capture(number, Box::new(lines)),
        ]))
    }
}

/// The name of the tag at the beginning of `text`.
fn tag_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('<')?.split_once('>')?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    (!name.is_empty() && name.chars().all(good)).then_some(name)
}

/// What a tag that stands alone stands for.
fn meaning(name: &str, has_names: bool) -> Option<&'static str> {
    Some(match name {
        "HOST" if has_names => concat!("(?:", addr!(), "|", dns!(), ")"),
        "HOST" | "ADDR" | "F-ADDR/" => addr!(),
        "IP4" | "F-IP4/" => ip4!(),
        "IP6" | "F-IP6/" => ip6!(),
        "DNS" | "F-DNS/" => dns!(),
        "CIDR" | "F-CIDR/" => r"(?P<cidr>\d+)",
        "SUBNET" | "F-SUBNET/" => {
            concat!(r"\[?(?:", ip4!(), "|", ip6!(), r")(?:/(?P<cidr>\d+))?\]?")
        }
        "F-ID/" => r"(?P<fid>\S+)",
        "F-PORT/" => r"(?P<fport>\w+)",
        _ => return None,
    })
}

/// The group that `<F-NAME>` opens in a pattern, and whose text it stands for in a command.
pub(crate) fn group(name: &str) -> Option<String> {
    let field = name.strip_prefix("F-")?;
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if !field.starts_with(|c: char| c.is_ascii_uppercase()) || !field.chars().all(good) {
        return None;
    }
    Some(match field {
        "ID" => "fid".to_owned(),
        "PORT" => "fport".to_owned(),
        other => other.to_ascii_lowercase().replace('-', "_"),
    })
}
