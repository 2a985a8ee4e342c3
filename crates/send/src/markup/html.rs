//! The tags of an HTML text and where they stand: enough to know which element lies in which.
//!
//! Nothing is repaired and nothing written anew, so that what is not touched keeps every byte.

use std::collections::HashMap;
use std::ops::Range;

/// What a text consists of, words aside.
pub(super) enum Piece<'a> {
    Open(Tag<'a>),
    /// An end tag: its name, and where it stands.
    Close(&'a str, Range<usize>),
    Comment(Range<usize>),
}

/// A start tag.
#[derive(Clone)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) place: Range<usize>,
}

/// One of its attributes.
#[derive(Clone)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    /// Without its quotes; empty where there is none.
    pub(super) value: &'a str,
    pub(super) place: Range<usize>,
}

impl<'a> Tag<'a> {
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn value(&self, name: &str) -> &'a str {
        self.attribute(name).map_or("", |attribute| attribute.value)
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        is_one_of(self.name, names)
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// Elements whose content is no markup.
const RAW: [&str; 8] = ["style", "script", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

/// Elements that hold nothing.
pub(super) const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Elements before which an open paragraph ends.
const BLOCKS: [&str; 27] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "div",
    "dl",
    "fieldset",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
    "figure",
];

/// What begins an element, and which open ones end before it though nobody says so.
const ENDS: [(&[&str], &[&str]); 6] = [
    (&BLOCKS, &["p"]),
    (&["li"], &["li"]),
    (&["dt", "dd"], &["dt", "dd"]),
    (&["td", "th"], &["td", "th"]),
    (&["tr"], &["td", "th", "tr"]),
    (&["tbody", "thead", "tfoot"], &["td", "th", "tr", "tbody", "thead", "tfoot"]),
];

/// The pieces of `text`, in order, in one pass.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut reader = Reader { text, at: 0, raw: None };
    std::iter::from_fn(move || reader.next())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The element that was opened and whose content is no markup.
    raw: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(name) = self.raw.take() {
            self.at = self.end_of_raw(name)?;
        }
        loop {
            let open = self.at + self.text[self.at..].find('<')?;
            let rest = &self.text[open..];
            if rest.starts_with("<!--") {
                self.at = rest[2..].find("-->").map_or(self.text.len(), |end| open + 2 + end + 3);
                return Some(Piece::Comment(open..self.at));
            }
            let name = if rest.starts_with("</") { open + 2 } else { open + 1 };
            if !self.text[name..].starts_with(|c: char| c.is_ascii_alphabetic()) {
                self.at = name;
                continue;
            }
            let tag = self.tag(open, name)?;
            self.at = tag.place.end;
            if rest.starts_with("</") {
                return Some(Piece::Close(tag.name, tag.place));
            }
            self.raw = tag.is_one_of(&RAW).then_some(tag.name);
            return Some(Piece::Open(tag));
        }
    }

    /// Where the end tag of what is no markup begins.
    fn end_of_raw(&self, name: &str) -> Option<usize> {
        let ends = self.text[self.at..].match_indices("</");
        let mut ends = ends.map(|(end, _)| self.at + end);
        ends.find(|end| {
            self.text.get(end + 2..end + 2 + name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name))
        })
    }

    /// `None` where it never ends.
    fn tag(&self, open: usize, name: usize) -> Option<Tag<'a>> {
        let mut at = self.skip(name, |b| !ends_name(b))?;
        let name = &self.text[name..at];
        let mut attributes = Vec::new();
        loop {
            at = self.skip(at, |b| b.is_ascii_whitespace() || b == b'/')?;
            if self.text.as_bytes()[at] == b'>' {
                return Some(Tag { name, attributes, place: open..at + 1 });
            }
            let attribute = self.attribute(at)?;
            at = attribute.place.end;
            attributes.push(attribute);
        }
    }

    fn attribute(&self, start: usize) -> Option<Attribute<'a>> {
        let end = self.skip(start + 1, |b| !ends_name(b) && b != b'=')?;
        let name = &self.text[start..end];
        let equals = self.skip(end, |b| b.is_ascii_whitespace())?;
        if self.text.as_bytes()[equals] != b'=' {
            return Some(Attribute { name, value: "", place: start..end });
        }
        let begin = self.skip(equals + 1, |b| b.is_ascii_whitespace())?;
        let (value, end) = match self.text.as_bytes()[begin] {
            quote @ (b'"' | b'\'') => {
                let end = self.skip(begin + 1, |b| b != quote)?;
                (begin + 1..end, end + 1)
            }
            _ => {
                let end = self.skip(begin, |b| !b.is_ascii_whitespace() && b != b'>')?;
                (begin..end, end)
            }
        };
        Some(Attribute { name, value: &self.text[value], place: start..end })
    }

    /// The first place from `at` on whose byte is not so.
    fn skip(&self, at: usize, is_so: impl Fn(u8) -> bool) -> Option<usize> {
        self.text.as_bytes().get(at..)?.iter().position(|b| !is_so(*b)).map(|length| at + length)
    }
}

fn ends_name(b: u8) -> bool {
    b.is_ascii_whitespace() || b == b'/' || b == b'>'
}

/// An element, and in which other it lies.
pub(super) struct Element<'a> {
    pub(super) tag: Tag<'a>,
    pub(super) parent: Option<usize>,
}

/// A style sheet of the document.
pub(super) struct Style<'a> {
    pub(super) tag: Tag<'a>,
    pub(super) css: &'a str,
    /// From its start tag to behind its end tag.
    pub(super) place: Range<usize>,
}

