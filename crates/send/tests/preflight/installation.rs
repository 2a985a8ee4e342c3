//! An installation about which everything is well, until a test changes one thing.

use crate::names::Zone;
use crate::web::{self, Host, Pages};
use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::BASE64;
use rebound_db::leases::{self, Try};
use rebound_db::statistics::{self, Count, Kind};
use rebound_db::{Pool, campaigns, contacts, deliveries, lists, subscriptions};
use rebound_domain::{
    Campaign, CampaignId, CampaignState, DeliveryId, DkimKey, DkimKeyId, DoubtPolicy, Draft, EmailAddress, Fields,
    KeyAlgorithm, KeyState, Keys, ListId, SendingDomainId, StateName, WorkerId,
};
use rebound_send::return_path::Way;
use rebound_send::{Depth, DkimState, Level, Preflight, Progress, Sender, Surroundings};
use std::net::SocketAddr;
use tokio::net::UdpSocket;

pub(crate) const RELAY: [u8; 4] = [192, 0, 2, 25];

/// A letter about which nothing can be said.
pub(crate) const LETTER: &str = r#"<div class="preheader">Tulips, crocuses and snowdrops</div>
<h1>The bulbs are in</h1><p>Tulips, crocuses and snowdrops came this week.</p>
<p><img src="https://fernhill.test/bulbs.png" alt="A box of bulbs"></p>
<p><a href="https://fernhill.test/bulbs">See all 40 kinds</a></p>"#;

/// What became of earlier mail to the same people.
#[derive(Clone, Copy, Default)]
pub(crate) struct Past {
    /// Whether there was any.
    pub(crate) written: bool,
    /// How many of them it did not reach.
    pub(crate) bounced: usize,
    /// Messages that were delivered yesterday.
    pub(crate) yesterday: i64,
    /// Complaints about those.
    pub(crate) complaints: i64,
}

#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) draft: Draft,
    pub(crate) people: Vec<String>,
    pub(crate) past: Past,
    pub(crate) zone: Zone,
    pub(crate) names_answer: bool,
    pub(crate) relay: Option<String>,
    pub(crate) dkim: DkimState,
    pub(crate) return_domain: String,
    /// Instead of the web server that is started.
    pub(crate) public_url: Option<String>,
    pub(crate) pages: Pages,
    pub(crate) listener: Host,
    pub(crate) exchanger: Host,
}

/// The public half of a key with `bytes` bytes.
pub(crate) fn public_key(bytes: usize) -> String {
    BASE64.encode(&vec![7; bytes])
}

/// What the DKIM record of `key` says.
pub(crate) fn dkim_record(key: &str) -> String {
    format!("v=DKIM1; k=rsa; p={key}")
}

pub(crate) fn key(public_key: String) -> DkimState {
    let key = DkimKey {
        id: DkimKeyId(1),
        domain: SendingDomainId(1),
        selector: "r1".into(),
        algorithm: KeyAlgorithm::Rsa2048,
        public: public_key,
        state: KeyState::Active { since: DateTime::UNIX_EPOCH },
        made: DateTime::UNIX_EPOCH,
        checked: None,
    };
    DkimState::Active("fernhill.test".into(), vec![key])
}

impl Setup {
    pub(crate) fn well() -> Self {
        let mut zone = Zone::default();
        for domain in ["fernhill.test", "bounce.fernhill.test", "orchard.test", "gmail.com"] {
            zone.mx(domain, "mx.fernhill.test");
        }
        zone.address("mx.fernhill.test", [127, 0, 0, 1]);
        zone.address("news.fernhill.test", [127, 0, 0, 1]);
        zone.address("mail.fernhill.test", RELAY);
        zone.reverse(RELAY, "mail.fernhill.test");
        zone.text("bounce.fernhill.test", "v=spf1 ip4:192.0.2.25 -all");
        zone.text("r1._domainkey.fernhill.test", &dkim_record(&public_key(294)));
        zone.text("_dmarc.fernhill.test", "v=DMARC1; p=none; rua=mailto:dmarc@fernhill.test");
        Self {
            draft: Draft {
                name: "Spring".into(),
                list: ListId(0),
                from_name: "Fernhill".into(),
                from: "news@fernhill.test".parse().unwrap(),
                reply_to: None,
                subject: "The bulbs are in".into(),
                html: LETTER.into(),
                text: String::new(),
                postal_address: "Fernhill Garden, 1 Garden Row".into(),
                defaults: Fields::new(),
                doubt: DoubtPolicy::Resend,
                counts_clicks: true,
            },
            people: (0..20).map(|n| format!("p{n}@orchard.test")).collect(),
            past: Past::default(),
            zone,
            names_answer: true,
            relay: Some("mail.fernhill.test".into()),
            dkim: key(public_key(294)),
            return_domain: "bounce.fernhill.test".into(),
            public_url: None,
            pages: Pages::Good,
            listener: Host::Ours,
            exchanger: Host::Ours,
        }
    }

