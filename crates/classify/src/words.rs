//! A host's own words, made fit to show and to search, and what stands in them in plain sight.

use std::ops::Range;
use std::sync::LazyLock;

use rebound_domain::EnhancedStatusCode;
use regex::Regex;

/// Bytes of a diagnostic that are kept.
pub(crate) const DIAGNOSTIC_BYTES: usize = 2 << 10;

/// One line of at most [`DIAGNOSTIC_BYTES`], with every run of white space and control characters made one
/// space.
pub(crate) fn tidy(text: &str) -> String {
    if is_tidy(text.as_bytes()) {
        return text.get(..text.floor_char_boundary(DIAGNOSTIC_BYTES)).unwrap_or_default().to_owned();
    }
    let mut tidied = String::with_capacity(text.len().min(DIAGNOSTIC_BYTES));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c)) {
        if word.is_empty() {
            continue;
        }
        if !tidied.is_empty() {
            tidied.push(' ');
        }
        tidied.push_str(word);
        if tidied.len() > DIAGNOSTIC_BYTES {
            break;
        }
    }
    tidied.truncate(tidied.floor_char_boundary(DIAGNOSTIC_BYTES));
    tidied
}

/// Whether nothing is to be done: most replies are one line of plain ASCII.
fn is_tidy(text: &[u8]) -> bool {
    let mut before = b' ';
    let plain = text.iter().all(|byte| {
        let doubled = before == b' ' && *byte == b' ';
        before = *byte;
        (b' '..0x7f).contains(byte) && !doubled
    });
    plain && text.last() != Some(&b' ')
}

/// Takes out the codes that every line of a reply repeats, so that sentences are whole again:
/// `550-5.7.1 Mail from 550 5.7.1 here is refused` says its codes once.
pub(crate) fn say_codes_once(text: String) -> String {
    let Some((at, code)) = triples(&text).find(|(at, _)| matches!(text.as_bytes().get(at + 3), Some(b' ' | b'-')))
    else {
        return text;
    };
    let (head, tail) = text.split_at(at + 4);
    let said = text.as_bytes().get(at..at + 3).unwrap_or_default();
    let said_again = tail.as_bytes().windows(3).any(|again| again == said);
    if !said_again && text.as_bytes().get(at + 3) == Some(&b' ') {
        return text;
    }
    let status = status_at(tail).filter(|status| tail.as_bytes().get(status.len()) == Some(&b' '));
    let status = status.map_or(String::new(), |status| format!("{status} "));
    let (parted, again) = (format!("{code}-{status}"), format!("{code} {status}"));
    let rest = tail.get(status.len()..).unwrap_or_default();
    let repeats = rest.contains(&parted) || (!status.is_empty() && rest.contains(&again));
    if !repeats && text.as_bytes().get(at + 3) == Some(&b' ') {
        return text;
    }
    let mut rest = rest.replace(&parted, "");
    if !status.is_empty() {
        rest = rest.replace(&again, "");
    }
    format!("{}{code} {status}{rest}", head.get(..at).unwrap_or_default())
}

/// Where three figures stand that could be a reply, and which: not within a longer number or word.
fn triples(text: &str) -> impl Iterator<Item = (usize, u16)> {
    let bytes = text.as_bytes();
    let joined = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (0..bytes.len().saturating_sub(2)).filter_map(move |at| {
        let [a @ (b'2' | b'4' | b'5'), b @ b'0'..=b'9', c @ b'0'..=b'9'] = *bytes.get(at..at + 3)? else { return None };
        if joined(bytes.get(at + 3)) || (at > 0 && joined(bytes.get(at - 1))) {
            return None;
        }
        let figure = |byte: u8| u16::from(byte - b'0');
        Some((at, figure(a) * 100 + figure(b) * 10 + figure(c)))
    })
}

/// The status code with which a text begins.
fn status_at(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'2' | b'4' | b'5')) || bytes.get(1) != Some(&b'.') {
        return None;
    }
    let figures = |from: usize| bytes.iter().skip(from).take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let subject = figures(2);
    let dot = 2 + subject;
    if !(1..=3).contains(&subject) || bytes.get(dot) != Some(&b'.') {
        return None;
    }
    let detail = figures(dot + 1);
    let end = dot + 1 + detail;
    ((1..=3).contains(&detail) && !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric)).then(|| text.get(..end))?
}

/// Characters that turn or hide what a reader sees on a page.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Where words with an `@` lie: what is inside an address is a name and no statement.
pub(crate) fn addresses_in(text: &str) -> Vec<Range<usize>> {
    const BORDERS: &[char] = &['<', '>', '@', ',', ';', ':', '(', ')', '[', ']', '"'];
    let border = |c: char| c.is_whitespace() || BORDERS.contains(&c);
    let closes = |c: char| border(c) || matches!(c, '\'' | '|' | '*' | '&' | '=' | '?');
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        let start =
            before.char_indices().rev().take(320).take_while(|(_, c)| !border(*c)).last().map(|(start, _)| start);
        let Some(start) = start.filter(|start| found.last().is_none_or(|last| last.end <= *start)) else { continue };
        let end =
            after.char_indices().take(320).take_while(|(_, c)| !closes(*c)).last().map(|(end, c)| end + c.len_utf8());
        found.extend(end.map(|end| start..at + 1 + end));
    }
    found
}

