//! A person's orders to a campaign: launch, pause, resume, cancel.

use crate::Sender;
use crate::check::{Finding, check};
use chrono::{DateTime, Utc};
use rebound_db::{Pool, campaigns, events, incidents};
use rebound_domain::{Campaign, CampaignAct, CampaignId, CampaignState, NotNow};

/// Why an order was not followed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    Unknown,
    /// It makes no sense in the campaign's state.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Something must be mended first.
    #[error("{}", .0.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("\n"))]
    Findings(Vec<Finding>),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// Launches a campaign: stores the cut-off and returns; the worker plans and sends. Launching again what was
/// launched changes nothing.
///
/// # Errors
/// [`LaunchError::Findings`] when something must be mended first.
pub async fn launch(
    db: &Pool,
    id: CampaignId,
    sender: &Sender,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    let campaign = campaigns::get(db, id).await?.ok_or(LaunchError::Unknown)?;
    if campaign.launched.is_some() {
        return Ok(());
    }
    let findings = check(db, &campaign.draft, sender, now).await?;
    if findings.iter().any(|finding| finding.stops) {
        return Err(LaunchError::Findings(findings.into_iter().filter(|finding| finding.stops).collect()));
    }
    order(db, &campaign, CampaignAct::Launch, actor, now).await
}

/// Stops a campaign for now.
///
/// # Errors
/// [`LaunchError`]
pub async fn pause(db: &Pool, id: CampaignId, actor: &str, now: DateTime<Utc>) -> Result<(), LaunchError> {
    let campaign = campaigns::get(db, id).await?.ok_or(LaunchError::Unknown)?;
    order(db, &campaign, CampaignAct::Pause, actor, now).await
}

/// Lets a campaign go on. Whoever resumes after a burst has seen it: its incident is over, and bursts are looked
/// for anew.
///
/// # Errors
/// [`LaunchError`]
pub async fn resume(db: &Pool, id: CampaignId, actor: &str, now: DateTime<Utc>) -> Result<(), LaunchError> {
    let campaign = campaigns::get(db, id).await?.ok_or(LaunchError::Unknown)?;
    campaign.state.after(CampaignAct::Resume)?;
    campaigns::trust_from(db, id, now).await?;
    for ((campaign, _), incident) in incidents::open_bursts(db).await? {
        if campaign == id {
            incidents::close(db, incident, now).await?;
        }
    }
    order(db, &campaign, CampaignAct::Resume, actor, now).await
}

/// Stops a campaign for good: what has not been handed over stays unsent.
///
/// # Errors
/// [`LaunchError`]
pub async fn cancel(db: &Pool, id: CampaignId, actor: &str, now: DateTime<Utc>) -> Result<(), LaunchError> {
    let campaign = campaigns::get(db, id).await?.ok_or(LaunchError::Unknown)?;
    order(db, &campaign, CampaignAct::Cancel, actor, now).await?;
    campaigns::cancel_open(db, id).await?;
    Ok(())
}

async fn order(
    db: &Pool,
    campaign: &Campaign,
    act: CampaignAct,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    let to = campaign.state.after(act)?;
    let tx = db.begin().await?;
    if !campaigns::set_state(&tx, campaign.id, campaign.state, to, None, now).await? {
        // Somebody was faster; what they made of it is what the person will see.
        return Err(NotNow { act, state: campaign.state }.into());
    }
    if act == CampaignAct::Cancel {
        campaigns::cancel_open(&tx, campaign.id).await?;
    }
    let kind = format!("campaign.{}", to.as_str());
    let event = events::Event {
        at: now,
        kind: &kind,
        actor,
        subject: "campaign",
        subject_id: Some(campaign.id.0),
        key: None,
        detail: String::new(),
    };
    events::add(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Plans the next chunk; `false` when the audience is through and sending has the rest.
pub(crate) async fn plan(db: &Pool, campaign: &Campaign, now: DateTime<Utc>) -> Result<bool, rebound_contacts::Error> {
    let tx = db.begin().await?;
    let planned = campaigns::plan(&tx, campaign, now).await?;
    if planned < campaigns::CHUNK {
        campaigns::set_state(&tx, campaign.id, CampaignState::Planning, CampaignState::Sending, None, now).await?;
    }
    tx.commit().await?;
    Ok(planned > 0)
}
