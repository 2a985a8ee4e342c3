//! What an author wrote, as HTML that mail programs understand: MJML laid out, style sheets said at their elements.
//!
//! ```text
//! MJML ─▶ laid_out ─▶ HTML ─▶ (footer) ─▶ inlined ─▶ template
//! HTML ────────────────┘
//! ```
//!
//! It is done once for a campaign, before its template is compiled. HTML that has no style sheet goes through as it is.

mod css;
mod html;
mod inline;
mod mjml;
mod tags;

use crate::template::{LONGEST, TemplateError};
use html::{Document, Piece, pieces};
use inline::Refusal;
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

    /// The same, where `earlier` went before.
    pub(crate) fn after(self, earlier: &Self) -> Self {
        if self.0.is_empty() {
            return earlier.clone();
        }
        Self(self.0.into_iter().map(|(now, before)| (now, earlier.before(before))).collect())
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

/// Whether something is made of `source` before it is sent.
pub(crate) fn is_changed(source: &str) -> bool {
    let tags = Tags::out_of(source);
    mjml::place(&tags.text).is_some() || has_style(&tags.text)
}

/// MJML as HTML, and HTML as it is.
///
/// # Errors
/// [`TemplateError`] naming the line.
pub(crate) fn laid_out(source: &str) -> Result<Markup<'_>, TemplateError> {
    let tags = Tags::out_of(source);
    match mjml::place(&tags.text) {
        None => Ok(Markup::as_written(source)),
        Some(place) => Ok(tags.put_back(&mjml::html(&tags, place)?).into()),
    }
}

/// The HTML with its style sheets said at each element.
///
/// # Errors
/// [`TemplateError`] when it would take too long, or become too long.
pub(crate) fn inlined(html: &str) -> Result<Markup<'_>, TemplateError> {
    let tags = Tags::out_of(html);
    if !has_style(&tags.text) {
        return Ok(Markup::as_written(html));
    }
    #[cfg(test)]
    INLINED.set(INLINED.get() + 1);
    let inlined = inline::inline(&tags.text, &tags, LONGEST).map_err(|refusal| {
        let why = match refusal {
            Refusal::TooManyRules => "its style sheets have too many rules for so many elements",
            Refusal::TooLong => "it is longer than 2 MB with the styles at each element",
        };
        TemplateError { part: "HTML", line: 0, why: why.to_owned() }
    })?;
    Ok(tags.put_back(&inlined).into())
}

#[cfg(test)]
thread_local! {
    /// How often it was done on this thread.
    pub(crate) static INLINED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

fn has_style(html: &str) -> bool {
    pieces(html).any(|piece| matches!(piece, Piece::Open(tag) if tag.name.eq_ignore_ascii_case("style")))
}

/// How many elements lie inside one another where most do.
pub(crate) fn depth(html: &str) -> usize {
    let mut depths: Vec<usize> = Vec::new();
    for element in Document::of(html).elements {
        depths.push(1 + element.parent.map_or(0, |parent| depths[parent]));
    }
    depths.into_iter().max().unwrap_or_default()
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
