//! mbox: messages one after the other, each begun by a line that starts with `From ` (RFC 4155).

use std::io::{self, BufRead, Read};

use crate::message::MESSAGE_BYTES;

/// How a separator begins.
const START: &[u8] = b"From ";

/// Lines longer than this come in pieces, in bytes.
const PIECE: u64 = 64 << 10;

/// The raw messages of an mbox, read one by one from whatever holds it.
///
/// A line of a message that looks like a separator has a `>` before it, and one more for each that it had (mboxrd);
/// one is taken off. A message of more than 25 MiB comes as an error of the kind
/// [`FileTooLarge`](io::ErrorKind::FileTooLarge), and the next is read; any other error is the last item.
///
/// ```
/// use rebound_classify::{Mbox, report};
/// use rebound_domain::ReportKind;
///
/// let mbox = b"From a@b.example Mon Nov 23 10:00:00 2026\nSubject: Hello\n\nHow are you?\n\n\
///              From c@d.example Mon Nov 23 10:00:01 2026\nFrom: c@d.example\nSubject: Out of office: Hello\n\nBack on Monday.\n";
/// let kinds: Vec<_> = Mbox::new(&mbox[..]).map(|raw| report(&raw.unwrap()).kind).collect();
/// assert_eq!(kinds, [ReportKind::NotBounce, ReportKind::AutoReply]);
/// ```
#[derive(Debug)]
pub struct Mbox<R> {
    source: R,
    /// Separators seen.
    begun: usize,
    message: Vec<u8>,
    too_large: bool,
    /// The next piece begins a line.
    line_start: bool,
    /// The line before was empty: only then can a separator follow.
    after_empty: bool,
    ended: bool,
}

impl<R: BufRead> Mbox<R> {
    /// The messages of `source`.
    pub fn new(source: R) -> Self {
        let (message, too_large, begun) = (Vec::new(), false, 0);
        Self { source, begun, message, too_large, line_start: true, after_empty: true, ended: false }
    }

    /// Reads on to the end of the message; `None` when there was none left.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = Vec::new();
        loop {
            piece.clear();
            if (&mut self.source).take(PIECE).read_until(b'\n', &mut piece)? == 0 {
                self.ended = true;
                return Ok((self.begun > 0).then(|| self.finish()));
            }
            let separates = self.line_start && self.after_empty && is_separator(&piece);
            if !separates {
                self.append(&piece);
            }
            self.after_empty = self.line_start && matches!(&*piece, b"\n" | b"\r\n");
            self.line_start = piece.ends_with(b"\n");
            if separates {
                self.begun += 1;
                if self.begun > 1 {
                    return Ok(Some(self.finish()));
                }
            }
        }
    }

    fn append(&mut self, piece: &[u8]) {
        let arrows = piece.iter().take_while(|byte| **byte == b'>').count();
        let quoted = self.line_start && arrows > 0 && piece.get(arrows..).is_some_and(|rest| rest.starts_with(START));
        self.message.extend_from_slice(piece.get(usize::from(quoted)..).unwrap_or_default());
        if self.message.len() > MESSAGE_BYTES {
            self.too_large = true;
            self.message = Vec::new();
        }
    }

    /// The message without the empty line that comes before the next separator.
    fn finish(&mut self) -> Vec<u8> {
        let mut message = std::mem::take(&mut self.message);
        for end in [&b"\r\n\r\n"[..], b"\n\n"] {
            if message.ends_with(end) {
                message.truncate(message.len() - end.len() / 2);
                break;
            }
        }
        message
    }
}

impl<R: BufRead> Iterator for Mbox<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended |= read.is_err();
        if std::mem::take(&mut self.too_large) && matches!(read, Ok(Some(_))) {
            return Some(Err(io::ErrorKind::FileTooLarge.into()));
        }
        read.transpose()
    }
}

/// `From `, an address, and a date: what has no time of day in it is a sentence of somebody's.
fn is_separator(line: &[u8]) -> bool {
    let time = |five: &[u8]| {
        five.iter().enumerate().all(|(index, byte)| if index == 2 { *byte == b':' } else { byte.is_ascii_digit() })
    };
    line.starts_with(START) && line.windows(5).any(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        Mbox::new(text.as_bytes()).map(|raw| String::from_utf8(raw.unwrap()).unwrap()).collect()
    }

    #[test]
    fn messages_come_apart_at_separators_and_nowhere_else() {
        let first = "From a@b.example Mon Nov 23 10:00:00 2026\n";
        for (text, expected) in [
            (
                format!("{first}Subject: 1\n\none\n\n{first}Subject: 2\n\ntwo\n"),
                vec!["Subject: 1\n\none\n", "Subject: 2\n\ntwo\n"],
            ),
            (format!("{first}A: 1\n\n>From here\n>>From there\n"), vec!["A: 1\n\nFrom here\n>From there\n"]),
            (format!("{first}A: 1\n\nFrom what I hear, no.\n"), vec!["A: 1\n\nFrom what I hear, no.\n"]),
            (format!("{first}A: 1\n\nx\n{first}"), vec![&*format!("A: 1\n\nx\n{first}")]),
            (format!("{first}A: 1\r\n\r\nx\r\n\r\n{first}"), vec!["A: 1\r\n\r\nx\r\n", ""]),
        ] {
            assert_eq!(read(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_left_out_and_the_next_is_read() {
        let first = "From a@b.example Mon Nov 23 10:00:00 2026\n";
        let text = format!("{first}A: 1\n\n{}\n\n{first}A: 2\n\nx\n", "y".repeat(MESSAGE_BYTES));
        let found: Vec<_> = Mbox::new(text.as_bytes()).collect();
        let [Err(error), Ok(next)] = found.as_slice() else { panic!("{} messages", found.len()) };
        assert_eq!((error.kind(), next.as_slice()), (io::ErrorKind::FileTooLarge, &b"A: 2\n\nx\n"[..]));
    }
}
