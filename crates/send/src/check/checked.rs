//! A campaign that was looked at with a letter made for everybody: what it takes to launch it.

use super::{Depth, Preflight, Progress, of_audience, preflight};
use crate::Sender;
use chrono::{DateTime, Utc};
use rebound_db::{Audience, Error, Pool, jobs};
use rebound_domain::Campaign;

/// What came of making a campaign's letter for everybody. For a million that takes seconds, so it can be kept until a
/// person launches it.
#[derive(Clone, Debug)]
pub struct Checked {
    campaign: Campaign,
    known: Preflight,
    at: DateTime<Utc>,
}

impl Checked {
    /// All that is known of `campaign`.
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

    /// Only what may stop it.
    pub(crate) async fn gate(
        db: &Pool,
        campaign: &Campaign,
        sender: &Sender,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let known = preflight(db, campaign, sender, Depth::Gate(progress), now).await?;
        Ok(Self { campaign: campaign.clone(), known, at: now })
    }

    /// What is known.
    #[must_use]
    pub fn known(&self) -> &Preflight {
        &self.known
    }

    /// Whether the letter need not be made again for those it was made for: it is the same, and no import or other long work
    /// ran since. Of a resend nobody knows, since each bounce may have added somebody.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn holds(&self, db: &Pool, campaign: &Campaign) -> Result<bool, Error> {
        let is_same = self.campaign.says_as(campaign) && campaign.resend.is_none();
        Ok(is_same && !jobs::worked_since(db, self.at).await?)
    }

    /// What may stop it by now: the letter is made for those who joined the list since.
    pub(crate) async fn since(&self, db: &Pool, sender: &Sender, now: DateTime<Utc>) -> Result<Preflight, Error> {
        let newcomers = Audience { joined: Some(self.at), ..Audience::of(&self.campaign) };
        of_audience(db, &self.campaign, newcomers, sender, Depth::Gate(&Progress::default()), now).await
    }
}
