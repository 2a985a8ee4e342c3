//! Letters whose links lead by us.

use crate::campaigns::{campaign, furnish, in_state, sender, until, work};
use crate::relay;
use chrono::Utc;
use mail_parser::MessageParser;
use rebound_db::{Pool, campaigns, clicks, contacts, deliveries};
use rebound_domain::{CampaignId, CampaignState, CountedLink, DeliveryId, Draft};
use std::collections::BTreeSet;
use tempfile::TempDir;

const LETTER: &str = r#"<p><a href="https://fernhill.example/bulbs?for={{ email|urlencode }}&amp;a=1">Bulbs</a>
<a href="https://fernhill.example/shop">Shop</a> <a href="{{ email }}">Odd</a></p>"#;

/// Sends the campaign, written so, to all ten; what the relay took.
async fn sent(counts_clicks: bool) -> (Pool, TempDir, CampaignId, Vec<(String, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let id = furnish(&db).await;
    let draft = Draft { html: LETTER.into(), counts_clicks, ..campaign(&db, id).await.draft };
    assert!(campaigns::update(&db, id, &draft).await.unwrap());
    rebound_send::launch(&db, id, &sender(), "ines", Utc::now()).await.unwrap();
    let relay = relay::start(&[]).await;
    let (stop, worker) = work(&db, &folder, &relay);
    until("the end of the campaign", async || in_state(&db, id, CampaignState::Sent).await).await;
    stop.cancel();
    worker.await.unwrap();
    let part = |message: &String| {
        let message = MessageParser::default().parse(message).unwrap();
        (message.body_html(0).unwrap().into_owned(), message.body_text(0).unwrap().into_owned())
    };
    let messages = relay.messages().iter().map(part).collect();
    (db, folder, id, messages)
}

/// The links by us, in their order.
fn by_us(html: &str) -> Vec<CountedLink> {
    let tokens = html.split("https://news.fernhill.example/c/").skip(1).map(|rest| rest.split('"').next().unwrap());
    tokens.map(|token| CountedLink::verify(token, &sender().keys).unwrap()).collect()
}

#[tokio::test]
async fn each_letter_has_its_own_addresses_and_they_lead_where_it_would() {
    let (db, _folder, id, messages) = sent(true).await;
    let targets = clicks::links(&db, id).await.unwrap();
    assert_eq!(
        targets,
        ["https://fernhill.example/bulbs?for={{ email|urlencode }}&a=1", "https://fernhill.example/shop"]
    );
    let draft = campaign(&db, id).await.draft;
    let mut letters = BTreeSet::<DeliveryId>::new();
    for (html, text) in &messages {
        let links = by_us(html);
        let delivery = links[0].delivery;
        assert_eq!(
            links.iter().map(|link| (link.delivery, link.link)).collect::<Vec<_>>(),
            [(delivery, 1), (delivery, 2)]
        );
        assert!(letters.insert(delivery));
        let contact = deliveries::get(&db, &[delivery]).await.unwrap()[0].contact;
        let contact = contacts::get(&db, contact).await.unwrap().unwrap();
        let address = contact.address.to_string();
        let leads = rebound_send::destination(&draft, "News", &targets[0], Some(&contact)).unwrap();
        assert_eq!(leads, format!("https://fernhill.example/bulbs?for={}&a=1", address.replace('@', "%40")));
        assert!(html.contains(&format!("<a href=\"{address}\">Odd</a>")), "{html}");
        assert!(text.contains(&leads), "people read the text part: {text}");
    }
    assert_eq!(letters.len(), 10);
}

#[tokio::test]
async fn who_does_not_count_has_their_links_as_they_wrote_them() {
    let (db, _folder, id, messages) = sent(false).await;
    assert_eq!(clicks::links(&db, id).await.unwrap(), Vec::<String>::new());
    assert_eq!(messages.len(), 10);
    for (html, _) in &messages {
        assert!(by_us(html).is_empty() && html.contains("<a href=\"https://fernhill.example/shop\">"), "{html}");
    }
}
