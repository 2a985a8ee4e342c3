//! The links of a letter that lead by us, and where they lead from there.

use crate::markup::{self, links};
use crate::template::{Template, TemplateError, html_part};
use minijinja::Value;
use minijinja::value::Object;
use rebound_domain::{Contact, CountedLink, DeliveryId, Draft, Fields, Keys};
use std::sync::Arc;

/// Our addresses for the links of a letter that are counted, each made where the letter needs it.
#[derive(Debug)]
pub(crate) struct CountedLinks {
    pub(crate) keys: Keys,
    /// How they begin.
    pub(crate) public_url: String,
    pub(crate) delivery: DeliveryId,
}

impl Object for CountedLinks {
    /// That of a link by its number.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let link = u16::try_from(key.as_usize()?).ok()?;
        let token = CountedLink { delivery: self.delivery, link }.sign(&self.keys);
        // Made of characters that need no escaping.
        Some(Value::from_safe_string(format!("{}/c/{token}", self.public_url)))
    }
}

/// Where the links of a letter lead that are counted: each once, as its author means it, in the order in which they stand in
/// its HTML part. A link whose host depends on the contact is not counted, nor one that is filled otherwise in a loop.
///
/// # Errors
/// [`TemplateError`] naming part and line.
pub fn links_of(draft: &Draft) -> Result<Vec<String>, TemplateError> {
    if !draft.counts_clicks {
        return Ok(vec![]);
    }
    Ok(links::targets(&html_part(draft, &markup::laid_out(&draft.html)?)?))
}

/// Where a link of a letter leads for `contact`, of whom nothing may be known any more: as the letter said, by what is known
/// now. `None` where that is no page of the host that the author wrote.
///
/// ```
/// # use rebound_domain::{Draft, DoubtPolicy, Fields, ListId};
/// use rebound_send::{destination, links_of};
///
/// let draft = Draft {
///     html: r#"<a href="https://fernhill.example/{{ town|lower }}">Our shop</a>"#.into(),
///     defaults: Fields::from([("town".into(), "Fernhill".into())]),
///     counts_clicks: true,
/// #   name: "Spring".into(), list: ListId(1), from_name: "Fernhill".into(), from: "news@fernhill.example".parse().unwrap(),
/// #   reply_to: None, subject: "x".into(), text: String::new(), postal_address: "1 Garden Row".into(),
/// #   doubt: DoubtPolicy::Resend,
///     // …
/// };
/// let links = links_of(&draft).unwrap();
/// assert_eq!(links, ["https://fernhill.example/{{ town|lower }}"]);
/// assert_eq!(destination(&draft, "News", &links[0], None).unwrap(), "https://fernhill.example/fernhill");
/// ```
#[must_use]
pub fn destination(draft: &Draft, list: &str, target: &str, contact: Option<&Contact>) -> Option<String> {
    let nothing = Fields::new();
    let (email, fields) = contact.map_or(("", &nothing), |contact| (contact.address.as_str(), &contact.fields));
    let filled = Template::of_link(draft, list, target)?.html(email, fields)?;
    links::destination(target, &filled).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Rendered;
    use proptest::prelude::*;
    use rebound_domain::ContactId;

    const LETTER: &str = r#"<h1>{{ first_name }}</h1>
<a href="https://fernhill.example/bulbs?for={{ first_name|lower }}&amp;town={{ town }}#{{ first_name }}">Bulbs</a>
<a href='https://fernhill.example/{% if town %}{{ town|upper }}{% else %}all{% endif %}/{{ first_name|urlencode }}'>Shop</a>
<a href=https://fernhill.example:8443/plain?a=1&b=2>Plain</a>
<a href="https://{{ first_name }}.example/">Theirs</a> <a href="{{ town }}">Anywhere</a>
<a href="{{ unsubscribe_url }}">Leave</a>"#;

    fn draft(counts_clicks: bool) -> Draft {
        Draft { counts_clicks, ..crate::template::tests::draft("x", LETTER) }
    }

    fn contact(name: &str, town: &str) -> Contact {
        let fields = Fields::from([("first_name".into(), name.into()), ("town".into(), town.into())]);
        Contact { id: ContactId(1), address: "ada@orchard.example".parse().unwrap(), fields }
    }

    fn keys() -> Keys {
        Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![])
    }

    fn rendered(template: &Template, contact: &Contact) -> Rendered {
        let public_url = "https://news.fernhill.example".to_owned();
        let links = CountedLinks { keys: keys(), public_url, delivery: DeliveryId(7) };
        let leave = "https://news.fernhill.example/u/1";
        template.render_counting(contact.address.as_str(), &contact.fields, leave, links).unwrap()
    }

    #[test]
    fn who_counts_no_clicks_has_no_links_by_us() {
        assert_eq!(links_of(&draft(false)).unwrap(), Vec::<String>::new());
        assert_eq!(links_of(&draft(true)).unwrap().len(), 3);
    }

    #[test]
    fn the_text_part_keeps_its_links_and_nobody_is_known_any_more() {
        let draft = draft(true);
        let links = links_of(&draft).unwrap();
        let template = Template::counting(&draft, "News", &links).unwrap();
        let text = rendered(&template, &contact("", "")).text;
        assert!(text.contains("https://fernhill.example/bulbs?for=reader"), "{text}");
        let leads = |link: &String| destination(&draft, "News", link, None).unwrap();
        assert_eq!(
            links.iter().map(leads).collect::<Vec<_>>(),
            [
                "https://fernhill.example/bulbs?for=reader&town=#reader",
                "https://fernhill.example/all/reader",
                "https://fernhill.example:8443/plain?a=1&b=2",
            ]
        );
    }

    proptest! {
        /// Whatever a contact brings: a counted link leads where the same letter leads uncounted, and never to another host.
        #[test]
        fn counted_links_lead_where_they_would(name in "[^\0]{0,30}|[@:/?#.\\\\&<>\"a-z]{1,20}", town in "[^\0]{0,30}|[@:/?#.\\\\&<>\"a-z]{0,20}") {
            let (draft, contact) = (draft(true), contact(&name, &town));
            let targets = links_of(&draft).unwrap();
            let plain = links::hrefs(&rendered(&Template::compile(&draft, "News").unwrap(), &contact).html);
            let counted = links::hrefs(&rendered(&Template::counting(&draft, "News", &targets).unwrap(), &contact).html);
            prop_assert_eq!(plain.len(), counted.len());
            let mut followed = 0;
            for (plain, counted) in plain.iter().zip(&counted) {
                let Some(token) = counted.strip_prefix("https://news.fernhill.example/c/") else {
                    prop_assert_eq!(plain, counted);
                    continue;
                };
                followed += 1;
                let link = CountedLink::verify(token, &keys()).unwrap();
                let target = &targets[usize::from(link.link) - 1];
                let leads = destination(&draft, "News", target, Some(&contact)).unwrap();
                prop_assert_eq!(&leads, &String::from(url::Url::parse(plain).unwrap()));
                let origin = leads.split('/').nth(2).unwrap();
                prop_assert!(["fernhill.example", "fernhill.example:8443"].contains(&origin), "{}", leads);
            }
            prop_assert_eq!(followed, 3);
        }
    }
}
