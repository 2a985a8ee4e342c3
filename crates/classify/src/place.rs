//! Where the words of a verdict stand in the raw bytes.

use rebound_domain::{Evidence, EvidenceField};

/// Bytes of a raw message that are searched.
const SEARCHED: usize = 1 << 20;

/// Fills in where each piece of evidence stands in `raw`; what is encoded there has no place.
pub(crate) fn fill(evidence: &mut [Evidence], raw: &[u8]) {
    let raw = raw.get(..SEARCHED).unwrap_or(raw);
    for one in evidence {
        let from = match one.field {
            EvidenceField::DiagnosticCode => field(raw, b"iagnostic-"),
            EvidenceField::Status => field(raw, b"\nStatus:"),
            EvidenceField::Subject => field(raw, b"ubject:"),
            EvidenceField::Reply | EvidenceField::Text => 0,
        };
        one.raw = find(raw, from, one.matched.as_bytes()).or_else(|| find(raw, 0, one.matched.as_bytes()));
    }
}

fn field(raw: &[u8], name: &[u8]) -> usize {
    memchr::memmem::find(raw, name).unwrap_or(0)
}

/// The words, with whatever white space and repeated codes part them in the raw bytes.
fn find(raw: &[u8], from: usize, words: &[u8]) -> Option<(usize, usize)> {
    let mut parts = words.split(|byte| *byte == b' ').filter(|part| !part.is_empty());
    let first = parts.next()?;
    let rest: Vec<&[u8]> = parts.collect();
    let finder = memchr::memmem::Finder::new(first);
    finder.find_iter(raw.get(from..)?).take(1_000).find_map(|at| {
        let start = from + at;
        let mut end = start + first.len();
        for part in &rest {
            let gap = raw.get(end..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
            end = after(raw, end + gap, part)?;
        }
        Some((start, end))
    })
}

/// The end of `part` at `at`, also behind the code with which each line of a reply begins.
fn after(raw: &[u8], at: usize, part: &[u8]) -> Option<usize> {
    let rest = raw.get(at..)?;
    if rest.starts_with(part) {
        return Some(at + part.len());
    }
    let code =
        rest.iter().take(20).take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b' ')).count();
    (code >= 4 && rest.get(code..)?.starts_with(part)).then(|| at + code + part.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_over_line_ends_and_repeated_codes() {
        for (raw, words, expected) in [
            ("550 5.1.1 no such user", "no such user", Some("no such user")),
            ("550-5.1.1 no such\r\n550 5.1.1 user here", "no such user", Some("no such\r\n550 5.1.1 user")),
            ("Diagnostic-Code: smtp; 552 mailbox\n    is full", "mailbox is full", Some("mailbox\n    is full")),
            ("bm8gc3VjaCB1c2Vy", "no such user", None),
        ] {
            let place = find(raw.as_bytes(), 0, words.as_bytes());
            assert_eq!(place.and_then(|(start, end)| raw.get(start..end)), expected, "{raw}");
        }
    }
}