/// The first enhanced status code in a text that says something, or the first at all, with its place.
pub(crate) fn status_in(text: &str) -> Option<(EnhancedStatusCode, Range<usize>)> {
    let mut first = None;
    for (dot, _) in text.match_indices('.') {
        let Some(start) = dot.checked_sub(1) else { continue };
        if !matches!(text.as_bytes().get(start), Some(b'4' | b'5')) {
            continue;
        }
        if start > 0 && text.as_bytes().get(start - 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            continue;
        }
        let Some(written) = text.get(start..).and_then(status_at) else { continue };
        let range = start..start + written.len();
        if is_within_number(text, &range) {
            continue;
        }
        let Ok(code) = written.parse::<EnhancedStatusCode>() else { continue };
        if code.subject > 7 {
            continue;
        }
        if (code.subject, code.detail) != (0, 0) {
            return Some((code, range));
        }
        first.get_or_insert((code, range));
    }
    first
}

/// Whether more figures follow or precede, as in an IP address.
fn is_within_number(text: &str, at: &Range<usize>) -> bool {
    let head = &text[..at.start];
    // `452-4.2.2` is a reply, `mx-4.2.2` a name.
    let name = head.strip_suffix('-').is_some_and(|head| !head.ends_with(|c: char| c.is_ascii_digit()));
    let before = head.ends_with(['.', '_']) || name;
    let mut after = text[at.end..].chars();
    let more = match after.next() {
        Some('.') => after.next().is_some_and(|c| c.is_ascii_digit()),
        Some('-') => after.next().is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    before || more
}

/// The three-digit reply in a text: at its beginning, or where a host is quoted.
pub(crate) fn reply_code_in(text: &str) -> Option<u16> {
    let mut loose = None;
    for (at, code) in triples(text).filter(|(_, code)| *code >= 400) {
        let after = text.as_bytes().get(at + 3);
        let closed = matches!(after, None | Some(b' ' | b':' | b';' | b',' | b')' | b'-' | b'\'' | b'"' | b'#'));
        if closed && is_introduced(text.get(..at).unwrap_or_default()) {
            return Some(code);
        }
        let parted = at == 0 || text.as_bytes().get(at - 1) == Some(&b' ');
        if parted && matches!(after, Some(b' ' | b'-')) && !matches!(code / 10 % 10, 6 | 8 | 9) {
            loose.get_or_insert(code);
        }
    }
    loose
}

/// Whether the words before a number say that a reply follows.
fn is_introduced(before: &str) -> bool {
    const WORDS: &[&str] =
        &["<<<", "said", "returned", "reason", "code", "error", "response", "returned '", "error_code :"];
    let before = before.strip_suffix(' ').unwrap_or(before);
    before.is_empty()
        || before.ends_with([':', ';', '\'', '"', '(', '#'])
        || WORDS.iter().any(|word| {
            let at = before.len().saturating_sub(word.len());
            before.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(word))
        })
}

/// How many seconds to wait, when the host says so. `folded` is `text` in lower case.
pub(crate) fn retry_after_in(text: &str, folded: &str) -> Option<u32> {
    const HINTS: &[&str] = &["again", "retry", "listed", "come back", "resend", "deferred", "wait", "tempor"];
    static RETRY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let pattern = r"(?i)(?:try again|retry|come back|resend|available again|greylisted|grey-listed|deferred|wait|tempor\w+)[^.;]{0,60}?\b(?:in|for|after|wait|within)\s+(\d{1,6})\s*(s\b|sec|min|h\b|hour|m\b)?";
        Regex::new(pattern).ok()
    });
    if !HINTS.iter().any(|hint| folded.contains(hint)) {
        return None;
    }
    let found = RETRY.as_ref()?.captures(text)?;
    let number: u32 = found.get(1)?.as_str().parse().ok()?;
    let unit = match found.get(2).map(|unit| unit.as_str().to_ascii_lowercase()) {
        Some(unit) if unit.starts_with('m') => 60,
        Some(unit) if unit.starts_with('h') => 3_600,
        Some(_) => 1,
        // A bare number may be anything: a date, a line, a port.
        None => return None,
    };
    Some(number.saturating_mul(unit).min(7 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_and_addresses_of_hosts_are_not_codes() {
        for (text, status, reply) in [
            ("550 5.1.1 no such user", Some("5.1.1"), Some(550)),
            ("host mx.test[5.7.1.25] said: 452-4.2.2 full", Some("4.2.2"), Some(452)),
            ("554 refused (#5.7.1)", Some("5.7.1"), Some(554)),
            ("5.0.0 reported, 5.2.2 meant", Some("5.2.2"), None),
            ("connection to 192.0.2.5 timed out", None, None),
            ("Remote Server returned '550 5.4.1 Access denied'", Some("5.4.1"), Some(550)),
            ("250 2.1.5 Ok", None, None),
        ] {
            assert_eq!(status_in(text).map(|(code, _)| code.to_string()).as_deref(), status, "{text}");
            assert_eq!(reply_code_in(text), reply, "{text}");
        }
    }

    #[test]
    fn a_host_says_when_to_come_back() {
        for (text, expected) in [
            ("450 4.2.0 Greylisted, please try again in 300 seconds", Some(300)),
            ("451 try again later in 5 minutes", Some(300)),
            ("421 retry after 2 hours", Some(7_200)),
            ("451 try again later", None),
            ("451 try again on port 25 in 2025", None),
        ] {
            assert_eq!(retry_after_in(text, &text.to_lowercase()), expected, "{text}");
        }
    }

    #[test]
    fn a_tidy_text_is_one_line_of_bounded_length() {
        assert_eq!(tidy(" 550\r\n\tno\0\u{202e}such user  "), "550 no such user");
        let long = tidy(&"é ".repeat(5_000));
        assert!(long.len() <= DIAGNOSTIC_BYTES && long.ends_with(['é', ' ']));
    }
}
