//! Campaigns that went out to a list, and what comes back.

#![allow(clippy::unwrap_used)] // a test that cannot go on stops

use crate::place::Place;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::feedback::{self, Recorded};
use rebound_db::leases::{self, Answered, Try};
use rebound_db::{Pool, campaigns, deliveries, standings, suppressions};
use rebound_domain::{
    AddressKey, Bounce, BounceCause, CampaignId, CampaignState, DeliveryId, DoubtPolicy, Draft, Grade, InboxId,
    Permanence, Policy, Refusal, Standing, StateName, Suppression, SuppressionReason, Verdict, WorkerId,
};
use std::collections::BTreeMap;

/// A list of people at several domains, and campaigns to it.
pub(crate) struct Mailing {
    pub(crate) place: Place,
    pub(crate) policy: Policy,
}

pub(crate) const WORKER: WorkerId = WorkerId(1);

impl Mailing {
    /// With so many people: `p0@d0.example`, `p1@d1.example` … at seven domains.
    pub(crate) async fn to(people: usize) -> Self {
        Self::on(Place::new().await, people).await
    }

    /// The same in a place that is there already.
    pub(crate) async fn on(place: Place, people: usize) -> Self {
        let rows: String = (0..people).map(|n| format!("p{n}@d{}.example\n", n % 7)).collect();
        place.import(format!("email\n{rows}")).await;
        Self { place, policy: Policy::default() }
    }

    pub(crate) fn db(&self) -> &Pool {
        &self.place.db
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.place.now
    }

    /// A campaign whose mail has been handed over, and waits for its answers.
    pub(crate) async fn hand_over(&self, name: &str, now: DateTime<Utc>) -> CampaignId {
        let draft = Draft {
            name: name.to_owned(),
            list: self.place.list.id,
            from_name: "Fernhill".to_owned(),
            from: "news@fernhill.example".parse().unwrap(),
            reply_to: None,
            subject: "Hello".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            text: "Hello".to_owned(),
            postal_address: "Fernhill".to_owned(),
            defaults: BTreeMap::new(),
            doubt: DoubtPolicy::Resend,
            counts_clicks: true,
        };
        let db = self.db();
        let id = campaigns::create(db, &draft, now).await.unwrap();
        let (draft, planning, sending) = (CampaignState::Draft, CampaignState::Planning, CampaignState::Sending);
        assert!(campaigns::set_state(db, id, draft, planning, None, now).await.unwrap());
        let campaign = campaigns::get(db, id).await.unwrap().unwrap();
        let tx = db.begin().await.unwrap();
        while campaigns::plan(&tx, &campaign, now).await.unwrap() > 0 {}
        tx.commit().await.unwrap();
        assert!(campaigns::set_state(db, id, planning, sending, None, now).await.unwrap());
        self.try_again(id, now).await;
        id
    }

    /// Hands over what is due; which deliveries.
    pub(crate) async fn try_again(&self, campaign: CampaignId, now: DateTime<Utc>) -> Vec<DeliveryId> {
        let leased = leases::claim(self.db(), WORKER, campaign, 10_000, now).await.unwrap();
        let tries: Vec<Try> = leased.iter().map(|lease| Try { id: lease.id, number: lease.attempts + 1 }).collect();
        leases::mark(self.db(), WORKER, &tries, now).await.unwrap()
    }

    /// The line breaks before the answer to the last try at each of `ids`.
    pub(crate) async fn doubt(&self, ids: &[DeliveryId], now: DateTime<Utc>) {
        let tx = self.db().begin().await.unwrap();
        assert_eq!(leases::doubt(&tx, WORKER, ids, now).await.unwrap(), ids.len() as u64);
        tx.commit().await.unwrap();
    }

