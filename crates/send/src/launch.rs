//! A person's orders to a campaign: launch, at once or at a time; pause, resume, cancel.

use crate::Sender;
use crate::check::{Checked, Finding, Progress};
use crate::links::links_of;
use chrono::{DateTime, Utc};
use rebound_contacts::feedback;
use rebound_db::{Pool, Transaction, bounces, campaigns, clicks, events, incidents, wake};
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
    #[error("{}", .0.iter().map(Finding::words).collect::<Vec<_>>().join("\n"))]
    Findings(Vec<Finding>),
    /// Somebody wrote on it while it was checked.
    #[error("it was changed while it was checked; look at it again, and launch it as it is now")]
    Changed,
    /// The time for it has passed already.
    #[error("that time is over; choose one that is to come")]
    Past,
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// Launches a campaign: makes its letter for everybody, stores the cut-off and returns; the worker plans and sends.
/// Launching again what was launched changes nothing.
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
    let checked = Checked::gate(db, &campaign, sender, &Progress::default(), now).await?;
    launch_checked(db, &campaign, &checked, actor, now).await
}

/// Launches a campaign that was checked; [`launch`] checks it first.
///
/// # Errors
/// [`LaunchError::Findings`] when something must be mended first, [`LaunchError::Changed`] when another letter was checked.
pub async fn launch_checked(
    db: &Pool,
    campaign: &Campaign,
    checked: &Checked,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    if campaign.launched.is_some() {
        return Ok(());
    }
    let people = checked.pass(campaign)?;
    // It was made already to look at it.
    let links = links_of(&campaign.draft).unwrap_or_default();
    let tx = db.begin().await?;
    follow_as_checked(&tx, campaign, CampaignAct::Launch, actor, now).await?;
    campaigns::expect(&tx, campaign.id, people).await?;
    campaigns::schedule(&tx, campaign.id, None).await?;
    clicks::keep_links(&tx, campaign.id, &links).await?;
    tx.commit().await?;
    Ok(())
}

/// Has a campaign that was checked launched at `at`; a campaign that is scheduled already is put off or brought forward.
///
/// # Errors
/// [`LaunchError::Findings`] when something must be mended first, [`LaunchError::Past`].
pub async fn schedule(
    db: &Pool,
    campaign: &Campaign,
    at: DateTime<Utc>,
    checked: &Checked,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    campaign.state.after(CampaignAct::Schedule)?;
    if at <= now {
        return Err(LaunchError::Past);
    }
    checked.pass(campaign)?;
    let tx = db.begin().await?;
    follow_as_checked(&tx, campaign, CampaignAct::Schedule, actor, now).await?;
    campaigns::schedule(&tx, campaign.id, Some(at)).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes a scheduled campaign back, to be written on.
///
/// # Errors
/// [`LaunchError`]
pub async fn unschedule(db: &Pool, id: CampaignId, actor: &str, now: DateTime<Utc>) -> Result<(), LaunchError> {
    let campaign = campaigns::get(db, id).await?.ok_or(LaunchError::Unknown)?;
    take_back(db, &campaign, None, actor, now).await
}

/// Makes a draft of a scheduled campaign again; `reason` is shown on its page.
pub(crate) async fn take_back(
    db: &Pool,
    campaign: &Campaign,
    reason: Option<&str>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    let tx = db.begin().await?;
    campaigns::schedule(&tx, campaign.id, None).await?;
    follow(&tx, campaign, CampaignAct::Unschedule, reason, actor, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Follows an order to what was checked. Once it is followed nobody writes on it any more; what is written otherwise than
/// when it was read, or is to go at another time, is refused.
async fn follow_as_checked(
    tx: &Transaction,
    checked: &Campaign,
    act: CampaignAct,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    follow(tx, checked, act, None, actor, now).await?;
    let is = campaigns::get(tx, checked.id).await?.ok_or(LaunchError::Unknown)?;
    if (&is.draft, is.scheduled) == (&checked.draft, checked.scheduled) { Ok(()) } else { Err(LaunchError::Changed) }
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
    let tx = db.begin().await?;
    // Whoever records bounces may be about to pause it for a burst: one of both is first.
    bounces::one_at_a_time(&tx).await?;
    let campaign = campaigns::get(&tx, id).await?.ok_or(LaunchError::Unknown)?;
    follow(&tx, &campaign, CampaignAct::Resume, None, actor, now).await?;
    campaigns::trust_from(&tx, id, now).await?;
    for ((campaign, _), incident) in incidents::open_bursts(&tx).await? {
        if campaign == id {
            feedback::close(&tx, incident, actor, now).await?;
        }
    }
    Ok(tx.commit().await?)
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
    let tx = db.begin().await?;
    follow(&tx, campaign, act, None, actor, now).await?;
    if act == CampaignAct::Cancel {
        campaigns::cancel_open(&tx, campaign.id).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Moves a campaign and notes who asked for it.
async fn follow(
    tx: &Transaction,
    campaign: &Campaign,
    act: CampaignAct,
    reason: Option<&str>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), LaunchError> {
    let to = campaign.state.after(act)?;
    if !campaigns::set_state(tx, campaign.id, campaign.state, to, reason, now).await? {
        // Somebody was faster; what they made of it is what the person will see.
        return Err(NotNow { act, state: campaign.state }.into());
    }
    let kind = format!("campaign.{}", to.as_str());
    let event = events::Event {
        at: now,
        kind: &kind,
        actor,
        subject: "campaign",
        subject_id: Some(campaign.id.0),
        key: None,
        detail: reason.unwrap_or_default().to_owned(),
    };
    events::add(tx, &event).await?;
    if to == CampaignState::Planning {
        wake::call(tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_db::lists;
    use rebound_domain::{DoubtPolicy, Draft, Fields};

    #[tokio::test]
    async fn what_was_changed_while_it_was_checked_does_not_go() {
        let folder = tempfile::tempdir().unwrap();
        let (db, now) = (rebound_db::temporary(folder.path()).await.unwrap(), Utc::now());
        let draft = Draft {
            name: "Spring".into(),
            list: lists::ensure(&db, "Newsletter", now).await.unwrap().id,
            from_name: "Fernhill".into(),
            from: "news@fernhill.test".parse().unwrap(),
            reply_to: None,
            subject: "Spring".into(),
            html: "<p>Hello</p>".into(),
            text: String::new(),
            postal_address: "1 Garden Row".into(),
            defaults: Fields::default(),
            doubt: DoubtPolicy::Resend,
            counts_clicks: false,
        };
        let id = campaigns::create(&db, &draft, now).await.unwrap();
        let checked = campaigns::get(&db, id).await.unwrap().unwrap();
        let order = async || {
            let tx = db.begin().await.unwrap();
            follow_as_checked(&tx, &checked, CampaignAct::Launch, "ines", now).await
        };
        order().await.unwrap();
        let without = Draft { postal_address: String::new(), ..draft };
        assert!(campaigns::update(&db, id, &without).await.unwrap());
        assert!(matches!(order().await, Err(LaunchError::Changed)));
    }
}
