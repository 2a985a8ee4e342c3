//! A campaign that was looked at with a letter made for everybody: what it takes to launch it.

use super::{Depth, Preflight, Progress, of_audience, preflight};
use crate::Sender;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::{Audience, Error, Pool, jobs};
use rebound_domain::Campaign;

/// Who joined so shortly before may not have been there yet when the list was read.
const ON_THE_WAY: TimeDelta = TimeDelta::seconds(10);

/// What came of making a campaign's letter for everybody. For a million that takes seconds, so it can be kept until a
/// person launches it.
#[derive(Clone, Debug)]
pub struct Checked {
    campaign: Campaign,
    known: Preflight,
    at: DateTime<Utc>,
}

impl Checked {
    /// What is known of `campaign`, with a letter made for everybody.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn everybody(
        db: &Pool,
        campaign: &Campaign,
        sender: &Sender,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let known = preflight(db, campaign, sender, Depth::Everybody(progress), now).await?;
        Ok(Self { campaign: campaign.clone(), known, at: now })
    }

    /// What is known.
    #[must_use]
    pub fn known(&self) -> &Preflight {
        &self.known
    }

    /// Whether the letter need not be made again for those it was made for: it is the same, and no import or other long work
    /// ran since.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn holds(&self, db: &Pool, campaign: &Campaign) -> Result<bool, Error> {
        Ok(self.campaign.says_as(campaign) && Self::may_hold(db, campaign, self.at).await?)
    }

    /// Whether what is found of `campaign` after `since` may be kept: no import or other long work ran since. Of a resend
    /// nobody knows, as each bounce may add somebody.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn may_hold(db: &Pool, campaign: &Campaign, since: DateTime<Utc>) -> Result<bool, Error> {
        Ok(campaign.resend.is_none() && !jobs::worked_since(db, since).await?)
    }

    /// What may stop it by now: the letter is made for those who joined the list since.
    pub(crate) async fn since(&self, db: &Pool, sender: &Sender, now: DateTime<Utc>) -> Result<Preflight, Error> {
        let newcomers = Audience { joined: Some(self.at - ON_THE_WAY), ..Audience::of(&self.campaign) };
        of_audience(db, &self.campaign, newcomers, sender, Depth::Gate(&Progress::default()), now).await
    }
}
