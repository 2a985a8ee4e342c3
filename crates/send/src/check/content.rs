//! What is inside a message: links and pictures.

use super::{Check, Finding, Preflight};
use crate::Sender;
use crate::template::Template;
use memchr::memmem;
use rebound_domain::{DeliveryId, Draft, Fields};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;
use url::{Host, Url};

/// Services that hide where a link leads; filters distrust them.
const SHORTENERS: [&str; 9] =
    ["bit.ly", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "ow.ly", "rebrand.ly", "t.co", "tinyurl.com"];

/// Bytes around a place among which what hides it is looked for.
const AROUND: usize = 1_000;

/// How a text part begins that only points to the other one.
const PLACEHOLDERS: [&str; 5] = [
    "your mail program does not show html",
    "your email client does not support html",
    "this is an html email",
    "this email requires html",
    "please view this email in a browser",
];

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static LINK: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"(?is)<a\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))"#));
static PICTURE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?is)<img\b[^>]*>"));
/// Elements that hide themselves and hold nothing but words and links.
static HIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"(?is)<(?:a|p|div|span|td)\b[^>]*\bstyle\s*=\s*["'][^"']*display\s*:\s*none[^>]*>[^<]*(?:<a\b[^>]*>[^<]*</a>[^<]*)*</"#,
    )
});
static PREHEADER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r#"(?is)<[^>]*\b(?:class|id)\s*=\s*["'][^"']*(?:preheader|preview)|<(?:div|span)\b[^>]*display\s*:\s*none"#)
});
static ALT: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r#"(?is)\balt\s*=\s*["']?[^"'\s>]"#));

/// Looks at the message as somebody sees it whose fields are all empty; what does not depend on the contact shows there.
pub(super) fn look(draft: &Draft, template: &Template, sender: &Sender, preflight: &mut Preflight) {
    if !draft.html.trim().is_empty() && draft.text.trim().is_empty() {
        preflight.passed.push("text part, made from the HTML");
    } else if !draft.text.trim().is_empty() {
        preflight.passed.push("text part");
    }
    let link = sender.unsubscribe_url(DeliveryId(0));
    let Ok(rendered) = template.render("someone@example.com", &Fields::new(), &link) else { return };
    let before = preflight.findings.len();
    preflight.findings.extend(links(&rendered.html, &sender.public_url));
    if preflight.findings.len() == before {
        preflight.passed.push("links");
    }
    preflight.findings.extend(pictures(&rendered.html));
    if !rendered.html.is_empty() && !PREHEADER.as_ref().is_some_and(|hidden| hidden.is_match(&rendered.html)) {
        let what = "The message has no preheader: lists of mail show its first words beside the subject.";
        let remedy = "Put a hidden line first, such as <div class=\"preheader\" style=\"display:none\">…</div>.";
        preflight.findings.push(Finding::new(Check::NoPreheader, what, remedy));
    }
    preflight.findings.extend(text(&rendered.text, draft, &link));
}

/// Whether `words` stand in it where somebody sees them: not in a comment, and not in what is hidden.
pub(super) fn shows(html: &str, words: &str) -> bool {
    let letter = html.as_bytes();
    memmem::find_iter(letter, words).any(|at| !is_in_comment(&letter[..at]) && !is_hidden(html, at..at + words.len()))
}

fn is_in_comment(before: &[u8]) -> bool {
    // That there is none is found out fastest from the front.
    memmem::find(before, b"<!--").is_some()
        && memmem::rfind(before, b"<!--").is_some_and(|begun| memmem::find(&before[begun..], b"-->").is_none())
}

/// Looks only around the place: a letter is looked at once for each person.
fn is_hidden(html: &str, place: Range<usize>) -> bool {
    let begin = html.floor_char_boundary(place.start.saturating_sub(AROUND));
    let end = html.ceil_char_boundary((place.end + AROUND).min(html.len()));
    let around = &html[begin..end];
    let hidden =
        |element: regex::Match<'_>| begin + element.start() <= place.start && place.end <= begin + element.end();
    around.contains("display") && HIDDEN.as_ref().is_some_and(|pattern| pattern.find_iter(around).any(hidden))
}

/// A text part that says nothing beside the footer, or only that there is another part.
fn text(text: &str, draft: &Draft, link: &str) -> Option<Finding> {
    if draft.html.trim().is_empty() && draft.text.trim().is_empty() {
        return None;
    }
    let own = text.replace(link, "").replace(draft.postal_address.trim(), "");
    let own = own.trim().to_lowercase();
    let letters = own.replace("unsubscribe", "").chars().filter(|c| c.is_alphanumeric()).count();
    let placeholder = PLACEHOLDERS.iter().any(|words| own.starts_with(words)) && letters < 300;
    (letters == 0 || placeholder).then(|| {
        let what = if letters == 0 { "The text part says nothing." } else { "The text part only points to the HTML." };
        Finding::new(
            Check::TextEmpty,
            what,
            "Write what the letter says, or leave it empty: then it is made from the HTML.",
        )
    })
}

