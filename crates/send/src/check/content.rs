//! What is inside a message: links and pictures.

use super::{Finding, Part, Preflight};
use crate::Sender;
use crate::template::Template;
use rebound_domain::{DeliveryId, Draft, Fields};
use regex::Regex;
use std::sync::LazyLock;
use url::{Host, Url};

/// Services that hide where a link leads; filters distrust them.
const SHORTENERS: [&str; 9] =
    ["bit.ly", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "ow.ly", "rebrand.ly", "t.co", "tinyurl.com"];

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static LINK: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"(?is)<a\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))"#));
static PICTURE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?is)<img\b[^>]*>"));
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
}

fn links(html: &str, own: &str) -> Vec<Finding> {
    let Some(link) = LINK.as_ref() else { return vec![] };
    let found = link.captures_iter(html).filter_map(|found| found.iter().skip(1).flatten().next());
    let mut wrong: Vec<String> = found
        .map(|target| target.as_str().trim().replace("&amp;", "&"))
        .filter(|target| !target.starts_with(own))
        .filter_map(|target| fault(&target))
        .collect();
    wrong.sort();
    wrong.dedup();
    wrong.into_iter().map(|what| Finding::hint(Part::Content, what)).collect()
}

/// What is wrong with where a link leads, and what to do.
fn fault(target: &str) -> Option<String> {
    let Ok(url) = Url::parse(target) else {
        return Some(format!("The link “{target}” leads nowhere from a mail. Write the full address, with https://."));
    };
    match (url.scheme(), url.host()) {
        ("mailto" | "tel", _) => None,
        ("http" | "https", Some(Host::Ipv4(_) | Host::Ipv6(_))) => Some(format!(
            "The link “{target}” leads to a bare IP address, which filters take for an attack. Use a name."
        )),
        ("http" | "https", Some(Host::Domain(host))) if SHORTENERS.contains(&host.trim_start_matches("www.")) => Some(
            format!("The link “{target}” is shortened, and filters often refuse it. Put the full address instead."),
        ),
        ("https", _) => None,
        ("http", _) => Some(format!("The link “{target}” is not protected. Write https:// if the site offers it.")),
        _ => Some(format!("The link “{target}” does nothing in most mail programs. Use https://.")),
    }
}

fn pictures(html: &str) -> Vec<Finding> {
    let (Some(picture), Some(alt)) = (PICTURE.as_ref(), ALT.as_ref()) else { return vec![] };
    let pictures: Vec<&str> = picture.find_iter(html).map(|found| found.as_str()).collect();
    let silent = pictures.iter().filter(|tag| !alt.is_match(tag)).count();
    let inside = pictures.iter().filter(|tag| tag.to_ascii_lowercase().contains("data:")).count();
    let mut findings = Vec::new();
    if silent > 0 {
        let what = format!(
            "{silent} of {} pictures have no text. People who cannot see them read nothing; say in alt=\"…\" what they show.",
            pictures.len()
        );
        findings.push(Finding::hint(Part::Content, what));
    }
    if inside > 0 {
        let what =
            format!("{inside} pictures are inside the message; Gmail and Outlook do not show them. Link them instead.");
        findings.push(Finding::hint(Part::Content, what));
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
            ("javascript:alert(1)", Some("does nothing")),
        ] {
            let found = fault(target);
            assert_eq!(found.is_some(), words.is_some(), "{target}: {found:?}");
            assert!(words.is_none_or(|words| found.is_some_and(|found| found.contains(words))), "{target}");
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
