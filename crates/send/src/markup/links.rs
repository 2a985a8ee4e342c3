//! The links of a letter that are counted: each leads by us, to where its author wants it.
//!
//! A link is kept as its author means it: its template tags as they were written, the rest as a browser reads it. Its host
//! is known without a contact: what a contact brings may choose a page there and nothing else. So nobody can make of our
//! address one that leads to theirs.

use super::html::{Attribute, Piece, pieces};
use super::tags::Tags;
use super::tree;
use minijinja::Environment;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use url::{Origin, Url};

/// What our addresses are called in a template.
pub(crate) const VARIABLE: &str = "rebound_links";

/// A letter has no more links that are counted.
const MOST: usize = 1_000;

/// The author may name our own pages in a link: those are signed for each letter.
const OURS: [&str; 2] = ["unsubscribe_url", "preferences_url"];

/// Where the links of an HTML part lead that can be counted, each once, in the order in which they stand there.
pub(crate) fn targets(html: &str) -> Vec<String> {
    let tags = Tags::out_of(html);
    let bound = tags.bound();
    let (mut seen, mut targets) = (BTreeSet::new(), Vec::new());
    for (_, target) in links(&tags) {
        if targets.len() < MOST && seen.insert(target.clone()) && can_be_counted(&target, bound.as_ref()) {
            targets.push(target);
        }
    }
    targets
}

/// The HTML part with our addresses in place of those that lead to `targets`.
pub(crate) fn counted<'a>(html: &'a str, targets: &[String]) -> Cow<'a, str> {
    if targets.is_empty() {
        return Cow::Borrowed(html);
    }
    let numbers: BTreeMap<&str, usize> = targets.iter().map(String::as_str).zip(1..).collect();
    let tags = Tags::out_of(html);
    let (mut text, mut after) = (String::with_capacity(html.len()), 0);
    for (href, target) in links(&tags) {
        let Some(number) = numbers.get(&*target) else { continue };
        text.push_str(&tags.text[after..href.value_at]);
        let is_quoted = tags.text[..href.value_at].ends_with(['"', '\'']);
        let quote = if is_quoted { "" } else { "\"" };
        text.push_str(&format!("{quote}{{{{ {VARIABLE}[{number}] }}}}{quote}"));
        after = href.value_at + href.value.len();
    }
    text.push_str(&tags.text[after..]);
    Cow::Owned(tags.put_back(&text).text)
}

/// The link as a template writes it into an attribute.
pub(crate) fn written(target: &str) -> String {
    let tags = Tags::out_of(target);
    let text = tags.text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
    tags.put_back(&text).text
}

/// Where the link leads that a template has filled; `None` where that is not the host that its author wrote.
pub(crate) fn destination(target: &str, filled: &str) -> Option<Url> {
    let url = Url::parse(&as_read(filled)?).ok()?;
    (is_plain(&url) && url.origin() == origin(target)?).then_some(url)
}

/// Each link, and where it leads as its author means it. One whose words are an address themselves is left out: mail programs
/// warn of those that lead elsewhere than they say.
fn links<'t>(tags: &'t Tags<'_>) -> impl Iterator<Item = (Attribute<'t>, String)> {
    let mut pieces = pieces(&tags.text).peekable();
    std::iter::from_fn(move || {
        loop {
            let Piece::Open(tag) = pieces.next()? else { continue };
            let end = pieces.peek().map_or(tags.text.len(), |next| next.place().start);
            let words = tags.text[tag.place.end..end.max(tag.place.end)].trim_start();
            let says_address = ["http://", "https://", "www."].iter().any(|begin| words.starts_with(begin));
            let is_link = !says_address && ["a", "area"].iter().any(|name| tag.name.eq_ignore_ascii_case(name));
            let href = tag.attributes.into_iter().find(|one| is_link && one.name.eq_ignore_ascii_case("href"));
            let Some(href) = href else { continue };
            if let Some(target) = as_read(href.value) {
                return Some((href, tags.put_back_alone(target.trim())));
            }
        }
    })
}

/// Where all links lead, as a browser reads them.
#[cfg(test)]
pub(crate) fn hrefs(html: &str) -> Vec<String> {
    pieces(html)
        .filter_map(
            |piece| if let Piece::Open(tag) = piece { tag.attribute("href").map(|href| href.value) } else { None },
        )
        .map(|value| as_read(value).unwrap())
        .collect()
}

/// The value of an attribute as a browser reads it.
fn as_read(value: &str) -> Option<String> {
    let html = format!("<a href=\"{}\">", value.replace('"', "&quot;"));
    let nodes = tree::nodes(&html)?;
    nodes.iter().find_map(|node| node.element()?.attribute("href").map(str::to_owned))
}

/// Whether it leads to a page of a certain host, and what it is filled with is the same wherever in the letter it stands.
/// `bound` are the names that the letter gives a meaning of its own; `None` where those are not known.
fn can_be_counted(target: &str, bound: Option<&BTreeSet<&str>>) -> bool {
    if target.contains(['\n', '\r', '\t']) || origin(target).is_none() {
        return false;
    }
    let tags = Tags::out_of(target);
    if !tags.are_in(&tags.text) {
        return true;
    }
    let (Some(bound), true) = (bound, tags.only_choose()) else { return false };
    let environment = Environment::new();
    let Ok(template) = environment.template_from_str(target) else { return false };
    let used = template.undeclared_variables(false);
    !used.iter().any(|name| bound.contains(&**name) || OURS.contains(&&**name) || name == VARIABLE)
}

