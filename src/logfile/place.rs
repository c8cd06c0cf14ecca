//! A place in a file that has no name of its own: which file, how far, and what the file began with.
//!
//! Comes in: a file, or the text of a [`Cursor`]. Goes out: the other. The beginning tells a file that was
//! truncated, or another one that was given the old inode, from the one that was read.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::engine::record::Cursor;

/// Which file it is, while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// How far a file has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: FileId,
    /// Everything before this byte has been read.
    pub(crate) offset: u64,
    /// … and this is what it began with.
    pub(crate) head: Head,
    /// The rest of the line there belongs to one that has been cut.
    pub(crate) is_within: bool,
}

/// The first bytes of a file, as many as had been read, but not more than [`HEAD_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    length: usize,
    hash: u64,
}

impl Head {
    /// Of the beginning of a file.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..HEAD_MAX).unwrap_or(bytes);
        Self {
            length: bytes.len(),
            hash: hash(bytes),
        }
    }

    pub(crate) fn length(self) -> usize {
        self.length
    }

    /// Whether it tells one file from another.
    pub(crate) fn is_telling(&self) -> bool {
        self.length > 0
    }
}

/// The places as one cursor: where lines may still come late, then where reading goes on.
pub(crate) fn to_cursor(places: impl Iterator<Item = Place>) -> Cursor {
    let words: Vec<String> = places.map(|place| place.to_string()).collect();
    Cursor(words.join(" ").into())
}

/// The places of a cursor; none where it is not one of ours.
pub(crate) fn from_cursor(cursor: &Cursor) -> Vec<Place> {
    let places: Option<Vec<Place>> = cursor.0.split(' ').map(parse).collect();
    places.unwrap_or_default()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileId { device, inode } = self.id;
        let Head { length, hash } = self.head;
        let within = if self.is_within { "+" } else { "" };
        write!(
            f,
            "{device}:{inode}:{}{within}:{length}:{hash:x}",
            self.offset
        )
    }
}

fn parse(text: &str) -> Option<Place> {
    let mut parts = text.split(':');
    let device = parts.next()?.parse().ok()?;
    let inode = parts.next()?.parse().ok()?;
    let offset = parts.next()?;
    let length = parts.next()?.parse().ok().filter(|l| *l <= HEAD_MAX)?;
    let hash = u64::from_str_radix(parts.next()?, 16).ok()?;
    let number = offset.strip_suffix('+');
    parts.next().is_none().then_some(Place {
        id: FileId { device, inode },
        offset: number.unwrap_or(offset).parse().ok()?,
        head: Head { length, hash },
        is_within: number.is_some(),
    })
}

/// FNV-1a, which is the same in every version of ours.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Enough for a line with a date or two.
pub(crate) const HEAD_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_print_and_parse() {
        let place = Place {
            id: FileId {
                device: 65_024,
                inode: u64::MAX,
            },
            offset: 123_456_789_012,
            head: Head {
                length: 77,
                hash: 0xdead_beef,
            },
            is_within: true,
        };
        let other = Place {
            is_within: false,
            ..place
        };

        let cursor = to_cursor([place, other].into_iter());

        assert_eq!(from_cursor(&cursor), [place, other]);
    }

    #[test]
    fn what_is_no_place_is_none() {
        for text in [
            "",
            "s=5d;i=1",
            "1:2:3:4",
            "1:2:3:4:5:6",
            "1:2:3:999:0",
            "1:2:x:4:0",
        ] {
            assert_eq!(from_cursor(&Cursor(text.into())), [], "{text}");
        }
    }
}
