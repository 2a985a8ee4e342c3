//! The lines of a file of replies, however long they are.

use std::io::{self, BufRead, Read as _};

/// Bytes of a line that are read. RFC 5321 §4.5.3.1.5 gives a line of a reply 512 bytes; more than this is no reply.
const LINE_BYTES: usize = 64 << 10;

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Counted from 1.
    pub(super) number: u64,
    /// Whether there was more of it than is read.
    pub(super) is_cut: bool,
}

/// Reads line after line; of what cannot be read it tells once, and ends.
pub(super) struct Lines<R> {
    from: R,
    number: u64,
    is_broken: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(from: R) -> Self {
        Self { from, number: 0, is_broken: false }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let most = LINE_BYTES as u64 + 1;
        if self.from.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let is_cut = bytes.len() > LINE_BYTES && bytes.last() != Some(&b'\n');
        if is_cut {
            bytes.truncate(LINE_BYTES);
            self.from.skip_until(b'\n')?;
        }
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Ok(Some(Line { text, number: self.number, is_cut }))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        let line = self.read();
        self.is_broken = line.is_err();
        line.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_any_length_costs_no_more_than_its_bound() {
        let long = "a".repeat(LINE_BYTES);
        let text = format!("550 no\r\n{long}\n{long}b\n{long}{long}{long}\n\n550 end");
        let lines: Vec<Line> = Lines::of(text.as_bytes()).map(Result::unwrap).collect();
        let told: Vec<_> = lines.iter().map(|line| (line.number, line.text.len(), line.is_cut)).collect();
        let most = LINE_BYTES;
        assert_eq!(
            told,
            [(1, 6, false), (2, most, false), (3, most, true), (4, most, true), (5, 0, false), (6, 7, false)]
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_once() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        assert_eq!(Lines::of(io::BufReader::new(Broken)).filter(Result::is_err).count(), 1);
    }
}
