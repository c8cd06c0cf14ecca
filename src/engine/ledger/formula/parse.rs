//! The text of a formula to its tree, by recursive descent.
//!
//! Comes in: text, of at most [`LONGEST`] bytes. Goes out: a tree at most as deep as the text is long, or
//! what is wrong and where, counted in characters from 1.

use crate::engine::ledger::formula::{Comparison, Expr, Function, Name, Operator};

/// Longer texts are refused.
pub(super) const LONGEST: usize = 1000;

/// Deeper nesting is refused: brackets, signs, exponents, conditions.
const DEEPEST: u32 = 50;

/// Reads one expression.
pub(super) struct Parser<'a> {
    text: &'a str,
    /// What is still to be read.
    rest: &'a str,
    depth: u32,
    /// Names are refused.
    is_constant: bool,
}

type Parsed = Result<Expr, String>;

impl<'a> Parser<'a> {
    /// The expression that is the whole of `text`.
    pub(super) fn whole(text: &'a str) -> Parsed {
        Self::read(text, false)
    }

    /// The same without names and without chance.
    pub(super) fn constant(text: &'a str) -> Parsed {
        Self::read(text, true)
    }

    fn read(text: &'a str, is_constant: bool) -> Parsed {
        if text.len() > LONGEST {
            return Err(format!("too long: at most {LONGEST} bytes"));
        }
        let mut parser = Parser {
            text,
            rest: text,
            depth: 0,
            is_constant,
        };
        let root = parser.condition()?;
        match parser.rest.trim_start().is_empty() {
            true => Ok(root),
            false => Err(parser.unexpected()),
        }
    }

    /// `a if b else c`, the loosest there is.
    fn condition(&mut self) -> Parsed {
        self.deeper(|parser| {
            let then = parser.either()?;
            if !parser.takes_word("if") {
                return Ok(then);
            }
            let test = parser.either()?;
            if !parser.takes_word("else") {
                return Err(format!("'else' is missing at character {}", parser.place()));
            }
            let other = parser.condition()?;
            let (test, then, other) = (Box::new(test), Box::new(then), Box::new(other));
            Ok(Expr::If { test, then, other })
        })
    }

