//! The only file here that touches the disk.
//!
//! Comes in: a name such as `jail.conf` or `filter.d/sshd.conf`. Goes out: its text, from the
//! administrator's directory or else from the vendor's, or what keeps us from reading it. Nothing is
//! written, nothing but regular files is opened, and no file is read beyond 1 MiB.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Place, Source};
use crate::sys::rooted::{self, NotRooted};

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The administrator's directory: what is in it hides what has the same name in `vendor`.
    pub admin: PathBuf,
    /// What the package ships.
    pub vendor: PathBuf,
    /// Names of ports.
    pub services: PathBuf,
    /// The name of the file that holds for all jails, without `.conf`.
    pub global: &'static str,
    /// Whose files count.
    pub trust: Trust,
}

/// Whose files count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Everybody's who could put them there.
    #[default]
    Anybody,
    /// Only such that root alone could have written: for whoever runs as root what they say.
    Root,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            admin: PathBuf::from("/etc/banishd"),
            vendor: PathBuf::from("/usr/lib/banishd"),
            services: PathBuf::from("/etc/services"),
            trust: Trust::default(),
            global: "banishd",
        }
    }
}

/// Larger files are refused.
pub(crate) const FILE_MAX: u64 = 1024 * 1024;

impl Layout {
    /// A tree of fail2ban's: one directory, usually `/etc/fail2ban`, with nothing below it.
    #[must_use]
    pub fn fail2ban(directory: PathBuf) -> Self {
        Self {
            vendor: directory.clone(),
            admin: directory,
            global: "fail2ban",
            ..Self::default()
        }
    }

    /// The tree in `told`, whichever of the two kinds it is; if none is told, the host's.
    #[must_use]
    pub fn choose(told: Option<&Path>, vendor: &Path) -> Self {
        match told {
            Some(directory) => Self::of(directory, vendor),
            None => Self::of_host(Path::new("/etc"), vendor),
        }
    }

    /// `etc/banishd`; if there are no files in it, `etc/fail2ban` where that is filled.
    #[must_use]
    pub fn of_host(etc: &Path, vendor: &Path) -> Self {
        let own = etc.join("banishd");
        let theirs = Self::of(&etc.join("fail2ban"), vendor);
        match !holds_files(&own) && theirs.global == "fail2ban" {
            true => theirs,
            false => Self::of(&own, vendor),
        }
    }

    /// A tree of fail2ban's has `fail2ban.conf`, or its name and jails.
    fn of(directory: &Path, vendor: &Path) -> Self {
        let has = |name: &&str| directory.join(name).exists();
        let named = directory.ends_with("fail2ban");
        let jails = ["jail.conf", "jail.local", "jail.d"].iter().any(has);
        let global = ["fail2ban.conf", "fail2ban.local"].iter().any(has);
        match (global || named && jails) && !has(&"banishd.conf") {
            true => Self::fail2ban(directory.to_owned()),
            false => Self {
                admin: directory.to_owned(),
                vendor: vendor.to_owned(),
                ..Self::default()
            },
        }
    }

