//! What stands in parentheses: groups, look-around, conditions, back-references, flags.

use crate::engine::filter::pattern::PatternError;
use crate::engine::filter::pattern::ast::Node;
use crate::engine::filter::pattern::parse::{Flags, Group, Item, Opener, Parser, error};

impl<'a> Parser<'a> {
    /// A group; its `(` has not been read.
    pub(super) fn group(&mut self) -> Result<Item, PatternError> {
        let at = self.place();
        self.next();
        let node = if let Some(flags) = self.flags_of_group("") {
            self.scoped(flags, at)?
        } else if !self.take("?") {
            self.capture(None, at)?
        } else if let Some(flags) = self.flags_of_group(":") {
            self.scoped(flags, at)?
        } else if self.take(":") {
            self.inside(at)?
        } else if self.take("#") {
            return self.comment(at);
        } else if self.take(">") {
            Node::Atomic(Box::new(self.inside(at)?))
        } else if self.take("=") {
            self.around(true, false, at)?
        } else if self.take("!") {
            self.around(true, true, at)?
        } else if self.take("<=") {
            self.around(false, false, at)?
        } else if self.take("<!") {
            self.around(false, true, at)?
        } else if self.take("(") {
            self.condition(at)?
        } else if self.take("P<") {
            let name = self.name('>', at)?;
            self.capture(Some(name), at)?
        } else if self.take("P=") {
            let name = self.name(')', at)?;
            let group = self.named(name, at)?;
            self.backreference(group, at)?
        } else {
            return self.flags(at);
        };
        Ok(Item::Node(node))
    }

    /// A group that captures, from behind its head.
    pub(super) fn capture(&mut self, name: Option<&str>, at: usize) -> Result<Node, PatternError> {
        let number = self.begin(name, at)?;
        let node = self.inside(at)?;
        self.end(number);
        Ok(Node::Capture(number, Box::new(node)))
    }

    /// Counts a group that begins here.
    pub(super) fn begin(&mut self, name: Option<&str>, at: usize) -> Result<usize, PatternError> {
        let is_taken = |group: &Group| name.is_some() && group.name.as_deref() == name;
        if self.groups.iter().any(is_taken) {
            let name = name.unwrap_or_default();
            return Err(PatternError {
                at,
                what: format!(
                    "the group '{name}' stands there already (tags are groups too): write two patterns"
                ),
            });
        }
        self.groups.push(Group {
            name: name.map(Box::from),
            is_closed: false,
        });
        Ok(self.groups.len())
    }

    /// The group ends here.
    pub(super) fn end(&mut self, number: usize) {
        if let Some(group) = number
            .checked_sub(1)
            .and_then(|index| self.groups.get_mut(index))
        {
            group.is_closed = true;
        }
    }

    /// What stands in a group, and its `)`.
    fn inside(&mut self, at: usize) -> Result<Node, PatternError> {
        self.open.push(Opener::Parenthesis);
        let flags = self.flags;
        let node = self.branches()?;
        self.close(at)?;
        // What was switched on for good within holds on.
        self.flags = flags.or(self.global);
        Ok(node)
    }

    fn close(&mut self, at: usize) -> Result<(), PatternError> {
        self.open.pop();
        match self.take(")") {
            true => Ok(()),
            false => Err(error(at, r"this '(' is never closed: '\(' stands for one")),
        }
    }

    fn scoped(&mut self, flags: Flags, at: usize) -> Result<Node, PatternError> {
        let outside = std::mem::replace(&mut self.flags, flags);
        let node = self.inside(at)?;
        self.flags = outside.or(self.global);
        Ok(node)
    }

    fn around(
        &mut self,
        is_ahead: bool,
        is_negative: bool,
        at: usize,
    ) -> Result<Node, PatternError> {
        let node = self.inside(at)?;
        if !is_ahead && node.width().is_none() {
            return Err(error(
                at,
                "what is looked for behind must always have the same length: no *, +, ? or back-reference, and branches of one length",
            ));
        }
        Ok(Node::Around {
            is_ahead,
            is_negative,
            node: Box::new(node),
        })
    }

    /// `(?(1)yes|no)`, from behind its second parenthesis.
    fn condition(&mut self, at: usize) -> Result<Node, PatternError> {
        let name = self.name(')', at)?;
        let group = match name.parse() {
            Ok(number) => number,
            Err(_) => self.named(name, at)?,
        };
        self.check_closed(group, at)?;
        self.open.push(Opener::Parenthesis);
        let flags = self.flags;
        let yes = self.sequence()?;
        let no = match self.take("|") {
            true => self.sequence()?,
            false => Node::Empty,
        };
        if self.rest().starts_with('|') {
            return Err(error(
                self.place(),
                "a condition has two branches: put (?:…) around more",
            ));
        }
        self.close(at)?;
        self.flags = flags.or(self.global);
        Ok(Node::Condition {
            group,
            yes: Box::new(yes),
            no: Box::new(no),
        })
    }

