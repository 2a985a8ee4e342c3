//! Changes to mail that random bytes would hardly make: pieces of other messages, other boundaries, encodings and
//! character sets, lines told again and again.

use std::path::Path;
use std::sync::LazyLock;

/// Bytes that a change makes at the most, and once in a while: short inputs are tried sooner.
const MOST: usize = 512 << 10;
const USUALLY: usize = 16 << 10;

/// The messages in `fixtures/`.
pub static FIXTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = ["fixtures", "../fixtures"].map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let mut paths: Vec<_> =
        folder.iter().filter_map(|path| path.read_dir().ok()).flatten().flatten().map(|file| file.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
});

/// A row of numbers that only depends on where it begins (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `end`, or 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap_or_default()
    }

    fn one_of<'a>(&mut self, choices: &[&'a [u8]]) -> &'a [u8] {
        choices.get(self.below(choices.len())).copied().unwrap_or_default()
    }

    fn range(&mut self, within: usize) -> std::ops::Range<usize> {
        let start = self.below(within + 1);
        start..start + self.below(within - start + 1)
    }
}

/// Changes a message, a reply or a file in one to four ways.
pub fn mutate(bytes: &mut Vec<u8>, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..=dice.below(4) {
        let most = bytes.len().max(if dice.below(64) == 0 { MOST } else { USUALLY });
        change(bytes, most, &mut dice);
        bytes.truncate(most);
    }
}

fn change(bytes: &mut Vec<u8>, most: usize, dice: &mut Dice) {
    match dice.below(14) {
        0 => splice(bytes, dice),
        1 => {
            let gone = dice.range(bytes.len());
            bytes.drain(gone);
        }
        2 => repeat(bytes, most, dice),
        3 => end_lines_with(bytes, dice.one_of(&[b"\n", b"\r\n", b"\r", b"\n\r", b"\n\n"])),
        4 => set_after(bytes, b"ransfer-Encoding:", ENCODINGS, dice),
        5 => set_after(bytes, b"charset=", CHARSETS, dice),
        6 => set_after(bytes, b"boundary=", BOUNDARIES, dice),
        7 => set_after(bytes, b"ontent-Type:", TYPES, dice),
        8 => insert_line(bytes, dice.one_of(FIELDS), dice),
        9 => insert(bytes, dice.one_of(BYTES), dice),
        10 => wrap(bytes, dice),
        11 => swap_lines(bytes, dice),
        12 => encode_a_part(bytes),
        _ => flip(bytes, dice),
    }
}

const ENCODINGS: &[&[u8]] =
    &[b" base64", b" quoted-printable", b" 8bit", b" binary", b" x-uuencode", b"", b" BASE64\n "];
const CHARSETS: &[&[u8]] = &[
    b"utf-7",
    b"utf-16",
    b"utf-16be",
    b"iso-2022-jp",
    b"iso-2022-kr",
    b"gb18030",
    b"big5",
    b"shift_jis",
    b"euc-kr",
    b"koi8-r",
    b"windows-1252",
    b"hz-gb-2312",
    b"us-ascii",
    b"\"utf-8",
    b"x-unknown",
    b"",
];
const BOUNDARIES: &[&[u8]] = &[b"b", b"\"b\"", b"-", b"\"\"", b"\"", b"--", b" ", b"=_x", b"\xff"];
const TYPES: &[&[u8]] = &[
    b" text/html",
    b" text/plain",
    b" message/delivery-status",
    b" message/global-delivery-status",
    b" message/feedback-report",
    b" message/rfc822",
    b" text/rfc822-headers",
    b" multipart/mixed",
    b" multipart/report",
    b" message/disposition-notification",
    b" text",
    b"",
];
const FIELDS: &[&[u8]] = &[
    b"Final-Recipient: rfc822; ada@example.test",
    b"Original-Recipient: rfc822;ada@example.test",
    b"Action: failed",
    b"Action: delayed",
    b"Status: 5.1.1",
    b"Status: 4.2.2 (mailbox full)",
    b"Diagnostic-Code: smtp; 550 5.1.1 no such user",
    b"Reporting-MTA: dns; mx.example.test",
    b"Remote-MTA: dns; mx.example.test",
    b"Feedback-Type: abuse",
    b"User-Agent: x/1",
    b"Original-Rcpt-To: ada@example.test",
    b"Redacted-Address: redacted",
    b"X-HmXmrOriginalRecipient: a@b.test",
    b"X-Failed-Recipients: a@b.test, c@d.test",
    b"Auto-Submitted: auto-replied",
    b"Return-Path: <>",
    b"Subject: Undeliverable",
    b"From: MAILER-DAEMON@mx.test",
    b"Received: from x by y",
    b"----- Original message -----",
    b"<ada@example.test>:",
    b"550 5.1.1 <ada@example.test>... User unknown",
    b"450 4.7.1 greylisted, try again in 300 seconds",
    b"{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[{\"emailAddress\":\"a@b.test\"}]}}",
    b"(generated from a@b.test)",
    b"--b",
    b"--b--",
    b"",
];
const BYTES: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\x1b$B",
    b"\x1b(B",
    b"\x1b$)C\x0e",
    b"+2AA-",
    b"~{",
    b"\xe2\x80\xae",
    b"\xc4\xb0",
    b"=?utf-8?q?=",
    b"=?utf-7?b?",
    b"=\n",
    b"&#x110000;",
    b"&#55296;",
    b"<!--",
    b"<a <b",
    b"@",
    b"<",
    b"\"",
    b"5.1.1",
    b"450 ",
    b"*",
    b"'''",
    b"\"\"\"",
    b"\\u0000",
    b"[[rule]]\n",
    b"[",
    b"{",
    b"http://",
    b"zen.a.b",
    b"\xef\xbb\xbf",
];

