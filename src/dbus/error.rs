//! Errors on the bus: a name that programs read and a sentence that people read (busctl prints
//! nothing else).

use zbus::message::{Header, Message};
use zbus::names::ErrorName;

use crate::engine::address::AddressError;
use crate::engine::command::Refusal;

/// What a method or property answers where it cannot do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    kind: Kind,
    text: String,
}

/// The result of every method.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind; the text is a sentence without its full stop.
    #[must_use]
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let mut letters = text.chars();
        let mut sentence: String = letters
            .next()
            .map(|first| first.to_uppercase().to_string())
            .unwrap_or_default();
        sentence.push_str(letters.as_str());
        if !sentence.ends_with(['.', '?']) {
            sentence.push('.');
        }
        Self {
            kind,
            text: sentence,
        }
    }

    /// An error whose text stays as it is.
    #[must_use]
    pub fn diagnostics(kind: Kind, text: String) -> Self {
        Self { kind, text }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// The names an error can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No such jail is configured.
    NoSuchJail,
    /// The jail is stopped or failed.
    JailNotActive,
    /// Not an address, or none that can be banned.
    InvalidAddress,
    /// The address is in `ignoreip` or protected.
    AddressIgnored,
    /// The limit of bans is reached.
    TooManyBans,
    /// The firewall did not do as asked.
    BackendFailed,
    /// The configuration is broken; the old one stays in force.
    ReloadFailed,
    /// The caller may not do that.
    AccessDenied,
    /// The caller may, if a password is typed first, but did not allow us to ask for one.
    InteractiveAuthorizationRequired,
    /// An argument makes no sense.
    InvalidArgs,
    /// Something of ours is broken.
    Failed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::NoSuchJail,
        Self::JailNotActive,
        Self::InvalidAddress,
        Self::AddressIgnored,
        Self::TooManyBans,
        Self::BackendFailed,
        Self::ReloadFailed,
        Self::AccessDenied,
        Self::InteractiveAuthorizationRequired,
        Self::InvalidArgs,
        Self::Failed,
    ];

    /// The name on the bus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSuchJail => "org.banishd.Banish1.NoSuchJail",
            Self::JailNotActive => "org.banishd.Banish1.JailNotActive",
            Self::InvalidAddress => "org.banishd.Banish1.InvalidAddress",
            Self::AddressIgnored => "org.banishd.Banish1.AddressIgnored",
            Self::TooManyBans => "org.banishd.Banish1.TooManyBans",
            Self::BackendFailed => "org.banishd.Banish1.BackendFailed",
            Self::ReloadFailed => "org.banishd.Banish1.ReloadFailed",
            Self::AccessDenied => "org.freedesktop.DBus.Error.AccessDenied",
            Self::InteractiveAuthorizationRequired => {
                "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            }
            Self::InvalidArgs => "org.freedesktop.DBus.Error.InvalidArgs",
            Self::Failed => "org.freedesktop.DBus.Error.Failed",
        }
    }
}

/// An error and its causes in one line: `cannot do this: because of that`. A cause that the text ends
/// with already is not said twice.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.ends_with(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}

impl zbus::DBusError for Error {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.name()).build(&self.text)
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.kind.name())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.text)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NoSuchJail { .. } => Kind::NoSuchJail,
            Refusal::JailNotActive { .. } => Kind::JailNotActive,
            Refusal::Unbannable { .. } => Kind::InvalidAddress,
            Refusal::Ignored { .. } => Kind::AddressIgnored,
            Refusal::TooManyBans(_) | Refusal::TooManyPrefixes(_) => Kind::TooManyBans,
            Refusal::Firewall(_) => Kind::BackendFailed,
        };
        Self::new(kind, refusal.to_string())
    }
}

impl From<AddressError> for Error {
    fn from(error: AddressError) -> Self {
        Self::new(Kind::InvalidAddress, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_a_sentence() {
        for (text, sentence) in [
            ("no jail 'x' is configured", "No jail 'x' is configured."),
            ("did you mean 'y'?", "Did you mean 'y'?"),
        ] {
            assert_eq!(Error::new(Kind::Failed, text).to_string(), sentence);
        }
    }

    #[test]
    fn diagnostics_keep_their_file_names() {
        let text = "/etc/banishd/jail.conf:3: no such option\n";

        let error = Error::diagnostics(Kind::ReloadFailed, text.to_owned());

        assert_eq!(error.to_string(), text);
    }
}
