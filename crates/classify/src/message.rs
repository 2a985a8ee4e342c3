//! A message taken apart, however broken: headers, and the parts in the order a reader meets them.
//!
//! Reports arrive with missing boundaries, lone carriage returns and headers cut in half, and some are
//! built to hurt. So this reader never fails, looks at every byte a bounded number of times, and stops at
//! fixed limits. The decoding of words and character sets is left to `mail-parser`.

use std::borrow::Cow;

use mail_parser::decoders::{
    base64::base64_decode, charsets::map::charset_decoder, html::html_to_text,
    quoted_printable::quoted_printable_decode,
};
use mail_parser::parsers::MessageStream;

/// Bytes of a message that are looked at.
pub(crate) const MESSAGE_BYTES: usize = 25 << 20;
/// Bytes of one block of headers that are looked at.
const HEADER_BYTES: usize = 1 << 20;
/// Headers of one block that are kept.
const HEADERS: usize = 1_000;
/// How deep parts may lie within parts.
const DEPTH: usize = 20;
/// Parts that are kept.
const PARTS: usize = 1_000;
/// Bytes of a boundary; the standard allows 70 (RFC 2046 §5.1.1).
const BOUNDARY_BYTES: usize = 1_000;
/// Bytes of the name of a type, a character set or an encoding; the longest registered ones have 80.
const TOKEN_BYTES: usize = 200;
/// Bytes of text that are read for meaning.
pub(crate) const TEXT_BYTES: usize = 64 << 10;

/// A message: its own headers, and every part that holds no other parts.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) headers: Headers,
    pub(crate) parts: Vec<Part<'a>>,
}

/// One part, still encoded. Of its headers it keeps what is needed to read it.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    /// Such as `text/plain`, in lower case.
    pub(crate) content_type: String,
    /// Such as `base64`, in lower case.
    pub(crate) encoding: String,
    charset: Option<String>,
    pub(crate) body: &'a [u8],
}

/// A block of headers: names in lower case, values unfolded.
#[derive(Debug, Default, Clone)]
pub(crate) struct Headers(Vec<(String, String)>);

/// Line ends as `\n`, whatever they were: some mail systems hand on `\r` alone.
pub(crate) fn unify_line_ends(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = &bytes[..bytes.len().min(MESSAGE_BYTES)];
    if memchr::memchr(b'\r', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut unified = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\r', rest) {
        unified.extend_from_slice(&rest[..at]);
        unified.push(b'\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    unified.extend_from_slice(rest);
    Cow::Owned(unified)
}

impl<'a> Message<'a> {
    /// Takes a message apart whose lines end in `\n`.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (headers, body) = split_head(skip_envelope(bytes));
        let mut message = Self { headers, parts: Vec::new() };
        let mut unread = Vec::new();
        message.parts.extend(leaf(&message.headers, body, 0, PARTS, &mut unread));
        while let Some((part, depth)) = unread.pop() {
            if message.parts.len() >= PARTS {
                break;
            }
            // A head is read when its turn comes, so that few of them are held at once.
            let (headers, body) = split_head(part);
            message.parts.extend(leaf(&headers, body, depth, PARTS - message.parts.len(), &mut unread));
        }
        message
    }

    /// The first part of one of these types.
    pub(crate) fn part(&self, types: &[&str]) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| types.contains(&part.content_type.as_str()))
    }

    /// All text a person would read, decoded; plain text is preferred to HTML.
    pub(crate) fn text(&self) -> String {
        let of_type = |wanted: &str| {
            let mut text = String::new();
            for part in self.parts.iter().filter(|part| part.content_type == wanted) {
                text.push_str(&part.text());
                text.push('\n');
                if text.len() > TEXT_BYTES {
                    break;
                }
            }
            cut(text, TEXT_BYTES)
        };
        let plain = of_type("text/plain");
        if plain.trim().is_empty() { of_type("text/html") } else { plain }
    }
}

impl<'a> Part<'a> {
    fn new(headers: &Headers, body: &'a [u8]) -> Self {
        let short = |name: String| cut(name, TOKEN_BYTES);
        let content_type = headers.raw("content-type").map(media_type).map(short).unwrap_or_default();
        // A multipart whose boundary never comes is read as the text it shows.
        let textual = content_type.is_empty() || content_type.starts_with("multipart/") || !content_type.contains('/');
        let content_type = if textual { "text/plain".to_owned() } else { content_type };
        let charset = headers.raw("content-type").and_then(|value| parameter(value, "charset")).map(short);
        let encoding = headers.raw("content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        Self { content_type, encoding: short(encoding), charset, body }
    }

    /// The part's text: decoded, in UTF-8, without markup, at most [`TEXT_BYTES`].
    pub(crate) fn text(&self) -> String {
        let raw = &self.body[..self.body.len().min(2 * TEXT_BYTES)];
        let decoded = match self.encoding.as_str() {
            "base64" => base64_decode(raw),
            "quoted-printable" => quoted_printable_decode(raw),
            _ => None,
        };
        let bytes = decoded.as_deref().unwrap_or(raw);
        let text = in_utf8(bytes, self.charset.as_deref());
        let text = if self.content_type == "text/html" { html_to_text(&text) } else { text };
        cut(text, TEXT_BYTES)
    }
}

impl Headers {
    /// The first value of this name, as it was written.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Every value of this name, as it was written.
    pub(crate) fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The first value of this name with its encoded words read (RFC 2047).
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let raw = self.raw(name)?;
        if !raw.contains("=?") {
            return Some(raw.to_owned());
        }
        let line = format!("{raw}\n\n");
        MessageStream::new(line.as_bytes()).parse_unstructured().as_text().map(str::to_owned)
    }

