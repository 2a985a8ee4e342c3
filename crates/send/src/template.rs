//! The campaign's text, compiled once.
//!
//! What people write is data: it can name merge fields, choose (`if`), repeat (`for`) and fall back
//! (`default`), and runs on a budget. Contact values are never expanded again.

use crate::links::CountedLinks;
use crate::markup::{self, Lines, Markup, links};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use rebound_domain::{Draft, Fields};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Steps that one part may take: some thousand times what a newsletter needs.
const FUEL: u64 = 200_000;

/// The longest part that is compiled, in bytes.
pub(crate) const LONGEST: usize = 2 * 1024 * 1024;

/// Elements that may lie inside one another where a text part is made from them.
const DEEPEST: usize = 1_000;

/// Names that are always there.
pub(crate) const BUILT_IN: [&str; 6] =
    ["email", "unsubscribe_url", "preferences_url", "postal_address", "campaign", "list"];

/// Why a template cannot be used, in words for its author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}{}: {why}", place(*line))]
pub struct TemplateError {
    /// `Subject`, `HTML` or `Text`.
    pub part: &'static str,
    /// Counted from 1; 0 where it is not known.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}

/// The three parts of a message, compiled.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// Where the lines of the HTML part were in what the author wrote.
    lines: Lines,
    defaults: Fields,
    postal_address: String,
    campaign: String,
    list: String,
}

/// What one contact's message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The HTML part; empty where the author wrote text alone.
    pub html: String,
    /// The text part.
    pub text: String,
}

/// What the HTML part is called; the template escapes what is merged into it.
const HTML: &str = "html.html";

const PARTS: [(&str, &str); 3] = [("subject", "Subject"), (HTML, "HTML"), ("text", "Text")];

impl Template {
    /// Compiles what the author wrote: lays MJML out, adds the footer where it was left out, says style sheets at their
    /// elements, and makes the text part from the HTML where there is none.
    ///
    /// # Errors
    /// [`TemplateError`] naming part and line.
    pub fn compile(draft: &Draft, list: &str) -> Result<Self, TemplateError> {
        Self::counting(draft, list, &[])
    }

    /// The same, with the links of the HTML part that lead to `counted` leading by us. People read those of the text part:
    /// they stay.
    pub(crate) fn counting(draft: &Draft, list: &str, counted: &[String]) -> Result<Self, TemplateError> {
        let mut template = Self::empty(draft, list);
        let environment = &mut template.environment;
        for ((_, part), written) in PARTS.into_iter().zip([&draft.subject, &draft.html, &draft.text]) {
            fit_for_mail(part, written)?;
        }
        // What is wrong in the author's own words is told by their own lines.
        if markup::is_mjml(&draft.html) {
            let written = environment.add_template_owned(HTML, draft.html.clone());
            written.map_err(|error| named("HTML", &error, &Lines::default()))?;
        }
        let laid_out = markup::laid_out(&draft.html)?;
        let text = if draft.text.trim().is_empty() { text_from(&laid_out)? } else { draft.text.clone() };
        let html = html_part(draft, &laid_out)?;
        let html = links::counted(&html, counted).into_owned();
        let lines = laid_out.lines.clone();
        let sources = [draft.subject.clone(), html, text_with_footer(&text)];
        for ((name, part), source) in PARTS.into_iter().zip(sources) {
            fit_for_mail(part, &source)?;
            environment.add_template_owned(name, source).map_err(|error| named(part, &error, &lines))?;
        }
        Ok(Self { lines, ..template })
    }

    /// A link of the letter alone.
    pub(crate) fn of_link(draft: &Draft, list: &str, target: &str) -> Option<Self> {
        let mut template = Self::empty(draft, list);
        template.environment.add_template_owned(HTML, links::written(target)).ok()?;
        Some(template)
    }

    /// The HTML part alone, filled for `contact`.
    pub(crate) fn html(&self, email: &str, fields: &Fields) -> Option<String> {
        self.environment.get_template(HTML).ok()?.render(self.values(email, fields, "", None)).ok()
    }

