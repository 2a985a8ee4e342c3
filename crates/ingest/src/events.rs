//! What programs tell of our mail over HTTPS: providers, relays, whoever reads their logs.
//!
//! A request holds one event or an array of them. It is kept as it came, like a report that came by mail, and read later.

use crate::reader::refusal;
use chrono::{DateTime, Utc};
use rebound_classify::Rules;
use rebound_db::inbox::Arrived;
use rebound_domain::{AddressKey, Bounce, Complaint, DeliveryId, Grade, Keys, MessageId, Refusal, ReturnPath, Verdict};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How the inbox says where such a request came from.
pub(crate) const SOURCE: &str = "events";

/// Events that one request may hold.
const MOST: usize = 10_000;

/// One event.
#[derive(Debug, Deserialize)]
struct Event {
    kind: String,
    /// The Message-ID of the message, or its return path.
    #[serde(alias = "our_token")]
    rfc_message_id: Option<String>,
    smtp: Option<Smtp>,
    remote_mta: Option<String>,
    occurred_at: Option<DateTime<Utc>>,
    /// What kind of complaint it is (RFC 5965).
    feedback_type: Option<String>,
}

/// What the receiving host said.
#[derive(Debug, Deserialize)]
struct Smtp {
    code: u16,
    #[serde(default)]
    enhanced: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Many(Vec<Event>),
    One(Event),
}

/// An event about a message of ours.
#[derive(Debug)]
pub(crate) struct Told {
    of: ReturnPath,
    at: DateTime<Utc>,
    what: What,
    remote_mta: Option<String>,
}

#[derive(Debug)]
enum What {
    Delivered,
    /// The other side goes on trying.
    Delayed(Verdict),
    /// It gave up.
    Bounced(Verdict),
    Complaint(String),
}

/// What events say about people whom we know.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) bounces: Vec<Bounce>,
    pub(crate) complaints: Vec<Complaint>,
    pub(crate) delivered: Vec<(DeliveryId, AddressKey)>,
}

fn parsed(body: &[u8]) -> Result<Vec<Event>, String> {
    let events = match serde_json::from_slice(body) {
        Ok(Body::Many(events)) => events,
        Ok(Body::One(event)) => vec![event],
        Err(_) => return Err("it is no event, and no array of events".to_owned()),
    };
    if events.len() > MOST { Err(format!("it holds more than {MOST} events")) } else { Ok(events) }
}

/// Whether it can be read at all.
pub(crate) fn check(body: &[u8]) -> Result<(), String> {
    parsed(body).map(drop)
}

/// The events about our own messages. Those of other kinds, or of other messages, say nothing to us.
pub(crate) fn read(arrived: &Arrived, keys: &Keys, rules: &Rules) -> Result<Vec<Told>, String> {
    let events = parsed(&arrived.raw)?;
    Ok(events.into_iter().filter_map(|event| told(event, arrived.received, keys, rules)).collect())
}

fn told(event: Event, received: DateTime<Utc>, keys: &Keys, rules: &Rules) -> Option<Told> {
    let name = event.rfc_message_id.as_deref()?;
    let local = name.trim().trim_start_matches('<').split('@').next()?;
    let of = ReturnPath::verify(local, keys, received)
        .or_else(|| MessageId::verify(name, keys).map(|MessageId(delivery)| ReturnPath { delivery, attempt: 0 }))?;
    let verdict = || event.smtp.as_ref().and_then(|smtp| rules.reply(smtp.line().as_bytes()));
    let what = match event.kind.as_str() {
        "delivered" => What::Delivered,
        "deferred" => What::Delayed(verdict()?),
        "soft" | "hard" | "blocked" | "bounced" => What::Bounced(verdict()?),
        "complaint" => What::Complaint(event.feedback_type.as_deref().unwrap_or("abuse").to_ascii_lowercase()),
        _ => return None,
    };
    // Nobody tells of what is to come.
    let at = event.occurred_at.filter(|at| *at <= received).unwrap_or(received);
    Some(Told { of, at, what, remote_mta: event.remote_mta })
}

impl Smtp {
    /// As the host wrote it.
    fn line(&self) -> String {
        let has_status = !self.enhanced.is_empty() && !self.text.contains(&self.enhanced);
        let status = if has_status { format!("{} ", self.enhanced) } else { String::new() };
        let text = self.text.strip_prefix(&self.code.to_string()).map_or(&*self.text, str::trim_start);
        format!("{} {status}{text}", self.code)
    }
}

impl Told {
    pub(crate) fn delivery(&self) -> DeliveryId {
        self.of.delivery
    }
}

/// What `told` says about `people`; what is said about messages that are gone since is left out.
pub(crate) fn facts(told: Vec<Told>, people: &BTreeMap<DeliveryId, AddressKey>) -> Facts {
    let mut facts = Facts::default();
    for one in told {
        let Some(address) = people.get(&one.of.delivery).cloned() else { continue };
        let bounce = |verdict: Verdict, held: bool| Bounce {
            delivery: Some(one.of.delivery),
            attempt: one.of.attempt,
            address: address.clone(),
            grade: Grade::Ours,
            refusal: if held { Refusal::Transient } else { refusal(&verdict) },
            held,
            receiver: None,
            learned: None,
            verdict,
            reporting_mta: one.remote_mta.clone(),
            // The words are the host's own, and not where they stand in the request.
            inbox: None,
            at: one.at,
        };
        match one.what {
            What::Delivered => facts.delivered.push((one.of.delivery, address)),
            What::Delayed(verdict) => facts.bounces.push(bounce(verdict, true)),
            What::Bounced(verdict) => facts.bounces.push(bounce(verdict, false)),
            What::Complaint(kind) => {
                facts.complaints.push(Complaint { delivery: one.of.delivery, kind, at: one.at });
            }
        }
    }
    facts
}