fn links(html: &str, own: &str) -> Vec<Finding> {
    let Some(link) = LINK.as_ref() else { return vec![] };
    let found = link.captures_iter(html).filter_map(|found| found.iter().skip(1).flatten().next());
    let mut wrong: Vec<(Check, String, &str)> = found
        .map(|target| target.as_str().trim().replace("&amp;", "&"))
        .filter(|target| !target.starts_with(own))
        .filter_map(|target| fault(&target))
        .collect();
    wrong.sort();
    wrong.dedup();
    wrong.into_iter().map(|(check, what, remedy)| Finding::new(check, what, remedy)).collect()
}

/// What is wrong with where a link leads, and what to do.
fn fault(target: &str) -> Option<(Check, String, &'static str)> {
    let Ok(url) = Url::parse(target) else {
        let what = format!("The link “{target}” leads nowhere from a mail.");
        return Some((Check::LinkBroken, what, "Write the full address, with https://."));
    };
    match (url.scheme(), url.host()) {
        ("mailto" | "tel", _) => None,
        ("http" | "https", Some(Host::Ipv4(_) | Host::Ipv6(_))) => {
            let what = format!("The link “{target}” leads to a bare IP address.");
            Some((Check::LinkBareIp, what, "Use a name."))
        }
        ("http" | "https", Some(Host::Domain(host))) if SHORTENERS.contains(&host.trim_start_matches("www.")) => {
            let what = format!("The link “{target}” is shortened.");
            Some((Check::LinkShortened, what, "Put the full address instead."))
        }
        ("https", _) => None,
        ("http", _) => {
            let what = format!("The link “{target}” is not protected.");
            Some((Check::LinkPlain, what, "Write https:// if the site offers it."))
        }
        ("javascript" | "vbscript" | "data", _) => {
            let begin: String = target.chars().take(60).collect();
            let what = format!("The link “{begin}” holds code.");
            Some((Check::LinkDangerous, what, "Put a page behind it, with https://."))
        }
        _ => {
            let what = format!("The link “{target}” does nothing in most mail programs.");
            Some((Check::LinkBroken, what, "Use https://."))
        }
    }
}

fn pictures(html: &str) -> Vec<Finding> {
    let (Some(picture), Some(alt)) = (PICTURE.as_ref(), ALT.as_ref()) else { return vec![] };
    let pictures: Vec<&str> = picture.find_iter(html).map(|found| found.as_str()).collect();
    let silent = pictures.iter().filter(|tag| !alt.is_match(tag)).count();
    let inside = pictures.iter().filter(|tag| tag.to_ascii_lowercase().contains("data:")).count();
    let mut findings = Vec::new();
    if silent > 0 {
        let what = format!("{silent} of {} pictures have no text.", pictures.len());
        findings.push(Finding::new(Check::PictureSilent, what, "Say in alt=\"…\" what they show."));
    }
    if inside > 0 {
        let what = format!("{inside} pictures are inside the message.");
        findings.push(Finding::new(Check::PictureInside, what, "Link them instead."));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_mail_cannot_follow_is_named() {
        for (target, words) in [
            ("https://fernhill.example/bulbs", None),
            ("mailto:hello@fernhill.example", None),
            ("http://fernhill.example", Some("not protected")),
            ("https://192.0.2.7/x", Some("bare IP")),
            ("https://[2001:db8::1]/", Some("bare IP")),
            ("https://bit.ly/x", Some("shortened")),
            ("/bulbs", Some("leads nowhere")),
            ("#", Some("leads nowhere")),
            ("javascript:alert(1)", Some("holds code")),
            ("data:text/html,x", Some("holds code")),
            ("ftp://a.example/x", Some("does nothing")),
        ] {
            let found = fault(target);
            assert_eq!(found.is_some(), words.is_some(), "{target}: {found:?}");
            assert!(words.is_none_or(|words| found.is_some_and(|(_, what, _)| what.contains(words))), "{target}");
        }
    }

    #[test]
    fn what_hides_is_not_seen() {
        let far = format!(r#"<div style="display:none">Preheader</div>{}<p>/u/1</p>"#, "<p>é</p>".repeat(400));
        for (html, expected) in [
            ("<p>/u/1</p>", true),
            ("<p>a</p>", false),
            ("<!-- /u/1 -->", false),
            ("<!-- a --><p>/u/1</p><!-- b -->", true),
            (r#"<p style="color:red">/u/1</p>"#, true),
            (r#"<p>a</p><div style="display:none"><a href="https://a.example/u/1">Unsubscribe</a></div>"#, false),
            (r#"<span style='display : none'>/u/1</span> <p>/u/1</p>"#, true),
            (r#"<div style="display:none">Preheader</div><p>/u/1</p>"#, true),
            (&far, true),
        ] {
            assert_eq!(shows(html, "/u/1"), expected, "{html}");
        }
    }

    #[test]
    fn our_own_links_are_ours_to_answer_for() {
        let html =
            r#"<a href="http://127.0.0.1/u/1">Unsubscribe</a> <A class=x HREF='http://a.example/?a=1&amp;b=2'>x</a>"#;
        let found = links(html, "http://127.0.0.1");
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("http://a.example/?a=1&b=2"), "{}", found[0].what);
    }

    #[test]
    fn pictures_say_what_they_show() {
        assert!(pictures(r#"<img src="https://a.example/b.png" alt="A bulb">"#).is_empty());
        assert_eq!(
            pictures(r#"<img src="https://a.example/b.png" alt=""><img src='data:image/png;base64,AA'>"#).len(),
            2
        );
    }
}