    fn empty(draft: &Draft, list: &str) -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|name| if name == HTML { AutoEscape::Html } else { AutoEscape::None });
        Self {
            environment,
            lines: Lines::default(),
            defaults: draft.defaults.clone(),
            postal_address: draft.postal_address.clone(),
            campaign: draft.name.clone(),
            list: list.to_owned(),
        }
    }

    /// The merge fields that contacts must bring: used somewhere, without a default and not built in.
    #[must_use]
    pub fn needed_fields(&self) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        for (name, _) in PARTS {
            if let Ok(template) = self.environment.get_template(name) {
                fields.extend(template.undeclared_variables(false));
            }
        }
        fields.retain(|field| !BUILT_IN.contains(&field.as_str()) && !self.defaults.contains_key(field));
        fields
    }

    /// Fills it for one contact.
    ///
    /// # Errors
    /// [`TemplateError`] when a part runs over its budget, or asks for what cannot be done with a value.
    pub fn render(&self, email: &str, fields: &Fields, unsubscribe_url: &str) -> Result<Rendered, TemplateError> {
        self.fill(&self.values(email, fields, unsubscribe_url, None))
    }

    /// The same, for a letter whose links are counted.
    pub(crate) fn render_counting(
        &self,
        email: &str,
        fields: &Fields,
        unsubscribe_url: &str,
        links: CountedLinks,
    ) -> Result<Rendered, TemplateError> {
        self.fill(&self.values(email, fields, unsubscribe_url, Some(Value::from_object(links))))
    }

    fn fill(&self, values: &Value) -> Result<Rendered, TemplateError> {
        let fill = |(name, part): (&str, &'static str)| {
            let template = self.environment.get_template(name).map_err(|error| named(part, &error, &self.lines))?;
            let filled = template.render(values).map_err(|error| named(part, &error, &self.lines))?;
            match nul(&filled) {
                Some(_) => Err(TemplateError { part, line: 0, why: format!("filled in, {NUL}") }),
                None => Ok(filled),
            }
        };
        let [subject, html, text] = PARTS;
        Ok(Rendered { subject: one_line(&fill(subject)?), html: fill(html)?, text: fill(text)? })
    }

    fn values(&self, email: &str, fields: &Fields, unsubscribe_url: &str, counted: Option<Value>) -> Value {
        let mut values = self.defaults.clone();
        values.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(k, v)| (k.clone(), v.clone())));
        let preferences_url = format!("{unsubscribe_url}/preferences");
        let built_in = [email, unsubscribe_url, &preferences_url, &self.postal_address, &self.campaign, &self.list];
        values.extend(BUILT_IN.into_iter().map(str::to_owned).zip(built_in.into_iter().map(str::to_owned)));
        // Our own links, made of characters that need no escaping: some filters and rewriters stumble over `&#x2f;`.
        let links = [("unsubscribe_url", unsubscribe_url), ("preferences_url", &preferences_url)]
            .map(|(name, link)| (name.to_owned(), Value::from_safe_string(link.to_owned())));
        let values = values.into_iter().map(|(name, value)| (name, Value::from(value)));
        let counted = counted.map(|links| (links::VARIABLE.to_owned(), links));
        Value::from_pairs(values.chain(links).chain(counted))
    }
}

/// The HTML part as it is sent, but for its counted links.
pub(crate) fn html_part(draft: &Draft, laid_out: &Markup<'_>) -> Result<String, TemplateError> {
    // A letter in text alone stays one: programs would show an HTML part with nothing but a footer.
    if draft.html.trim().is_empty() {
        return Ok(String::new());
    }
    let html = html_with_footer(laid_out);
    fit_for_mail("HTML", &html)?;
    Ok(markup::styled(&html).into_owned())
}

