//! Where the words of a verdict stand in the raw bytes.

use rebound_domain::{Evidence, EvidenceField};

/// Bytes of a raw message that are searched.
const SEARCHED: usize = 1 << 20;
/// Bytes that may be searched in vain, however many recipients a report has.
const IN_VAIN: usize = 16 << 20;

/// A search of one raw message for the words of its verdicts.
pub(crate) struct Search<'a> {
    raw: &'a [u8],
    /// Where the fields begin that were asked for.
    diagnostic: Option<usize>,
    status: Option<usize>,
    subject: Option<usize>,
    in_vain: usize,
}

impl<'a> Search<'a> {
    pub(crate) fn of(raw: &'a [u8]) -> Self {
        let raw = raw.get(..SEARCHED).unwrap_or(raw);
        Self { raw, diagnostic: None, status: None, subject: None, in_vain: 0 }
    }

    /// Fills in where each piece of evidence stands; what is encoded there has no place.
    pub(crate) fn fill(&mut self, evidence: &mut [Evidence]) {
        for one in evidence {
            let raw = self.raw;
            let begin = |name: &[u8]| memchr::memmem::find(raw, name).unwrap_or(0);
            let from = match one.field {
                EvidenceField::DiagnosticCode => *self.diagnostic.get_or_insert_with(|| begin(b"iagnostic-")),
                EvidenceField::Status => *self.status.get_or_insert_with(|| begin(b"\nStatus:")),
                EvidenceField::Subject => *self.subject.get_or_insert_with(|| begin(b"ubject:")),
                EvidenceField::Reply | EvidenceField::Text => 0,
            };
            one.raw = self
                .find(from, one.matched.as_bytes())
                .or_else(|| if from > 0 { self.find(0, one.matched.as_bytes()) } else { None });
        }
    }

    fn find(&mut self, from: usize, words: &[u8]) -> Option<(usize, usize)> {
        if self.in_vain > IN_VAIN {
            return None;
        }
        let found = find(self.raw, from, words);
        self.in_vain += found.map_or(self.raw.len(), |(start, _)| start) - from.min(self.raw.len());
        found
    }
}

/// The words, with whatever white space and repeated codes part them in the raw bytes.
fn find(raw: &[u8], from: usize, words: &[u8]) -> Option<(usize, usize)> {
    let mut parts = words.split(|byte| *byte == b' ').filter(|part| !part.is_empty());
    let first = parts.next()?;
    let finder = memchr::memmem::Finder::new(first);
    finder.find_iter(raw.get(from..)?).take(1_000).find_map(|at| {
        let start = from + at;
        let mut end = start + first.len();
        for part in parts.clone() {
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
