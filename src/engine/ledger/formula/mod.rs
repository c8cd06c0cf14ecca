//! `bantime.formula`: how long the next ban lasts, as an expression.
//!
//! Comes in: Python's syntax, as far as fail2ban's formulas use it. Goes out: seconds. Nothing but
//! arithmetic happens, on floating-point numbers alone, and no text makes it slow or deep.

mod parse;

use std::fmt;

use crate::engine::ledger::formula::parse::Parser;

/// An expression over `ban.Time`, `ban.Count` and `banFactor`; equality is that of the text.
#[derive(Clone, Debug)]
pub struct Formula {
    text: String,
    root: Expr,
}

/// What the names in a formula stand for.
#[derive(Clone, Debug)]
pub struct Terms {
    /// `ban.Time`: the jail's `bantime` in seconds.
    pub time: f64,
    /// `ban.Count`: earlier bans.
    pub count: f64,
    /// `banFactor`.
    pub factor: f64,
    /// `random.random()`.
    pub random: Random,
}

impl Formula {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root = Parser::whole(text)?;
        let text = text.to_owned();
        Ok(Self { text, root })
    }

    /// The number that an expression without names stands for, such as `2.0 / 2.885385`.
    ///
    /// # Errors
    /// What is wrong with it, and where; or that it has no value.
    pub fn constant(text: &str) -> Result<f64, String> {
        let root = Parser::constant(text)?;
        let mut nothing = Terms {
            time: f64::NAN,
            count: f64::NAN,
            factor: f64::NAN,
            random: Random::seeded(&[]),
        };
        let value = root.value(&mut nothing);
        value
            .is_finite()
            .then_some(value)
            .ok_or_else(|| format!("'{text}' has no value"))
    }

    /// Its value: seconds. Not a number where it has none, such as `1 / 0`.
    pub fn value(&self, terms: &mut Terms) -> f64 {
        self.root.value(terms)
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Formula {}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Numbers that look like chance and are a function of their seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the same numbers for the same words.
    #[must_use]
    pub fn seeded(words: &[&str]) -> Self {
        // FNV-1a, with a byte between words that no text holds.
        let bytes = words
            .iter()
            .flat_map(|word| word.bytes().chain(std::iter::once(0xff)));
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// The next one, at least 0 and below 1.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> f64 {
        // splitmix64, https://prng.di.unimi.it/splitmix64.c
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = (mixed ^ (mixed >> 31)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

/// A node. Booleans are 1 and 0, as in Python.
#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Number(f64),
    Name(Name),
    Negative(Box<Expr>),
    Not(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// `a < b < c` is true if both are.
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    If {
        test: Box<Expr>,
        then: Box<Expr>,
        other: Box<Expr>,
    },
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Time,
    Count,
    Factor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Int,
    Float,
    Round,
    Abs,
    Exp,
    Log,
    Pow,
    Sqrt,
    Floor,
    Ceil,
    Random,
}

impl Expr {
    fn value(&self, terms: &mut Terms) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Name(Name::Time) => terms.time,
            Self::Name(Name::Count) => terms.count,
            Self::Name(Name::Factor) => terms.factor,
            Self::Negative(operand) => -operand.value(terms),
            Self::Not(operand) => truth(operand.value(terms) == 0.0),
            Self::Binary(operator, left, right) => {
                let (left, right) = (left.value(terms), right.value(terms));
                operator.apply(left, right)
            }
            Self::And(left, right) => match left.value(terms) {
                0.0 => 0.0,
                _ => right.value(terms),
            },
            Self::Or(left, right) => match left.value(terms) {
                0.0 => right.value(terms),
                left => left,
            },
            Self::Compare(first, rest) => {
                let mut left = first.value(terms);
                for (comparison, right) in rest {
                    let right = right.value(terms);
                    if !comparison.holds(left, right) {
                        return 0.0;
                    }
                    left = right;
                }
                1.0
            }
            Self::If { test, then, other } => match test.value(terms) {
                0.0 => other.value(terms),
                _ => then.value(terms),
            },
            Self::Call(Function::Random, _) => terms.random.next(),
            Self::Call(function, arguments) => {
                let values: Vec<f64> = arguments.iter().map(|a| a.value(terms)).collect();
                function.apply(&values)
            }
        }
    }
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide | Self::FloorDivide | Self::Modulo if right == 0.0 => f64::NAN,
            Self::Divide => left / right,
            Self::FloorDivide => (left / right).floor(),
            Self::Modulo => left - right * (left / right).floor(),
            Self::Power => left.powf(right),
            Self::ShiftLeft | Self::ShiftRight
                if left.fract() != 0.0 || right.fract() != 0.0 || right < 0.0 =>
            {
                f64::NAN
            }
            Self::ShiftLeft => left * right.exp2(),
            Self::ShiftRight => (left / right.exp2()).floor(),
        }
    }
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