/// A header is one line: what breaks lines becomes a blank.
fn one_line(subject: &str) -> String {
    subject
        .split(|c: char| c.is_control())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

fn fit_for_mail(part: &'static str, source: &str) -> Result<(), TemplateError> {
    if source.len() > LONGEST {
        return Err(TemplateError { part, line: 0, why: "it is longer than 2 MB".to_owned() });
    }
    match nul(source) {
        Some(at) => Err(TemplateError { part, line: 1 + source[..at].matches('\n').count(), why: NUL.to_owned() }),
        None => Ok(()),
    }
}

/// RFC 5321 §4.5.2 and RFC 5322 §2.3 leave it no place.
const NUL: &str = "it holds a NUL character, which no mail may hold";

fn nul(text: &str) -> Option<usize> {
    memchr::memchr(0, text.as_bytes())
}

fn named(part: &'static str, error: &minijinja::Error, lines: &Lines) -> TemplateError {
    let why = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps; a loop may be endless".to_owned(),
        _ => error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind())),
    };
    let line = error.line().unwrap_or(0);
    TemplateError { part, line: if part == "HTML" { lines.before(line) } else { line }, why }
}

fn mentions(source: &str, field: &str) -> bool {
    source.contains(field)
}

/// 600 pixels with its padding, as MJML's own.
const COLUMN: &str = "max-width:550px;margin:0 auto;padding:10px 25px;font-family:Helvetica,Arial,sans-serif";

