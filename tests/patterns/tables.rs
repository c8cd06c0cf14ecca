//! Patterns, texts, and what is found.

use banishd::engine::filter::Machine::{self, Backtracking, Linear};

/// Every construct in which the engines differ from Python or from each other: a pattern, a text (its
/// newline left out), the match and the named groups, and what finds it.
pub(super) const CONSTRUCTS: &[(&str, &str, Option<&str>, Machine)] = &[
    // Ends.
    ("b$", "ab", Some("b"), Linear),
    (r"b\Z", "ab", None, Linear),
    (r"\Aa", "ba", None, Linear),
    ("(?m)^b$", "ab", None, Linear),
    // Angle brackets are characters.
    (r"\<a\>", "x<a>", Some("<a>"), Linear),
    ("<a>[<>]", "<a><", Some("<a><"), Linear),
    (r"[\<\>]+", "a<>", Some("<>"), Linear),
    // Braces and counts.
    ("a{,2}", "aaa", Some("aa"), Linear),
    ("a{,}", "aaa", Some("aaa"), Linear),
    ("a{2,}b{1}", "aaab", Some("aaab"), Linear),
    ("x{a}{}{,b}{1", "x{a}{}{,b}{1", Some("x{a}{}{,b}{1"), Linear),
    ("{[^}]+}", "{x}", Some("{x}"), Linear),
    // Classes know neither nesting nor set operations.
    ("[^[]+", "ab[", Some("ab"), Linear),
    ("[[a]+", "b[a", Some("[a"), Linear),
    ("[]a]+", "x]a", Some("]a"), Linear),
    ("[^]a]+", "]ax", Some("x\n"), Linear),
    ("[a&&b~~+--]+", "c&ab~-", Some("&ab~-"), Linear),
    (r"[\]\-\\]+", r"a]-\", Some(r"]-\"), Linear),
    (r"[\w.-]+", "a.b-c d", Some("a.b-c"), Linear),
    (r"[^\s\S]", "abc", None, Linear),
    (r"[\s\S]+", "a b", Some("a b\n"), Linear),
    ("[+--]+", "a+,-", Some("+,-"), Linear),
    (r"[\b]", "a\x08", Some("\x08"), Linear),
    (
        "[^<]*<HOST>",
        "from 192.0.2.1",
        Some("from 192.0.2.1|2.0.2.1|-"),
        Linear,
    ),
    // Escapes.
    (
        r"\x41\u0042\U00000043\104\0",
        "ABCD\0",
        Some("ABCD\0"),
        Linear,
    ),
    (
        r"\a\f\v\t\r",
        "\x07\x0c\x0b\t\r",
        Some("\x07\x0c\x0b\t\r"),
        Linear,
    ),
    (r"\ \-\/\'\#\@\é", " -/'#@é", Some(" -/'#@é"), Linear),
    (r"a\x1c\s", "a\x1c\x1d", Some("a\x1c\x1d"), Linear),
    (r"\bab\b", "xab ab", Some("ab"), Linear),
    (r"\Bab", "ab xab", Some("ab"), Linear),
    // Beyond ASCII: characters in the pattern, bytes in the text.
    ("é+$", "aéé", Some("éé"), Linear),
    ("[é-ü]+x", "aéüx", Some("éüx"), Linear),
    ("^[^é]+", "abé", Some("ab"), Linear),
    ("[^é]x", "éxüx", Some("üx"), Linear),
    ("(?i)É[À]", "éà", Some("éà"), Linear),
    (r"^\S+$", "grün", Some("grün"), Linear),
    // Flags.
    ("(?i)ab", "xAB", Some("AB"), Linear),
    ("a(?i)b", "AB", Some("AB"), Linear),
    ("a(?i:b)", "aBAB", Some("aB"), Linear),
    ("((?i)a)b", "Ab", Some("Ab"), Linear),
    ("(?:(?i)a|b)c", "Bc", Some("Bc"), Linear),
    ("(?i:a(?-i:b))", "AB Ab", Some("Ab"), Linear),
    ("(?i)[^a]", "AaB", Some("B"), Linear),
    ("(?s).+", "ab", Some("ab\n"), Linear),
    (".+", "ab", Some("ab"), Linear),
    ("(?x) a b # c\n d", "abd", Some("abd"), Linear),
    (r"(?x)a\ [ ]b", "a  b", Some("a  b"), Linear),
    ("(?au)a", "a", Some("a"), Linear),
    ("a(?#b)c", "ac", Some("ac"), Linear),
    ("a(?#b)*c", "aac", Some("aac"), Linear),
    // Repetitions.
    ("a+?", "aa", Some("a"), Linear),
    ("(?:a*)*b", "aab", Some("aab"), Linear),
    ("a?+ab", "ab", None, Backtracking),
    ("(?:a|ab)++c", "abc", None, Backtracking),
    ("(?>a|ab)c", "abc", None, Backtracking),
    ("(?>a+)b", "aab", Some("aab"), Backtracking),
    ("(?=a)?b", "b", Some("b"), Backtracking),
    ("(?!a){2}.", "ab", Some("b"), Backtracking),
    // Looking around.
    ("a(?=b)", "acab", Some("a"), Backtracking),
    ("^(?!a).b", "ab", None, Backtracking),
    ("(?<=a)b", "bab", Some("b"), Backtracking),
    ("(?<!a)b", "abcb", Some("b"), Backtracking),
    ("(?<=é)b", "béb", Some("b"), Backtracking),
    (
        "^(?:(?! from ).)* from",
        "a from b from",
        Some("a from"),
        Backtracking,
    ),
    // References and conditions.
    (
        "(?P<q>['\"]).*(?P=q)",
        "\"a' b\" '",
        Some("\"a' b\"|\""),
        Backtracking,
    ),
    (r"(a)\1(b)\2", "aabb", Some("aabb"), Backtracking),
    (r"(a)\1{2}0", "aaa0", Some("aaa0"), Backtracking),
    (r"(?i)(a)\1", "aA", Some("aA"), Backtracking),
    (r"(a)?\1b", "b", None, Backtracking),
    (
        "(?P<a>a)?b(?(a)c|d)",
        "bc bd abc",
        Some("bd|-"),
        Backtracking,
    ),
    ("^(?P<a>a)?b(?(a)c|d)", "abc", Some("abc|a"), Backtracking),
    ("^(a)?b(?(1)c)$", "b", Some("b"), Backtracking),
    ("^(a)?b(?(1)c)$", "ab", None, Backtracking),
    (r"(?P<n>x)(?(n)y\b|z)", "xy", Some("xy|x"), Backtracking),
];