impl Function {
    /// Its name, and how many arguments it takes at least and at most.
    const ALL: [(&'static str, Self, usize, usize); 13] = [
        ("min", Self::Min, 2, 100),
        ("max", Self::Max, 2, 100),
        ("int", Self::Int, 1, 1),
        ("float", Self::Float, 1, 1),
        ("round", Self::Round, 1, 1),
        ("abs", Self::Abs, 1, 1),
        ("math.exp", Self::Exp, 1, 1),
        ("math.log", Self::Log, 1, 2),
        ("math.pow", Self::Pow, 2, 2),
        ("math.sqrt", Self::Sqrt, 1, 1),
        ("math.floor", Self::Floor, 1, 1),
        ("math.ceil", Self::Ceil, 1, 1),
        ("random.random", Self::Random, 0, 0),
    ];

    fn apply(self, arguments: &[f64]) -> f64 {
        let least = |a: f64, b: &f64| if *b < a { *b } else { a };
        let most = |a: f64, b: &f64| if *b > a { *b } else { a };
        match (self, arguments) {
            (Self::Min, [first, rest @ ..]) => rest.iter().fold(*first, least),
            (Self::Max, [first, rest @ ..]) => rest.iter().fold(*first, most),
            (Self::Int, [x]) => x.trunc(),
            (Self::Float, [x]) => *x,
            (Self::Round, [x]) => x.round_ties_even(),
            (Self::Abs, [x]) => x.abs(),
            (Self::Exp, [x]) => x.exp(),
            (Self::Log, [x]) if *x > 0.0 => x.ln(),
            (Self::Log, [x, base]) if *x > 0.0 && *base > 0.0 && *base != 1.0 => x.ln() / base.ln(),
            (Self::Pow, [x, y]) => x.powf(*y),
            (Self::Sqrt, [x]) => x.sqrt(),
            (Self::Floor, [x]) => x.floor(),
            (Self::Ceil, [x]) => x.ceil(),
            _ => f64::NAN,
        }
    }
}

fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> f64 {
        let mut terms = Terms {
            time: 600.0,
            count: 3.0,
            factor: 2.0,
            random: Random::seeded(&["sshd", "192.0.2.1"]),
        };
        Formula::parse(text).unwrap().value(&mut terms)
    }

    /// What `python3 -c 'print(...)'` says.
    #[test]
    fn a_formula_means_what_it_means_in_python() {
        for (text, expected) in [
            ("ban.Time * 2**min(ban.Count, 20) * banFactor", 9600.0),
            (
                "ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor",
                9600.0,
            ),
            (
                "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)",
                242_057.276_096,
            ),
            ("-2 ** 2", -4.0),
            ("2 ** -1", 0.5),
            ("2 ** 3 ** 2", 512.0),
            ("7 // 2 + 7 % 3 * 10", 13.0),
            ("-7 // 2", -4.0),
            ("-7 % 3", 2.0),
            ("7 % -3", -2.0),
            ("1 + 2 << 3", 24.0),
            ("-9 >> 1", -5.0),
            ("not 1 == 2", 1.0),
            ("1 < 2 < 3", 1.0),
            ("3 > 2 > 2", 0.0),
            ("0 or 5 and 7", 7.0),
            ("1 if 0 else 2 if 0 else 3", 3.0),
            ("round(2.5) + round(3.5)", 6.0),
            ("int(-2.7) + math.floor(-2.5) + math.ceil(2.1)", -2.0),
            (
                "max(1, 2, 3) + abs(-4) + math.sqrt(16) + math.pow(2, 10)",
                1035.0,
            ),
            ("math.log(8, 2)", 3.0),
            ("1_000 + 1e3 + .5 + 1.", 2001.5),
            ("True + (ban.Count != 3)", 1.0),
        ] {
            let got = value(text);
            assert!((got - expected).abs() < 1e-6, "{text} is {got}");
        }
    }