/// The footer that the law asks for, where the author left it out. Below a letter in MJML it stands in a column as wide as
/// most of them.
fn html_with_footer(letter: &Markup<'_>) -> String {
    let html = &letter.html;
    let mut footer = String::new();
    if !mentions(html, "postal_address") {
        footer.push_str("<p>{{ postal_address }}</p>");
    }
    if !mentions(html, "unsubscribe_url") {
        footer.push_str(r#"<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>"#);
    }
    if footer.is_empty() {
        return html.to_string();
    }
    let footer = match html {
        Cow::Borrowed(_) => format!("<hr>\n<div style=\"font-size:13px;color:#5a5a5a\">{footer}</div>\n"),
        Cow::Owned(_) => format!("<div style=\"{COLUMN};font-size:13px;color:#5a5a5a\"><hr>\n{footer}</div>\n"),
    };
    let end = html.to_ascii_lowercase().rfind("</body>").unwrap_or(html.len());
    let (before, after) = html.split_at(end);
    format!("{before}{footer}{after}")
}

fn text_with_footer(text: &str) -> String {
    let mut whole = text.trim_end().to_owned();
    if !mentions(text, "postal_address") || !mentions(text, "unsubscribe_url") {
        whole.push_str("\n\n-- \n");
    }
    if !mentions(text, "postal_address") {
        whole.push_str("{{ postal_address }}\n");
    }
    if !mentions(text, "unsubscribe_url") {
        whole.push_str("Unsubscribe: {{ unsubscribe_url }}\n");
    }
    whole
}

/// How long a letter is, in bytes: as it is sent, but for the footer and what is merged into it.
#[must_use]
pub fn letter_size(draft: &Draft) -> usize {
    let html = markup::laid_out(&draft.html).map(|laid_out| markup::styled(&laid_out.html).len());
    html.unwrap_or(draft.html.len()) + draft.text.len()
}

/// The text part of what somebody wrote. Merge tags stay as they are: they are text too.
pub(crate) fn text_of(source: &str) -> Result<String, TemplateError> {
    text_from(&markup::laid_out(source)?)
}

fn text_from(laid_out: &Markup<'_>) -> Result<String, TemplateError> {
    let html = match &laid_out.html {
        Cow::Borrowed(html) => Cow::Borrowed(*html),
        Cow::Owned(html) => Cow::Owned(markup::as_blocks(html)),
    };
    // What makes the text looks at all elements around each.
    if markup::is_deeper(&html, DEEPEST) {
        let why = format!("more than {DEEPEST} elements lie inside one another; close them, or write a text part");
        return Err(TemplateError { part: "HTML", line: 0, why });
    }
    markup::as_text(&html, 78).map_err(|error| TemplateError {
        part: "HTML",
        line: 0,
        why: format!("no text can be made from it: {error}"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rebound_domain::{DoubtPolicy, ListId};

    pub(crate) fn draft(subject: &str, html: &str) -> Draft {
        Draft {
            name: "Spring".into(),
            list: ListId(1),
            from_name: "Fernhill".into(),
            from: "news@fernhill.example".parse().unwrap(),
            reply_to: None,
            subject: subject.into(),
            html: html.into(),
            text: String::new(),
            postal_address: "1 Garden Row".into(),
            defaults: Fields::from([("first_name".into(), "reader".into())]),
            doubt: DoubtPolicy::Resend,
            counts_clicks: true,
        }
    }

    #[test]
    fn fields_are_merged_and_never_expanded_again() {
        let template = Template::compile(&draft("Hello {{ first_name }}", "<p>{{ first_name }}</p>"), "News").unwrap();
        let hostile = Fields::from([("first_name".into(), "<b>{{ email }}</b>\r\nBcc: x".into())]);
        let rendered = template.render("ada@orchard.example", &hostile, "https://x.example/u/1").unwrap();
        assert_eq!(rendered.subject, "Hello <b>{{ email }}</b> Bcc: x");
        assert!(rendered.html.contains("&lt;b&gt;{{ email }}"), "{}", rendered.html);
        let plain = template.render("ada@orchard.example", &Fields::new(), "https://x.example/u/1").unwrap();
        assert_eq!(plain.subject, "Hello reader");
        assert!(plain.text.contains("Unsubscribe: https://x.example/u/1") && plain.text.contains("1 Garden Row"));
        assert!(plain.html.contains(r#"<a href="https://x.example/u/1">"#));
        let links = "<a href=\"{{ preferences_url }}\">Choose</a> <a href=\"{{ unsubscribe_url }}\">Leave</a>";
        let template = Template::compile(&draft("x", links), "News").unwrap();
        let html = template.render("ada@orchard.example", &Fields::new(), "https://x.example/u/1").unwrap().html;
        assert!(html.contains(r#"<a href="https://x.example/u/1/preferences">"#), "{html}");
    }

    #[test]
    fn in_the_text_part_addresses_and_tags_are_whole() {
        let long = format!(
            "https://x.example/{}{{% if city %}}{{{{ city }}}}{{% else %}}all{{% endif %}}/end",
            "long/".repeat(20)
        );
        let template = Template::compile(&draft("x", &format!("<p>To <a href=\"{long}\">us</a></p>")), "News").unwrap();
        let text = template.render("a@b.example", &Fields::new(), "u").unwrap().text;
        assert!(text.contains(&format!("[1]: https://x.example/{}all/end\n", "long/".repeat(20))), "{text}");
    }

    #[test]
    fn what_contacts_must_bring_is_known_before_the_launch() {
        let template = Template::compile(&draft("{{ city }}", "{{ first_name }} {{ email }}"), "News").unwrap();
        assert_eq!(template.needed_fields(), BTreeSet::from(["city".to_owned()]));
    }

    #[test]
    fn a_mistake_is_named_with_its_place_and_a_loop_ends() {
        let error = Template::compile(&draft("x", "<p>\n{{ first_name }</p>"), "News").unwrap_err();
        assert_eq!((error.part, error.line), ("HTML", 2));
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let template = Template::compile(&draft("x", endless), "News").unwrap();
        let error = template.render("a@b.example", &Fields::new(), "u").unwrap_err();
        assert!(error.why.contains("too many steps"), "{error}");
    }

    const LETTER: &str = r#"<mjml>
  <mj-head><mj-style>.price { color: green } @media print { .price { color: black } }</mj-style></mj-head>
  <mj-body><mj-section><mj-column>
    {% if city %}
    <mj-text><p class="price">{{ first_name|title }} in {{ city }}: {{ 1 < 2 }}</p></mj-text>
    {% endif %}
    <mj-button href="{{ unsubscribe_url }}?a=1&amp;b=2">Leave</mj-button>
  </mj-column></mj-section></mj-body>
</mjml>"#;

    #[test]
    fn mjml_becomes_html_and_text() {
        let template = Template::compile(&draft("x", LETTER), "News").unwrap();
        assert_eq!(template.needed_fields(), BTreeSet::from(["city".to_owned()]));
        let fields = Fields::from([("city".into(), "Fern & Hill".into())]);
        let rendered = template.render("ada@orchard.example", &fields, "https://x.example/u/1").unwrap();
        for expected in [
            r#"<p style="display:block;margin:13px 0" class="price">Reader in Fern &amp; Hill: True</p>"#,
            ".price { color: green }",
            r#"href="https://x.example/u/1?a=1&amp;b=2""#,
            "@media print { .price { color: black } }",
            "<p style=\"display:block;margin:13px 0\">1 Garden Row</p>",
        ] {
            assert!(rendered.html.contains(expected), "{expected} in {}", rendered.html);
        }
        assert!(!rendered.html.contains("mergetag") && !rendered.html.contains("{%"), "{}", rendered.html);
        assert!(rendered.text.trim_start().starts_with("Reader in Fern & Hill: True"), "{}", rendered.text);
        assert!(rendered.text.contains("[Leave]"), "{}", rendered.text);
        let nowhere = template.render("ada@orchard.example", &Fields::new(), "u").unwrap();
        assert!(!nowhere.html.contains("Reader") && !nowhere.text.contains("Reader"), "{}", nowhere.text);
    }

    #[test]
    fn html_goes_as_it_was_written() {
        let odd = "<P class=a>{{ 'x' }}<table>{% if 1 %}<tr><td>&nbsp;\\</table>{% endif %}\r\n{{ postal_address }} {{ unsubscribe_url }}";
        assert_eq!(markup::laid_out(odd).unwrap().html, odd);
    }

    #[test]
    fn a_mistake_in_what_was_made_is_told_by_the_line_of_the_author() {
        let wrong = LETTER.replace("{{ 1 < 2 }}", "{{ 1 < }}");
        let styled = "<style>p{a:b}\n\n\n</style>\n<p>{{ city|round }}</p>";
        let error = Template::compile(&draft("x", &wrong), "News").unwrap_err();
        assert_eq!((error.part, error.line), ("HTML", 5), "{error}");
        for (html, line) in [(styled, 5), (&LETTER.replace("1 < 2", "city|round"), 5)] {
            let template = Template::compile(&draft("x", html), "News").unwrap();
            let fields = Fields::from([("city".into(), "Fernhill".into())]);
            let error = template.render("a@b.example", &fields, "u").unwrap_err();
            assert_eq!((error.part, error.line), ("HTML", line), "{error}");
        }
    }

    #[test]
    fn nothing_that_is_written_takes_for_ever() {
        let mjml = |body: &str| format!("<mjml><mj-body>{body}</mj-body></mjml>");
        let section = "<mj-section><mj-column><mj-text>a</mj-text><mj-image src=\"b\" /></mj-column></mj-section>";
        for html in [
            mjml(&section.repeat(2_000)),
            mjml(&format!("<mj-section>{}</mj-section>", "<mj-column></mj-column>".repeat(10_000))),
            mjml(&format!("<mj-text>{}</mj-text>", "{{ a }} ".repeat(50_000))),
            format!("<mjml><mj-head>{}</mj-head></mjml>", "<mj-style>p{a:b}</mj-style>".repeat(30_000)),
            "<div>".repeat(100_000),
            format!("<style>p{{a:b}}</style>{}", "<div>".repeat(100_000)),
            "{{".repeat(500_000),
            "{% raw %}".repeat(100_000),
            "<!--[if mso]>".repeat(80_000),
        ] {
            let begun = std::time::Instant::now();
            let compiled = Template::compile(&draft("x", &html), "News").map(|_| ());
            assert!(begun.elapsed().as_secs() < 20, "{compiled:?} {}", &html[..40]);
        }
    }
}