/// Tags: a pattern, a text, and what is found without and with names.
pub(super) const TAGS: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    (
        "<HOST>",
        "[192.0.2.1]",
        Some("[192.0.2.1]|192.0.2.1|-"),
        Some("[192.0.2.1]|192.0.2.1|-|-"),
    ),
    (
        "^<HOST>",
        "::ffff:192.0.2.1",
        Some("::ffff:192.0.2.1|192.0.2.1|-"),
        Some("::ffff:192.0.2.1|192.0.2.1|-|-"),
    ),
    (
        "^<HOST>$",
        "2001:db8::1",
        Some("2001:db8::1|-|2001:db8::1"),
        Some("2001:db8::1|-|2001:db8::1|-"),
    ),
    (
        "^<HOST>$",
        "a-b.example",
        None,
        Some("a-b.example|-|-|a-b.example"),
    ),
    ("^<ADDR>$", "a.example", None, None),
    (
        "^<IP4>,<IP6>$",
        "1.2.3.4,::",
        Some("1.2.3.4,::|1.2.3.4|::"),
        Some("1.2.3.4,::|1.2.3.4|::"),
    ),
    (
        "^<F-IP4/>,<F-IP6/>$",
        "1.2.3.4,::",
        Some("1.2.3.4,::|1.2.3.4|::"),
        Some("1.2.3.4,::|1.2.3.4|::"),
    ),
    ("<DNS>", " a.b. ", Some("a.b|a.b"), Some("a.b|a.b")),
    (
        "<SUBNET>",
        "[1.2.3.4/24]",
        Some("[1.2.3.4/24]|1.2.3.4|-|24"),
        Some("[1.2.3.4/24]|1.2.3.4|-|24"),
    ),
    ("<CIDR>x", "24x", Some("24x|24"), Some("24x|24")),
    (
        "<F-ID/> <F-PORT/>",
        "a:b 22",
        Some("a:b 22|a:b|22"),
        Some("a:b 22|a:b|22"),
    ),
    (
        "<F-ID>a</F-ID><F-PORT>b</F-PORT>",
        "ab",
        Some("ab|a|b"),
        Some("ab|a|b"),
    ),
    (
        "<F-ALT_USER-1>a|b</F-ALT_USER-1>",
        "b",
        Some("b|b"),
        Some("b|b"),
    ),
    ("<F-ADVANCE>a</F-ADVANCE>?b", "b", Some("b|-"), Some("b|-")),
    (
        "<F-A><F-B>x</F-B>y</F-A>",
        "xy",
        Some("xy|xy|x"),
        Some("xy|xy|x"),
    ),
    (
        "<none> </F-USER> <a b> <F-x> <",
        "<none> </F-USER> <a b> <F-x> <",
        Some("<none> </F-USER> <a b> <F-x> <"),
        Some("<none> </F-USER> <a b> <F-x> <"),
    ),
    ("(?:<HOST>)?x", "x", Some("x|-|-"), Some("x|-|-|-")),
];

