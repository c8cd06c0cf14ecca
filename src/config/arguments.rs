//! `name[option=value, …]`, as in `filter = sshd[mode=normal]`.
//!
//! Comes in: the text. Goes out: the name and its arguments, or where the syntax ends. Pure.

use crate::config::tree::Given;

/// A name with arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// The name.
    pub(crate) name: String,
    /// The arguments; of two with the same name the later one.
    pub(crate) arguments: Given,
}

/// Takes `text` apart.
///
/// # Errors
/// The text from which on it makes no sense.
pub(crate) fn parse(text: &str) -> Result<Call, String> {
    let text = text.trim();
    let (name, mut rest) = text.split_at(text.find('[').unwrap_or(text.len()));
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(text.to_owned());
    }
    let mut call = Call {
        name: name.to_owned(),
        ..Call::default()
    };
    while let Some(inner) = rest.strip_prefix('[') {
        rest = group(inner, &mut call.arguments)?.trim_start();
    }
    match rest {
        "" => Ok(call),
        rest => Err(rest.to_owned()),
    }
}

/// One bracket group, its `[` taken off; returns what follows its `]`.
fn group<'a>(text: &'a str, arguments: &mut Given) -> Result<&'a str, String> {
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            return Ok(after);
        }
        let named = rest
            .split_once('=')
            .filter(|(name, _)| is_option(name.trim()));
        let (name, value) = named.ok_or_else(|| rest.to_owned())?;
        let (value, after) = value_of(value).ok_or_else(|| rest.to_owned())?;
        arguments.insert(name.trim().to_lowercase(), value.trim().to_owned());
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.starts_with(']') => after,
            None => return Err(after.to_owned()),
        };
    }
}

/// The value at the beginning of `text`, and what follows it.
fn value_of(text: &str) -> Option<(&str, &str)> {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote);
        }
    }
    Some(text.split_at(text.find([',', ']'])?))
}

/// Word characters, `-`, `_`, `.`, and a condition after `?`.
fn is_option(name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '?' | '=');
    !name.is_empty() && name.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_like_fail2bans() {
        for (text, name, arguments) in [
            ("sshd", "sshd", ""),
            (" sshd[] ", "sshd", ""),
            ("sshd[mode=aggressive]", "sshd", "mode=aggressive"),
            ("a[x=1, y=\"v, ]w\"][Z='q\"', ]", "a", "x=1;y=v, ]w;z=q\""),
            ("a[x=1,x= 2 ]", "a", "x=2"),
            ("a[x=<tag>] [y=]", "a", "x=<tag>;y="),
            ("a/b[x=\"1\n2\"]", "a/b", "x=1\n2"),
        ] {
            let call = parse(text).unwrap();
            let pairs: Vec<String> = call
                .arguments
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            assert_eq!(
                (call.name.as_str(), pairs.join(";").as_str()),
                (name, arguments)
            );
        }
        for text in [
            "",
            "[x=1]",
            "a b",
            "a[x]",
            "a[x=1",
            "a[x=\"1]",
            "a[x=1]b",
            "a[x=\"1\"y]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
