//! MJML to HTML.
//!
//! `mrml` calls itself for each element inside another, so how deep they lie is looked at first, by the very reader that it
//! reads with. It includes nothing, from nowhere.

use super::html::{Piece, VOID, pieces};
use super::tags::Tags;
use crate::template::TemplateError;
use htmlparser::{ElementEnd, StrSpan, Token, Tokenizer};
use mrml::prelude::parser::Error;
use mrml::prelude::render::RenderOptions;
use std::collections::HashMap;
use std::ops::Range;
use std::panic::catch_unwind;

/// Elements that may lie inside one another.
const DEEPEST: usize = 100;

/// What is wrong, and at which byte.
type Fault = (usize, String);

/// Where the MJML document is in `text`, if it is one: its first element is `<mjml>`.
pub(super) fn place(text: &str) -> Option<Range<usize>> {
    let open = pieces(text).find_map(|piece| if let Piece::Open(tag) = piece { Some(tag) } else { None })?;
    let end = text.rfind("</mjml>").map_or(text.len(), |end| end + "</mjml>".len());
    (open.name == "mjml" && open.place.start < end).then_some(open.place.start..end)
}

/// The HTML of the MJML document at `place` of the text without tags. Tags before and behind it stay there.
///
/// # Errors
/// [`TemplateError`] naming the line, also where a tag would get lost.
pub(super) fn html(tags: &Tags<'_>, place: Range<usize>) -> Result<String, TemplateError> {
    let (before, after) = (tags.words_in(&tags.text[..place.start]), tags.words_in(&tags.text[place.end..]));
    // Its reader panics at a few odd characters, and is not ours to mend.
    let laid_out = catch_unwind(|| laid_out(&tags.text[place.clone()]));
    let laid_out = laid_out.unwrap_or_else(|_| Err((0, "the MJML cannot be read".to_owned())));
    let html = laid_out.map_err(|(at, why)| {
        let line = tags.line(place.start + at);
        TemplateError { part: "HTML", line, why: tags.put_back(&why).text }
    })?;
    let html = format!("{before}{html}{after}");
    match tags.lost(&html) {
        None => Ok(html),
        Some((tag, line)) => {
            let why =
                format!("MJML has no place for {tag} here; put it into an mj-text, an mj-raw or another attribute");
            Err(TemplateError { part: "HTML", line, why })
        }
    }
}

fn laid_out(source: &str) -> Result<String, Fault> {
    let readable = readable(source);
    let plain = plain(&readable.text).map_err(|(at, why)| (readable.original(at), why))?;
    let document = mrml::parse(&plain.text).map_err(|error| {
        let (at, why) = reason(&error, &plain.text);
        (readable.original(plain.original(at)), why)
    })?;
    // Without web fonts of its own: a letter loads those that its author names, and tells nobody else that it was opened.
    let options = RenderOptions { fonts: HashMap::new(), ..RenderOptions::default() };
    document.element.render(&options).map_err(|_| (0, "the MJML cannot be laid out".to_owned()))
}

fn reason(error: &Error, source: &str) -> Fault {
    let words = |place: &mrml::prelude::parser::Span| {
        let words: String = source.get(place.start..place.end).unwrap_or_default().chars().take(60).collect();
        words.trim().to_owned()
    };
    match error {
        Error::UnexpectedElement { position, .. } => {
            (position.start, format!("{}> is not known here", words(position)))
        }
        Error::UnexpectedToken { position, .. } => {
            (position.start, format!("“{}” may not stand here", words(position)))
        }
        Error::MissingAttribute { name, position, .. } => (position.start, format!("the attribute {name} is missing")),
        Error::InvalidAttribute { position, .. } | Error::InvalidFormat { position, .. } => {
            (position.start, format!("“{}” cannot be read", words(position)))
        }
        Error::EndOfStream { .. } => (source.len(), "the MJML ends too early".to_owned()),
        other => (0, other.to_string()),
    }
}