    /// The files of our package that have to be there; an administrator's tree may lack any.
    pub(crate) fn shipped(&self) -> &'static [&'static str] {
        match self.global {
            "banishd" => &["banishd.conf", "jail.conf"],
            _ => &[],
        }
    }

    /// The file of this name; `None` if there is none in either directory.
    pub(crate) fn read(&self, name: &str) -> Option<Result<Arc<Source>, Diagnostic>> {
        [&self.admin, &self.vendor]
            .into_iter()
            .find_map(|directory| read(&directory.join(name), self.trust))
    }

    /// Whether there is a file of this name in either directory.
    pub(crate) fn exists(&self, name: &str) -> bool {
        let mut roots = [&self.admin, &self.vendor].into_iter();
        roots.any(|root| root.join(name).is_file())
    }

    /// The names `directory/*.suffix` in either directory, sorted by their bytes.
    pub(crate) fn names(&self, directory: &str, suffix: &str) -> Result<Vec<String>, Diagnostic> {
        let mut names = BTreeSet::new();
        for root in [&self.admin, &self.vendor] {
            let path = root.join(directory);
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if absent(&error) => continue,
                Err(error) => return Err(unreadable(&path, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| unreadable(&path, &error))?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if name.ends_with(suffix) && !name.starts_with('.') {
                    names.insert(format!("{directory}/{name}"));
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The host's names of ports, empty if it has none.
    pub(crate) fn services(&self) -> String {
        match read(&self.services, self.trust) {
            Some(Ok(source)) => source.text.clone(),
            Some(Err(_)) | None => String::new(),
        }
    }

    /// What to call a file that is in neither directory.
    pub(crate) fn vendor_place(&self, name: &str) -> Place {
        Place::file_named(self.vendor.join(name).display().to_string())
    }
}

/// Whether there is a file in `directory` or just below; one that cannot be read is taken to have some.
fn holds_files(directory: &Path) -> bool {
    let empty = |path: &Path| match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => false,
    };
    match fs::read_dir(directory) {
        Ok(mut entries) => !entries.all(|entry| entry.is_ok_and(|entry| empty(&entry.path()))),
        Err(error) => !absent(&error),
    }
}

fn read(path: &Path, trust: Trust) -> Option<Result<Arc<Source>, Diagnostic>> {
    if trust == Trust::Root
        && let Err(error) = rooted::resolve(path)
    {
        return match error {
            NotRooted::Io(error) if absent(&error) => None,
            error => Some(Err(not_rooted(path, &error))),
        };
    }
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if absent(&error) => return None,
        Err(error) => return Some(Err(unreadable(path, &error))),
    };
    let source = |text| {
        Arc::new(Source {
            name: path.display().to_string(),
            text,
        })
    };
    let place = Place::file_named(path.display().to_string());
    if !metadata.is_file() {
        // A link to /dev/null is how an administrator switches a vendor file off.
        return Some(match fs::canonicalize(path) {
            Ok(real) if real == Path::new("/dev/null") => Ok(source(String::new())),
            _ => Err(Diagnostic::error(
                &place,
                "this is not a regular file",
                "put a file there, or a link to one",
            )),
        });
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Some(Err(unreadable(path, &error)));
    }
    if u64::try_from(bytes.len()).map_or(true, |length| length > FILE_MAX) {
        return Some(Err(Diagnostic::error(
            &place,
            "the file is larger than 1 MiB",
            "is it the right one? split it into several",
        )));
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => Ok(source(text)),
        Err(error) => Err(undecodable(path, &error)),
    })
}

fn undecodable(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostic {
    let good = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let before = String::from_utf8_lossy(bytes.get(..good).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let source = Arc::new(Source {
        name: path.display().to_string(),
        text: String::from_utf8_lossy(bytes).into_owned(),
    });
    let byte = bytes.get(good).copied().unwrap_or_default();
    Diagnostic::error(
        &Place::at(&source, line, column),
        format!("the byte 0x{byte:02x} is not UTF-8"),
        "convert the file to UTF-8, iconv(1) does that",
    )
}

fn not_rooted(path: &Path, error: &NotRooted) -> Diagnostic {
    let name = path.display();
    Diagnostic::error(
        &Place::file_named(name.to_string()),
        format!("commands in it are not run: {error}"),
        format!(
            "look at it and at each directory above: namei -l '{name}'; then chown root and chmod go-w"
        ),
    )
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let name = path.display();
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "the service runs as the user 'banishd', let it read: chgrp banishd '{name}' && chmod g+rX '{name}'"
        ),
        _ => format!("look at it: ls -ld '{name}'"),
    };
    Diagnostic::error(
        &Place::file_named(name.to_string()),
        format!("cannot read the file: {error}"),
        remedy,
    )
}

fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
