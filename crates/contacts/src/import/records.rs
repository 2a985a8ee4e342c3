//! Rows of cells, cut out of a text without ever holding more than one of them.
//!
//! Not the `csv` crate, for what it cannot tell: whether a quote was left open, so that one stray quote costs a line
//! and not the rest of the file, and where a row begins, so that it can be shown as it was.

use super::text::Text;
use crate::Error;
use encoding_rs::WINDOWS_1252;
use rebound_db::imports::BadRow;
use std::borrow::Cow;
use std::io::{Read, Result as IoResult};

/// The longest row that is read, in bytes.
pub(super) const MAX_ROW: usize = 1024 * 1024;
const STEP: usize = 64 * 1024;
/// How much of a refused row is kept, in characters.
const KEPT: usize = 2000;

/// The rows of a text, one after the other.
pub(super) struct Records<R> {
    text: Text<R>,
    delimiter: u8,
    /// How many cells a row has; found out from the first one.
    width: Option<usize>,
    buffer: Vec<u8>,
    /// Where in the buffer the next row begins, and on which line of the file that is.
    start: usize,
    line: i64,
    cells: Vec<u8>,
    ends: Vec<usize>,
}

/// A row: its cells, and the line of the file that it begins on, counted from 1.
pub(super) struct Row<'a> {
    pub(super) line: i64,
    text: Cow<'a, str>,
    ends: Cow<'a, [usize]>,
    /// As it is in the file.
    raw: &'a [u8],
}

impl Row<'_> {
    pub(super) fn cells(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| self.text.get(start..end).unwrap_or_default())
    }

    pub(super) fn bad(&self, reason: impl Into<String>) -> BadRow {
        BadRow { line: self.line, reason: reason.into(), content: shown(self.raw) }
    }
}

/// How the search for the end of a row ended.
enum End {
    /// It ends here.
    At(usize),
    /// A quote was opened in it and never closed, or closed by a quote on another line that was not meant for it.
    Unclosed,
    /// It is longer than [`MAX_ROW`].
    TooLong,
}

/// Where in a cell one is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// After a quote inside quotes: the end, or the first half of a quote that is meant.
    Closing,
}

impl<R: Read> Records<R> {
    pub(super) fn new(text: Text<R>) -> Result<Self, Error> {
        let (buffer, cells, ends) = (Vec::with_capacity(2 * STEP), Vec::new(), Vec::new());
        let mut records = Self { text, delimiter: b',', width: None, buffer, start: 0, line: 1, cells, ends };
        records.skip_line_breaks()?;
        records.find_delimiter()?;
        Ok(records)
    }

    /// From now on a row has to have as many cells.
    pub(super) fn expect(&mut self, width: usize) {
        self.width = Some(width);
    }

    /// How many bytes of the file were read.
    pub(super) fn bytes(&self) -> u64 {
        Text::bytes(&self.text)
    }

    pub(super) fn digest(self) -> String {
        self.text.digest()
    }

