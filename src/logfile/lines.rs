//! Bytes to lines.
//!
//! Comes in: a piece of a file that begins where a line begins, or within one that was cut. Goes out: whole
//! lines, without their ends, as UTF-8 or as they are; and how many bytes are done with. A line that is not
//! complete waits, unless it is longer than [`MESSAGE_MAX`]: then its beginning counts as the line. However
//! the file is cut into pieces, the lines are the same.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use memchr::{memchr, memchr_iter};

use crate::engine::record::MESSAGE_MAX;

/// The lines in one piece.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    unit: Unit,
    /// So many bytes need not be read again.
    pub(crate) done: usize,
    /// The rest of a cut line comes first.
    pub(crate) is_within: bool,
}

/// How a newline is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// As one byte, which no other character contains.
    #[default]
    Byte,
    /// In UTF-16, little-endian.
    Little,
    /// In UTF-16, big-endian.
    Big,
}

impl Unit {
    pub(crate) fn of(encoding: Option<&'static Encoding>) -> Self {
        match encoding {
            Some(encoding) if encoding == UTF_16LE => Self::Little,
            Some(encoding) if encoding == UTF_16BE => Self::Big,
            _ => Self::Byte,
        }
    }

    /// Bytes of a newline.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Little | Self::Big => 2,
        }
    }

    /// Where in `bytes`, whole characters, the first newline is.
    pub(crate) fn newline(self, bytes: &[u8]) -> Option<usize> {
        let is_pair =
            |at: usize, pair: [u8; 2]| bytes.get(at..).is_some_and(|b| b.starts_with(&pair));
        match self {
            Self::Byte => memchr(b'\n', bytes),
            Self::Little => memchr_iter(b'\n', bytes)
                .find(|at| at.is_multiple_of(2) && is_pair(*at, [b'\n', 0])),
            Self::Big => memchr_iter(b'\n', bytes)
                .filter_map(|at| at.checked_sub(1))
                .find(|at| at.is_multiple_of(2) && is_pair(*at, [0, b'\n'])),
        }
    }

    fn without_return(self, line: &[u8]) -> &[u8] {
        let end: &[u8] = match self {
            Self::Byte => b"\r",
            Self::Little => b"\r\0",
            Self::Big => b"\0\r",
        };
        line.strip_suffix(end).unwrap_or(line)
    }
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8], unit: Unit, is_within: bool) -> Self {
        Self {
            bytes,
            unit,
            done: 0,
            is_within,
        }
    }

    fn skip_holes(&mut self) {
        if self.unit == Unit::Byte {
            let rest = self.bytes.get(self.done..).unwrap_or_default();
            let holes = rest.iter().take_while(|byte| **byte == 0).count();
            self.done = self.done.saturating_add(holes);
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            // A writer that does not append leaves a hole when its file is truncated, and so does a crash.
            if !self.is_within {
                self.skip_holes();
            }
            let rest = self.bytes.get(self.done..).unwrap_or_default();
            let was_within = self.is_within;
            let Some(end) = self.unit.newline(rest) else {
                // All of it belongs to a line that is cut, or is about to be.
                if was_within || rest.len() > MESSAGE_MAX {
                    let whole = rest.len() - rest.len() % self.unit.width();
                    self.done = self.done.saturating_add(whole);
                    self.is_within = true;
                    return rest.get(..MESSAGE_MAX).filter(|_| !was_within);
                }
                return None;
            };
            self.done = self
                .done
                .saturating_add(end)
                .saturating_add(self.unit.width());
            self.is_within = false;
            if !was_within {
                let line = self
                    .unit
                    .without_return(rest.get(..end).unwrap_or_default());
                return Some(line.get(..MESSAGE_MAX).unwrap_or(line));
            }
        }
    }
}

/// Makes lines UTF-8, in a buffer that is kept from line to line.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    text: Vec<u8>,
}

