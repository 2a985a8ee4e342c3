//! Template + contact → message.

use crate::Sender;
use crate::links::CountedLinks;
use crate::sign::{SignError, Signer};
use crate::template::{Rendered, Template, TemplateError};
use chrono::{DateTime, Utc};
use mail_builder::MessageBuilder;
use mail_builder::headers::{address::Address, message_id::MessageId, raw::Raw, url::URL};
use rebound_domain::{Campaign, Contact, DeliveryId, EmailAddress};
use std::sync::Arc;

/// A campaign that is ready to be composed for one contact after another.
#[derive(Debug)]
pub struct Composer {
    campaign: Campaign,
    list_name: String,
    template: Template,
    sender: Sender,
    signer: Option<Arc<Signer>>,
}

/// Why no message could be made for a contact.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The template cannot be filled with what is known of the contact.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The message could not be written out.
    #[error("the message could not be written")]
    Write(#[from] std::io::Error),
    /// The message could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Composer {
    /// Compiles the campaign's text. Its links that lead to `counted` lead by us. Its messages go unsigned until
    /// [`signed_by`](Self::signed_by) names who signs.
    ///
    /// # Errors
    /// [`TemplateError`] naming part and line.
    pub fn new(campaign: Campaign, list_name: &str, sender: Sender, counted: &[String]) -> Result<Self, TemplateError> {
        let template = Template::counting(&campaign.draft, list_name, counted)?;
        Ok(Self { campaign, list_name: list_name.to_owned(), template, sender, signer: None })
    }

    /// The same, with its messages signed by `signer`, where there is one.
    #[must_use]
    pub fn signed_by(self, signer: Option<Arc<Signer>>) -> Self {
        Self { signer, ..self }
    }

    /// The campaign.
    #[must_use]
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// What the message to `contact` says.
    ///
    /// # Errors
    /// [`TemplateError`]
    pub fn render(&self, delivery: DeliveryId, contact: &Contact) -> Result<Rendered, TemplateError> {
        let link = self.sender.unsubscribe_url(delivery);
        let links =
            CountedLinks { keys: self.sender.keys.clone(), public_url: self.sender.public_url.clone(), delivery };
        self.template.render_counting(contact.address.as_str(), &contact.fields, &link, links)
    }

    /// The whole message, headers and body, with CRLF line ends, signed where somebody signs.
    ///
    /// One-click unsubscribe is RFC 8058, `List-ID` RFC 2919; `Auto-Submitted` and `Precedence` keep automatic
    /// answers away (RFC 3834).
    ///
    /// # Errors
    /// [`ComposeError`]
    pub fn compose(&self, delivery: DeliveryId, contact: &Contact, now: DateTime<Utc>) -> Result<String, ComposeError> {
        let rendered = self.render(delivery, contact)?;
        let draft = &self.campaign.draft;
        let list = draft.list.0;
        let link = self.sender.unsubscribe_url(delivery);
        let from = Address::new_address(Some(single_line(&draft.from_name)), draft.from.as_str());
        let mut message = MessageBuilder::new()
            .from(from)
            .to(Address::new_address(None::<&str>, contact.address.as_str()))
            .subject(rendered.subject)
            .date(now.timestamp())
            .message_id(MessageId::new(self.sender.message_id(delivery)))
            .header("List-ID", Raw::new(format!("<l{list}.{}>", self.sender.return_domain)))
            .header("List-Unsubscribe", URL::new(link))
            .header("List-Unsubscribe-Post", Raw::new("List-Unsubscribe=One-Click"))
            .header("Feedback-ID", Raw::new(self.sender.feedback_id(self.campaign.id, list)))
            .header("Auto-Submitted", Raw::new("auto-generated"))
            .header("Precedence", Raw::new("bulk"))
            .text_body(rendered.text);
        if !rendered.html.is_empty() {
            message = message.html_body(rendered.html);
        }
        if let Some(reply_to) = &draft.reply_to {
            message = message.reply_to(Address::new_address(None::<&str>, reply_to.as_str()));
        }
        self.signed(on_the_wire(message.write_to_vec()?), now)
    }

    /// The message as `shown_as` would get it, to `to`: marked as a test, with a link that unsubscribes nobody.
    pub(crate) fn compose_test(
        &self,
        shown_as: &Contact,
        to: &EmailAddress,
        now: DateTime<Utc>,
    ) -> Result<String, ComposeError> {
        let link = format!("{}/u/test", self.sender.public_url);
        let rendered = self.template.render(shown_as.address.as_str(), &shown_as.fields, &link)?;
        let draft = &self.campaign.draft;
        let id = format!("test.{:016x}@{}", rand::random::<u64>(), self.sender.return_domain);
        let mut message = MessageBuilder::new()
            .from(Address::new_address(Some(single_line(&draft.from_name)), draft.from.as_str()))
            .to(Address::new_address(None::<&str>, to.as_str()))
            .subject(format!("[Test] {}", rendered.subject))
            .date(now.timestamp())
            .message_id(MessageId::new(id))
            .header("X-Rebound-Test", Raw::new(self.campaign.id.to_string()))
            .header("Auto-Submitted", Raw::new("auto-generated"))
            .text_body(rendered.text);
        if !rendered.html.is_empty() {
            message = message.html_body(rendered.html);
        }
        if let Some(reply_to) = &draft.reply_to {
            message = message.reply_to(Address::new_address(None::<&str>, reply_to.as_str()));
        }
        self.signed(on_the_wire(message.write_to_vec()?), now)
    }

    fn signed(&self, message: String, now: DateTime<Utc>) -> Result<String, ComposeError> {
        let Some(signer) = &self.signer else { return Ok(message) };
        let lines = signer.sign(message.as_bytes(), now)?;
        Ok(String::from_utf8_lossy(&lines).into_owned() + &message)
    }

    /// The list's name.
    #[must_use]
    pub fn list_name(&self) -> &str {
        &self.list_name
    }
}

