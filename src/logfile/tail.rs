//! One open file and how far it has been read.
//!
//! Comes in: a path, or a place of an earlier run. Goes out: pieces of the file that follow each other. It
//! must never give a piece of a file that was truncated meanwhile for one of the old content.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use encoding_rs::Encoding;

use crate::engine::record::MESSAGE_MAX;
use crate::logfile::lines::Unit;
use crate::logfile::packed::Packed;
use crate::logfile::place::{FileId, HEAD_MAX, Head, Place};
use crate::sys::filesystem::next_data;

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) file: File,
    pub(crate) id: FileId,
    /// How it is read where gzip packed it.
    packed: Option<Packed>,
    offset: u64,
    /// What the file began with, as far as it has been read, up to [`HEAD_MAX`].
    head: Vec<u8>,
    is_within: bool,
    /// What its byte order mark says.
    marked: Option<&'static Encoding>,
}

/// What [`Tail::read`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many bytes are in the buffer, and a line ends among them or is cut.
    Some(usize),
    /// Nothing yet; at most the beginning of a line.
    End,
    /// It is a long way to the next line; ask again.
    Far,
    /// What had been read is there no more: the file was truncated.
    Truncated,
}

impl Tail {
    /// At the beginning of the file at `path`.
    ///
    /// # Errors
    /// As open(2); what is no regular file is not found.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // To open a device may do something.
        regular(&fs::metadata(path)?)?;
        // A FIFO would block, a terminal would become ours.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let metadata = file.metadata()?;
        regular(&metadata)?;
        Ok(Self {
            id: FileId::of(&metadata),
            file,
            packed: None,
            offset: 0,
            head: Vec::new(),
            is_within: false,
            marked: None,
        })
    }

    /// The same of what gzip packed, if the name says so.
    ///
    /// # Errors
    /// As [`Tail::open`].
    pub(crate) fn open_any(path: &Path) -> io::Result<Self> {
        let mut tail = Self::open(path)?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            tail.packed = Some(Packed::open(&tail.file)?);
        }
        Ok(tail)
    }

    pub(crate) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Why it cannot be unpacked any further, once.
    pub(crate) fn take_broken(&mut self) -> Option<io::Error> {
        self.packed.as_mut()?.take_broken()
    }

    /// Whether it holds what was read, up to `place`.
    pub(crate) fn fits(&mut self, place: &Place) -> io::Result<bool> {
        // How long it is when it is unpacked nobody knows before.
        if !self.is_packed() && self.file.metadata()?.len() < place.offset {
            return Ok(false);
        }
        Ok(Head::of(&self.beginning(place.head.length())?) == place.head)
    }

    /// The first `length` bytes, or all there are.
    fn beginning(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, u64::try_from(done).unwrap_or(u64::MAX))? {
                0 => break,
                count => done = done.saturating_add(count),
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &mut self.packed {
            Some(packed) => packed.read_at(buffer, offset),
            None => self.file.read_at(buffer, offset),
        }
    }

    /// Goes to where `place` says, of this file or of one with the same content.
    pub(crate) fn seek(&mut self, place: &Place) -> io::Result<()> {
        let length = usize::try_from(place.offset).unwrap_or(HEAD_MAX);
        self.head = self.beginning(length.min(HEAD_MAX))?;
        self.marked = Encoding::for_bom(&self.head).map(|(encoding, _)| encoding);
        self.offset = place.offset;
        self.is_within = place.is_within;
        Ok(())
    }

    /// Goes to the beginning of the line at `offset`.
    pub(crate) fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        let place = Place {
            offset,
            ..self.place()
        };
        self.seek(&place)
    }

    /// Goes to the end; the rest of a line that somebody has begun there is none.
    pub(crate) fn seek_end(&mut self) -> io::Result<()> {
        let offset = self.file.metadata()?.len();
        let mut last = [b'\n'];
        if let Some(before) = offset.checked_sub(1) {
            self.file.read_at(&mut last, before)?;
        }
        let place = Place {
            offset,
            is_within: last != [b'\n'],
            ..self.place()
        };
        self.seek(&place)
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            id: self.id,
            offset: self.offset,
            head: Head::of(&self.head),
            is_within: self.is_within,
        }
    }

    /// Whether anything of it has been read.
    pub(crate) fn has_moved(&self) -> bool {
        self.offset > 0
    }

    pub(crate) fn is_within(&self) -> bool {
        self.is_within
    }

    /// How its bytes are to be read: as the file says, or as the administrator does.
    pub(crate) fn encoding(&self, wanted: Option<&'static Encoding>) -> Option<&'static Encoding> {
        self.marked
            .filter(|marked| *marked != encoding_rs::UTF_8)
            .or(wanted)
    }

    /// Reads what follows into `buffer`.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        wanted: Option<&'static Encoding>,
    ) -> io::Result<Piece> {
        let mut count = match self.read_at(buffer, self.offset) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Piece::Far),
            count => count?,
        };
        if self.offset == 0
            && let Some((encoding, length)) =
                Encoding::for_bom(buffer.get(..count).unwrap_or_default())
        {
            self.marked = Some(encoding);
            self.advance(buffer.get(..length).unwrap_or_default(), false);
            count = self.read_at(buffer, self.offset)?;
        }
        // Looked at afterwards: where the beginning still stands, so did what was read.
        if !self.is_packed()
            && (self.beginning(self.head.len())? != self.head
                || (count == 0 && self.file.metadata()?.len() < self.offset))
        {
            return Ok(Piece::Truncated);
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        if count == buffer.len() && self.skip_hole(bytes)? {
            return Ok(Piece::Far);
        }
        let unit = Unit::of(self.encoding(wanted));
        let is_useful = self.is_within
            || count > MESSAGE_MAX
            || (unit == Unit::Byte && bytes.first() == Some(&0))
            || unit.newline(bytes).is_some();
        Ok(match is_useful && count >= unit.width() {
            true => Piece::Some(count),
            false => Piece::End,
        })
    }

    /// Whether there is nothing in `bytes`, which are next, nor in many that follow, and these were skipped: a
    /// writer that does not append leaves a hole as large as its file was before.
    fn skip_hole(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.is_packed() || bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        let Some(next) = next_data(&self.file, self.offset) else {
            return Ok(false);
        };
        let next = next.min(self.file.metadata()?.len());
        let is_far = next > self.offset;
        if is_far {
            self.seek_to(next)?;
        }
        Ok(is_far)
    }

    /// These bytes are done with.
    pub(crate) fn advance(&mut self, bytes: &[u8], is_within: bool) {
        let missing = HEAD_MAX.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(missing));
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(count);
        self.is_within = is_within;
    }

    /// Whether it has no name any more, so that nobody else can find it.
    pub(crate) fn is_deleted(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    let error = || io::Error::new(io::ErrorKind::NotFound, "it is no regular file");
    metadata.is_file().then_some(()).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_of_utf_16_is_nothing_yet_whatever_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for (text, encoding) in [
            (&b"\0a\0b"[..], encoding_rs::UTF_16BE),
            (b"\0\x01a\0", encoding_rs::UTF_16LE),
        ] {
            fs::write(&path, text).unwrap();
            let mut tail = Tail::open(&path).unwrap();
            let piece = tail.read(&mut [0; 64], Some(encoding)).unwrap();
            assert_eq!(piece, Piece::End);
        }
    }
}
