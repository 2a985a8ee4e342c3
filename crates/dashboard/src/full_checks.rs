//! Campaigns' letters made for everybody before a launch: in the background, since for a million that takes seconds.

use crate::App;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rebound_db::Error;
use rebound_domain::{Campaign, CampaignId};
use rebound_send::{Checked, Preflight, Progress};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How often an answer is kept as long as it took: what is made in no time is made anew for whoever asks.
const PART: u32 = 20;

/// How long it is kept at most.
const LONGEST: Duration = Duration::from_secs(300);

/// How long it is kept where something must be mended: whoever mends it sees that at once.
const BRIEFLY: Duration = Duration::from_secs(3);

/// So many are made at once: mail that is being sent needs the processors, too.
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
    outcome: Shared<BoxFuture<'static, Outcome>>,
    task: AbortHandle,
}

/// What came of it, and how long that is told.
#[derive(Clone, Debug)]
struct Outcome {
    found: Found,
    until: Instant,
}

#[derive(Clone, Debug)]
enum Found {
    All(Arc<Checked>),
    /// The database did not answer.
    Nothing,
    /// The campaign says something else by now, and that is being looked at.
    Superseded,
}

/// How a check stands.
pub(crate) enum Stand {
    Making(Arc<Progress>),
    Made(Arc<Checked>),
    Failed,
    Superseded,
}

impl Default for FullChecks {
    fn default() -> Self {
        Self { all: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl FullChecks {
    /// The check that is under way, or was over lately and holds still.
    pub(crate) async fn get(&self, app: &App, campaign: &Campaign) -> Result<Option<FullCheck>, Error> {
        let known = self.all().get(&campaign.id).filter(|one| one.counts(campaign)).cloned();
        if let Some(one) = &known
            && let Stand::Made(checked) = one.stand()
            && !checked.holds(&app.db, campaign).await?
        {
            return Ok(None);
        }
        Ok(known)
    }

    /// Begins a check of a campaign of which `sample` is known already; `None` where too many others are under way. A check of
    /// what the campaign said before ends.
    pub(crate) fn start(&self, app: &App, campaign: &Campaign, sample: Preflight) -> Option<FullCheck> {
        let mut all = self.all();
        if let Some(one) = all.get(&campaign.id).filter(|one| one.is_under_way()) {
            if one.campaign.says_as(campaign) {
                return Some(one.clone());
            }
            one.task.abort();
        }
        all.retain(|_, one| one.is_under_way() || one.counts(&one.campaign));
        let turn = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        let progress = Arc::new(Progress::default());
        let (app, of, told) = (app.clone(), campaign.clone(), Arc::clone(&progress));
        let task = tokio::spawn(async move {
            let _turn = turn;
            let begun = Instant::now();
            let checked = Checked::everybody(&app.db, &of, &app.sender, &told, app.now()).await;
            let checked = checked
                .inspect_err(
                    |error| tracing::error!(%error, campaign = of.id.0, "its letter was not made for everybody"),
                )
                .ok()?;
            let longest = if checked.known().can_go() { LONGEST } else { BRIEFLY };
            Some((Arc::new(checked), (begun.elapsed() * PART).min(longest)))
        });
        let abort = task.abort_handle();
        let outcome = task.map(|made| {
            let (found, holds) = match made {
                Ok(Some((checked, holds))) => (Found::All(checked), holds),
                Err(ended) if ended.is_cancelled() => (Found::Superseded, Duration::ZERO),
                Ok(None) | Err(_) => (Found::Nothing, BRIEFLY),
            };
            Outcome { found, until: Instant::now() + holds }
        });
        let outcome = outcome.boxed().shared();
        // Whether anybody waits for it or not, it is known once it is over.
        tokio::spawn(outcome.clone());
        let one = FullCheck { campaign: campaign.clone(), sample, progress, outcome, task: abort };
        all.insert(campaign.id, one.clone());
        Some(one)
    }

    /// Forgets what is over, so that it is made anew.
    pub(crate) fn forget(&self, campaign: CampaignId) {
        self.all().retain(|id, one| *id != campaign || one.is_under_way());
    }

    /// What was found lately, or is being found: then it is waited for.
    pub(crate) async fn found(&self, campaign: &Campaign) -> Option<Arc<Checked>> {
        let known = self.all().get(&campaign.id).filter(|one| one.counts(campaign)).cloned();
        match known?.outcome.await.found {
            Found::All(checked) => Some(checked),
            Found::Nothing | Found::Superseded => None,
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<CampaignId, FullCheck>> {
        // A panic elsewhere leaves it whole: each change is a single step.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FullCheck {
    /// Waits until it is over, for `patience` at most.
    pub(crate) async fn wait(&self, patience: Duration) {
        // Whether it is over is asked for afterwards.
        let _ = timeout(patience, self.outcome.clone()).await;
    }

    pub(crate) fn stand(&self) -> Stand {
        match self.outcome.peek() {
            None => Stand::Making(Arc::clone(&self.progress)),
            Some(Outcome { found: Found::All(checked), .. }) => Stand::Made(Arc::clone(checked)),
            Some(Outcome { found: Found::Nothing, .. }) => Stand::Failed,
            Some(Outcome { found: Found::Superseded, .. }) => Stand::Superseded,
        }
    }

    /// What is known so far.
    pub(crate) fn known(&self) -> Preflight {
        match self.stand() {
            Stand::Made(checked) => checked.known().clone(),
            Stand::Making(_) | Stand::Failed | Stand::Superseded => self.sample.clone(),
        }
    }

    fn is_under_way(&self) -> bool {
        self.outcome.peek().is_none()
    }

    /// Whether it is about `campaign` as it stands, and under way or over lately.
    fn counts(&self, campaign: &Campaign) -> bool {
        let is_lately = self.outcome.peek().is_none_or(|outcome| Instant::now() < outcome.until);
        is_lately && self.campaign.says_as(campaign)
    }
}
