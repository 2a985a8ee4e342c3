//! A file of any encoding, as bytes in which commas, quotes and line breaks can be found.
//!
//! UTF-16 is turned into UTF-8. UTF-8 and Windows-1252 agree on everything that separates cells, so they pass as they
//! are, and each row is decoded when it is known: see [`super::records`].

use crate::Error;
use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read, Result as IoResult};

const HEAD: usize = 64 * 1024;

/// The text of a file.
pub(super) struct Text<R> {
    source: R,
    bytes: u64,
    hash: Sha256,
    /// What was read to find out the encoding, or was decoded and not yet asked for.
    ready: Vec<u8>,
    taken: usize,
    decoder: Option<Decoder>,
    ended: bool,
}

impl<R: Read> Text<R> {
    /// Finds out the encoding.
    pub(super) fn open(source: R) -> Result<Self, Error> {
        let mut text =
            Self { source, bytes: 0, hash: Sha256::new(), ready: Vec::new(), taken: 0, decoder: None, ended: false };
        let mut head = vec![0; HEAD];
        let mut length = 0;
        while length < HEAD {
            match text.raw(head.get_mut(length..).unwrap_or_default())? {
                0 => break,
                more => length += more,
            }
        }
        head.truncate(length);
        refuse_what_is_no_text(&head)?;
        let (encoding, mark) = encoding_of(&head);
        head.drain(..mark);
        match encoding {
            Some(encoding) => {
                text.decoder = Some(encoding.new_decoder_without_bom_handling());
                text.decode(&head, false);
            }
            None => text.ready = head,
        }
        Ok(text)
    }

    /// How many bytes of the file were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of what was read of the file so far, in hexadecimal.
    pub(super) fn digest(self) -> String {
        data_encoding::HEXLOWER.encode(&self.hash.finalize())
    }

    fn raw(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let length = loop {
            match self.source.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => break answer?,
            }
        };
        self.bytes += length as u64;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn decode(&mut self, bytes: &[u8], last: bool) {
        let Some(decoder) = &mut self.decoder else { return };
        self.ready.resize(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(0), 0);
        let (_, _, written, _) = decoder.decode_to_utf8(bytes, &mut self.ready, last);
        self.ready.truncate(written);
        self.taken = 0;
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        loop {
            let ready = self.ready.get(self.taken..).unwrap_or_default();
            if !ready.is_empty() {
                let length = ready.len().min(buffer.len());
                buffer.iter_mut().zip(ready).for_each(|(to, from)| *to = *from);
                self.taken += length;
                return Ok(length);
            }
            if self.decoder.is_none() {
                return self.raw(buffer);
            }
            if self.ended {
                return Ok(0);
            }
            let mut bytes = vec![0; HEAD];
            let length = self.raw(&mut bytes)?;
            self.ended = length == 0;
            self.decode(bytes.get(..length).unwrap_or_default(), self.ended);
        }
    }
}

/// The encoding that needs decoding, if one does, and how long its byte order mark is.
fn encoding_of(head: &[u8]) -> (Option<&'static Encoding>, usize) {
    match head {
        [0xef, 0xbb, 0xbf, ..] => (None, 3),
        [0xff, 0xfe, ..] => (Some(UTF_16LE), 2),
        [0xfe, 0xff, ..] => (Some(UTF_16BE), 2),
        _ => (unmarked(head), 0),
    }
}

/// UTF-16 without a mark: every other byte of western text is zero.
fn unmarked(head: &[u8]) -> Option<&'static Encoding> {
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, pairs) = (zeros(0), zeros(1), head.len() / 2);
    match pairs {
        0 => None,
        _ if odd * 2 > pairs && even * 10 < pairs => Some(UTF_16LE),
        _ if even * 2 > pairs && odd * 10 < pairs => Some(UTF_16BE),
        _ => None,
    }
}

fn refuse_what_is_no_text(head: &[u8]) -> Result<(), Error> {
    if head.is_empty() {
        return Err(Error::Empty);
    }
    if head.starts_with(b"PK\x03\x04") {
        return Err(Error::NotText("a spreadsheet or a zip archive: save it as CSV first"));
    }
    let odd = head.iter().filter(|byte| **byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')).count();
    if encoding_of(head).0.is_none() && odd * 20 > head.len() {
        return Err(Error::NotText("something that is no text"));
    }
    Ok(())
}
