//! Campaigns' letters made for everybody before a launch: in the background, since for a million that takes seconds.

use crate::App;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rebound_db::Error;
use rebound_domain::{Campaign, CampaignId};
use rebound_send::{Checked, Preflight, Progress};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How often an answer is kept as long as it took: what is made in no time is made anew for whoever asks.
const PART: u32 = 20;

/// How long it is kept at most.
const LONGEST: Duration = Duration::from_secs(300);

/// How long it is kept where something must be mended: mending shows soon.
const BRIEFLY: Duration = Duration::from_secs(15);

/// So many are made at once; others wait. Mail that is being sent needs the processors, too.
const AT_ONCE: usize = 2;

/// What is known of campaigns, each with a letter made for everybody.
#[derive(Clone, Debug)]
pub struct FullChecks {
    all: Arc<Mutex<HashMap<CampaignId, FullCheck>>>,
    turns: Arc<Semaphore>,
}

/// A letter that is being made for everybody, or was lately.
#[derive(Clone, Debug)]
pub(crate) struct FullCheck {
    campaign: Campaign,
    /// What is known before all are made.
    sample: Preflight,
    progress: Arc<Progress>,
    outcome: Shared<BoxFuture<'static, Option<Arc<Outcome>>>>,
}

#[derive(Debug)]
struct Outcome {
    checked: Arc<Checked>,
    until: Instant,
}

impl Default for FullChecks {
    fn default() -> Self {
        Self { all: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl FullChecks {
    /// The check that is under way, or was over lately.
    pub(crate) fn get(&self, campaign: &Campaign) -> Option<FullCheck> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&campaign.id).filter(|one| one.is_about(campaign) && one.counts()).cloned()
    }

    /// Begins a check of a campaign, of which `sample` is known already.
    pub(crate) fn start(&self, app: &App, campaign: &Campaign, sample: Preflight) -> FullCheck {
        let one = FullCheck::start(app.clone(), campaign.clone(), sample, Arc::clone(&self.turns));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, one| one.counts());
        all.insert(campaign.id, one.clone());
        one
    }

    /// What a launch must know: the check that is under way is waited for, and one that was over lately is enough where
    /// nobody came since. Else the letter is made for everybody now.
    pub(crate) async fn for_launch(&self, app: &App, campaign: &Campaign) -> Result<Arc<Checked>, Error> {
        if let Some(one) = self.get(campaign)
            && let Some(outcome) = one.outcome.await
            && outcome.checked.holds(&app.db, campaign).await?
        {
            return Ok(Arc::clone(&outcome.checked));
        }
        let checked = Checked::gate(&app.db, campaign, &app.sender, &Progress::default(), app.now()).await?;
        Ok(Arc::new(checked))
    }
}

impl FullCheck {
    fn start(app: App, campaign: Campaign, sample: Preflight, turns: Arc<Semaphore>) -> Self {
        let progress = Arc::new(Progress::default());
        let (of, made) = (campaign.clone(), Arc::clone(&progress));
        let check = async move {
            let _turn = turns.acquire().await.ok()?;
            let begun = Instant::now();
            let checked = Checked::everybody(&app.db, &of, &app.sender, &made, app.now()).await;
            let checked = checked
                .inspect_err(
                    |error| tracing::error!(%error, campaign = of.id.0, "the letter was not made for everybody"),
                )
                .ok()?;
            let longest = if checked.known().can_go() { LONGEST } else { BRIEFLY };
            let until = Instant::now() + (begun.elapsed() * PART).min(longest);
            Some(Arc::new(Outcome { checked: Arc::new(checked), until }))
        };
        let outcome = check.boxed().shared();
        tokio::spawn(outcome.clone());
        Self { campaign, sample, progress, outcome }
    }

    /// Waits until it is over, for `patience` at most.
    pub(crate) async fn wait(&self, patience: Duration) {
        // Whether it is over is asked for afterwards.
        let _ = timeout(patience, self.outcome.clone()).await;
    }

    /// What is known so far.
    pub(crate) fn known(&self) -> Preflight {
        match self.outcome.peek() {
            Some(Some(outcome)) => outcome.checked.known().clone(),
            Some(None) | None => self.sample.clone(),
        }
    }

    /// How far it is, as long as it is under way.
    pub(crate) fn under_way(&self) -> Option<&Progress> {
        self.outcome.peek().is_none().then_some(&*self.progress)
    }

    fn is_about(&self, campaign: &Campaign) -> bool {
        (&self.campaign.draft, self.campaign.resend) == (&campaign.draft, campaign.resend)
    }

    /// Whether it is under way, or was over lately.
    fn counts(&self) -> bool {
        self.outcome.peek().is_none_or(|outcome| outcome.as_ref().is_some_and(|found| Instant::now() < found.until))
    }
}
