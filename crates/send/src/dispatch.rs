//! Looks at what is to do, takes what is due, and hands it to the connections.

use crate::attempt::{Claimed, Shared, plain_verdict, unwritable};
use crate::compose::Composer;
use crate::journal::Heard;
use crate::outlet::{Closed, Outlet};
use crate::outlets::Outlets;
use crate::quota::Quota;
use crate::sending_domains::{self, DomainError};
use crate::worker::{HEARTBEAT, LOOK, Worker};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_db::leases::{self, Lease};
use rebound_db::sending_domains::Edition;
use rebound_db::{
    Pool, campaigns, clicks, contacts, deliveries, events, fail_point, lists, policies, servers, workers,
};
use rebound_domain::{Campaign, CampaignState, ContactId, ServerId, Slowed, Unsealed, WorkerId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A pause of the limits that campaigns tell of.
const WORTH_A_WORD: TimeDelta = TimeDelta::minutes(2);

/// A campaign that is ready to be sent, or the reason why it cannot be.
type Ready = HashMap<i64, Arc<Composer>>;

/// One look at what is to do.
pub(crate) struct Dispatch<'a> {
    worker: &'a Worker,
    shared: &'a Arc<Shared>,
    outlets: Outlets,
    id: WorkerId,
    /// Deliveries taken at once.
    batch: u32,
    ready: Ready,
    /// The keys that what is ready is signed with.
    signing: Edition,
    /// Since when they do not open. On our own clock.
    unopened: Option<Instant>,
    /// When it last looked around, on our own clock.
    minded: Option<Instant>,
    /// When it last tried to between two letters.
    looked_up: Option<Instant>,
    /// What was told last of each outlet: why nothing goes by it, or that it is well.
    told: HashMap<ServerId, Option<String>>,
    /// Why it cannot send, as campaigns were told last.
    reason: Option<String>,
    /// How late it was when last looked; nothing before the first look.
    looked: Option<DateTime<Utc>>,
    /// Whether it may have taken what it does not know of: an answer that was lost leaves open whether it was done.
    /// Then it finishes what it has in hand, and gives everything else back under its name.
    is_unsure: bool,
}

impl<'a> Dispatch<'a> {
    /// The worker's dispatch under the name `id`, which takes `batch` deliveries at once.
    pub(crate) fn new(worker: &'a Worker, shared: &'a Arc<Shared>, outlets: Outlets, id: WorkerId, batch: u32) -> Self {
        Self {
            worker,
            shared,
            outlets,
            id,
            batch,
            ready: Ready::new(),
            signing: Edition::default(),
            unopened: None,
            told: HashMap::new(),
            reason: None,
            looked: None,
            minded: None,
            looked_up: None,
            is_unsure: false,
        }
    }

    /// Whether it may have taken what it does not know of.
    pub(crate) fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// Claims and hands out; `true` when there was something to do.
    pub(crate) async fn round(&mut self, stop: &CancellationToken) -> Result<bool, rebound_contacts::Error> {
        let (db, now) = (&self.worker.db, self.worker.clock.at(Utc::now()));
        if self.outlets.closed(now).is_some() || self.is_time_to_look() {
            self.look_around(now).await?;
        }
        let mut busy = false;
        let mut all = campaigns::in_states(db, &[CampaignState::Planning, CampaignState::Sending]).await?;
        // Another one is the first each time: where a single message goes, as to a relay on trial, it is not always of the
        // same campaign.
        let first = rand::random_range(0..all.len().max(1));
        all.rotate_left(first);
        for campaign in all {
            if stop.is_cancelled() {
                return Ok(false);
            }
            busy |= self.serve(campaign).await?;
        }
        Ok(busy)
    }

    fn is_time_to_look(&self) -> bool {
        self.minded.is_none_or(|minded| minded.elapsed() >= LOOK)
    }

    /// What changed around us: by people, by other workers, and by the servers that mail goes to.
    async fn look_around(&mut self, now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        self.mind_the_clock(now).await?;
        self.mind_the_outlets(now).await?;
        self.tell_of_the_outlets(now).await?;
        self.mind_what_people_changed().await?;
        self.mind_the_others().await?;
        self.mind_the_keys().await?;
        campaigns::reopen(&self.worker.db).await?;
        self.minded = Some(Instant::now());
        Ok(())
    }

