//! Launches scheduled campaigns at their time. The letter is made for everybody a while before: to a million that takes
//! seconds, and the first is to leave at its time.

use crate::check::{Checked, Finding, Progress};
use crate::launch::{launch_checked, take_back};
use crate::{LaunchError, Sender};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::{Pool, campaigns};
use rebound_domain::{Campaign, CampaignId, NotNow};
use std::collections::HashMap;

/// How long before its time a campaign is looked at.
const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// What the audit log calls the worker.
const SELF: &str = "rebound";

/// The campaigns whose time is about to come, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Scheduled(HashMap<CampaignId, Checked>);

impl Scheduled {
    /// Launches those whose time has come; whether there were any. One that cannot go any more is a draft again, and
    /// says why.
    pub(crate) async fn look(
        &mut self,
        db: &Pool,
        sender: &Sender,
        now: impl Fn() -> DateTime<Utc>,
    ) -> Result<bool, LaunchError> {
        let looked = now();
        let soon = campaigns::due(db, looked + AHEAD).await?;
        self.0.retain(|id, _| soon.iter().any(|campaign| campaign.id == *id));
        let is_due = |campaign: &&Campaign| campaign.scheduled.is_some_and(|at| at <= looked);
        for campaign in soon.iter().filter(is_due) {
            let now = now();
            match self.launch(db, campaign, sender, now).await {
                // Another worker, or a person, was faster.
                Ok(()) | Err(LaunchError::NotNow(_) | LaunchError::Changed) => {}
                Err(LaunchError::Findings(findings)) => give_back(db, campaign, &findings, now).await?,
                Err(error) => return Err(error),
            }
        }
        // One at a time: another's time may come meanwhile.
        if let Some(next) =
            soon.iter().find(|one| !is_due(one) && !self.0.get(&one.id).is_some_and(|kept| kept.is_about(one)))
        {
            let checked = Checked::gate(db, next, sender, &Progress::default(), now()).await?;
            self.0.insert(next.id, checked);
        }
        Ok(soon.iter().any(|campaign| is_due(&campaign)))
    }

    async fn launch(
        &mut self,
        db: &Pool,
        campaign: &Campaign,
        sender: &Sender,
        now: DateTime<Utc>,
    ) -> Result<(), LaunchError> {
        let checked = match self.0.remove(&campaign.id).filter(|kept| kept.known().can_go()) {
            Some(kept) if kept.holds(db, campaign).await? => kept,
            // What stood in its way may be mended by now.
            _ => Checked::gate(db, campaign, sender, &Progress::default(), now).await?,
        };
        launch_checked(db, campaign, &checked, SELF, now).await
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
        Ok(()) | Err(LaunchError::NotNow(NotNow { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SubsecRound;
    use rebound_db::{contacts, lists, subscriptions};
    use rebound_domain::{CampaignState, ContactId, DoubtPolicy, Draft, EmailAddress, Fields, Keys, ListId};

    /// One reader, and a campaign for a minute from now that greets by name.
    async fn installation(now: DateTime<Utc>) -> (Pool, Sender, CampaignId, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let sender = Sender {
            keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
            return_domain: "bounce.fernhill.example".into(),
            public_url: "https://mail.fernhill.example".into(),
        };
        let before = now - TimeDelta::hours(1);
        let list = lists::ensure(&db, "News", before).await.unwrap().id;
        join(&db, list, "ada@orchard.example", Fields::from([("name".into(), "Ada".into())]), before).await;
        let draft = Draft {
            name: "Spring".into(),
            list,
            from_name: "Fernhill".into(),
            from: "news@fernhill.example".parse().unwrap(),
            reply_to: None,
            subject: "Spring, {{ name }}".into(),
            html: "<p>Hello</p>".into(),
            text: String::new(),
            postal_address: "1 Garden Row".into(),
            defaults: Fields::default(),
            doubt: DoubtPolicy::Resend,
            counts_clicks: false,
        };
        let id = campaigns::create(&db, &draft, now).await.unwrap();
        let campaign = campaigns::get(&db, id).await.unwrap().unwrap();
        let checked = Checked::gate(&db, &campaign, &sender, &Progress::default(), before).await.unwrap();
        crate::schedule(&db, &campaign, now + TimeDelta::seconds(50), &checked, "ines", now).await.unwrap();
        (db, sender, id, folder)
    }

    async fn join(db: &Pool, list: ListId, address: &str, fields: Fields, since: DateTime<Utc>) {
        let address: EmailAddress = address.parse().unwrap();
        contacts::add(db, &[(address.clone(), fields)], since).await.unwrap();
        subscriptions::confirm_all(db, list, &[address.key()], "a test", since).await.unwrap();
    }

    #[tokio::test]
    async fn the_letter_is_made_before_the_time() {
        let now = Utc::now();
        let (db, sender, id, _folder) = installation(now).await;
        let mut scheduled = Scheduled::default();
        assert!(!scheduled.look(&db, &sender, || now).await.unwrap());
        assert!(scheduled.0.contains_key(&id), "it was made for everybody");

        // Were it made again, it would find that she has no name.
        contacts::set_fields(&db, &[(ContactId(1), Fields::new())]).await.unwrap();
        let later = now + TimeDelta::seconds(50);
        assert!(scheduled.look(&db, &sender, || later).await.unwrap());
        let campaign = campaigns::get(&db, id).await.unwrap().unwrap();
        assert_eq!((campaign.state, campaign.launched), (CampaignState::Planning, Some(later.trunc_subsecs(3))));
    }

    #[tokio::test]
    async fn it_is_made_again_where_somebody_came_meanwhile() {
        let now = Utc::now();
        let (db, sender, id, _folder) = installation(now).await;
        let mut scheduled = Scheduled::default();
        assert!(!scheduled.look(&db, &sender, || now).await.unwrap());

        join(&db, ListId(1), "nameless@orchard.example", Fields::new(), now + TimeDelta::seconds(5)).await;
        assert!(scheduled.look(&db, &sender, || now + TimeDelta::seconds(50)).await.unwrap());
        let campaign = campaigns::get(&db, id).await.unwrap().unwrap();
        let reason = campaign.reason.unwrap_or_default();
        assert_eq!(campaign.state, CampaignState::Draft);
        assert!(reason.contains("nameless@orchard.example"), "{reason}");
    }

    #[tokio::test]
    async fn what_stood_in_its_way_may_be_mended_until_its_time() {
        let now = Utc::now();
        let (db, sender, id, _folder) = installation(now).await;
        contacts::set_fields(&db, &[(ContactId(1), Fields::new())]).await.unwrap();
        let mut scheduled = Scheduled::default();
        assert!(!scheduled.look(&db, &sender, || now).await.unwrap());
        assert!(!scheduled.0[&id].known().can_go());

        contacts::set_fields(&db, &[(ContactId(1), Fields::from([("name".into(), "Ada".into())]))]).await.unwrap();
        assert!(scheduled.look(&db, &sender, || now + TimeDelta::seconds(50)).await.unwrap());
        let campaign = campaigns::get(&db, id).await.unwrap().unwrap();
        assert_eq!(campaign.state, CampaignState::Planning);
    }
}