    /// Twenty people more than `count`, all written to before, and as many letters on one day as now.
    pub(crate) fn known(&mut self, count: usize, domain: &str) {
        self.people.extend((0..count).map(|n| format!("q{n}@{domain}")));
        self.past.written = true;
        self.past.yesterday = count as i64;
    }
}

/// What is found before a launch, but for what is only good to know.
pub(crate) async fn found(setup: Setup, db: &Pool) -> Vec<(&'static str, Level)> {
    let known = preflight(setup, db).await;
    let mut found: Vec<_> = known
        .findings
        .iter()
        .filter(|finding| finding.level != Level::Hints)
        .map(|finding| (finding.check.as_str(), finding.level))
        .collect();
    found.sort_unstable();
    found
}

/// All that is known before a launch.
pub(crate) async fn preflight(setup: Setup, db: &Pool) -> Preflight {
    let now = Utc::now();
    let keys = Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]);
    let campaign = campaign(&setup, db, now).await;
    let (port, authority) = web::pages("news.fernhill.test", keys.clone(), setup.pages).await;
    let listen = web::host(keys.clone(), setup.listener).await;
    let exchanger = web::host(keys.clone(), setup.exchanger).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let nameserver: SocketAddr =
        if setup.names_answer { setup.zone.serve().await } else { silent.local_addr().unwrap() };
    let public_url = setup.public_url.unwrap_or_else(|| format!("https://news.fernhill.test:{port}"));
    let sender = Sender { keys, return_domain: setup.return_domain, public_url };
    let around = Surroundings {
        way: Way { listen, port: exchanger.port(), nameserver: Some(nameserver) },
        relays: setup.relay.into_iter().collect(),
        per_second: None,
        volumes: vec![],
        sources: vec![],
        dkim: setup.dkim,
        authority: Some(authority),
    };
    let inside =
        rebound_send::preflight(db, &campaign, &sender, Depth::Everybody(&Progress::default()), now).await.unwrap();
    let outside = rebound_send::outside(db, &campaign, &sender, &around, now).await.unwrap();
    inside.with(outside)
}

async fn campaign(setup: &Setup, db: &Pool, now: DateTime<Utc>) -> Campaign {
    let before = now - TimeDelta::days(1);
    let list = lists::ensure(db, "News", before).await.unwrap().id;
    let people: Vec<(EmailAddress, Fields)> =
        setup.people.iter().map(|address| (address.parse().unwrap(), Fields::new())).collect();
    contacts::add(db, &people, before).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _)| address.key()).collect();
    subscriptions::confirm_all(db, list, &keys, "a test", before).await.unwrap();
    let draft = Draft { list, ..setup.draft.clone() };
    if setup.past.written {
        let earlier = Draft { name: "Winter".into(), ..draft.clone() };
        let id = campaigns::create(db, &earlier, before).await.unwrap();
        send(db, id, setup.past.bounced, before).await;
    }
    let count = |kind, count| Count { count, ..Count::one(before, CampaignId(1), kind, None) };
    let counts = [count(Kind::Accepted, setup.past.yesterday), count(Kind::Complaint, setup.past.complaints)];
    statistics::count(db, &counts).await.unwrap();
    let id = campaigns::create(db, &draft, now).await.unwrap();
    campaigns::get(db, id).await.unwrap().unwrap()
}

/// Sends a campaign to everybody: the first `bounced` of it came back.
async fn send(db: &Pool, id: CampaignId, bounced: usize, now: DateTime<Utc>) {
    let launched = campaigns::get(db, id).await.unwrap().unwrap();
    let tx = db.begin().await.unwrap();
    campaigns::set_state(&tx, id, launched.state, CampaignState::Planning, None, now).await.unwrap();
    let planning = campaigns::get(&tx, id).await.unwrap().unwrap();
    while campaigns::plan(&tx, &planning, now).await.unwrap() > 0 {}
    campaigns::set_state(&tx, id, CampaignState::Planning, CampaignState::Sending, None, now).await.unwrap();
    let worker = WorkerId(1);
    let due = leases::claim(&tx, worker, id, 100_000, now).await.unwrap();
    let ids: Vec<DeliveryId> = (0..due.len() as i64).filter_map(|n| DeliveryId::new(id, n)).collect();
    let tries: Vec<Try> = ids.iter().map(|id| Try { id: *id, number: 1 }).collect();
    leases::mark(&tx, worker, &tries, now).await.unwrap();
    let state = |n: usize| if n < bounced { StateName::Bounced } else { StateName::Accepted };
    let settled: Vec<_> =
        ids.iter().enumerate().map(|(n, id)| deliveries::Settled { id: *id, state: state(n), due: None }).collect();
    deliveries::settle(&tx, &settled).await.unwrap();
    tx.commit().await.unwrap();
}
