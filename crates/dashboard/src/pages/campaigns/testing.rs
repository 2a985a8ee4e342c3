//! `/campaigns/{id}/test`: the message to addresses of the author's.

use super::found;
use super::preview::reader;
use crate::App;
use crate::error::PageError;
use crate::session::{Launch, Submitted};
use axum::extract::{Path, State};
use axum::response::Redirect;
use rebound_domain::{CampaignState, EmailAddress};
use rebound_send::{Egress, TestError, servers, test_send};
use serde::Deserialize;

/// Addresses of one test at most.
const MOST: usize = 5;

#[derive(Deserialize)]
pub(crate) struct Test {
    #[serde(default)]
    to: String,
    #[serde(default, rename = "as")]
    whom: Option<i64>,
}

pub(crate) async fn test(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Launch, Test>,
) -> Result<Redirect, PageError> {
    let campaign = found(&app.db, id).await?;
    if !matches!(campaign.state, CampaignState::Draft | CampaignState::Scheduled) {
        return Err(PageError::NotNow("only a campaign that has not gone yet is tested".into()));
    }
    let to = addresses(&form.to).map_err(PageError::NotNow)?;
    let now = app.now();
    let whom = reader(&app.db, &campaign, form.whom, now).await?;
    let egress = egress(&app).await?;
    test_send(&app.db, (&egress, &app.sender), &campaign, &whom, &to, by.actor(), now).await?;
    Ok(Redirect::to(&format!("/campaigns/{id}?as={}#test", whom.id)))
}

/// The first of the ways that campaigns go.
async fn egress(app: &App) -> Result<Egress, PageError> {
    if let Some(egress) = &app.installation.egress {
        return Ok(egress.clone());
    }
    let ways = servers::in_use(&app.db, &app.sender.keys, &app.installation.direct).await;
    let none = "there is no sending server yet; an admin adds one under Sending servers";
    let first = ways.map_err(|error| PageError::Broken(Box::new(error)))?.into_iter().next();
    first.ok_or_else(|| PageError::NotNow(none.into()))
}

fn addresses(text: &str) -> Result<Vec<EmailAddress>, String> {
    let parts = text.split([',', ';', ' ', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty());
    let parse = |part: &str| part.parse::<EmailAddress>().map_err(|_| format!("“{part}” is not an address"));
    let mut to = parts.map(parse).collect::<Result<Vec<_>, _>>()?;
    to.dedup();
    match to.len() {
        0 => Err("a test needs an address to go to".to_owned()),
        1..=MOST => Ok(to),
        _ => Err(format!("a test goes to {MOST} addresses at most")),
    }
}

impl From<TestError> for PageError {
    fn from(error: TestError) -> Self {
        match error {
            TestError::Database(error) => error.into(),
            TestError::Relay(why) => Self::NotNow(why.to_string().trim_end_matches('.').to_owned()),
            other => Self::NotNow(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn a_test_goes_to_a_few_addresses() {
        assert_eq!(addresses("ada@orchard.test, mira@orchard.test").unwrap().len(), 2);
        for wrong in ["", "ada", "a@b.test b@b.test c@b.test d@b.test e@b.test f@b.test"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }
}
