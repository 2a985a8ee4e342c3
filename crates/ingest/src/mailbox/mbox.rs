//! mbox: messages one after the other in one file (RFC 4155).

use super::{FoundMessage, LARGEST};
use crate::Error;
use std::io::{self, BufRead};
use std::path::PathBuf;

/// How an mbox begins.
pub(super) const START: &[u8] = b"From ";

/// The messages of one mbox, numbered from 1.
pub(super) struct Mbox<R> {
    path: PathBuf,
    messages: rebound_classify::Mbox<R>,
    number: usize,
}

impl<R: BufRead> Mbox<R> {
    pub(super) fn new(path: PathBuf, source: R) -> Self {
        Self { path, messages: rebound_classify::Mbox::new(source), number: 0 }
    }
}

impl<R: BufRead> Iterator for Mbox<R> {
    type Item = Result<FoundMessage, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let raw = self.messages.next()?;
        self.number += 1;
        let (path, number) = (self.path.clone(), self.number);
        Some(match raw {
            Ok(raw) => Ok(FoundMessage { path, number, raw }),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(Error::TooLarge { path, limit: LARGEST }),
            Err(source) => Err(Error::Unreadable { path, source }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_too_large_is_told_and_the_next_keeps_its_number() {
        let first = "From a@b.example Mon Nov 23 10:00:00 2026\n";
        let text = format!("{first}A: 1\n\n{}\n\n{first}A: 2\n\nx\n", "y".repeat(LARGEST));
        let found: Vec<_> = Mbox::new(PathBuf::from("box"), text.as_bytes()).collect();
        assert!(
            matches!(found.as_slice(), [Err(Error::TooLarge { .. }), Ok(next)] if next.raw == b"A: 2\n\nx\n" && next.number == 2)
        );
    }
}