fn single_line(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

/// As [`with_crlf`]; nearly always it is so already, and nothing is copied.
fn on_the_wire(message: Vec<u8>) -> String {
    let is_canonical = memchr::memchr3_iter(b'\r', b'\n', 0, &message).all(|at| match message[at] {
        b'\r' => message.get(at + 1) == Some(&b'\n'),
        b'\n' => at > 0 && message[at - 1] == b'\r',
        _ => false,
    });
    match String::from_utf8(message) {
        Ok(message) if is_canonical => message,
        Ok(message) => with_crlf(&message),
        Err(error) => with_crlf(&String::from_utf8_lossy(error.as_bytes())),
    }
}

/// One way to end a line, and no NUL: nothing that a host could take for the end of the message.
fn with_crlf(message: &str) -> String {
    let mut canonical = String::with_capacity(message.len() + message.len() / 40);
    let mut last = '\n';
    for c in message.chars().filter(|c| *c != '\0') {
        match c {
            '\n' if last == '\r' => canonical.push('\n'),
            '\n' => canonical.push_str("\r\n"),
            c => {
                if last == '\r' {
                    canonical.push('\n');
                }
                canonical.push(c);
            }
        }
        last = c;
    }
    if last == '\r' {
        canonical.push('\n');
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markup::LAID_OUT;
    use mail_parser::MessageParser;
    use rebound_domain::{CampaignId, CampaignState, ContactId, DoubtPolicy, Draft, Fields, Keys, ListId};

    #[test]
    fn lines_end_in_one_way() {
        for (message, expected) in [
            ("a\nb", "a\r\nb"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\rb\r", "a\r\nb\r\n"),
            ("a\n.\nb", "a\r\n.\r\nb"),
            ("a\r\r\nb\0", "a\r\n\r\nb"),
            ("a\r\0.\r\0\n", "a\r\n.\r\n"),
            ("\n", "\r\n"),
        ] {
            assert_eq!(with_crlf(message), expected, "{message:?}");
            assert_eq!(on_the_wire(message.into()), expected, "{message:?}");
        }
    }

    const LETTER: &str = r#"<mjml>
  <mj-head><mj-style>
    .name { color: green }
    @media (max-width: 480px) { .name { color: black !important } }
  </mj-style></mj-head>
  <mj-body><mj-section><mj-column>
    <mj-text><p class="name">Hello {{ first_name }}</p></mj-text>
    {% if town %}<mj-button href="https://fernhill.example/bulbs?for={{ first_name|lower }}">To {{ town }}</mj-button>{% endif %}
    <mj-text><a href="{{ unsubscribe_url }}">Leave</a> {{ postal_address }}</mj-text>
  </mj-column></mj-section></mj-body>
</mjml>"#;

    fn composer(html: &str) -> Composer {
        let draft = Draft {
            name: "Spring".into(),
            list: ListId(1),
            from_name: "Fernhill".into(),
            from: "news@fernhill.example".parse().unwrap(),
            reply_to: None,
            subject: "For {{ first_name }}".into(),
            html: html.into(),
            text: String::new(),
            postal_address: "1 Garden Row".into(),
            defaults: Fields::from([("town".into(), String::new())]),
            doubt: DoubtPolicy::Resend,
            counts_clicks: false,
        };
        let campaign = Campaign {
            id: CampaignId(1),
            draft,
            state: CampaignState::Sending,
            reason: None,
            created: DateTime::UNIX_EPOCH,
            launched: None,
            finished: None,
            planned: 0,
            expected: 0,
            scheduled: None,
            resend: None,
        };
        let sender = Sender {
            keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
            return_domain: "bounce.fernhill.example".into(),
            public_url: "https://news.fernhill.example".into(),
        };
        Composer::new(campaign, "News", sender, &[]).unwrap()
    }

    fn contact(name: &str, town: &str) -> Contact {
        let fields = Fields::from([("first_name".into(), name.into()), ("town".into(), town.into())]);
        Contact { id: ContactId(1), address: "ada@orchard.example".parse().unwrap(), fields }
    }

    #[test]
    fn a_letter_in_mjml_goes_out_laid_out_styled_and_personal() {
        let composer = composer(LETTER);
        for (number, name, town) in [(1, "Ada", "Ulmen & Au"), (2, "Zoë <b>", "")] {
            let delivery = DeliveryId::new(CampaignId(1), number).unwrap();
            let message = composer.compose(delivery, &contact(name, town), DateTime::UNIX_EPOCH).unwrap();
            let message = MessageParser::default().parse(message.as_bytes()).unwrap();
            let (html, text) = (message.body_html(0).unwrap(), message.body_text(0).unwrap());
            let link = composer.sender.unsubscribe_url(delivery);
            let escaped = minijinja::HtmlEscape(name).to_string();
            for expected in [
                format!("<p style=\"display:block;margin:13px 0;color:green\" class=\"name\">Hello {escaped}</p>"),
                format!("<a href=\"{link}\">Leave</a> 1 Garden Row"),
                "@media (max-width: 480px) { .name { color: black !important } }".to_owned(),
            ] {
                assert!(html.contains(&expected), "{expected} in {html}");
            }
            assert_eq!(
                html.contains("bulbs?for=ada\"") && html.contains("To Ulmen &amp; Au</a>"),
                !town.is_empty(),
                "{html}"
            );
            assert_eq!(text.contains("Ulmen & Au"), !town.is_empty(), "{text}");
            assert!(text.contains(&format!("Hello {name}")) && text.contains(&link), "{text}");
            assert!(!html.contains("{{") && !html.contains("{%") && !html.contains("mj-text"), "{html}");
        }
    }

    #[test]
    fn a_campaign_is_laid_out_once() {
        let before = LAID_OUT.get();
        let composer = composer(LETTER);
        assert_eq!(LAID_OUT.get(), before + 1);
        for number in 0..1_000 {
            let delivery = DeliveryId::new(CampaignId(1), number).unwrap();
            composer.compose(delivery, &contact("Ada", "Ulmen"), DateTime::UNIX_EPOCH).unwrap();
        }
        assert_eq!(LAID_OUT.get(), before + 1);
    }
}
