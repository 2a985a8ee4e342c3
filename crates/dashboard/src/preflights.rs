//! What the world said of campaigns before their launch, kept for some minutes: asking takes seconds.

use crate::App;
use rebound_db::Error;
use rebound_domain::{Campaign, CampaignId, Draft, Resend, Volume};
use rebound_send::{Check, Outside, Surroundings, outside};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(300);

/// How long it holds where somebody did not answer, and how old one must be to be asked for anew.
const BRIEFLY: Duration = Duration::from_secs(15);

/// Campaigns that are kept.
const MOST: usize = 200;

/// What the world said, by campaign.
#[derive(Clone, Debug, Default)]
pub struct Preflights(Arc<Mutex<HashMap<CampaignId, Kept>>>);

#[derive(Debug)]
struct Kept {
    draft: Draft,
    resend: Option<Resend>,
    /// The ways out, and what they may be given.
    ways: Ways,
    outside: Outside,
    since: Instant,
}

type Ways = (Vec<String>, Vec<IpAddr>, Option<u32>, Vec<Volume>);

impl Kept {
    fn holds(&self, campaign: &Campaign, ways: &Ways) -> bool {
        let is_whole = self.outside.findings.iter().all(|finding| finding.check != Check::Unchecked);
        let long = if is_whole { HOLDS } else { BRIEFLY };
        let same = self.draft == campaign.draft && self.resend == campaign.resend && self.ways == *ways;
        same && self.since.elapsed() < long
    }
}

impl Preflights {
    /// What was heard lately; `None` where the world must be asked.
    pub(crate) async fn lately(&self, app: &App, campaign: &Campaign) -> Result<Option<Outside>, Error> {
        let around = around(app, campaign).await?;
        Ok(self.kept(campaign, &ways(&around)))
    }

    /// What the world says: what was heard lately, else what it says now, which takes seconds.
    pub(crate) async fn get(&self, app: &App, campaign: &Campaign) -> Result<Outside, Error> {
        let around = around(app, campaign).await?;
        if let Some(kept) = self.kept(campaign, &ways(&around)) {
            return Ok(kept);
        }
        let heard = outside(&app.db, campaign, &app.sender, &around, app.now()).await?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, kept| kept.since.elapsed() < HOLDS);
        }
        if all.len() < MOST {
            let (draft, ways, since) = (campaign.draft.clone(), ways(&around), Instant::now());
            all.insert(campaign.id, Kept { draft, resend: campaign.resend, ways, outside: heard.clone(), since });
        }
        Ok(heard)
    }

    /// Forgets what was heard a while ago, so that it is asked anew.
    pub(crate) fn forget(&self, campaign: CampaignId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, kept| *id != campaign || kept.since.elapsed() < BRIEFLY);
    }

    fn kept(&self, campaign: &Campaign, ways: &Ways) -> Option<Outside> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&campaign.id).filter(|kept| kept.holds(campaign, ways)).map(|kept| kept.outside.clone())
    }
}

fn ways(around: &Surroundings) -> Ways {
    (around.relays.clone(), around.sources.clone(), around.per_second, around.volumes.clone())
}

async fn around(app: &App, campaign: &Campaign) -> Result<Surroundings, Error> {
    let installation = &app.installation;
    let (way, egress) = (installation.way.clone(), installation.egress.as_ref());
    Surroundings::of(&app.db, way, egress, &campaign.draft.from, app.now()).await
}