/// A text of which some was written otherwise.
#[derive(Default)]
struct Rewritten {
    text: String,
    /// For places in the text, those in the source.
    places: Vec<(usize, usize)>,
}

impl Rewritten {
    /// Goes on with the source up to `place`, and puts `words` there.
    fn replace(&mut self, source: &str, place: Range<usize>, words: &str) {
        self.text.push_str(&source[self.after()..place.start]);
        self.text.push_str(words);
        self.places.push((self.text.len(), place.end));
    }

    fn end(mut self, source: &str) -> Self {
        self.text.push_str(&source[self.after()..]);
        self
    }

    fn after(&self) -> usize {
        self.places.last().map_or(0, |(_, after)| *after)
    }

    fn original(&self, at: usize) -> usize {
        let before = self.places.partition_point(|(place, _)| *place <= at);
        before.checked_sub(1).map_or(at, |before| self.places[before].1 + (at - self.places[before].0))
    }
}

/// MJML that the reader can read: it stumbles over a bare `>` right behind a letter that is not ASCII.
fn readable(source: &str) -> Rewritten {
    let mut readable = Rewritten::default();
    let mut after = 0;
    let places = pieces(source).map(|piece| match piece {
        Piece::Open(tag) => tag.place,
        Piece::Close(_, place) | Piece::Comment(place) => place,
    });
    for place in places.chain(std::iter::once(source.len()..source.len())) {
        for (at, _) in source[after..place.start].match_indices('>').map(|(at, sign)| (after + at, sign)) {
            if !source.as_bytes()[at.saturating_sub(2)..at].is_ascii() {
                readable.replace(source, at..at + 1, "&gt;");
            }
        }
        after = place.end;
    }
    readable.end(source)
}

/// MJML whose attributes hold nothing but what `mrml` writes out as it was: it doubles backslashes and quotes.
///
/// # Errors
/// [`Fault`] where elements are not closed in the order in which they were opened, or lie too deep.
fn plain(source: &str) -> Result<Rewritten, Fault> {
    let mut plain = Rewritten::default();
    let mut nesting = Nesting::default();
    for token in Tokenizer::from(source) {
        match token.map_err(|error| unreadable(error, source))? {
            Token::Attribute { value: Some(value), .. } => {
                let words: String =
                    value.chars().map(|c| if is_plain(c) { c.to_string() } else { entity(c) }).collect();
                plain.replace(source, value.start()..value.end(), &words);
            }
            token => nesting.follow(&token)?,
        }
    }
    nesting.end()?;
    Ok(plain.end(source))
}

fn is_plain(c: char) -> bool {
    match c {
        '"' | '\\' => false,
        c if c.is_ascii() => !c.is_ascii_control(),
        c => format!("{:?}", c.to_string()).chars().eq(['"', c, '"']),
    }
}

fn entity(c: char) -> String {
    format!("&#{};", u32::from(c))
}

fn unreadable(error: htmlparser::Error, source: &str) -> Fault {
    let row = usize::try_from(error.pos().row).unwrap_or_default();
    let at = source.match_indices('\n').nth(row.saturating_sub(2)).map_or(0, |(at, _)| at + 1);
    let words = error.to_string();
    let what = words.split(" at ").next().unwrap_or_default();
    (if row < 2 { 0 } else { at }, format!("the MJML cannot be read: {what}"))
}

/// The elements that are open at a place.
#[derive(Default)]
struct Nesting<'a> {
    open: Vec<StrSpan<'a>>,
    /// The start tag that is being read.
    begun: Option<StrSpan<'a>>,
}

impl<'a> Nesting<'a> {
    fn follow(&mut self, token: &Token<'a>) -> Result<(), Fault> {
        match token {
            Token::ElementStart { local, .. } if local.as_str() == "mj-include" => {
                Err((local.start(), "mj-include reads no other file; put here what it names".to_owned()))
            }
            Token::ElementStart { local, .. } => {
                self.begun = Some(*local);
                Ok(())
            }
            Token::ElementEnd { end: ElementEnd::Open, .. } => self.enter(),
            Token::ElementEnd { end: ElementEnd::Close(_, local), span } => self.leave(local.as_str(), span.start()),
            _ => Ok(()),
        }
    }

