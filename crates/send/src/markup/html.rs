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

/// A tag.
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) place: Range<usize>,
}

/// One of its attributes.
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    /// Without its quotes; empty where there is none.
    pub(super) value: &'a str,
    /// Where that begins.
    pub(super) value_at: usize,
}

impl Piece<'_> {
    pub(super) fn place(&self) -> Range<usize> {
        match self {
            Self::Open(Tag { place, .. }) | Self::Close(_, place) | Self::Comment(place) => place.clone(),
        }
    }
}

impl<'a> Tag<'a> {
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
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

/// Elements that need no end tag (HTML §13.1.2.4).
const UNCLOSED: [&str; 12] = ["html", "head", "body", "p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead"];

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
            self.raw = is_one_of(tag.name, &RAW).then_some(tag.name);
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
            let (attribute, end) = self.attribute(at)?;
            attributes.push(attribute);
            at = end;
        }
    }

    /// The attribute that begins at `start`, and where it ends.
    fn attribute(&self, start: usize) -> Option<(Attribute<'a>, usize)> {
        let end = self.skip(start + 1, |b| !ends_name(b) && b != b'=')?;
        let name = &self.text[start..end];
        let equals = self.skip(end, |b| b.is_ascii_whitespace())?;
        if self.text.as_bytes()[equals] != b'=' {
            return Some((Attribute { name, value: "", value_at: end }, end));
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
        Some((Attribute { name, value: &self.text[value.clone()], value_at: value.start }, end))
    }

    /// The first place from `at` on whose byte is not so.
    fn skip(&self, at: usize, is_so: impl Fn(u8) -> bool) -> Option<usize> {
        self.text.as_bytes().get(at..)?.iter().position(|b| !is_so(*b)).map(|length| at + length)
    }
}

fn ends_name(b: u8) -> bool {
    b.is_ascii_whitespace() || b == b'/' || b == b'>'
}

/// How deep each element lies, in their order: 1 where it lies in none; where every element that must have an end tag has
/// one, in turn.
pub(super) fn depths_in_turn(text: &str) -> Option<Vec<usize>> {
    let (depths, is_in_turn) = nesting(text);
    is_in_turn.then_some(depths)
}

fn nesting(text: &str) -> (Vec<usize>, bool) {
    let (mut depths, mut open, mut is_in_turn) = (Vec::new(), Open::default(), true);
    for piece in pieces(text) {
        match piece {
            Piece::Comment(_) => {}
            Piece::Close(name, _) => is_in_turn &= open.close(name),
            Piece::Open(tag) => {
                open.end_before(tag.name);
                depths.push(1 + open.stack.len());
                if !is_one_of(tag.name, &VOID) {
                    open.push(tag.name);
                }
            }
        }
    }
    is_in_turn &= open.stack.iter().all(|name| is_one_of(name, &UNCLOSED));
    (depths, is_in_turn)
}

/// The elements that are open at a place, and how many there are of each name: an end tag without any is passed over
/// at once, however deep it stands.
#[derive(Default)]
struct Open<'a> {
    stack: Vec<&'a str>,
    counts: HashMap<String, usize>,
}

impl<'a> Open<'a> {
    fn push(&mut self, name: &'a str) {
        self.stack.push(name);
        *self.counts.entry(name.to_ascii_lowercase()).or_default() += 1;
    }

    fn pop(&mut self) -> Option<&'a str> {
        let name = self.stack.pop()?;
        if let Some(count) = self.counts.get_mut(&name.to_ascii_lowercase()) {
            *count -= 1;
        }
        Some(name)
    }

    /// Whether it was its turn.
    fn close(&mut self, name: &str) -> bool {
        if self.counts.get(&name.to_ascii_lowercase()).is_none_or(|count| *count == 0) {
            return false;
        }
        let mut is_in_turn = true;
        while let Some(closed) = self.pop().filter(|closed| !closed.eq_ignore_ascii_case(name)) {
            is_in_turn &= is_one_of(closed, &UNCLOSED);
        }
        is_in_turn
    }

    fn end_before(&mut self, name: &str) {
        let ended = ENDS.iter().find(|(begin, _)| is_one_of(name, begin)).map_or(&[][..], |(_, ended)| ended);
        while self.stack.last().is_some_and(|last| is_one_of(last, ended)) {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_lies_as_deep_as_in_a_browser() {
        for (html, expected) in [
            ("<div><p>a<br>b</p><p>c</div><b>d</b>", vec![1, 2, 3, 2, 1]),
            ("<ul><li>a<li>b</ul>", vec![1, 2, 2]),
            ("<table><tr><td>a<td>b<tr><td>c</table><i>", vec![1, 2, 3, 3, 2, 3, 1]),
            ("<p>a<p>b<div>c", vec![1, 1, 1]),
            ("<title><b></title><!-- <b> --><i a='>'></i></b>", vec![1, 1]),
            ("1 < 2 </ <", vec![]),
            ("<a href", vec![]),
            ("<style>p > a", vec![1]),
            ("<!--><b>", vec![1]),
        ] {
            assert_eq!(nesting(html).0, expected, "{html}");
        }
    }

    #[test]
    fn tags_are_closed_in_turn_or_not() {
        for html in
            ["<p>a<b>c</b><p>d", "<ul><li>a<li>b</ul>", "<table><tr><td>a<tr><td>b</table><br>", "<html><body>a"]
        {
            assert!(depths_in_turn(html).is_some(), "{html}");
        }
        for html in ["<p><b>a</p>", "<span><div></span>", "a</b>", "<div>", "<b><i></b></i>"] {
            assert!(depths_in_turn(html).is_none(), "{html}");
        }
    }

    #[test]
    fn a_tag_ends_behind_its_attributes() {
        for html in [r#"<TD Class = "a b" x=1 y='">' nowrap style=color:red/>"#, "<br/>", "<a b=>"] {
            let Some(Piece::Open(tag)) = pieces(html).next() else { panic!("no tag") };
            assert_eq!(&html[tag.place], html);
        }
    }
}