/// Scheme, host and port, where no tag may change them.
fn origin(target: &str) -> Option<Origin> {
    let tags = Tags::out_of(target);
    let url = Url::parse(&tags.text).ok()?;
    let is_fixed = is_plain(&url) && !tags.are_in(url.host_str()?);
    is_fixed.then(|| url.origin())
}

/// A page of the web, and nobody signed in to it.
fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_as_their_author_means_them() {
        for (html, expected) in [
            (r#"<a href="https://fernhill.example/a?b=1&amp;c=2">x</a>"#, vec!["https://fernhill.example/a?b=1&c=2"]),
            (
                "<A class=x HREF = 'https://fernhill.example/'>x<a href=https://fernhill.example/b>",
                vec!["https://fernhill.example/", "https://fernhill.example/b"],
            ),
            (
                r#"<area href="http://fernhill.example:8080"><a href=" https://fernhill.example/a ">"#,
                vec!["http://fernhill.example:8080", "https://fernhill.example/a"],
            ),
            // Each once.
            (r#"<a href="https://a.example/"><a href="https://a.example/">"#, vec!["https://a.example/"]),
            (
                r#"<a href="https://a.example/{{ name|lower }}?x={% if a %}1{% else %}2{% endif %}">"#,
                vec!["https://a.example/{{ name|lower }}?x={% if a %}1{% else %}2{% endif %}"],
            ),
            (r#"{% if vip %}<a href="https://a.example/{{ name }}">{% endif %}"#, vec!["https://a.example/{{ name }}"]),
            // Not to a page of the web, or not to a certain host.
            (
                r##"<a href="mailto:a@b.example"><a href="#top"><a href="/a"><a href="//a.example/"><a name="x">"##,
                vec![],
            ),
            ("<a href='javascript:alert(1)'><a href='tel:1'><a href='ftp://a.example/'><a href=''>", vec![]),
            (r#"<a href="{{ website }}"><a href="https://{{ host }}/"><a href="https://a.example{{ path }}">"#, vec![]),
            (r#"<a href="https://a.example:{{ port }}/"><a href="{{ scheme }}://a.example/">"#, vec![]),
            (r#"<a href="https://{{ user }}@a.example/"><a href="https://u:p@a.example/">"#, vec![]),
            // Filled otherwise elsewhere.
            (r#"{% for one in wares %}<a href="https://a.example/{{ one }}">{% endfor %}"#, vec![]),
            (r#"{% for one in wares %}<a href="https://a.example/{{ loop.index }}">{% endfor %}"#, vec![]),
            (
                r#"{% set page = 1 %}<a href="https://a.example/{{ page }}"><a href="https://a.example/1">"#,
                vec!["https://a.example/1"],
            ),
            (r#"{% macro m(a) %}<a href="https://a.example/{{ a }}">{% endmacro %}"#, vec![]),
            (
                r#"<a href="https://a.example/{% set x = 1 %}"><a href="https://a.example/{% if a %}">{% endif %}"#,
                vec![],
            ),
            // Our own.
            (r#"<a href="{{ unsubscribe_url }}"><a href="https://a.example/?back={{ preferences_url }}">"#, vec![]),
            // It would lead elsewhere than it says.
            (
                r#"<a href="https://a.example/"> https://a.example/</a><a href="https://a.example/b">www.a.example</a>"#,
                vec![],
            ),
            // No links.
            ("<!-- <a href='https://a.example/'> --><style>a[href='https://a.example/']{}</style>", vec![]),
        ] {
            assert_eq!(targets(html), expected, "{html}");
        }
    }

    #[test]
    fn only_their_addresses_change() {
        let html = "<p {{ x }}>\n<a class=b href=https://a.example/{{ x }}>x</a> <a href='https://a.example/?a&amp;b'>y</a>\n\
                    <a href=\"{{ other }}\">{{ x }}</a>";
        let expected = "<p {{ x }}>\n<a class=b href=\"{{ rebound_links[1] }}\">x</a> <a href='{{ rebound_links[2] }}'>y</a>\n\
                        <a href=\"{{ other }}\">{{ x }}</a>";
        assert_eq!(counted(html, &targets(html)), expected);
        assert_eq!(counted(html, &[]), html);
        assert_eq!(counted(html, &["https://b.example/".to_owned()]), html);
    }

    #[test]
    fn what_is_filled_in_leads_to_no_other_host() {
        let target = r#"https://a.example/{{ x }}?b="<&c"#;
        assert_eq!(written(target), "https://a.example/{{ x }}?b=&quot;&lt;&amp;c");
        for (filled, expected) in [
            ("https://a.example/1&amp;2", Some("https://a.example/1&2")),
            ("https://A.example/../x", Some("https://a.example/x")),
            ("https://a.example.evil.example/", None),
            ("https://evil.example/", None),
            ("https://a.example@evil.example/", None),
            ("https://evil@a.example/", None),
            ("http://a.example/", None),
            ("https://a.example:8443/", None),
            ("//a.example/", None),
            ("javascript:alert(1)//a.example", None),
            ("", None),
        ] {
            let destination = destination(target, filled);
            assert_eq!(destination.as_ref().map(Url::as_str), expected, "{filled}");
        }
    }
}