    fn enter(&mut self) -> Result<(), Fault> {
        let begun = self.begun.take().filter(|name| !VOID.contains(&name.as_str()));
        let at = begun.map_or(0, |name| name.start());
        self.open.extend(begun);
        if self.open.len() > DEEPEST {
            return Err((at, format!("more than {DEEPEST} elements lie inside one another")));
        }
        Ok(())
    }

    fn leave(&mut self, name: &str, at: usize) -> Result<(), Fault> {
        match self.open.pop() {
            Some(open) if open.as_str() == name => Ok(()),
            Some(open) => Err((at, format!("</{name}> stands where <{}> is still open", open.as_str()))),
            None => Err((at, format!("</{name}> closes what was not opened"))),
        }
    }

    fn end(&self) -> Result<(), Fault> {
        match self.open.last() {
            None => Ok(()),
            Some(open) => Err((open.start(), format!("<{}> is not closed", open.as_str()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compiled(source: &str) -> Result<String, TemplateError> {
        let tags = Tags::out_of(source);
        html(&tags, place(&tags.text).unwrap()).map(|html| tags.put_back(&html).text)
    }

    fn letter(body: &str) -> String {
        format!("<mjml><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>")
    }

    #[test]
    fn it_is_mjml_by_its_first_element() {
        for (source, expected) in [
            ("<mjml></mjml>", true),
            ("{# ours #}\n<!-- <p> --><mjml owa=\"x\"></mjml>\n", true),
            ("<p>On <mjml></p>", false),
            ("<mjmlx></mjmlx>", false),
            ("mjml", false),
            ("</mjml> <mjml>", false),
        ] {
            assert_eq!(place(source).is_some(), expected, "{source}");
        }
    }

    #[test]
    fn tags_of_the_template_survive() {
        let html = compiled(&letter(
            r#"{% if a < b and "x>" %}<mj-button href="{{ unsubscribe_url }}" background-color="{{ c|default("red") }}">{{ 1 < 2 }}</mj-button>{% endif %}
            <mj-text><p title='"\&amp;"'>It's {{ first_name }}</p>5 €>3 € > 2<table>{% for x in y %}<tr><td>{{ x }}</td></tr>{% endfor %}</table></mj-text>"#,
        ))
        .unwrap();
        for expected in [
            r#"{% if a < b and "x>" %}"#,
            r#"href="{{ unsubscribe_url }}""#,
            r#"{{ c|default("red") }}"#,
            "{{ 1 < 2 }}",
            "5 €&gt;3 € &gt; 2",
            r#"<p title="&#34;&#92;&amp;&#34;">It's {{ first_name }}</p>"#,
            "{% for x in y %}<tr><td>{{ x }}</td></tr>{% endfor %}",
        ] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
        let html = compiled(&format!("{{% set a = 1 %}}{}{{# end #}}", letter(""))).unwrap();
        assert!(html.starts_with("{% set a = 1 %}<!doctype html>") && html.ends_with("</html>{# end #}"), "{html}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (body, line, words) in [
            ("\n<mj-text>a</mj-button>", 2, "</mj-button> stands where <mj-text> is still open"),
            ("\n\n<mj-include path=\"a.mjml\" />", 3, "mj-include reads no other file"),
            ("{{ a\n }}\n<mj-image width=\"{{ w }}\" src=\"a\" />", 3, "MJML has no place for {{ w }} here"),
            ("<mj-text title='\n'></mj-text>\n<mj-text a=\">", 3, "cannot be read: invalid attribute"),
            ("\n<mj-text>{{ a }}</mj-column>", 2, "</mj-column> stands where"),
        ] {
            let error = compiled(&letter(body)).unwrap_err();
            assert_eq!((error.part, error.line), ("HTML", line), "{error}");
            assert!(error.why.contains(words), "{error}");
        }
        let error = compiled("<mjml>\n<mj-body>").unwrap_err();
        assert_eq!((error.line, error.why.as_str()), (2, "<mj-body> is not closed"));
        let error = compiled("<mjml>\n\n<mj-foot a=\"\\\"></mj-foot></mjml>").unwrap_err();
        assert_eq!((error.line, error.why.as_str()), (3, "<mj-foot> is not known here"));
    }

    #[test]
    fn no_depth_overflows() {
        let deep = |depth: usize, tag: &str| {
            letter(&format!(
                "<mj-raw>{}{}</mj-raw>",
                format!("<{tag}>").repeat(depth),
                format!("</{tag}>").repeat(depth)
            ))
        };
        assert!(compiled(&deep(90, "div")).is_ok());
        for source in [deep(100_000, "div"), deep(100_000, "mj-section"), letter(&"<mj-wrapper>".repeat(100_000))] {
            let error = compiled(&source).unwrap_err();
            assert!(error.why.contains("more than 100 elements lie inside one another"), "{error}");
        }
        assert!(compiled(&letter(&format!("<mj-text>{}</mj-text>", "<br>".repeat(100_000)))).is_ok());
        // What a browser takes for text may still be elements here.
        assert!(compiled(&letter(&format!("<mj-raw><title>{}", "<div>".repeat(100_000)))).is_err());
    }

    /// Elements with attributes as nobody should write them.
    fn odd() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "mj-section",
            "mj-column",
            "mj-group",
            "mj-wrapper",
            "mj-hero",
            "mj-text",
            "mj-image",
            "mj-button",
            "mj-divider",
            "mj-spacer",
            "mj-table",
            "mj-raw",
            "mj-navbar",
            "mj-navbar-link",
            "mj-social",
            "mj-social-element",
            "mj-accordion",
            "mj-accordion-element",
            "mj-accordion-title",
            "mj-accordion-text",
            "mj-carousel",
            "mj-carousel-image",
            "p",
            "br",
        ]);
        let attribute = prop::sample::select(vec![
            "width",
            "height",
            "padding",
            "padding-left",
            "border",
            "border-radius",
            "inner-padding",
            "icon-size",
            "mode",
            "name",
            "background-url",
            "background-size",
            "background-position",
            "css-class",
            "font-family",
            "columns",
            "direction",
            "align",
            "full-width",
            "icon-height",
            "tb-width",
            "left-icon",
            "background-height",
            "background-width",
            "src",
            "href",
        ]);
        let value = prop::sample::select(vec![
            "",
            " ",
            "0",
            "0px",
            "-5px",
            "px",
            "%",
            "150%",
            "1e999px",
            "NaN",
            "inf",
            "99999999999999999999px",
            "é",
            "10é",
            "a b c",
            "1px 2px 3px 4px 5px",
            ",",
            "\u{200b}",
            "{{ a }}",
            "top left",
            "solid",
            "1px solid #000",
            "fixed-height",
            "true",
        ]);
        (name, prop::collection::vec((attribute, value), 0..5)).prop_map(|(name, attributes)| {
            let attributes: String = attributes.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
            format!("{name}{attributes}")
        })
    }

    fn tree() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![odd().prop_map(|tag| format!("<{tag} />")), Just("{% if a %}".to_owned()), "\\PC{0,9}"];
        leaf.prop_recursive(5, 40, 4, |inner| {
            (odd(), prop::collection::vec(inner, 0..4)).prop_map(|(tag, inner)| {
                let name = tag.split(' ').next().unwrap_or_default();
                format!("<{tag}>{}</{name}>", inner.concat())
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_is_laid_out_or_refused(body in prop::collection::vec(tree(), 0..4), cut in 0..400_usize) {
            let letter = format!("<mjml><mj-body>{}</mj-body></mjml>", body.concat());
            let _ = compiled(&letter);
            let _ = compiled(&letter[..letter.floor_char_boundary(letter.len().saturating_sub(cut).max(16))]);
        }
    }
}
