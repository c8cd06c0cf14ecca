//! What a file that gzip packed holds, read like one that it did not.
//!
//! Comes in: the file. Goes out: pieces of what is in it, from anywhere, best one after the other. However large
//! it is, only a piece of it is ever in memory, and no call takes long.

use std::fs::File;
use std::io::{self, Read, Seek};

use flate2::read::MultiGzDecoder;

/// A packed file.
#[derive(Debug)]
pub(crate) struct Packed {
    unpacker: MultiGzDecoder<File>,
    /// What was unpacked last …
    window: Vec<u8>,
    /// … and where that begins.
    start: u64,
    is_over: bool,
    /// Why it ends before its end.
    broken: Option<io::Error>,
}

impl Packed {
    pub(crate) fn open(file: &File) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Self {
            unpacker: MultiGzDecoder::new(file),
            window: Vec::new(),
            start: 0,
            is_over: false,
            broken: None,
        })
    }

    /// As read_at of a file, but that it fills the buffer while there is something to fill it with.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where it is a long way to `offset`: ask again.
    pub(crate) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.start {
            *self = Self::open(self.unpacker.get_ref())?;
        }
        let mut rounds = ROUNDS;
        loop {
            let ahead = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
            let passed = self.window.drain(..ahead.min(self.window.len())).count();
            self.start += u64::try_from(passed).unwrap_or(0);
            if self.is_over || (self.start == offset && self.window.len() >= buffer.len()) {
                break;
            }
            if rounds == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            rounds -= 1;
            let mut piece = self.unpacker.by_ref().take(ROUND);
            let count = piece.read_to_end(&mut self.window);
            self.is_over = !count.as_ref().is_ok_and(|count| *count > 0);
            self.broken = count.err();
        }
        let there = self.window.iter().take(buffer.len());
        let count = there.len();
        buffer
            .iter_mut()
            .zip(there)
            .for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    /// Why nothing follows what was read last, where something should; once.
    pub(crate) fn take_broken(&mut self) -> Option<io::Error> {
        self.broken.take()
    }
}

/// So much is unpacked before it is looked whether it is what is wanted.
const ROUND: u64 = 64 * 1024;
/// So often in one call.
const ROUNDS: u32 = 128;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(texts: &[&[u8]]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for text in texts {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(text).unwrap();
            file.write_all(&packer.finish().unwrap()).unwrap();
        }
        file
    }

    #[test]
    fn what_was_packed_is_read_from_anywhere() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_ne_bytes).collect();
        let (first, second) = text.split_at(777_777);
        let mut packed = Packed::open(&packed(&[first, second])).unwrap();
        let mut buffer = vec![0; 100_000];
        for offset in [
            0, 50_000, 50_001, 700_000, 777_777, 3, 1_199_000, 1_200_000, 9_999_999,
        ] {
            let expected = text.get(offset..).unwrap_or_default();
            let expected = &expected[..expected.len().min(buffer.len())];
            let count = packed.read_at(&mut buffer, u64::try_from(offset).unwrap());
            assert_eq!(&buffer[..count.unwrap()], expected, "{offset}");
        }
    }

    #[test]
    fn a_long_way_is_gone_step_by_step() {
        let file = packed(&[&vec![b'x'; 20 << 20]]);
        let mut packed = Packed::open(&file).unwrap();
        let mut calls = 1;
        while let Err(error) = packed.read_at(&mut [0; 8], (20 << 20) - 3) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            calls += 1;
        }
        assert_eq!(calls, 3);
        assert!(packed.window.len() <= 64 * 1024);
    }

    #[test]
    fn what_is_broken_says_so() {
        let file = packed(&[b"some text"]);
        file.set_len(file.metadata().unwrap().len() - 6).unwrap();
        let mut packed = Packed::open(&file).unwrap();
        let mut buffer = [0; 64];
        let count = packed.read_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer[..count], b"some text");
        let error = packed.take_broken().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
