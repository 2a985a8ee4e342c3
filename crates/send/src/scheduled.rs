//! Launches scheduled campaigns at their time. The letter is made for everybody a while before: to a million that takes
//! seconds, and the first is to leave at its time.

use crate::check::{Checked, Finding, Progress};
use crate::launch::{Cleared, take_back};
use crate::{LaunchError, Sender};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::{Error, Pool, campaigns};
use rebound_domain::{Campaign, CampaignId};
use std::collections::HashMap;
use tokio::task::JoinSet;

/// How long before its time a campaign is looked at.
const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// What the audit log calls the worker.
const SELF: &str = "rebound";

/// The campaigns whose time is about to come.
#[derive(Debug, Default)]
pub(crate) struct Scheduled {
    /// What came of looking at them ahead; nothing where the database did not answer.
    kept: HashMap<CampaignId, Ahead>,
    /// The one that is being looked at. Meanwhile others have their time.
    looking: JoinSet<Result<Checked, Error>>,
    looked_at: Option<Campaign>,
}

/// A campaign as it was looked at, and what came of it.
#[derive(Debug)]
struct Ahead(Campaign, Option<Checked>);

impl Scheduled {
    /// Launches those whose time has come; whether there were any. One that cannot go any more is a draft again, and
    /// says why.
    pub(crate) async fn look(&mut self, db: &Pool, sender: &Sender, now: DateTime<Utc>) -> Result<bool, LaunchError> {
        self.keep();
        let soon = campaigns::due(db, now + AHEAD).await?;
        self.kept.retain(|id, _| soon.iter().any(|campaign| campaign.id == *id));
        let (due, ahead): (Vec<Campaign>, Vec<Campaign>) =
            soon.into_iter().partition(|campaign| campaign.scheduled.is_some_and(|at| at <= now));
        let mut any = false;
        for campaign in &due {
            // It is as good as looked at: that is not done twice at once.
            if self.looked_at.as_ref().is_some_and(|one| one.says_as(campaign)) {
                continue;
            }
            any = true;
            let kept = self.kept.get(&campaign.id).and_then(|Ahead(_, checked)| checked.as_ref());
            // What keeps one of them keeps no other.
            if let Err(error) = launch(db, campaign, kept, sender, now).await {
                tracing::error!(%error, campaign = campaign.id.0, "a scheduled campaign waits, and is tried again");
            }
        }
        if self.looked_at.is_none()
            && let Some(next) = ahead
                .into_iter()
                .find(|one| one.resend.is_none() && !self.kept.get(&one.id).is_some_and(|kept| kept.0.says_as(one)))
        {
            self.looked_at = Some(next.clone());
            let (db, sender) = (db.clone(), sender.clone());
            self.looking.spawn(async move { Checked::everybody(&db, &next, &sender, &Progress::default(), now).await });
        }
        Ok(any)
    }

    /// Keeps what came of looking ahead, once that is over.
    fn keep(&mut self) {
        let Some(over) = self.looking.try_join_next() else { return };
        let Some(campaign) = self.looked_at.take() else { return };
        let checked = match over {
            Ok(checked) => checked
                .inspect_err(|error| tracing::error!(%error, "a scheduled campaign could not be looked at ahead"))
                .ok(),
            Err(_) => None,
        };
        self.kept.insert(campaign.id, Ahead(campaign, checked));
    }
}

async fn launch(
    db: &Pool,
    campaign: &Campaign,
    kept: Option<&Checked>,
    sender: &Sender,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    let launched =
        async { Cleared::new(db, campaign, kept, sender, &Progress::default(), now).await?.launch(db, SELF).await };
    match launched.await {
        // Another worker, or a person, was faster.
        Ok(()) | Err(LaunchError::NotNow(_) | LaunchError::Changed) => Ok(()),
        Err(LaunchError::Findings(findings)) => give_back(db, campaign, &findings, now).await,
        Err(error) => Err(error),
    }
}