    /// The next row that is not blank: as cells, or refused.
    pub(super) fn next(&mut self) -> IoResult<Option<Result<Row<'_>, BadRow>>> {
        loop {
            if !self.skip_line_breaks()? {
                return Ok(None);
            }
            let line = self.line;
            let end = match self.parse()? {
                End::At(end) if end - self.start > MAX_ROW => return Ok(Some(Err(self.cut(end)))),
                End::At(end) => end,
                End::Unclosed => return Ok(Some(Err(self.first_line_only("a quote is opened and never closed")))),
                End::TooLong => return Ok(Some(Err(self.too_long()?))),
            };
            if self.cells.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                self.advance(end);
                continue;
            }
            if let Some(width) = self.width.filter(|width| *width != self.ends.len()) {
                // Where a stray quote swallowed the end of a line, the lines after it may be good.
                let reason = format!("{} cells where the first line has {width}", self.ends.len());
                return Ok(Some(Err(self.first_line_only(&reason))));
            }
            let start = self.start;
            self.advance(end);
            let raw = self.buffer.get(start..end).unwrap_or_default();
            let (text, ends) = decoded(&self.cells, &self.ends);
            return Ok(Some(Ok(Row { line, text, ends, raw })));
        }
    }

    /// Splits the row at `start` into `cells` and `ends`, reading on as far as needed.
    fn parse(&mut self) -> IoResult<End> {
        use Place::{Closing, Plain, Quoted, Start};
        self.cells.clear();
        self.ends.clear();
        let (mut at, mut place, mut ragged) = (self.start, Start, false);
        loop {
            while let Some(&byte) = self.buffer.get(at) {
                place = match (place, byte) {
                    (Quoted, b'"') => Closing,
                    (Start, b'"') => Quoted,
                    (Closing, b'"') => {
                        self.cells.push(b'"');
                        Quoted
                    }
                    (Quoted, byte) => {
                        self.cells.push(byte);
                        Quoted
                    }
                    (_, byte) if byte == self.delimiter => {
                        self.ends.push(self.cells.len());
                        Start
                    }
                    (_, b'\n' | b'\r') => {
                        self.ends.push(self.cells.len());
                        let astray = ragged && self.line_end().is_some_and(|end| end < at);
                        return Ok(if astray { End::Unclosed } else { End::At(at) });
                    }
                    (before, byte) => {
                        ragged |= before == Closing;
                        self.cells.push(byte);
                        Plain
                    }
                };
                at += 1;
            }
            let too_long = at - self.start > MAX_ROW;
            let ended = !too_long && self.read_on()? == 0;
            match place {
                Quoted if ended || (too_long && self.line_end().is_some()) => return Ok(End::Unclosed),
                _ if too_long => return Ok(End::TooLong),
                _ if ended => {
                    self.ends.push(self.cells.len());
                    return Ok(End::At(at));
                }
                _ => {}
            }
        }
    }

    /// Refuses the line at `start`, and goes on with the line after it.
    fn first_line_only(&mut self, reason: &str) -> BadRow {
        let end = self.line_end().unwrap_or(self.buffer.len());
        let content = shown(self.buffer.get(self.start..end).unwrap_or_default());
        let bad = BadRow { line: self.line, reason: reason.to_owned(), content };
        self.advance(end);
        bad
    }

    fn cut(&mut self, end: usize) -> BadRow {
        let content = shown(self.buffer.get(self.start..end).unwrap_or_default());
        let bad = BadRow { line: self.line, reason: "longer than 1 MB".to_owned(), content };
        self.advance(end);
        bad
    }

    /// Refuses a line of which no end is in sight, and passes over the rest of it.
    fn too_long(&mut self) -> IoResult<BadRow> {
        let bad = self.cut(self.buffer.len());
        while self.line_end().is_none() {
            self.buffer.clear();
            self.start = 0;
            if self.read_on()? == 0 {
                break;
            }
            self.start = self.line_end().unwrap_or(self.buffer.len());
        }
        Ok(bad)
    }

    /// Where the line at `start` ends, if that was read already.
    fn line_end(&self) -> Option<usize> {
        let rest = self.buffer.get(self.start..)?;
        rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map(|length| self.start + length)
    }

    /// Goes on to the next row; `false` at the end of the file.
    fn skip_line_breaks(&mut self) -> IoResult<bool> {
        if self.start >= STEP {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        loop {
            // A carriage return may be half of a line break.
            if self.buffer.len() < self.start + 2 {
                self.read_on()?;
            }
            match self.buffer.get(self.start..).unwrap_or_default() {
                [b'\r', b'\n', ..] => self.start += 2,
                [b'\r' | b'\n', ..] => self.start += 1,
                rest => return Ok(!rest.is_empty()),
            }
            self.line += 1;
        }
    }

    /// Makes `end`, which is in the same buffer, the start.
    fn advance(&mut self, end: usize) {
        let passed = self.buffer.get(self.start..end).unwrap_or_default();
        let breaks = passed
            .iter()
            .enumerate()
            .filter(|(at, byte)| **byte == b'\n' || (**byte == b'\r' && passed.get(at + 1) != Some(&b'\n')));
        self.line += i64::try_from(breaks.count()).unwrap_or(0);
        self.start = end;
    }

    /// Reads some more. The number of bytes; 0 at the end of the file.
    fn read_on(&mut self) -> IoResult<usize> {
        let length = self.buffer.len();
        self.buffer.resize(length + STEP, 0);
        let read = self.text.read(self.buffer.get_mut(length..).unwrap_or_default());
        self.buffer.truncate(length + read.as_ref().map_or(0, |read| *read));
        read
    }

    /// The one of `,` `;` tab and `|` that the first line has most of; or what a line `sep=;` says (Excel).
    fn find_delimiter(&mut self) -> IoResult<()> {
        while self.line_end().is_none() && self.buffer.len() - self.start < MAX_ROW && self.read_on()? > 0 {}
        let end = self.line_end().unwrap_or(self.buffer.len());
        let line = self.buffer.get(self.start..end).unwrap_or_default();
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] = line {
            self.delimiter = *delimiter;
            self.start = end;
            return Ok(());
        }
        let mut quoted = false;
        let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
        for byte in line {
            quoted ^= *byte == b'"';
            counts.iter_mut().filter(|(candidate, _)| !quoted && candidate == byte).for_each(|(_, count)| *count += 1);
        }
        // The first of equals: a comma where there is none at all.
        let most = counts.iter().rev().max_by_key(|(_, count)| *count);
        self.delimiter = most.map_or(b',', |(candidate, _)| *candidate);
        Ok(())
    }
}

/// The cells as text: UTF-8, or else Windows-1252, in which every byte is a character.
fn decoded<'a>(cells: &'a [u8], ends: &'a [usize]) -> (Cow<'a, str>, Cow<'a, [usize]>) {
    match std::str::from_utf8(cells) {
        Ok(text) if ends.iter().all(|end| text.is_char_boundary(*end)) => (text.into(), ends.into()),
        _ => {
            let mut text = String::with_capacity(cells.len() * 2);
            let mut start = 0;
            let decode = |end: &usize| {
                text += &WINDOWS_1252.decode_without_bom_handling(cells.get(start..*end).unwrap_or_default()).0;
                start = *end;
                text.len()
            };
            let ends: Vec<usize> = ends.iter().map(decode).collect();
            (text.into(), ends.into())
        }
    }
}

/// The beginning of a row as it can be shown and kept: no NUL, which PostgreSQL would refuse.
fn shown(raw: &[u8]) -> String {
    let raw = raw.get(..raw.len().min(4 * KEPT)).unwrap_or_default();
    let text = match std::str::from_utf8(raw) {
        Err(error) if error.error_len().is_some() => WINDOWS_1252.decode_without_bom_handling(raw).0,
        _ => String::from_utf8_lossy(raw),
    };
    text.chars().take(KEPT).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