    /// The text of the group `number` again.
    pub(super) fn backreference(&self, number: usize, at: usize) -> Result<Node, PatternError> {
        self.check_closed(number, at)?;
        Ok(Node::Backreference {
            group: number,
            ignores_case: self.flags.ignore_case,
        })
    }

    /// Whether the group `number` ends before this.
    fn check_closed(&self, number: usize, at: usize) -> Result<(), PatternError> {
        let index = number.checked_sub(1);
        match index.and_then(|index| self.groups.get(index)) {
            Some(group) if group.is_closed => Ok(()),
            Some(_) => Err(error(at, "this refers to a group that is still open")),
            None => Err(PatternError {
                at,
                what: format!("there is no group {number} before this"),
            }),
        }
    }

    /// The number of the group `name`.
    fn named(&self, name: &str, at: usize) -> Result<usize, PatternError> {
        let place = self
            .groups
            .iter()
            .position(|group| group.name.as_deref() == Some(name));
        let place = place.ok_or_else(|| PatternError {
            at,
            what: format!("there is no group '{name}' before this"),
        })?;
        Ok(place + 1)
    }

    /// A name up to `end`: letters, digits, `_`.
    fn name(&mut self, end: char, at: usize) -> Result<&'a str, PatternError> {
        let (name, _) = self.rest().split_once(end).unwrap_or_default();
        let is_name = |char: char| char == '_' || char.is_alphanumeric();
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(PatternError {
                at,
                what: format!("a group's name (letters, digits, '_') and '{end}' must follow"),
            });
        }
        self.skip(name.len() + end.len_utf8());
        Ok(name)
    }

    fn comment(&mut self, at: usize) -> Result<Item, PatternError> {
        let (text, _) = self
            .rest()
            .split_once(')')
            .ok_or_else(|| error(at, "this comment is never closed by a ')'"))?;
        self.skip(text.len() + 1);
        Ok(Item::Nothing)
    }

    /// `((?i)…)` and `(?:(?i)…)`, which fail2ban takes for `(?i:…)`: the flags, if they stand here
    /// after `head`.
    fn flags_of_group(&mut self, head: &str) -> Option<Flags> {
        let rest = self.rest().strip_prefix(head)?.strip_prefix("(?")?;
        let (letters, _) = rest.split_once(')')?;
        let mut flags = self.flags;
        if letters.is_empty() || !letters.chars().all(|letter| flags.set(letter, true)) {
            return None;
        }
        self.skip(head.len() + letters.len() + 3);
        Some(flags)
    }

    /// `(?i)` or `(?i-s:…)`, from behind the question mark.
    fn flags(&mut self, at: usize) -> Result<Item, PatternError> {
        let mut flags = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('-') if on => on = false,
                Some(':') => return self.scoped(flags, at).map(Item::Node),
                Some(')') if on => {
                    self.flags = flags;
                    self.global = self.global.or(flags);
                    return Ok(Item::Nothing);
                }
                Some('L') => {
                    return Err(error(
                        at,
                        "the flag L (locale) is not supported: leave it out",
                    ));
                }
                Some(letter) if flags.set(letter, on) => {}
                _ => return Err(unknown(self.rest(), at)),
            }
        }
    }
}

impl Flags {
    /// Sets a flag by its letter; `false` if there is none.
    fn set(&mut self, letter: char, on: bool) -> bool {
        match letter {
            'i' => self.ignore_case = on,
            'm' => self.multi_line = on,
            's' => self.dot_all = on,
            'x' => self.verbose = on,
            'a' | 'u' => return on,
            _ => return false,
        }
        true
    }

    fn or(self, other: Self) -> Self {
        Self {
            ignore_case: self.ignore_case || other.ignore_case,
            multi_line: self.multi_line || other.multi_line,
            dot_all: self.dot_all || other.dot_all,
            verbose: self.verbose || other.verbose,
        }
    }
}

fn unknown(rest: &str, at: usize) -> PatternError {
    let is_name = rest.starts_with(|char: char| char.is_alphabetic());
    error(
        at,
        match is_name {
            true => "Python knows no such group: a name is written (?P<name>…)",
            false => "Python knows no such group: (?:…) only groups",
        },
    )
}
