//! fail2ban's regex dialect to the syntax of the `regex` crate.
//!
//! Comes in: one line of `failregex` or `ignoreregex`, in Python's syntax with fail2ban's tags
//! (`<HOST>`, `<F-USER>…</F-USER>`). Goes out: text that `regex::bytes` compiles and that means the
//! same, or the reason why it cannot. Nothing is compiled here, and what only looks like a tag
//! stays as it is.

use std::fmt::Write;

/// What a pattern's text means depends on where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Which texts it is for.
    pub lines: Lines,
    /// Whether `<HOST>` stands for host names too (`usedns` is not `no`).
    pub has_names: bool,
}

/// Which texts a pattern is for. Every one of them ends in a newline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// One line, so no other newline is in it.
    #[default]
    One,
    /// Several lines (`maxlines` above 1): `^` and `$` mean each of them.
    Many,
}

/// Why a pattern cannot be used, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PatternError {
    /// Where in the pattern's text, in bytes from its beginning.
    pub at: usize,
    /// What is wrong and what to do.
    pub what: String,
}

/// Four numbers, an IPv4-mapped prefix before them left out. Ranges are checked when it is parsed.
macro_rules! ip4 {
    () => {
        "(?:::[fF]{4,6}:)?(?P<ip4>(?:[0-9]{1,3}\\.){3}[0-9]{1,3})"
    };
}

/// Groups of hexadecimal digits and colons.
macro_rules! ip6 {
    () => {
        "(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|:))"
    };
}

/// The pattern `text` for the `regex` crate, tags expanded.
///
/// # Errors
/// What cannot be expressed, for people.
pub fn expand(text: &str) -> Result<String, String> {
    let mut expansion = Expansion {
        rest: text,
        out: String::with_capacity(text.len() + 256),
        open: Vec::new(),
    };
    while !expansion.rest.is_empty() {
        expansion.step()?;
    }
    match expansion.open.pop() {
        Some(tag) => Err(format!("the tag <{tag}> is never closed by </{tag}>")),
        None => Ok(expansion.out),
    }
}

/// A pattern half read.
struct Expansion<'a> {
    rest: &'a str,
    out: String,
    /// The `<F-…>` tags that wait for their closing ones.
    open: Vec<&'a str>,
}

impl<'a> Expansion<'a> {
    /// Takes one token off the front.
    fn step(&mut self) -> Result<(), String> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(());
        };
        match first {
            '\\' => self.escape(),
            '[' => self.class(),
            '{' => self.brace(),
            '<' => return self.tag(),
            '(' => self.group(),
            // Texts end in a newline, before which Python's `$` matches too.
            '$' => self.replace(1, "(?m:$)"),
            other => self.take(other.len_utf8()),
        }
        Ok(())
    }

    /// Copies `len` bytes as they are.
    fn take(&mut self, len: usize) {
        let (head, tail) = self.rest.split_at(len);
        self.out.push_str(head);
        self.rest = tail;
    }

    /// Puts `text` where `len` bytes stood.
    fn replace(&mut self, len: usize, text: &str) {
        self.rest = self.rest.split_at(len).1;
        self.out.push_str(text);
    }

    /// `\<` and `\>` are plain characters in Python and word boundaries in `regex`; `\Z` is `\z`.
    fn escape(&mut self) {
        match self.rest.chars().nth(1) {
            Some('<') => self.replace(2, "<"),
            Some('>') => self.replace(2, ">"),
            Some('Z') => self.replace(2, r"\z"),
            Some(other) => self.take(1 + other.len_utf8()),
            None => self.take(1),
        }
    }

    /// A character class: Python knows neither nested classes nor set operations.
    fn class(&mut self) {
        self.take(1);
        if self.rest.starts_with('^') {
            self.take(1);
        }
        if self.rest.starts_with(']') {
            self.replace(1, r"\]");
        }
        let mut range = false;
        while let Some(next) = self.rest.chars().next() {
            let dash = next == '-';
            match next {
                ']' => return self.take(1),
                '[' => self.replace(1, r"\["),
                '&' => self.replace(1, r"\&"),
                '~' => self.replace(1, r"\~"),
                '-' if range => self.replace(1, r"\-"),
                '\\' => self.escape(),
                other => self.take(other.len_utf8()),
            }
            range = dash && !range;
        }
    }

    /// `{` is literal in Python unless a repeat count follows; `{,n}` counts from 0.
    fn brace(&mut self) {
        let inner = self.rest.split_once('}').map_or("", |(head, _)| head);
        let counts = inner.strip_prefix('{').unwrap_or("");
        let (low, high) = counts.split_once(',').unwrap_or((counts, counts));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let repeat = digits(low) && digits(high) && counts.bytes().any(|b| b != b',');
        match (repeat, low.is_empty()) {
            (false, _) => self.replace(1, r"\{"),
            (true, true) => self.replace(1, "{0"),
            (true, false) => self.take(1),
        }
    }

    /// The head of a named group or a look-behind: its `<` opens no tag.
    fn group(&mut self) {
        let heads = ["(?P<", "(?<"];
        let head = heads.iter().find(|head| self.rest.starts_with(**head));
        self.take(head.map_or(1, |head| head.len()));
    }

    /// A tag, or a `<` that opens none.
    fn tag(&mut self) -> Result<(), String> {
        let name = match self.rest.split_once('>') {
            Some((head, _)) => head.get(1..).unwrap_or_default(),
            None => "",
        };
        let whole = name.len() + 2;
        if let Some(standard) = standard(name) {
            self.replace(whole, standard);
            return Ok(());
        }
        if let Some(reason) = refused(name) {
            return Err(format!("the tag <{name}> {reason}"));
        }
        match (name.strip_prefix('/'), field(name)) {
            (Some(closing), _) if self.open.last() == Some(&closing) => {
                self.open.pop();
                self.replace(whole, ")");
            }
            (Some(closing), _) if self.open.contains(&closing) => {
                return Err(format!("the tag </{closing}> closes in the wrong place"));
            }
            (None, Some(group)) => {
                self.open.push(name);
                self.replace(whole, "");
                // Writing to a string cannot fail.
                let _ = write!(self.out, "(?P<{group}>");
            }
            _ => self.take(1),
        }
        Ok(())
    }
}