/// All elements in order, each behind the one it lies in.
#[derive(Default)]
pub(super) struct Document<'a> {
    pub(super) elements: Vec<Element<'a>>,
    pub(super) styles: Vec<Style<'a>>,
    /// What only some programs see: the tags in conditional comments.
    pub(super) hidden: Vec<Tag<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut document = Self::default();
        let mut open = Open::default();
        let mut style: Option<Tag<'a>> = None;
        for piece in pieces(text) {
            match piece {
                Piece::Comment(place) => document.hidden.extend(conditional(&text[place])),
                Piece::Close(name, place) => {
                    if let Some(tag) = style.take() {
                        let css = &text[tag.place.end..place.start];
                        document.styles.push(Style { css, place: tag.place.start..place.end, tag });
                    }
                    open.close(name);
                }
                Piece::Open(tag) => {
                    open.end_before(tag.name);
                    if tag.name.eq_ignore_ascii_case("style") {
                        style = Some(tag.clone());
                    }
                    let (parent, name) = (open.last(), tag.name);
                    document.elements.push(Element { tag, parent });
                    if !is_one_of(name, &VOID) {
                        open.push(document.elements.len() - 1, name);
                    }
                }
            }
        }
        document
    }
}

/// The start tags inside a comment such as `<!--[if mso]> … <![endif]-->`.
fn conditional(comment: &str) -> Vec<Tag<'_>> {
    let Some((_, inner)) = comment.strip_prefix("<!--[if").and_then(|rest| rest.split_once("]>")) else {
        return vec![];
    };
    pieces(inner).filter_map(|piece| if let Piece::Open(tag) = piece { Some(tag) } else { None }).collect()
}

/// The elements that are open at a place, and how many there are of each name: an end tag without any is passed over
/// at once, however deep it stands.
#[derive(Default)]
struct Open<'a> {
    stack: Vec<(usize, &'a str)>,
    counts: HashMap<String, usize>,
}

impl<'a> Open<'a> {
    fn last(&self) -> Option<usize> {
        self.stack.last().map(|(element, _)| *element)
    }

    fn push(&mut self, element: usize, name: &'a str) {
        self.stack.push((element, name));
        *self.counts.entry(name.to_ascii_lowercase()).or_default() += 1;
    }

    fn pop(&mut self) -> Option<&'a str> {
        let (_, name) = self.stack.pop()?;
        if let Some(count) = self.counts.get_mut(&name.to_ascii_lowercase()) {
            *count -= 1;
        }
        Some(name)
    }

    fn close(&mut self, name: &str) {
        if self.counts.get(&name.to_ascii_lowercase()).is_some_and(|count| *count > 0) {
            while self.pop().is_some_and(|closed| !closed.eq_ignore_ascii_case(name)) {}
        }
    }

    fn end_before(&mut self, name: &str) {
        let ended = ENDS.iter().find(|(begin, _)| is_one_of(name, begin)).map_or(&[][..], |(_, ended)| ended);
        while self.stack.last().is_some_and(|(_, last)| is_one_of(last, ended)) {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each element with the way to it.
    fn paths(html: &str) -> Vec<String> {
        let document = Document::of(html);
        let mut paths: Vec<String> = vec![];
        for element in &document.elements {
            let parent = element.parent.map(|parent| format!("{} ", paths[parent])).unwrap_or_default();
            paths.push(format!("{parent}{}", element.tag.name));
        }
        paths
    }

    #[test]
    fn each_element_lies_where_a_browser_puts_it() {
        for (html, expected) in [
            ("<div><p>a<br>b</p><p>c</div><b>d</b>", vec!["div", "div p", "div p br", "div p", "b"]),
            ("<ul><li>a<li>b</ul>", vec!["ul", "ul li", "ul li"]),
            (
                "<table><tr><td>a<td>b<tr><td>c</table><i>",
                vec!["table", "table tr", "table tr td", "table tr td", "table tr", "table tr td", "i"],
            ),
            ("<p>a<p>b<div>c", vec!["p", "p", "div"]),
            ("<title><b></title><!-- <b> --><i a='>'></i></b>", vec!["title", "i"]),
            ("1 < 2 </ <", vec![]),
            ("<a href", vec![]),
            ("<style>p > a", vec!["style"]),
            ("<!--><b>", vec!["b"]),
        ] {
            assert_eq!(paths(html), expected, "{html}");
        }
    }

    #[test]
    fn attributes_are_read_as_they_stand() {
        let html = r#"<TD Class = "a b" x=1 y='"' nowrap style=color:red/>"#;
        let Some(Piece::Open(tag)) = pieces(html).next() else { panic!("no tag") };
        let found: Vec<_> = tag.attributes.iter().map(|one| (one.name, one.value, &html[one.place.clone()])).collect();
        let expected = [
            ("Class", "a b", r#"Class = "a b""#),
            ("x", "1", "x=1"),
            ("y", "\"", "y='\"'"),
            ("nowrap", "", "nowrap"),
            ("style", "color:red/", "style=color:red/"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_some_programs_see_is_seen() {
        let html = r#"<!--[if mso]><table class="x"><tr><![endif]--><!--[if !mso]><!--><b></b><!--<![endif]-->"#;
        let document = Document::of(html);
        let hidden: Vec<&str> = document.hidden.iter().map(|tag| tag.name).collect();
        assert_eq!((hidden, document.elements.len()), (vec!["table", "tr"], 1));
    }
}
