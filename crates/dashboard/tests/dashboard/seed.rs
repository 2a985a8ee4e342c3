//! A small installation: people, a campaign that is being sent, and what came back of it.

use chrono::{DateTime, TimeDelta, Utc};
use rebound_dashboard::Installation;
use rebound_db::leases::{Answered, Try};
use rebound_db::{Pool, campaigns, contacts, deliveries, leases, lists};
use rebound_domain::{
    Bounce, CampaignId, CampaignState, DeliveryId, DoubtPolicy, Draft, Fields, Grade, Keys, Policy, Refusal, StateName,
    WorkerId,
};
use rebound_send::Sender;
use rebound_send::return_path::Way;
use std::net::SocketAddr;

/// How our messages name us.
pub(crate) fn sender() -> Sender {
    Sender {
        keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
        return_domain: "bounce.fernhill.example".into(),
        public_url: "https://mail.fernhill.example".into(),
    }
}

/// An installation without a relay in its configuration, whose ports nobody answers.
pub(crate) fn installation() -> Installation {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    Installation {
        listen: SocketAddr::from(([127, 0, 0, 1], 8025)),
        egress: None,
        direct: rebound_send::mx::DirectSettings::default(),
        way: Way { listen: nobody, port: nobody.port(), nameserver: Some(nobody) },
        version: "0.0.0",
    }
}

/// What hosts answer, and whether that is for now or for good.
const ANSWERS: [(&str, Refusal); 8] = [
    ("550 5.1.1 <x>: Recipient address rejected: User unknown", Refusal::Permanent),
    ("452 4.2.2 <x>: Recipient mailbox full, quota exceeded", Refusal::Transient),
    ("421 4.4.2 Connection timed out with the receiving host", Refusal::Transient),
    ("552 5.3.4 Message size exceeds fixed limit of 5242880 bytes", Refusal::Permanent),
    ("550 5.7.1 Message rejected: likely unsolicited mail, see our policy on spam", Refusal::Permanent),
    ("450 4.7.1 <x>: Greylisted, try again in 300 seconds", Refusal::Transient),
    ("550 5.7.26 This message does not pass SPF, DKIM or DMARC", Refusal::Permanent),
    ("451 4.3.0 Local error in processing, try later", Refusal::Transient),
];

/// Fills `db`: `people` contacts, one draft, one campaign of which part has come back.
pub(crate) async fn fill(db: &Pool, people: usize, now: DateTime<Utc>) -> CampaignId {
    let start = now - TimeDelta::hours(2);
    let list = lists::ensure(db, "Newsletter", start - TimeDelta::days(9)).await.unwrap();
    let mut csv = String::from("email,first_name,last_name,town\n");
    for n in 0..people {
        let domain = ["orchard.test", "larkfield.test", "sendero.test", "gmail.test"][n % 4];
        csv += &format!("person{n}@{domain},Mira,Holt {n},Ulmen\n");
    }
    csv += "no address,Nobody,,\nann@@example.test,Ann,,\n";
    let mut import = rebound_contacts::Import::new(list.id, "people.csv", start - TimeDelta::days(9));
    import.consent = "sign-up form, 2026".into();
    rebound_contacts::import(db, std::io::Cursor::new(csv.into_bytes()), &import, |_| ()).await.unwrap();

    let draft = Draft {
        name: "Winter workshop dates".into(),
        list: list.id,
        from_name: "Fernhill Garden".into(),
        from: "hello@fernhill.example".parse().unwrap(),
        reply_to: None,
        subject: "{{ first_name }}, four workshops before the frost".into(),
        html: "<h1>Dear {{ first_name }},</h1><p>the first frost is two weeks away.</p>".into(),
        text: String::new(),
        postal_address: "Fernhill Garden, 1 Lane, Ulmen".into(),
        defaults: Fields::from([("first_name".into(), "friend".into())]),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    campaigns::create(db, &draft, start).await.unwrap();
    let sent = Draft { name: "Autumn bulbs: last call".into(), ..draft };
    let id = campaigns::create(db, &sent, start).await.unwrap();
    rebound_send::launch(db, id, &sender(), "ines@fernhill.example", start).await.unwrap();
    let campaign = campaigns::get(db, id).await.unwrap().unwrap();
    let tx = db.begin().await.unwrap();
    campaigns::plan(&tx, &campaign, start).await.unwrap();
    campaigns::set_state(&tx, id, CampaignState::Planning, CampaignState::Sending, None, start).await.unwrap();
    tx.commit().await.unwrap();
    answer(db, id, people, start + TimeDelta::minutes(30)).await;
    id
}

/// Two of three are accepted; every sixth is refused, each in its own way.
async fn answer(db: &Pool, id: CampaignId, people: usize, now: DateTime<Utc>) {
    let ids: Vec<DeliveryId> = (0..people as i64).filter_map(|n| DeliveryId::new(id, n)).collect();
    let (refused, taken): (Vec<DeliveryId>, Vec<DeliveryId>) =
        ids.iter().copied().partition(|id| id.ordinal() % 6 == 5);
    let taken: Vec<DeliveryId> = taken.into_iter().filter(|id| id.ordinal() % 6 != 4).collect();
    let keys = deliveries::keys(db, &ids).await.unwrap();

    let mut bounces = Vec::new();
    for (n, delivery) in refused.iter().enumerate() {
        let (words, refusal) = ANSWERS[n % ANSWERS.len()];
        bounces.push(Bounce {
            delivery: Some(*delivery),
            attempt: 1,
            address: keys[delivery].clone(),
            grade: Grade::Ours,
            refusal,
            held: false,
            receiver: None,
            learned: None,
            verdict: rebound_classify::reply(words.as_bytes()).unwrap(),
            reporting_mta: Some("mx2.larkfield.test".into()),
            inbox: None,
            at: now,
        });
    }
    let worker = WorkerId(1);
    let tx = db.begin().await.unwrap();
    leases::claim(&tx, worker, id, people as u32, now).await.unwrap();
    let tried = |id: &DeliveryId| Try { id: *id, number: 1 };
    let tries: Vec<Try> = taken.iter().chain(&refused).map(tried).collect();
    leases::mark(&tx, worker, &tries, now).await.unwrap();
    let answered: Vec<Answered> = taken
        .iter()
        .map(|id| Answered { of: Try { id: *id, number: 1 }, accepted: true, reply: "250 2.0.0 queued".into() })
        .collect();
    leases::note_answers(&tx, worker, &answered, now).await.unwrap();
    let settled: Vec<_> =
        taken.iter().map(|id| deliveries::Settled { id: *id, state: StateName::Accepted, due: None }).collect();
    deliveries::settle(&tx, &settled).await.unwrap();
    let accepted: Vec<_> = taken.iter().map(|id| (*id, keys[id].clone())).collect();
    rebound_contacts::record_acceptances(&tx, &accepted, &Policy::default(), now).await.unwrap();
    rebound_contacts::record_bounces(&tx, &bounces, &Policy::default(), || 0.9, now).await.unwrap();
    let untried: Vec<_> =
        ids.iter().filter(|id| id.ordinal() % 6 == 4).map(|id| (*id, Some(now + TimeDelta::hours(9)))).collect();
    leases::release(&tx, worker, &untried).await.unwrap();
    tx.commit().await.unwrap();
    assert!(contacts::total(db).await.unwrap().count >= people as i64);
}