    /// The same between two letters: where few go in a second, what was taken at once lasts for minutes. What is `held` goes
    /// back before, as people may ask for it. What the database does not tell now, the next round asks again.
    async fn look_up(&mut self, held: &mut Vec<Heard>) {
        let has_just_looked = !self.is_time_to_look() || self.looked_up.is_some_and(|looked| looked.elapsed() < LOOK);
        if has_just_looked || self.shared.ending.is_cancelled() {
            return;
        }
        self.looked_up = Some(Instant::now());
        self.put_back(held).await;
        if let Err(error) = self.look_around(self.worker.clock.at(Utc::now())).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what changed around is not known yet");
        }
    }

    async fn put_back(&self, held: &mut Vec<Heard>) {
        let steps = held.drain(..).map(|heard| self.shared.journal.step(Some(heard), None));
        futures_util::future::join_all(steps).await;
    }

    /// Takes what is due, unless others took this worker for dead, or may have: then the next heartbeat ends it, or makes
    /// sure of it.
    async fn claim(&self, campaign: &Campaign, now: DateTime<Utc>) -> Result<Vec<Lease>, rebound_contacts::Error> {
        if !self.shared.tenure.holds() {
            return Ok(Vec::new());
        }
        let tx = self.worker.db.begin_briefly().await?;
        if !workers::is_known(&tx, self.id).await? {
            return Ok(Vec::new());
        }
        let leases = leases::claim(&tx, self.id, campaign.id, self.batch, now).await?;
        tx.commit().await?;
        Ok(leases)
    }

    /// Where the clock was put back, before this start or since the last look, what was due by then is due now.
    async fn mind_the_clock(&mut self, now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        let db = &self.worker.db;
        if self.looked.is_none_or(|looked| now < looked)
            && let Some(by) = events::put_back(db, now).await?
        {
            let due = leases::due_again(db, now, by).await?;
            tracing::warn!(minutes = by.num_minutes(), due, "the clock was put back; what waited for it goes now");
        }
        self.looked = Some(now);
        Ok(())
    }

    /// While no way is open to any worker campaigns wait and say so; when one is again they go on. A pause of seconds is
    /// not worth a word. Campaigns that wait for a person are left alone.
    async fn mind_the_outlets(&mut self, now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        let closed = match self.outlets.closed(now) {
            Some(Closed::Full(_, until)) if until - now < WORTH_A_WORD => return Ok(()),
            closed => closed,
        };
        let (db, reason) = (&self.worker.db, closed.map(|closed| closed.words()));
        workers::note_can_send(db, self.id, reason.is_none()).await?;
        if let Some(reason) = &reason {
            campaigns::wait_for_relay(db, reason, self.reason.as_ref() != Some(reason)).await?;
        } else if campaigns::any_waits_for_relay(db).await? {
            campaigns::relay_is_back(db).await?;
        }
        self.reason = reason;
        Ok(())
    }

    /// Notes what is wrong with a way, also where the others go on and no campaign waits, and that it is well again.
    async fn tell_of_the_outlets(&mut self, now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        for outlet in self.outlets.iter() {
            let (fault, told) = (outlet.fault(), self.told.get(&outlet.id));
            // Whether one that is on trial is well is not known before its answer.
            if fault.is_none() && outlet.breaks.is_on_trial() {
                continue;
            }
            // One that is not down and that nobody has used yet may be well or not.
            let is_known = fault.is_some() || told.is_some() || outlet.is_used();
            if is_known && told != Some(&fault) {
                let server = &outlet.name;
                match &fault {
                    Some(why) => tracing::warn!(server, why, "no mail goes by this server"),
                    None if told.is_some() => tracing::info!(server, "mail goes by this server again"),
                    None => {}
                }
                servers::note_test(&self.worker.db, outlet.id, fault.as_deref(), now).await?;
                self.told.insert(outlet.id, fault);
            }
        }
        Ok(())
    }

    /// A policy and rules that were saved, lanes that somebody wants to be asked again, and what other workers were told
    /// of a lane, hold from now on.
    async fn mind_what_people_changed(&self) -> Result<(), rebound_contacts::Error> {
        let (db, now) = (&self.worker.db, self.worker.clock.at(Utc::now()));
        if let Some(newer) = policies::newer(db, self.shared.policy().version).await? {
            tracing::info!(policy.version = newer.version, "a new policy is in force");
            self.shared.policy.send_replace(Arc::new(newer));
        }
        let rules = self.worker.rules.in_force(db).await?;
        if !Arc::ptr_eq(&rules, &self.shared.rules.borrow()) {
            tracing::info!(rules.version = rules.version, "new rules are in force");
            self.shared.rules.send_replace(rules);
        }
        for lane in lanes::held(db).await? {
            for outlet in self.outlets.iter().filter(|outlet| outlet.id == lane.server) {
                heed(outlet, &lane, now);
            }
        }
        Ok(())
    }

    /// What a receiver bears, all workers that can send share.
    async fn mind_the_others(&self) -> Result<(), rebound_contacts::Error> {
        let part = workers::part(&self.worker.db, self.id).await?;
        self.outlets.iter().for_each(|outlet| outlet.lanes.share(part));
        Ok(())
    }

    /// Where other keys sign than before, campaigns go on with those.
    async fn mind_the_keys(&mut self) -> Result<(), rebound_contacts::Error> {
        let edition = rebound_db::sending_domains::edition(&self.worker.db).await?;
        if edition != self.signing {
            self.ready.clear();
            self.signing = edition;
        }
        Ok(())
    }

    async fn serve(&mut self, campaign: Campaign) -> Result<bool, rebound_contacts::Error> {
        let (db, now) = (&self.worker.db, self.worker.clock.at(Utc::now()));
        let Some(composer) = self.composer(&campaign).await? else { return Ok(false) };
        if self.outlets.closed(now).is_some() {
            return Ok(false);
        }
        let leases = self.claim(&campaign, now).await.inspect_err(|_| self.is_unsure = true)?;
        if leases.is_empty() {
            if campaign.state == CampaignState::Sending && !deliveries::any_open(db, campaign.id).await? {
                campaigns::set_state(db, campaign.id, CampaignState::Sending, CampaignState::Sent, None, now).await?;
                self.ready.remove(&campaign.id.0);
            }
            return Ok(false);
        }
        self.shared.sending.add(campaign.id);
        self.hand_out(leases, &composer, now).await.inspect_err(|_| self.is_unsure = true)?;
        Ok(true)
    }

    async fn composer(&mut self, campaign: &Campaign) -> Result<Option<Arc<Composer>>, rebound_contacts::Error> {
        if let Some(ready) = self.ready.get(&campaign.id.0) {
            return Ok(Some(Arc::clone(ready)));
        }
        let db = &self.worker.db;
        let list = lists::get(db, campaign.draft.list).await?.map_or_else(String::new, |list| list.name);
        let signer = match sending_domains::signer(db, &self.worker.sender.keys, &campaign.draft.from).await {
            Err(DomainError::Database(error)) => return Err(error.into()),
            // The keys of the installation may have been changed just now, and are not followed here yet.
            Err(DomainError::Sealed(Unsealed::UnknownKey(_)))
                if self.unopened.get_or_insert_with(Instant::now).elapsed() < HEARTBEAT =>
            {
                return Ok(None);
            }
            signer => signer,
        };
        self.unopened = None;
        let counted = clicks::links(db, campaign.id).await?;
        let composer = Composer::new(campaign.clone(), &list, self.worker.sender.clone(), &counted);
        let composer = composer.map_err(|error| error.to_string()).and_then(|composer| {
            Ok(composer.signed_by(signer.map_err(|error| format!("Its mail cannot be signed: {error}."))?))
        });
        match composer {
            Ok(composer) => {
                let composer = Arc::new(composer);
                self.ready.insert(campaign.id.0, Arc::clone(&composer));
                Ok(Some(composer))
            }
            Err(reason) => {
                let now = self.worker.clock.at(Utc::now());
                campaigns::set_state(db, campaign.id, campaign.state, CampaignState::Paused, Some(&reason), now)
                    .await?;
                Ok(None)
            }
        }
    }

    /// Lets each delivery go by one of the outlets, unless its receiver rests. They go as `composer` makes and signs them,
    /// whatever changes meanwhile.
    async fn hand_out(
        &mut self,
        leases: Vec<Lease>,
        composer: &Arc<Composer>,
        now: DateTime<Utc>,
    ) -> Result<(), rebound_contacts::Error> {
        let ids: Vec<ContactId> = leases.iter().map(|lease| lease.contact).collect();
        let mut people = contacts::recipients(&self.worker.db, &ids).await?;
        let mut held = Vec::new();
        for lease in leases {
            if self.shared.ending.is_cancelled() {
                break;
            }
            let contact = match people.remove(&lease.contact) {
                Some(Ok(contact)) => contact,
                Some(Err(unfit)) => {
                    tracing::error!(contact.id = %lease.contact, column = unfit.column, "a contact cannot be read");
                    held.push(unwritable(lease.id, unfit, now));
                    continue;
                }
                None => {
                    held.push(Heard::Back(lease.id, Some(now + TimeDelta::hours(1))));
                    continue;
                }
            };
            let claimed = Claimed { lease, contact, composer: Arc::clone(composer) };
            held.extend(self.outlets.send(self.shared, claimed).await?);
            self.look_up(&mut held).await;
        }
        self.put_back(&mut held).await;
        Ok(())
    }

    /// What its outlets may still be given.
    pub(crate) fn quotas(&self) -> Vec<Arc<Quota>> {
        self.outlets.iter().map(|outlet| Arc::clone(&outlet.quota)).collect()
    }
}

/// Takes up what another worker was told of a lane, or that somebody wants it to be asked again.
fn heed(outlet: &Outlet, HeldLane { receiver, notice, .. }: &HeldLane, now: DateTime<Utc>) {
    let is_rest = matches!(notice.slowed, Slowed::Rests { .. });
    if is_rest {
        outlet.lanes.shorten(receiver, notice.until);
    }
    if notice.until <= now || outlet.lanes.rests(receiver) {
        return;
    }
    if is_rest {
        let words = plain_verdict(notice.cause, &notice.words);
        outlet.lanes.remember(receiver.clone(), notice.clone(), words, now);
    } else {
        outlet.lanes.heed(receiver, notice, now);
    }
}

/// Gives back what a worker has and strikes out its name, both or neither; how many are in doubt by it. The name goes
/// first: that waits for a claim which is on its way, so that nothing is claimed under a name that nobody has.
pub(crate) async fn give_up(db: &Pool, id: WorkerId, now: DateTime<Utc>) -> Result<u64, rebound_db::Error> {
    let tx = db.begin_briefly().await?;
    workers::forget(&tx, id).await?;
    let doubts = leases::recover(&tx, id, now).await?;
    fail_point("recovering").await;
    tx.commit().await?;
    Ok(doubts)
}
