//! What an author wrote, as HTML that mail programs understand: MJML laid out, style sheets said at their elements too.
//!
//! ```text
//! MJML ─▶ laid_out ─▶ HTML ─▶ (footer) ─▶ styled ─▶ template
//! HTML ────────────────┘
//! ```
//!
//! It is done once for a campaign, before its template is compiled. HTML without a style sheet goes through as it is.

mod css;
mod html;
mod inline;
mod letter;
pub(crate) mod links;
mod mjml;
mod tags;
mod tree;

use crate::template::TemplateError;
use html::{Piece, pieces};
use std::borrow::Cow;
use tags::{Restored, Tags};

/// HTML, and where its lines were in what it was made from.
pub(crate) struct Markup<'a> {
    /// Borrowed where nothing was made of it.
    pub(crate) html: Cow<'a, str>,
    pub(crate) lines: Lines,
}

/// Lines on which a tag of the template stands, and where it stood before; empty where nothing has moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Vec<(usize, usize)>);

impl Lines {
    /// Where the tag stood that is on this line now.
    pub(crate) fn before(&self, line: usize) -> usize {
        let behind = self.0.partition_point(|(now, _)| *now < line);
        let near = self.0.get(behind).filter(|(now, _)| *now == line).or_else(|| self.0.get(behind.checked_sub(1)?));
        near.map_or(line, |(_, before)| *before)
    }
}

impl<'a> Markup<'a> {
    fn as_written(source: &'a str) -> Self {
        Self { html: Cow::Borrowed(source), lines: Lines::default() }
    }
}

impl From<Restored> for Markup<'_> {
    fn from(restored: Restored) -> Self {
        Self { html: Cow::Owned(restored.text), lines: Lines(restored.lines) }
    }
}

/// Whether it is MJML.
pub(crate) fn is_mjml(source: &str) -> bool {
    may_be_mjml(source) && mjml::place(&Tags::out_of(source).text).is_some()
}

fn may_be_mjml(source: &str) -> bool {
    source.to_ascii_lowercase().contains("<mjml")
}

/// MJML as HTML, and HTML as it is.
///
/// # Errors
/// [`TemplateError`] naming the line.
pub(crate) fn laid_out(source: &str) -> Result<Markup<'_>, TemplateError> {
    if !may_be_mjml(source) {
        return Ok(Markup::as_written(source));
    }
    #[cfg(test)]
    LAID_OUT.set(LAID_OUT.get() + 1);
    let tags = Tags::out_of(source);
    match mjml::place(&tags.text) {
        None => Ok(Markup::as_written(source)),
        Some(place) => Ok(tags.put_back(&mjml::html(&tags, place)?).into()),
    }
}

/// HTML with what its style sheets say at each element as well. No line moves.
pub(crate) fn styled(html: &str) -> Cow<'_, str> {
    if !has_style(html) {
        return Cow::Borrowed(html);
    }
    let tags = Tags::out_of(html);
    inline::inlined(&tags).map_or(Cow::Borrowed(html), |text| Cow::Owned(tags.put_back(&text).text))
}

fn has_style(html: &str) -> bool {
    memchr::memmem::find(html.to_ascii_lowercase().as_bytes(), b"<style").is_some()
}

#[cfg(test)]
thread_local! {
    /// How often it was done on this thread.
    pub(crate) static LAID_OUT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Whether more than `most` elements lie inside one another somewhere, `html` and `body` among them.
pub(crate) fn is_deeper(html: &str, most: usize) -> bool {
    tree::is_deeper(html, most)
}

/// What it says in words, in lines of `width` letters. Addresses and the template's tags are kept whole.
///
/// # Errors
/// [`html2text::Error`]
pub(crate) fn as_text(html: &str, width: usize) -> Result<String, html2text::Error> {
    let read = |html: &str| html2text::config::plain().no_link_wrapping().string_from_read(html.as_bytes(), width);
    let tags = Tags::out_of(html);
    match tags.as_letters() {
        Some(letters) => Ok(tags.put_back_letters(&read(&letters)?)),
        None => read(html),
    }
}

/// Tables that only lay out, as plain blocks: from these a text part can be made that reads from top to bottom.
pub(crate) fn as_blocks(html: &str) -> String {
    let tags = Tags::out_of(html);
    let is_table = |name: &str| ["table", "tbody", "tr", "td", "th"].iter().any(|one| one.eq_ignore_ascii_case(name));
    let (mut blocks, mut after) = (String::with_capacity(html.len()), 0);
    for piece in pieces(&tags.text) {
        let (place, block) = match piece {
            Piece::Open(tag) if is_table(tag.name) => (tag.place, "<div>"),
            Piece::Close(name, place) if is_table(name) => (place, "</div>"),
            _ => continue,
        };
        blocks.push_str(&tags.text[after..place.start]);
        blocks.push_str(block);
        after = place.end;
    }
    blocks.push_str(&tags.text[after..]);
    tags.put_back(&blocks).text
}