impl Decoder {
    /// `line` as UTF-8; what is none of `encoding` is replaced. Without one the bytes are as they are.
    pub(crate) fn decode<'a>(
        &'a mut self,
        line: &'a [u8],
        encoding: Option<&'static Encoding>,
    ) -> &'a [u8] {
        let Some(encoding) = encoding else {
            return line;
        };
        if encoding.is_ascii_compatible() && line.is_ascii() {
            return line;
        }
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let most = decoder.max_utf8_buffer_length(line.len()).unwrap_or(0);
        self.text.resize(most, 0);
        let (_, _, written, _) = decoder.decode_to_utf8(line, &mut self.text, true);
        self.text
            .get(..written.min(MESSAGE_MAX))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8], unit: Unit) -> (Vec<Vec<u8>>, usize, bool) {
        let mut lines = Lines::new(bytes, unit, false);
        let all = lines.by_ref().map(<[u8]>::to_vec).collect();
        (all, lines.done, lines.is_within)
    }

    #[test]
    fn lines_end_at_newlines_and_the_last_one_waits() {
        for (bytes, expected, done) in [
            (&b""[..], &[][..], 0),
            (b"a", &[], 0),
            (b"a\n", &[&b"a"[..]], 2),
            (b"a\r\nb\rc\n\nd", &[b"a", b"b\rc", b""], 8),
            (b"\0\0\0a\0b\n\0\0c", &[b"a\0b"], 9),
            (b"\0\0\0", &[], 3),
            (b"\xff\xfe\n", &[b"\xff\xfe"], 3),
        ] {
            let (all, came, _) = lines(bytes, Unit::Byte);
            assert_eq!(
                (&*all, came),
                (
                    &*expected.iter().map(|l| l.to_vec()).collect::<Vec<_>>(),
                    done
                ),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn utf_16_ends_lines_with_two_bytes() {
        let little: Vec<u8> = "a\r\nਊ\nb"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let big: Vec<u8> = "a\r\nਊ\nb"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        for (bytes, unit, encoding) in
            [(little, Unit::Little, UTF_16LE), (big, Unit::Big, UTF_16BE)]
        {
            let (all, done, _) = lines(&bytes, unit);
            let mut decoder = Decoder::default();
            let texts: Vec<Vec<u8>> = all
                .iter()
                .map(|line| decoder.decode(line, Some(encoding)).to_vec())
                .collect();
            assert_eq!(texts, [&b"a"[..], "ਊ".as_bytes()]);
            assert_eq!(done, bytes.len() - 2);
        }
    }

    #[test]
    fn other_encodings_become_utf_8_and_what_is_none_is_replaced() {
        let mut decoder = Decoder::default();
        for (bytes, encoding, text) in [
            (&b"plain"[..], encoding_rs::WINDOWS_1252, "plain"),
            (b"\xe4", encoding_rs::WINDOWS_1252, "ä"),
            (b"\xff", encoding_rs::UTF_8, "\u{fffd}"),
            (b"\x82\xa0", encoding_rs::SHIFT_JIS, "あ"),
        ] {
            assert_eq!(decoder.decode(bytes, Some(encoding)), text.as_bytes());
        }
        assert_eq!(decoder.decode(b"\xff", None), b"\xff");
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_file_is_cut(
            lengths in proptest::collection::vec(0_usize..3 * MESSAGE_MAX, 0..6),
            cuts in proptest::collection::vec(1_usize..2 * MESSAGE_MAX, 1..40),
        ) {
            let line = |(n, length): (u8, &usize)| {
                let mut line = vec![b'a' + n; *length];
                line.push(b'\n');
                line
            };
            let file: Vec<u8> = (0..).zip(&lengths).flat_map(line).collect();
            let (whole, _, _) = lines(&file, Unit::Byte);

            let (mut seen, mut from, mut to, mut is_within) = (Vec::new(), 0, 0, false);
            for cut in cuts.iter().cycle() {
                to = file.len().min(to + cut);
                let mut piece = Lines::new(&file[from..to], Unit::Byte, is_within);
                seen.extend(piece.by_ref().map(<[u8]>::to_vec));
                is_within = piece.is_within;
                from += piece.done;
                if to == file.len() {
                    break;
                }
            }

            prop_assert_eq!(&seen, &whole);
            prop_assert_eq!(seen.len(), lengths.len());
            prop_assert!(seen.iter().zip(&lengths).all(|(s, l)| s.len() == MESSAGE_MAX.min(*l)));
        }
    }
}
