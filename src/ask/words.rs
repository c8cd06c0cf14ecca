//! A file that lists whom to spare (`ignoreip = file:…`).
//!
//! Comes in: its path. Goes out: its words. Blocks, so it is called on a thread for that. Opens nothing
//! but regular files, and reads none beyond 1 MiB.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Why there are no words.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// It cannot be read.
    #[error("{0}; the user 'banishd' must be able to read it")]
    Io(#[from] io::Error),
    /// It is a directory, a device or a pipe.
    #[error("it is no regular file")]
    NotRegular,
    /// It is too long.
    #[error("it is larger than 1 MiB")]
    TooLarge,
}

/// The words of a file.
///
/// # Errors
/// Why they cannot be had.
pub fn read(path: &Path) -> Result<Vec<Box<str>>, WordsError> {
    // Opening a pipe would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(WordsError::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > SIZE_MAX) {
        return Err(WordsError::TooLarge);
    }
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// The words of a text: blanks and commas part them, `#` and `;` begin a comment.
#[must_use]
pub fn parse(text: &str) -> Vec<Box<str>> {
    let said = text
        .lines()
        .filter_map(|line| line.split(['#', ';']).next());
    let words = said.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
    words
        .filter(|word| !word.is_empty())
        .map(Into::into)
        .collect()
}

const SIZE_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_blanks_and_commas_and_comments_are_left_out() {
        let text =
            "192.0.2.1, 192.0.2.0/24\thost.example\r\n\n# nobody\n2001:db8::1 ; the rest\n,,";

        let words = parse(text);

        let expected = ["192.0.2.1", "192.0.2.0/24", "host.example", "2001:db8::1"];
        assert_eq!(words, expected.map(Box::from));
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        assert!(matches!(read(&path), Err(WordsError::Io(_))));
        assert!(matches!(
            read(directory.path()),
            Err(WordsError::NotRegular)
        ));
        assert!(matches!(
            read(Path::new("/dev/zero")),
            Err(WordsError::NotRegular)
        ));

        std::fs::write(&path, "a ".repeat(512 * 1024)).unwrap();
        assert_eq!(read(&path).unwrap().len(), 512 * 1024);
        std::fs::write(&path, "a ".repeat(512 * 1024) + "b").unwrap();
        assert!(matches!(read(&path), Err(WordsError::TooLarge)));
    }
}