    /// The host takes the first try at each of `ids`.
    pub(crate) async fn accept(&self, ids: &[DeliveryId], now: DateTime<Utc>) {
        let tries: Vec<Try> = ids.iter().map(|id| Try { id: *id, number: 1 }).collect();
        let answered: Vec<Answered> =
            tries.iter().map(|of| Answered { of: of.clone(), accepted: true, reply: "250 OK".to_owned() }).collect();
        let tx = self.db().begin().await.unwrap();
        leases::note_answers(&tx, WORKER, &answered, now).await.unwrap();
        leases::accept(&tx, WORKER, &tries).await.unwrap();
        let keys: Vec<_> = deliveries::keys(&tx, ids).await.unwrap().into_iter().collect();
        feedback::record_acceptances(&tx, &keys, &self.policy, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn record(&self, heard: &[Bounce], now: DateTime<Utc>) -> Recorded {
        let tx = self.db().begin().await.unwrap();
        let recorded = feedback::record_bounces(&tx, heard, &self.policy, || 0.5, now).await.unwrap();
        tx.commit().await.unwrap();
        recorded
    }

    /// A bounce heard in the session, about the first try.
    pub(crate) fn refused(&self, id: DeliveryId, what: (BounceCause, Permanence), refusal: Refusal) -> Bounce {
        let n = id.ordinal();
        Bounce {
            delivery: Some(id),
            attempt: 1,
            address: key(n),
            grade: Grade::Ours,
            refusal,
            held: false,
            receiver: None,
            learned: None,
            verdict: Verdict {
                confidence: 90,
                reply_code: Some(if refusal == Refusal::Permanent { 550 } else { 450 }),
                ..Verdict::known(what.0, what.1, &format!("550 <p{n}@d{}.example>: {}", n % 7, what.0.title()))
            },
            reporting_mta: None,
            inbox: None,
            at: self.now(),
        }
    }

    /// The host says that nobody is there.
    pub(crate) fn gone(&self, id: DeliveryId) -> Bounce {
        self.refused(id, (BounceCause::MailboxUnknown, Permanence::Hard), Refusal::Permanent)
    }

    pub(crate) async fn state(&self, id: DeliveryId) -> StateName {
        deliveries::get(self.db(), &[id]).await.unwrap()[0].state
    }

    pub(crate) async fn campaign_state(&self, id: CampaignId) -> CampaignState {
        campaigns::get(self.db(), id).await.unwrap().unwrap().state
    }

    /// What stands for the `n`-th person.
    pub(crate) async fn suppressions(&self, n: i64) -> Vec<Suppression> {
        suppressions::of(self.db(), &key(n)).await.unwrap()
    }

    pub(crate) async fn reasons(&self, n: i64) -> Vec<SuppressionReason> {
        self.suppressions(n).await.into_iter().map(|one| one.reason).collect()
    }

    /// Who is suppressed, by number.
    pub(crate) async fn suppressed(&self, people: i64) -> Vec<i64> {
        let keys: Vec<AddressKey> = (0..people).map(key).collect();
        let later = self.now() + TimeDelta::days(1);
        let standing = suppressions::standing(self.db(), &keys, None, later).await.unwrap();
        (0..people).filter(|n| standing.contains_key(&key(*n))).collect()
    }

    pub(crate) async fn standing(&self, n: i64) -> Option<Standing> {
        standings::get(self.db(), &[key(n)]).await.unwrap().remove(&key(n)).map(|kept| kept.standing)
    }
}

/// The address of the `n`-th person.
pub(crate) fn key(n: i64) -> AddressKey {
    AddressKey::stored(format!("p{n}@d{}.example", n % 7))
}

/// The delivery to the `n`-th person.
pub(crate) fn delivery(campaign: CampaignId, n: i64) -> DeliveryId {
    DeliveryId::new(campaign, n).unwrap()
}

/// The same, as a report that came by mail to the return path.
pub(crate) fn by_mail(bounce: Bounce) -> Bounce {
    Bounce { inbox: Some(InboxId(1)), reporting_mta: Some("mx.d1.example".to_owned()), ..bounce }
}
