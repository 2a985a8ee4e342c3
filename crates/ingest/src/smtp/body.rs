//! What follows DATA: taken byte by byte, since everything depends on where it ends.

use super::Reply;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much memory is asked for at a time, in bytes.
const STEP: usize = 64 << 10;

/// Memory that all sessions share: when it is used up, mail is asked to come back.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(STEP))))
    }
}

/// A message on its way in. Only CRLF, dot, CRLF ends it; a CR or LF that stands alone spoils it.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    place: Place,
    limit: usize,
    length: usize,
    fault: Option<Reply>,
    memory: Memory,
    held: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// After CRLF, and at the very start, which follows the CRLF of the command.
    LineStart,
    /// After a dot at the start of a line, which is not part of the message (RFC 5321 §4.5.2).
    Dot,
    /// After that and a CR.
    DotReturn,
    /// Within a line.
    Text,
    /// After a CR within a line.
    Return,
}

impl Body {
    pub(crate) fn new(limit: usize, memory: Memory) -> Self {
        Self { bytes: Vec::new(), place: Place::LineStart, limit, length: 0, fault: None, memory, held: None }
    }

    /// Takes what was heard; how much of it belongs to the message, once its end is found.
    pub(crate) fn push(&mut self, heard: &[u8]) -> Option<usize> {
        for (index, byte) in heard.iter().enumerate() {
            if self.step(*byte) {
                return Some(index + 1);
            }
        }
        None
    }

    /// Whether it is so far beyond the limit that waiting for its end is of no use.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.length / 2 > self.limit
    }

    /// The message, and the memory it holds; or the answer to give instead.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Reply> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.bytes, self.held)),
        }
    }

    /// One byte further; whether it was the last one.
    fn step(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::DotReturn, b'\n') => return true,
            (Place::LineStart, b'.') => Place::Dot,
            (Place::Dot, b'\r') => Place::DotReturn,
            (Place::Return, b'\n') => {
                self.put(b'\r');
                self.put(b'\n');
                Place::LineStart
            }
            (Place::Return | Place::DotReturn, b'\r') => {
                self.spoil(Reply::BARE_LINE_END);
                Place::Return
            }
            (Place::LineStart | Place::Text, b'\r') => Place::Return,
            (place, _) => {
                if byte == b'\n' || matches!(place, Place::Return | Place::DotReturn) {
                    self.spoil(Reply::BARE_LINE_END);
                }
                self.put(byte);
                Place::Text
            }
        };
        false
    }

    fn put(&mut self, byte: u8) {
        self.length += 1;
        if self.fault.is_some() {
            return;
        }
        if self.length > self.limit {
            self.spoil(Reply::TOO_LARGE);
        } else if self.bytes.len() == self.bytes.capacity() && !self.grow() {
            self.spoil(Reply::BUSY);
        } else {
            self.bytes.push(byte);
        }
    }

    /// Makes room, doubling what there is, if the memory of all sessions allows.
    fn grow(&mut self) -> bool {
        let held = self.bytes.capacity();
        let more = held.min(self.limit.saturating_sub(held)).max(STEP);
        let steps = u32::try_from(more.div_ceil(STEP)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.memory.0).try_acquire_many_owned(steps) else { return false };
        match &mut self.held {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        self.bytes.reserve_exact(more);
        true
    }

    /// Remembers the first fault, or the one that ends the session, and lets go of what will not be kept.
    fn spoil(&mut self, fault: Reply) {
        if self.fault.is_none() || fault == Reply::BARE_LINE_END {
            (self.bytes, self.held, self.fault) = (Vec::new(), None, Some(fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(limit: usize) -> Body {
        Body::new(limit, Memory::new(1 << 20))
    }

    /// What is kept, and what is left over after the end; `None` where no end is found.
    fn take(wire: &[u8]) -> Option<(Result<Vec<u8>, Reply>, usize)> {
        let mut body = body(1 << 16);
        let end = body.push(wire)?;
        Some((body.finish().map(|(bytes, _)| bytes), wire.len() - end))
    }

    #[test]
    fn a_message_ends_where_it_ends_and_loses_only_the_added_dots() {
        for (wire, kept) in [
            (&b".\r\n"[..], &b""[..]),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"a\r\n..\r\n..b\r\n.c\r\n.\r\n", b"a\r\n.\r\n.b\r\nc\r\n"),
            (b"a.\r\n\r\n.\r\n", b"a.\r\n\r\n"),
            (b"\0\xff\r\n.\r\n", b"\0\xff\r\n"),
        ] {
            assert_eq!(take(wire), Some((Ok(kept.to_vec()), 0)), "{wire:?}");
        }
    }

    #[test]
    fn no_other_end_of_data_is_one() {
        let (ends, marks) = (["\n", "\r", "\r\r", "\n\r", "\0", "\r\0\n"], [".", "..", ".\0", "\0."]);
        let all = ["\r\n", "\n", "\r", "\r\r\n", "\r\0\n", "\n\r"];
        for before in all {
            for dot in marks {
                for after in all.iter().chain(&ends) {
                    if (before, dot, *after) == ("\r\n", ".", "\r\n") {
                        continue;
                    }
                    let wire = format!("a{before}{dot}{after}MAIL FROM:<>\r\n.\r\n");
                    let (kept, left) = take(wire.as_bytes()).unwrap();
                    assert!(left == 0 || kept == Err(Reply::BARE_LINE_END), "{wire:?} has a second message");
                    let canonical = [before, after].iter().all(|end| !end.replace("\r\n", "").contains(['\r', '\n']));
                    assert_eq!(kept.is_ok(), canonical, "{wire:?}");
                }
            }
        }
    }

    #[test]
    fn the_end_is_found_however_the_bytes_arrive() {
        let wire = b"a\r\n..b\r\n.\r\n";
        let mut body = body(100);
        let ends: Vec<_> = wire.iter().map(|byte| body.push(&[*byte])).collect();
        assert!(ends.iter().rev().skip(1).all(Option::is_none));
        assert_eq!(ends.last(), Some(&Some(1)));
        assert_eq!(body.finish().unwrap().0, b"a\r\n.b\r\n");
    }

    #[test]
    fn what_is_too_large_is_not_held() {
        let mut body = body(1000);
        assert_eq!(body.push(&[b'x'; 1001]), None);
        assert!(body.bytes.capacity() == 0 && body.held.is_none() && !body.is_hopeless());
        body.push(&[b'x'; 1001]);
        assert!(body.is_hopeless());
        assert_eq!(body.push(b"\r\n.\r\n"), Some(5));
        assert_eq!(body.finish().err(), Some(Reply::TOO_LARGE));
    }

    #[test]
    fn all_sessions_together_hold_no_more_than_is_allowed() {
        let memory = Memory::new(4 * STEP);
        let mut first = Body::new(1 << 20, memory.clone());
        let mut second = Body::new(1 << 20, memory);
        first.push(&vec![b'x'; 3 * STEP]);
        second.push(&[b'x'; 10]);
        assert_eq!((&first.fault, &second.fault), (&None, &Some(Reply::BUSY)));
    }
}