/// A piece of another message comes in, over what stood there or before it.
fn splice(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let Some(other) = FIXTURES.get(dice.below(FIXTURES.len())) else { return };
    let piece = other.get(dice.range(other.len())).unwrap_or_default();
    let mut place = dice.range(bytes.len());
    if dice.below(2) == 0 {
        place.end = place.start;
    }
    bytes.splice(place, piece.iter().copied());
}

/// A line, or a piece of anything, is told again and again.
fn repeat(bytes: &mut Vec<u8>, most: usize, dice: &mut Dice) {
    let piece = if dice.below(2) == 0 { line(bytes, dice) } else { dice.range(bytes.len()) };
    let told = bytes.get(piece.clone()).unwrap_or_default().to_vec();
    let times = (1 << dice.below(12)).min(most / told.len().max(1));
    bytes.splice(piece.end..piece.end, told.repeat(times));
}

fn line(bytes: &[u8], dice: &mut Dice) -> std::ops::Range<usize> {
    let at = dice.below(bytes.len());
    let start = bytes.iter().take(at).rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let end = bytes.iter().skip(at).position(|&b| b == b'\n').map_or(bytes.len(), |len| at + len + 1);
    start..end
}

fn end_lines_with(bytes: &mut Vec<u8>, end: &[u8]) {
    *bytes = bytes.split(|&b| b == b'\n').collect::<Vec<_>>().join(end);
}

/// Another value behind one of the places where `name` stands, up to the end of the value.
fn set_after(bytes: &mut Vec<u8>, name: &[u8], values: &[&[u8]], dice: &mut Dice) {
    let places: Vec<usize> =
        bytes.windows(name.len()).enumerate().filter(|(_, at)| *at == name).map(|(at, _)| at).collect();
    let Some(at) = places.get(dice.below(places.len())) else { return };
    let start = at + name.len();
    let value = bytes
        .iter()
        .skip(start)
        .position(|&b| matches!(b, b'\n' | b'\r' | b';'))
        .map_or(bytes.len(), |len| start + len);
    bytes.splice(start..value, dice.one_of(values).iter().copied());
}

fn insert_line(bytes: &mut Vec<u8>, words: &[u8], dice: &mut Dice) {
    let at = line(bytes, dice).start;
    bytes.splice(at..at, [words, b"\n"].concat());
}

fn insert(bytes: &mut Vec<u8>, words: &[u8], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    bytes.splice(at..at, words.iter().copied());
}

/// The message becomes a part of another.
fn wrap(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let kind = dice.one_of(TYPES);
    let head = [b"Content-Type: multipart/report; boundary=w\n\n--w\nContent-Type:", kind, b"\n\n"].concat();
    bytes.splice(0..0, head);
    bytes.extend_from_slice(b"\n--w--\n");
}

fn swap_lines(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
    let (one, other) = (dice.below(lines.len()), dice.below(lines.len()));
    if !lines.is_empty() {
        lines.swap(one, other);
    }
    *bytes = lines.concat();
}

/// What follows the first empty line, in base64.
pub fn encode_a_part(bytes: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(at) = bytes.windows(2).position(|at| at == b"\n\n") else { return };
    let body = bytes.split_off(at + 1);
    bytes.extend_from_slice(b"Content-Transfer-Encoding: base64\n\n");
    for (index, group) in body.chunks(3).enumerate() {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let figures = (0..4).map(|figure| ALPHABET[(bits >> (18 - 6 * figure) & 63) as usize]);
        bytes.extend(figures.enumerate().map(|(at, figure)| if at > group.len() { b'=' } else { figure }));
        if index % 19 == 18 {
            bytes.push(b'\n');
        }
    }
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    for _ in 0..=dice.below(8) {
        let at = dice.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = u8::try_from(dice.below(256)).unwrap_or_default();
        }
    }
}
