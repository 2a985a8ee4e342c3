//! The demo's people and its campaign, brought in the way a marketer would.

use crate::roles::Parts;
use rebound_contacts::{Import, import};
use rebound_db::{campaigns, lists};
use rebound_domain::{CampaignId, DoubtPolicy, Draft, Fields};

const CAMPAIGN: &str = "Autumn bulbs";
const LIST: &str = "Newsletter readers";
/// The same people in every demo.
const SEED: u64 = 7;

/// Imports the people and keeps the draft; in a folder that has them, only finds them again.
pub(super) async fn seed(parts: &Parts, count: usize) -> anyhow::Result<CampaignId> {
    if let Some(campaign) = campaigns::named(&parts.db, CAMPAIGN).await? {
        return Ok(campaign.id);
    }
    let now = parts.now();
    let list = lists::ensure(&parts.db, LIST, now).await?;
    let mut csv = String::from("email,first_name,last_name,city\n");
    for person in rebound_sandbox::people(count, SEED) {
        csv.push_str(&format!("{},{},{},{}\n", person.email, person.first_name, person.last_name, person.city));
    }
    let settings = Import::new(list.id, "demo-people.csv", now);
    import(&parts.db, std::io::Cursor::new(csv.into_bytes()), &settings, |_| ()).await?;
    let draft = Draft {
        name: CAMPAIGN.to_owned(),
        list: list.id,
        from_name: "Fernhill Garden".to_owned(),
        from: "news@fernhill.test".parse()?,
        reply_to: None,
        subject: "{{ first_name }}, the bulbs are in".to_owned(),
        html: HTML.to_owned(),
        text: String::new(),
        postal_address: "Fernhill Garden, 1 Garden Row, Fernhill".to_owned(),
        defaults: Fields::from([("first_name".to_owned(), "Gardener".to_owned())]),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    Ok(campaigns::create(&parts.db, &draft, now).await?)
}

const HTML: &str = "<!doctype html>
<html lang=\"en\"><body>
<h1>The bulbs are in, {{ first_name }}</h1>
<p>Tulips, crocuses and snowdrops came this week. Plant them before the first frost.</p>
<p><a href=\"https://fernhill.test/bulbs\">See all 40 kinds</a></p>
</body></html>
";