/// What a tag that stands alone expands to.
fn standard(name: &str) -> Option<&'static str> {
    // Without names: `<HOST>` is fail2ban's with `usedns = no`.
    Some(match name {
        "HOST" | "ADDR" | "F-ADDR/" => ADDR,
        "IP4" | "F-IP4/" => IP4,
        "IP6" | "F-IP6/" => IP6,
        "CIDR" | "F-CIDR/" => "(?P<cidr>[0-9]+)",
        "SUBNET" | "F-SUBNET/" => SUBNET,
        "F-ID/" => r"(?P<fid>\S+)",
        "F-PORT/" => r"(?P<fport>\w+)",
        _ => return None,
    })
}

/// Why a tag that fail2ban knows cannot be used here.
fn refused(name: &str) -> Option<&'static str> {
    match name {
        "DNS" | "F-DNS/" => Some("means a host name, and names are not looked up: use <ADDR>"),
        _ => None,
    }
}

/// The group that `<F-NAME>` opens.
fn field(name: &str) -> Option<String> {
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

const ADDR: &str = concat!(r"\[?(?:", ip4!(), "|", ip6!(), r")\]?");
const IP4: &str = ip4!();
const IP6: &str = ip6!();
const SUBNET: &str = concat!(
    r"\[?(?:",
    ip4!(),
    "|",
    ip6!(),
    ")(?:/(?P<cidr>[0-9]+))?",
    r"\]?"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_syntax_becomes_ours() {
        for (python, ours) in [
            (r"^a\<b\>$", "^a<b>(?m:$)"),
            (r"a\Z", r"a\z"),
            ("[^[]*", r"[^\[]*"),
            ("[]x]", r"[\]x]"),
            ("[a&&b~~]", r"[a\&\&b\~\~]"),
            ("[+--]", r"[+-\-]"),
            (r"[\]<HOST>]", r"[\]<HOST>]"),
            ("a{,3}", "a{0,3}"),
            ("a{2}b{2,}c{1,2}", "a{2}b{2,}c{1,2}"),
            ("{x}{}{,}", r"\{x}\{}\{,}"),
            ("(?P<user>x)", "(?P<user>x)"),
            ("<none> </F-USER> <a b>", "<none> </F-USER> <a b>"),
            ("<F-USER>.*</F-USER>", "(?P<user>.*)"),
            ("<F-ALT-X>a</F-ALT-X>", "(?P<alt_x>a)"),
            ("<F-ID/><F-PORT/>", r"(?P<fid>\S+)(?P<fport>\w+)"),
        ] {
            assert_eq!(expand(python).as_deref(), Ok(ours), "{python}");
        }
    }

    #[test]
    fn what_cannot_be_expressed_is_refused_by_name() {
        for (python, reason) in [
            ("<F-USER>x", "never closed"),
            ("<F-A><F-B></F-A></F-B>", "wrong place"),
            ("<DNS>", "not looked up"),
        ] {
            let error = expand(python).unwrap_err();
            assert!(error.contains(reason), "{python}: {error}");
        }
    }
}