async fn give_back(
    db: &Pool,
    campaign: &Campaign,
    findings: &[Finding],
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    let words: Vec<String> = findings.iter().map(Finding::words).collect();
    let reason = format!("It could not go at its time. {}", words.join(" "));
    match take_back(db, campaign, Some(&reason), SELF, now).await {
        Ok(()) | Err(LaunchError::NotNow(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::tests::House;
    use chrono::SubsecRound;
    use rebound_db::contacts;
    use rebound_domain::{CampaignState, ContactId, Draft, Fields};

    /// One reader, and a campaign for a minute from now.
    async fn house() -> House {
        let house = House::new().await;
        house.cleared(None, 0).await.unwrap().schedule(&house.db, at(&house), "ines").await.unwrap();
        house
    }

    fn at(house: &House) -> DateTime<Utc> {
        house.now + TimeDelta::seconds(50)
    }

    /// The only reader's name, which the letter greets by; none where it is `None`.
    async fn name(house: &House, name: Option<&str>) {
        let fields: Fields = name.map(|name| ("name".into(), name.into())).into_iter().collect();
        contacts::set_fields(&house.db, &[(ContactId(1), fields)]).await.unwrap();
    }

    /// Who has looked at the campaign ahead.
    async fn looked_ahead(house: &House) -> Scheduled {
        let mut scheduled = Scheduled::default();
        while scheduled.kept.is_empty() {
            assert!(!scheduled.look(&house.db, &house.sender, house.now).await.unwrap());
            tokio::task::yield_now().await;
        }
        scheduled
    }

    #[tokio::test]
    async fn the_letter_is_made_before_the_time() {
        let house = house().await;
        let mut scheduled = looked_ahead(&house).await;
        // Were it made again, it would find that she has no name.
        name(&house, None).await;
        assert!(scheduled.look(&house.db, &house.sender, at(&house)).await.unwrap());
        let campaign = house.campaign().await;
        assert_eq!((campaign.state, campaign.launched), (CampaignState::Planning, Some(at(&house).trunc_subsecs(3))));
    }

    #[tokio::test]
    async fn it_is_made_for_who_came_meanwhile() {
        let house = house().await;
        let mut scheduled = looked_ahead(&house).await;
        house.join("nameless@orchard.test", "", house.now + TimeDelta::seconds(5)).await;
        assert!(scheduled.look(&house.db, &house.sender, at(&house)).await.unwrap());
        let campaign = house.campaign().await;
        let reason = campaign.reason.unwrap_or_default();
        assert_eq!(campaign.state, CampaignState::Draft);
        assert!(reason.contains("nameless@orchard.test"), "{reason}");
    }

    #[tokio::test]
    async fn another_has_its_time_while_one_is_looked_at() {
        let house = house().await;
        let first = house.campaign().await;
        let other = Draft { name: "Summer".into(), ..first.draft.clone() };
        let other = campaigns::create(&house.db, &other, house.now).await.unwrap();
        campaigns::set_state(&house.db, other, CampaignState::Draft, CampaignState::Scheduled, None, house.now)
            .await
            .unwrap();
        let soon = house.now + TimeDelta::seconds(3);
        campaigns::schedule(&house.db, other, Some(soon)).await.unwrap();

        let mut scheduled = Scheduled { looked_at: Some(first), ..Scheduled::default() };
        scheduled.looking.spawn(std::future::pending());
        assert!(scheduled.look(&house.db, &house.sender, soon).await.unwrap());
        let other = campaigns::get(&house.db, other).await.unwrap().unwrap();
        assert_eq!((other.state, house.campaign().await.state), (CampaignState::Planning, CampaignState::Scheduled));
    }

    #[tokio::test]
    async fn what_stood_in_its_way_may_be_mended_until_its_time() {
        let house = house().await;
        name(&house, None).await;
        let mut scheduled = looked_ahead(&house).await;
        assert!(!scheduled.kept[&house.id].1.as_ref().unwrap().known().can_go());
        name(&house, Some("Ada")).await;
        assert!(scheduled.look(&house.db, &house.sender, at(&house)).await.unwrap());
        assert_eq!(house.campaign().await.state, CampaignState::Planning);
    }
}