/// Wrong patterns, and what is said of them.
pub(super) const WRONG: &[(&str, &str)] = &[
    ("a(b", "1: this '(' is never closed: '\\(' stands for one"),
    ("ab)", "2: this ')' closes nothing: '\\)' stands for one"),
    ("a[b", "1: this '[' is never closed by a ']'"),
    (
        "a|*",
        "2: there is nothing to repeat: a backslash before it makes it a character",
    ),
    (
        "^*",
        "1: there is nothing to repeat: a backslash before it makes it a character",
    ),
    (
        "a**",
        "2: this repeats a repetition: put (?:…) around the first",
    ),
    ("a{3,2}", "1: the repeat counts are the wrong way round"),
    ("a{99999}", "1: a repeat count is at most 65535"),
    (
        "(?:(?:.a){1000}){1000}",
        "0: the pattern is too large: use smaller repeat counts, or split it",
    ),
    (
        "(?=a)(?:(?:ab){1000}){1000}",
        "0: the pattern is too large: use smaller repeat counts, or split it",
    ),
    ("x[z-a]", "2: the range z-a is the wrong way round"),
    (
        r"x[\w-a]",
        "2: a range in a class has a character at either end: put a '-' that stands for itself last",
    ),
    (
        "a\\",
        "1: nothing follows the backslash: '\\\\' stands for one",
    ),
    (
        r"a\y",
        r"1: \y means nothing: without the backslash it is the character",
    ),
    (
        r"a\x4",
        "1: 2 hexadecimal digits of a character must follow",
    ),
    (
        r"\ud800",
        "0: 4 hexadecimal digits of a character must follow",
    ),
    (r"\777", r"0: an octal character is at most \377"),
    (
        r"\N{BULLET}",
        r"0: \N{…} is not supported: write the character itself, or \u and its four hexadecimal digits",
    ),
    (
        "a(?L)",
        "1: the flag L (locale) is not supported: leave it out",
    ),
    (
        "a(?<n>b)",
        "1: Python knows no such group: a name is written (?P<name>…)",
    ),
    (
        "a(?P>n)",
        "1: Python knows no such group: (?:…) only groups",
    ),
    (
        "a(?P<n",
        "1: a group's name (letters, digits, '_') and '>' must follow",
    ),
    ("(?P=n)", "0: there is no group 'n' before this"),
    (r"(a)\2", "3: there is no group 2 before this"),
    (r"(a\1)", "2: this refers to a group that is still open"),
    (
        "(a)(?(1)a|b|c)",
        "11: a condition has two branches: put (?:…) around more",
    ),
    (
        "a(?<=b+)",
        "1: what is looked for behind must always have the same length: no *, +, ? or back-reference, and branches of one length",
    ),
    ("a(?#b", "1: this comment is never closed by a ')'"),
    (
        "(?P<n>a)(?P<n>b)",
        "8: the group 'n' stands there already (tags are groups too): write two patterns",
    ),
    (
        "<ADDR> <HOST>",
        "7: the group 'ip4' stands there already (tags are groups too): write two patterns",
    ),
    (
        "é<F-USER>x",
        "2: the tag <F-USER> is never closed by </F-USER>",
    ),
    (
        "(<F-USER>x)</F-USER>",
        "10: the tag <F-USER> is not closed before this ')'",
    ),
    (
        "<F-A><F-B></F-A></F-B>",
        "10: the tag </F-A> closes in the wrong place",
    ),
    (
        "<F-A>(x</F-A>)",
        "7: the tag </F-A> closes in the wrong place",
    ),
];