    /// Names and values in the order they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A message kept in a mailbox file may begin with empty lines or a `From ` line.
fn skip_envelope(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes.trim_ascii_start();
    while rest.starts_with(b"From ") || rest.starts_with(b">From ") {
        rest = rest.iter().position(|&b| b == b'\n').map_or(&[][..], |end| &rest[end + 1..]);
    }
    rest
}

/// Splits a block of headers from what follows its empty line.
pub(crate) fn split_head(bytes: &[u8]) -> (Headers, &[u8]) {
    let mut headers = Headers::default();
    let mut at = 0;
    while at < bytes.len().min(HEADER_BYTES) {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |len| at + len);
        let line = &bytes[at..end.min(HEADER_BYTES)];
        let next = bytes.len().min(end + 1);
        if line.trim_ascii().is_empty() {
            return (headers, &bytes[next..]);
        }
        let full = headers.0.len() >= HEADERS;
        match (line[0].is_ascii_whitespace(), field(line), headers.0.last_mut()) {
            (true, _, Some((_, value))) => fold(value, line),
            (false, Some(field), _) if !full => headers.0.push(field),
            // Text where headers should begin: the empty line is missing.
            (_, None, None) => return (headers, &bytes[at..]),
            _ => {}
        }
        at = next;
    }
    (headers, &bytes[at.min(bytes.len())..])
}

fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let name = name.trim_ascii_end();
    let plausible = !name.is_empty() && name.len() < 80 && name.iter().all(|b| b.is_ascii_graphic());
    plausible.then(|| {
        let mut name = lossy(name).into_owned();
        name.make_ascii_lowercase();
        (name, lossy(value.trim_ascii()).into_owned())
    })
}

fn fold(value: &mut String, line: &[u8]) {
    value.push(' ');
    value.push_str(&lossy(line.trim_ascii()));
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The part itself if it holds no others; those it holds become unread ones, the first on top.
fn leaf<'a>(
    headers: &Headers,
    body: &'a [u8],
    depth: usize,
    most: usize,
    unread: &mut Vec<(&'a [u8], usize)>,
) -> Option<Part<'a>> {
    let children = if depth < DEPTH { children(headers, body, most) } else { Vec::new() };
    let leaf = children.is_empty().then(|| Part::new(headers, body));
    unread.extend(children.into_iter().rev().map(|part| (part, depth + 1)));
    leaf
}

/// The parts within a part; none if it is not a multipart or its boundary never comes.
fn children<'a>(headers: &Headers, body: &'a [u8], most: usize) -> Vec<&'a [u8]> {
    let Some(content_type) = headers.raw("content-type") else { return Vec::new() };
    if !media_type(content_type).starts_with("multipart/") {
        return Vec::new();
    }
    let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty());
    let Some(boundary) = boundary.or_else(|| first_delimiter(body)) else { return Vec::new() };
    between(body, format!("--{boundary}").as_bytes(), most)
}

/// The boundary as it is used, for headers that fail to name it.
fn first_delimiter(body: &[u8]) -> Option<String> {
    let lengths = 9..BOUNDARY_BYTES;
    let mut lines = body.split(|&b| b == b'\n').take(50);
    let line = lines.find(|line| line.starts_with(b"--") && lengths.contains(&line.len()))?;
    Some(lossy(line.get(2..)?.trim_ascii_end()).into_owned())
}

/// What stands between lines that are the delimiter (RFC 2046 §5.1.1).
fn between<'a>(body: &'a [u8], delimiter: &[u8], most: usize) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut start = None;
    for at in memchr::memmem::find_iter(body, delimiter) {
        if at > 0 && body[at - 1] != b'\n' {
            continue;
        }
        let end = memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |len| at + len + 1);
        let rest = body[at + delimiter.len()..end].trim_ascii();
        if rest.is_empty() || rest == b"--" {
            parts.extend(start.map(|start| &body[start..at]));
            start = rest.is_empty().then_some(end);
            if parts.len() >= most {
                return parts;
            }
        }
    }
    parts.extend(start.map(|start| &body[start..]));
    parts
}

fn media_type(value: &str) -> String {
    value.split([';', ' ', '\t']).next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A parameter of a header such as `Content-Type`, quoted or not (RFC 2045 §5.1).
pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    let lower = value.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower.get(from..)?.find(name) {
        let start = from + found;
        from = start + name.len();
        let apart = start == 0 || lower[..start].ends_with([';', ' ', '\t', ',']);
        let Some(rest) = value.get(from..).map(str::trim_start).and_then(|rest| rest.strip_prefix('=')) else {
            continue;
        };
        if apart {
            let rest = rest.trim_start();
            let quoted = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            return quoted.or_else(|| rest.split([';', ' ', '\t']).next()).map(str::to_owned);
        }
    }
    None
}

fn in_utf8(bytes: &[u8], charset: Option<&str>) -> String {
    match std::str::from_utf8(bytes) {
        // ISO-2022 sets are 7-bit and would pass for ASCII.
        Ok(text) if !bytes.contains(&0x1b) => text.to_owned(),
        _ => {
            let escaped = bytes.windows(3).any(|w| w == b"\x1b$B").then_some("iso-2022-jp");
            match charset.or(escaped).and_then(|name| charset_decoder(name.trim().as_bytes())) {
                Some(decode) => decode(bytes),
                None => lossy(bytes).into_owned(),
            }
        }
    }
}

/// At most this many bytes, cut between characters.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
    text
}
