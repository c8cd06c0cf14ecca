//! The dates that are found without being told how they look.
//!
//! In the order in which they are tried. Each is known to be written by some program: a comment says
//! which where that is not plain.

use std::sync::{Arc, OnceLock};

use crate::engine::filter::date::quick;
use crate::engine::filter::date::template::Template;

/// One way to write a date.
#[derive(Debug)]
pub(crate) struct Format {
    /// In the language of [`crate::engine::filter::date::token`].
    pub(crate) pattern: &'static str,
    /// Where it may stand.
    place: Place,
    /// Reads it at the beginning of a line, if it is plain enough, as the pattern would.
    pub(crate) quick: Option<quick::Read>,
}

/// Where a date may stand in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Anywhere; at the beginning of a line it is looked for first.
    Anywhere,
    /// Only at the beginning: elsewhere it is too likely to be something else.
    Beginning,
    /// As the pattern says itself.
    Own,
}

const fn anywhere(pattern: &'static str) -> Format {
    Format {
        pattern,
        place: Place::Anywhere,
        quick: None,
    }
}

/// ISO 8601 and what resembles it.
pub(crate) const ISO: &str = r"%ExY(?:-%m-|/%m/|\.%m\.)%d(?:T| {1,2})%H:%M:%S(?:[.,]%f)?(?:\s*%z)?";

/// All of them.
pub(crate) const FORMATS: [Format; 18] = [
    Format {
        quick: Some(quick::iso),
        ..anywhere(ISO)
    },
    // syslog and asctime.
    Format {
        quick: Some(quick::syslog),
        ..anywhere(r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?")
    },
    anywhere(r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?"),
    anywhere(r"%d(?:/%m/|-%m-)(?:%ExY|%Exy) %k:%M:%S"),
    // Access logs of web servers; BIND.
    anywhere(r"%d(?:/%b/|-%b-)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?"),
    anywhere(r"%m/%d/%ExY:%H:%M:%S"),
    anywhere(r"%m-%d-%ExY %k:%M:%S(?:\.%f)?"),
    Format {
        place: Place::Beginning,
        ..anywhere("{EPOCH}")
    },
    // The kernel's audit messages.
    Format {
        place: Place::Own,
        ..anywhere(r"audit\(({EPOCH}):")
    },
    Format {
        place: Place::Beginning,
        ..anywhere("%H:%M:%S")
    },
    Format {
        place: Place::Own,
        ..anywhere("^<%m/%d/%Exy@%H:%M:%S>")
    },
    // Old MySQL.
    anywhere("%Exy%Exm%Exd {1,2}%H:%M:%S"),
    // Java, Tomcat.
    anywhere("%b %d, %ExY %I:%M:%S %p"),
    // ASSP.
    Format {
        place: Place::Own,
        ..anywhere("^%b-%d-%Exy %k:%M:%S")
    },
    anywhere(r"%ExY%Exm%Exd(?:T| {1,2})%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?"),
    anywhere(r"(?:%Z )(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?"),
    anywhere(r"(?:%z )(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?"),
    // multilog of daemontools.
    anywhere("{TAI64N}"),
];

/// Those at the beginning of a line. Made once, and shared by all filters.
pub(crate) fn at_beginning() -> &'static [Arc<Template>] {
    static TEMPLATES: OnceLock<Vec<Arc<Template>>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let formats = FORMATS.iter().filter(|format| format.place != Place::Own);
        formats.map(Template::at_beginning).collect()
    })
}

/// Those elsewhere.
pub(crate) fn elsewhere() -> &'static [Arc<Template>] {
    static TEMPLATES: OnceLock<Vec<Arc<Template>>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let formats = FORMATS
            .iter()
            .filter(|format| format.place != Place::Beginning);
        formats.map(Template::anywhere).collect()
    })
}

/// Those that `{DATE}` stands for in a pattern.
pub(crate) fn within_patterns() -> impl Iterator<Item = &'static str> {
    let formats = FORMATS
        .iter()
        .filter(|format| format.place == Place::Anywhere);
    formats
        .map(|format| format.pattern)
        .chain(std::iter::once("{EPOCH}"))
}
