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

/// Takes out the codes that every line of a reply repeats, so that sentences are whole again:
/// `550-5.7.1 Mail from 550 5.7.1 here is refused` says its codes once.
pub(crate) fn say_codes_once(text: String) -> String {
    static FIRST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b([245]\d\d)[ -](?:([245]\.\d{1,3}\.\d{1,3}) )?").ok());
    let Some(first) = FIRST.as_ref().and_then(|first| first.captures(&text)) else { return text };
    let (Some(whole), Some(code)) = (first.get(0), first.get(1)) else { return text };
    let status = first.get(2).map_or(String::new(), |status| format!("{} ", status.as_str()));
    let (head, tail) = text.split_at(whole.end());
    let mut once = format!("{}{} {status}", &head[..whole.start()], code.as_str());
    let mut rest = tail.replace(&format!("{}-{status}", code.as_str()), "");
    if !status.is_empty() {
        rest = rest.replace(&format!("{} {status}", code.as_str()), "");
    }
    once.push_str(&rest);
    once
}

/// Characters that turn or hide what a reader sees on a page.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Where words with an `@` lie: what is inside an address is a name and no statement.
pub(crate) fn addresses_in(text: &str) -> Vec<Range<usize>> {
    static ADDRESS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"[^\s<>@,;:()\[\]"]+@[^\s<>@,;:()\[\]"'|*&=?]+"#).ok());
    ADDRESS.iter().flat_map(|address| address.find_iter(text)).map(|found| found.range()).collect()
}

/// The first enhanced status code in a text that says something, or the first at all, with its place.
pub(crate) fn status_in(text: &str) -> Option<(EnhancedStatusCode, Range<usize>)> {
    static STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b[45]\.\d{1,3}\.\d{1,3}\b").ok());
    let mut first = None;
    for found in STATUS.iter().flat_map(|status| status.find_iter(text)).take(20) {
        if is_within_number(text, &found.range()) {
            continue;
        }
        let Ok(code) = found.as_str().parse::<EnhancedStatusCode>() else { continue };
        if code.subject > 7 {
            continue;
        }
        if (code.subject, code.detail) != (0, 0) {
            return Some((code, found.range()));
        }
        first.get_or_insert((code, found.range()));
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
    static REPLY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r##"(?i)(?:^|[:;'"(]\s?|<<< ?|smtp; ?|said:? ?|returned:? ?'?|reason: ?|code:? ?:?|error:? ?|response:? ?|#)([245]\d\d)(?:[ :;,)\-'"#]|$)"##,
        )
        .ok()
    });
    static LOOSE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?:^| )([45][0-57]\d)[ -]").ok());
    let first = |pattern: &Option<Regex>| {
        let found = pattern.as_ref()?.captures_iter(text).filter_map(|c| c.get(1)?.as_str().parse::<u16>().ok());
        found.into_iter().find(|code| *code >= 400)
    };
    first(&REPLY).or_else(|| first(&LOOSE))
}

/// How many seconds to wait, when the host says so.
pub(crate) fn retry_after_in(text: &str) -> Option<u32> {
    static RETRY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let pattern = r"(?i)(?:try again|retry|come back|resend|available again|greylisted|grey-listed|deferred|wait|tempor\w+)[^.;]{0,60}?\b(?:in|for|after|wait|within)\s+(\d{1,6})\s*(s\b|sec|min|h\b|hour|m\b)?";
        Regex::new(pattern).ok()
    });
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
            assert_eq!(retry_after_in(text), expected, "{text}");
        }
    }

    #[test]
    fn a_tidy_text_is_one_line_of_bounded_length() {
        assert_eq!(tidy(" 550\r\n\tno\0\u{202e}such user  "), "550 no such user");
        let long = tidy(&"é ".repeat(5_000));
        assert!(long.len() <= DIAGNOSTIC_BYTES && long.ends_with(['é', ' ']));
    }
}