    fn either(&mut self) -> Parsed {
        let mut left = self.both()?;
        while self.takes_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Parsed {
        let mut left = self.negation()?;
        while self.takes_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Parsed {
        if self.takes_word("not") {
            let operand = self.deeper(Self::negation)?;
            return Ok(Expr::Not(Box::new(operand)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed {
        const SIGNS: [(&str, Comparison); 6] = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let first = self.binary(0)?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.takes(&SIGNS) {
            rest.push((comparison, self.binary(0)?));
        }
        Ok(match rest.is_empty() {
            true => first,
            false => Expr::Compare(Box::new(first), rest),
        })
    }

    /// Operators that bind to the left, from level to tighter level.
    fn binary(&mut self, level: usize) -> Parsed {
        const LEVELS: [&[(&str, Operator)]; 3] = [
            &[("<<", Operator::ShiftLeft), (">>", Operator::ShiftRight)],
            &[("+", Operator::Add), ("-", Operator::Subtract)],
            &[
                ("//", Operator::FloorDivide),
                ("/", Operator::Divide),
                ("%", Operator::Modulo),
                ("*", Operator::Multiply),
            ],
        ];
        let Some(signs) = LEVELS.get(level) else {
            return self.signed();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.takes(signs) {
            let right = self.binary(level + 1)?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Parsed {
        const SIGNS: [(&str, bool); 2] = [("-", true), ("+", false)];
        let Some(negative) = self.takes(&SIGNS) else {
            return self.power();
        };
        let operand = self.deeper(Self::signed)?;
        Ok(match negative {
            true => Expr::Negative(Box::new(operand)),
            false => operand,
        })
    }

    /// `a ** b` binds tighter than a sign before it, and to the right.
    fn power(&mut self) -> Parsed {
        let base = self.atom()?;
        if self.takes(&[("**", ())]).is_none() {
            return Ok(base);
        }
        let exponent = self.deeper(Self::signed)?;
        let (base, exponent) = (Box::new(base), Box::new(exponent));
        Ok(Expr::Binary(Operator::Power, base, exponent))
    }

    fn atom(&mut self) -> Parsed {
        if self.takes(&[("(", ())]).is_some() {
            let inner = self.condition()?;
            return match self.takes(&[(")", ())]) {
                Some(()) => Ok(inner),
                None => Err(self.unexpected()),
            };
        }
        self.rest = self.rest.trim_start();
        match self.rest.as_bytes() {
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(),
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => self.name(),
            _ => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Parsed {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            let more = bytes.iter().skip(from);
            more.take_while(|b| b.is_ascii_digit() || **b == b'_')
                .count()
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end += 1;
            end += digits(end);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            end += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let (text, rest) = self.rest.split_at(end);
        let number = text.replace('_', "").parse();
        let number =
            number.map_err(|_| format!("'{text}' is no number, at character {}", self.place()))?;
        self.rest = rest;
        Ok(Expr::Number(number))
    }

    fn name(&mut self) -> Parsed {
        let place = self.place();
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if matches!(name, "if" | "else" | "and" | "or" | "not") {
            return Err(self.unexpected());
        }
        self.rest = rest;
        let known = match name {
            "ban.Time" => Expr::Name(Name::Time),
            "ban.Count" => Expr::Name(Name::Count),
            "banFactor" => Expr::Name(Name::Factor),
            "True" => Expr::Number(1.0),
            "False" => Expr::Number(0.0),
            _ => {
                let function = Function::ALL.iter().find(|(known, ..)| *known == name);
                let Some((_, function, least, most)) = function else {
                    return Err(format!("unknown name '{name}' at character {place}"));
                };
                let arguments = self.arguments(name, place)?;
                if !(*least..=*most).contains(&arguments.len()) {
                    let wanted = takes(*least, *most);
                    return Err(format!("'{name}' takes {wanted}, at character {place}"));
                }
                Expr::Call(*function, arguments)
            }
        };
        if self.is_constant && matches!(known, Expr::Name(_) | Expr::Call(Function::Random, _)) {
            return Err(format!("'{name}' means nothing here, at character {place}"));
        }
        Ok(known)
    }

    fn arguments(&mut self, name: &str, place: usize) -> Result<Vec<Expr>, String> {
        if self.takes(&[("(", ())]).is_none() {
            return Err(format!("'{name}' needs brackets, at character {place}"));
        }
        let mut arguments = Vec::new();
        while self.takes(&[(")", ())]).is_none() {
            if !arguments.is_empty() && self.takes(&[(",", ())]).is_none() {
                return Err(self.unexpected());
            }
            arguments.push(self.condition()?);
        }
        Ok(arguments)
    }

    /// Goes one level down, if there is one.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("too deep at character {}", self.place()));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Takes one of these signs, the first that fits.
    fn takes<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        let text = self.rest.trim_start();
        for (sign, meaning) in signs {
            if let Some(rest) = text.strip_prefix(sign) {
                // `*` is not the beginning of `**`, nor `<` that of `<<`.
                let doubled = matches!(*sign, "*" | "<" | ">") && rest.starts_with(sign);
                if !doubled {
                    self.rest = rest;
                    return Some(*meaning);
                }
            }
        }
        None
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        let ends = |rest: &&str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        match rest.filter(ends) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The next character's number, from 1.
    fn place(&self) -> usize {
        let rest = self.rest.trim_start();
        let read = self.text.len() - rest.len();
        self.text.get(..read).map_or(0, |read| read.chars().count()) + 1
    }

    fn unexpected(&self) -> String {
        let rest = self.rest.trim_start();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        match rest.get(..end.max(first)) {
            Some("") | None => format!("the formula ends too early, at character {}", self.place()),
            Some(found) => format!("unexpected '{found}' at character {}", self.place()),
        }
    }
}

fn takes(least: usize, most: usize) -> String {
    match (least, most) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (2, 2) => "2 arguments".to_owned(),
        (least, 100) => format!("at least {least} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    }
}