    #[test]
    fn what_python_refuses_to_compute_is_no_number() {
        for text in [
            "1 / 0",
            "1 % 0",
            "1 // 0",
            "math.log(0)",
            "math.sqrt(-1)",
            "1 << -1",
            "1.5 << 1",
        ] {
            assert!(value(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn what_is_no_formula_is_refused_with_its_place() {
        for (text, why) in [
            ("", "the formula ends too early, at character 1"),
            ("1 +", "the formula ends too early, at character 4"),
            ("1 + * 2", "unexpected '*' at character 5"),
            ("(1", "the formula ends too early, at character 3"),
            ("1 2", "unexpected '2' at character 3"),
            ("ban.Time; exit()", "unexpected ';' at character 9"),
            (
                "__import__('os')",
                "unknown name '__import__' at character 1",
            ),
            (
                "ban.__class__",
                "unknown name 'ban.__class__' at character 1",
            ),
            ("ban.IP", "unknown name 'ban.IP' at character 1"),
            ("math.exp()", "'math.exp' takes 1 argument, at character 1"),
            ("min(1)", "'min' takes at least 2 arguments, at character 1"),
            (
                "math.log(1, 2, 3)",
                "'math.log' takes 1 or 2 arguments, at character 1",
            ),
            (
                "random.random",
                "'random.random' needs brackets, at character 1",
            ),
            ("1 if 2", "'else' is missing at character 7"),
            ("0x10", "unexpected 'x10' at character 2"),
            ("é", "unexpected 'é' at character 1"),
        ] {
            assert_eq!(Formula::parse(text).unwrap_err(), why, "{text}");
        }
        for deep in [
            "(".repeat(500),
            "-".repeat(900),
            "not ".repeat(200),
            "2**".repeat(300),
        ] {
            let why = Formula::parse(&deep).unwrap_err();
            assert!(why.starts_with("too deep"), "{why}");
        }
        let long = "1+".repeat(2000) + "1";
        assert!(Formula::parse(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn a_constant_has_no_names() {
        assert_eq!(Formula::constant("2.0 / 0.5"), Ok(4.0));
        for text in ["ban.Count", "1 / 0", "banFactor", "random.random()", ""] {
            assert!(Formula::constant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn chance_is_a_function_of_its_seed_and_within_bounds() {
        let draw = |words: &[&str]| {
            let mut random = Random::seeded(words);
            (0..1000).map(|_| random.next()).collect::<Vec<f64>>()
        };
        let numbers = draw(&["sshd", "192.0.2.1"]);
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert_eq!(numbers, draw(&["sshd", "192.0.2.1"]));
        assert_ne!(numbers, draw(&["sshd1", "92.0.2.1"]));
    }

    /// An expression as text, fully bracketed, beside its value.
    fn expression() -> impl Strategy<Value = (String, f64)> {
        let leaf = prop_oneof![
            (0..50_u32).prop_map(|n| (n.to_string(), f64::from(n))),
            Just(("ban.Time".to_owned(), 600.0)),
            Just(("ban.Count".to_owned(), 3.0)),
            Just(("banFactor".to_owned(), 2.0)),
        ];
        leaf.prop_recursive(5, 40, 3, |inner| {
            let operator = prop::sample::select(vec!["+", "-", "*", "<", "==", "and", "or"]);
            prop_oneof![
                (inner.clone(), operator, inner.clone()).prop_map(|((a, x), op, (b, y))| {
                    let value = match op {
                        "+" => x + y,
                        "-" => x - y,
                        "*" => x * y,
                        "<" => truth(x < y),
                        "==" => truth(x == y),
                        "and" if x == 0.0 => x,
                        "or" if x != 0.0 => x,
                        _ => y,
                    };
                    (format!("({a} {op} {b})"), value)
                }),
                (inner.clone(), inner.clone(), inner.clone()).prop_map(
                    |((a, x), (b, y), (c, z))| {
                        (
                            format!("({a} if {b} else {c})"),
                            if y == 0.0 { z } else { x },
                        )
                    }
                ),
                (inner.clone(), inner)
                    .prop_map(|((a, x), (b, y))| { (format!("max({a}, {b})"), x.max(y)) }),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_expression_has_the_value_it_was_made_with((text, expected) in expression()) {
            if text.len() <= parse::LONGEST {
                prop_assert_eq!(value(&text), expected);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+*/%<>=!(). ,0-9a-z]{0,60}|.{0,80}") {
            if let Ok(formula) = Formula::parse(&text) {
                prop_assert_eq!(formula.to_string(), text.clone());
                value(&text);
            }
        }

        #[test]
        fn no_row_of_words_makes_it_panic(
            words in prop::collection::vec(prop::sample::select(vec![
                "ban.Time", "banFactor", "1", "2.5", "(", ")", "if", "else", "not", "and", "or", "**", "<<",
                ">>", "//", "%", "-", "<", "==", "!=", ",", "min", "math.exp", "random.random()",
            ]), 0..40)
        ) {
            if let Ok(formula) = Formula::parse(&words.join(" ")) {
                value(&formula.to_string());
            }
        }
    }
}
