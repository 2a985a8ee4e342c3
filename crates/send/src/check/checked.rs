//! A campaign that was looked at with a letter made for everybody: what it takes to launch it.

use super::{Depth, Preflight, Progress, preflight};
use crate::{LaunchError, Sender};
use chrono::{DateTime, Utc};
use rebound_db::{Audience, Error, Pool, audience};
use rebound_domain::{Campaign, Draft, Resend};

/// What came of making a campaign's letter for everybody. For a million that takes seconds, so it can be kept until a
/// person launches it.
#[derive(Clone, Debug)]
pub struct Checked {
    draft: Draft,
    resend: Option<Resend>,
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
        Self::to(db, campaign, sender, Depth::Everybody(progress), now).await
    }

    /// Only what may stop it.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn gate(
        db: &Pool,
        campaign: &Campaign,
        sender: &Sender,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        Self::to(db, campaign, sender, Depth::Gate(progress), now).await
    }

    async fn to(
        db: &Pool,
        campaign: &Campaign,
        sender: &Sender,
        depth: Depth<'_>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let known = preflight(db, campaign, sender, depth, now).await?;
        Ok(Self { draft: campaign.draft.clone(), resend: campaign.resend, known, at: now })
    }

    /// What is known.
    #[must_use]
    pub fn known(&self) -> &Preflight {
        &self.known
    }

    /// Whether it is about `campaign` as it is written now.
    #[must_use]
    pub fn is_about(&self, campaign: &Campaign) -> bool {
        (&self.draft, self.resend) == (&campaign.draft, campaign.resend)
    }

    /// Whether the letter to everybody need not be made anew: it is the same, and nobody joined its list and no import
    /// ran since. Whose fields a person changes by hand meanwhile is tried when their own letter is made.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn holds(&self, db: &Pool, campaign: &Campaign) -> Result<bool, Error> {
        Ok(self.is_about(campaign) && !audience::grew_since(db, Audience::of(campaign), self.at).await?)
    }

    /// How many it goes to, when nothing stands in its way.
    pub(crate) fn pass(&self, campaign: &Campaign) -> Result<i64, LaunchError> {
        if !self.is_about(campaign) {
            return Err(LaunchError::Changed);
        }
        if self.known.can_go() {
            return Ok(self.known.people);
        }
        Err(LaunchError::Findings(self.known.findings.iter().filter(|finding| finding.stops()).cloned().collect()))
    }
}
