//! A person's orders to a campaign: launch, at once or at a time; pause, resume, cancel.

use crate::Sender;
use crate::check::{Checked, Depth, Finding, Preflight, Progress, preflight};
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

/// A campaign that may go as it stands: its letter was made for everybody, and nothing stops it.
#[derive(Clone, Debug)]
pub struct Cleared {
    campaign: Campaign,
    /// About how many it goes to.
    people: i64,
    /// Who came later is not written to: for them it was not made.
    at: DateTime<Utc>,
}

impl Cleared {
    /// Makes the letter of `campaign` for everybody. Where that was done a while ago and `kept`, as far as it holds, only for
    /// those who came since.
    ///
    /// # Errors
    /// [`LaunchError::Findings`] when something must be mended first.
    pub async fn new(
        db: &Pool,
        campaign: &Campaign,
        kept: Option<&Checked>,
        sender: &Sender,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Self, LaunchError> {
        campaign.state.after(CampaignAct::Launch)?;
        let people = match kept {
            // What stood in its way may be mended by now.
            Some(kept) if kept.known().can_go() && kept.holds(db, campaign).await? => {
                kept.known().people + pass(&kept.since(db, sender, now).await?)?
            }
            _ => pass(&preflight(db, campaign, sender, Depth::Gate(progress), now).await?)?,
        };
        Ok(Self { campaign: campaign.clone(), people, at: now })
    }

    /// Launches it: stores the cut-off and returns; the worker plans and sends. Launching again what was launched changes
    /// nothing.
    ///
    /// # Errors
    /// [`LaunchError::NotNow`], [`LaunchError::Changed`] when somebody wrote on it since.
    pub async fn launch(&self, db: &Pool, actor: &str) -> Result<(), LaunchError> {
        let id = self.campaign.id;
        match self.follow(db, CampaignAct::Launch, None, actor).await {
            Err(LaunchError::NotNow(_)) if is_launched(db, id).await? => Ok(()),
            other => other,
        }
    }

    /// Has it launched at `at`; a campaign that is scheduled already is put off or brought forward.
    ///
    /// # Errors
    /// [`LaunchError::NotNow`], [`LaunchError::Changed`] when somebody wrote on it since, [`LaunchError::Past`].
    pub async fn schedule(&self, db: &Pool, at: DateTime<Utc>, actor: &str) -> Result<(), LaunchError> {
        if at <= self.at {
            return Err(LaunchError::Past);
        }
        self.follow(db, CampaignAct::Schedule, Some(at), actor).await
    }

    async fn follow(
        &self,
        db: &Pool,
        act: CampaignAct,
        scheduled: Option<DateTime<Utc>>,
        actor: &str,
    ) -> Result<(), LaunchError> {
        let id = self.campaign.id;
        let tx = db.begin().await?;
        follow_as_checked(&tx, &self.campaign, act, actor, self.at).await?;
        campaigns::schedule(&tx, id, scheduled).await?;
        if act == CampaignAct::Launch {
            campaigns::expect(&tx, id, self.people).await?;
            // It was made already to look at it.
            clicks::keep_links(&tx, id, &links_of(&self.campaign.draft).unwrap_or_default()).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Launches a campaign; [`Cleared`] says how. Launching again what was launched changes nothing.
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
    Cleared::new(db, &campaign, None, sender, &Progress::default(), now).await?.launch(db, actor).await
}

async fn is_launched(db: &Pool, id: CampaignId) -> Result<bool, LaunchError> {
    Ok(campaigns::get(db, id).await?.is_some_and(|campaign| campaign.launched.is_some()))
}

/// How many it goes to, when nothing stands in its way.
fn pass(known: &Preflight) -> Result<i64, LaunchError> {
    if known.can_go() {
        return Ok(known.people);
    }
    Err(LaunchError::Findings(known.findings.iter().filter(|finding| finding.stops()).cloned().collect()))
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
pub(crate) mod tests {
    use super::*;
    use chrono::TimeDelta;
    use rebound_db::{contacts, lists, subscriptions};
    use rebound_domain::{DoubtPolicy, Draft, EmailAddress, Fields, Keys, ListId};

    /// One reader, and a campaign that greets by name.
    pub(crate) struct House {
        pub(crate) db: Pool,
        pub(crate) sender: Sender,
        pub(crate) id: CampaignId,
        list: ListId,
        pub(crate) now: DateTime<Utc>,
        _folder: tempfile::TempDir,
    }

    impl House {
        pub(crate) async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (db, now) = (rebound_db::temporary(folder.path()).await.unwrap(), Utc::now());
            let list = lists::ensure(&db, "Newsletter", now).await.unwrap().id;
            let draft = Draft {
                name: "Spring".into(),
                list,
                from_name: "Fernhill".into(),
                from: "news@fernhill.test".parse().unwrap(),
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
            let sender = Sender {
                keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
                return_domain: "bounce.fernhill.test".into(),
                public_url: "https://mail.fernhill.test".into(),
            };
            let house = Self { db, sender, id, list, now, _folder: folder };
            house.join("ada@orchard.test", "Ada", now - TimeDelta::hours(1)).await;
            house
        }

        pub(crate) async fn join(&self, address: &str, name: &str, since: DateTime<Utc>) {
            let address: EmailAddress = address.parse().unwrap();
            let fields = Fields::from([("name".into(), name.into())]);
            contacts::add(&self.db, &[(address.clone(), fields)], since).await.unwrap();
            subscriptions::confirm_all(&self.db, self.list, &[address.key()], "a test", since).await.unwrap();
        }

        pub(crate) async fn campaign(&self) -> Campaign {
            campaigns::get(&self.db, self.id).await.unwrap().unwrap()
        }

        async fn checked(&self) -> Checked {
            let campaign = self.campaign().await;
            Checked::everybody(&self.db, &campaign, &self.sender, &Progress::default(), self.now).await.unwrap()
        }

        /// Cleared so many seconds from now.
        pub(crate) async fn cleared(&self, kept: Option<&Checked>, seconds: i64) -> Result<Cleared, LaunchError> {
            let (campaign, now) = (self.campaign().await, self.now + TimeDelta::seconds(seconds));
            Cleared::new(&self.db, &campaign, kept, &self.sender, &Progress::default(), now).await
        }
    }

    #[tokio::test]
    async fn what_was_changed_while_it_was_checked_does_not_go() {
        let house = House::new().await;
        let cleared = house.cleared(None, 0).await.unwrap();
        let draft = house.campaign().await.draft;
        let without = Draft { postal_address: String::new(), ..draft.clone() };
        assert!(campaigns::update(&house.db, house.id, &without).await.unwrap());
        assert!(matches!(cleared.launch(&house.db, "ines").await, Err(LaunchError::Changed)));
        assert!(campaigns::update(&house.db, house.id, &draft).await.unwrap());
        cleared.launch(&house.db, "ines").await.unwrap();
        cleared.launch(&house.db, "ines").await.unwrap();
        let campaign = house.campaign().await;
        assert_eq!((campaign.state, campaign.expected), (CampaignState::Planning, 1));
    }

    #[tokio::test]
    async fn what_was_taken_back_or_put_off_while_it_was_checked_does_not_go() {
        let house = House::new().await;
        let (soon, later) = (house.now + TimeDelta::days(1), house.now + TimeDelta::days(2));
        house.cleared(None, 0).await.unwrap().schedule(&house.db, soon, "ines").await.unwrap();
        let cleared = house.cleared(None, 1).await.unwrap();
        house.cleared(None, 1).await.unwrap().schedule(&house.db, later, "ben").await.unwrap();
        assert!(matches!(cleared.launch(&house.db, "ines").await, Err(LaunchError::Changed)));
        let cleared = house.cleared(None, 2).await.unwrap();
        unschedule(&house.db, house.id, "ben", house.now).await.unwrap();
        assert!(matches!(cleared.launch(&house.db, "ines").await, Err(LaunchError::NotNow(_))));
        assert_eq!(house.campaign().await.state, CampaignState::Draft);
    }

    #[tokio::test]
    async fn for_whom_the_letter_was_made_it_is_not_made_again() {
        let house = House::new().await;
        let checked = house.checked().await;
        // Made again, it would lack her name.
        contacts::set_fields(&house.db, &[(rebound_domain::ContactId(1), Fields::new())]).await.unwrap();
        assert!(matches!(house.cleared(None, 9).await, Err(LaunchError::Findings(_))));
        assert_eq!(house.cleared(Some(&checked), 9).await.unwrap().people, 1);

        house.join("bea@orchard.test", "Bea", house.now + TimeDelta::seconds(5)).await;
        let cleared = house.cleared(Some(&checked), 9).await.unwrap();
        assert_eq!((cleared.people, cleared.at), (2, house.now + TimeDelta::seconds(9)));

        house.join("nameless@orchard.test", "", house.now + TimeDelta::seconds(6)).await;
        let refused = house.cleared(Some(&checked), 9).await;
        let Err(LaunchError::Findings(findings)) = refused else { panic!("{refused:?}") };
        assert_eq!(
            findings.iter().flat_map(|finding| &finding.contacts).collect::<Vec<_>>(),
            ["nameless@orchard.test"]
        );
    }

    #[tokio::test]
    async fn what_was_known_of_another_letter_or_before_an_import_counts_no_more() {
        let house = House::new().await;
        let checked = house.checked().await;
        let campaign = house.campaign().await;
        assert!(checked.holds(&house.db, &campaign).await.unwrap());
        let mut other = campaign.clone();
        other.draft.subject = "Summer".into();
        assert!(!checked.holds(&house.db, &other).await.unwrap());
        let import = rebound_db::jobs::NewJob {
            kind: rebound_db::jobs::JobKind::Import,
            subject: 1,
            state: rebound_db::jobs::JobState::Waiting,
            total: 0,
            settings: "{}",
            actor: "ines",
        };
        rebound_db::jobs::add(&house.db, &import, house.now).await.unwrap();
        assert!(!checked.holds(&house.db, &campaign).await.unwrap());
    }
}
