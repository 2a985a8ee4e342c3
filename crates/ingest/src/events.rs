//! What programs tell of our mail over HTTPS: providers, relays, whoever reads their logs.
//!
//! A request holds one event or an array of them. It is kept as it came, like a report that came by mail, and read later.

use crate::reader::refusal;
use crate::whose::{message_id, return_path};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_classify::Rules;
use rebound_db::inbox::Arrived;
use rebound_domain::{
    AddressKey, Bounce, Complaint, DeliveryId, Grade, InboxId, Keys, RETURN_PATH_DAYS, Refusal, ReturnPath, Verdict,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How the inbox says where such a request came from.
pub(crate) const SOURCE: &str = "events";

/// Events that one request may hold.
const MOST: usize = 10_000;

/// What happened earlier is taken to have happened then.
const OLDEST: TimeDelta = TimeDelta::days(RETURN_PATH_DAYS as i64);

/// One event.
#[derive(Debug, Deserialize)]
struct Event {
    kind: String,
    /// Either is the Message-ID of the message, or its return path.
    our_token: Option<String>,
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
    /// The other side goes on trying, and may have told why.
    Delayed(Option<Verdict>),
    /// It gave up.
    Bounced(Verdict),
    Complaint(String),
}

/// What is said about people whom we know.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) bounces: Vec<Bounce>,
    pub(crate) complaints: Vec<Complaint>,
    pub(crate) delivered: Vec<(DeliveryId, AddressKey)>,
    /// Those that somebody else goes on trying.
    pub(crate) kept: Vec<DeliveryId>,
}

impl Facts {
    pub(crate) fn count(&self) -> usize {
        self.bounces.len() + self.complaints.len() + self.delivered.len() + self.kept.len()
    }
}

/// What a request told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) told: Vec<Told>,
    /// The first event that could not be read, and why.
    pub(crate) error: Option<String>,
}

fn parsed(body: &[u8]) -> Result<Vec<Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Array(events)) if events.len() > MOST => Err(format!("it holds more than {MOST} events")),
        Ok(Value::Array(events)) if events.iter().all(Value::is_object) => Ok(events),
        Ok(event @ Value::Object(_)) => Ok(vec![event]),
        _ => Err("it is no event, and no array of events".to_owned()),
    }
}

/// Whether it can be read at all.
pub(crate) fn check(body: &[u8]) -> Result<(), String> {
    parsed(body).map(drop)
}

/// The events about our own messages. Those of other kinds, or of other messages, say nothing to us.
pub(crate) fn read(arrived: &Arrived, keys: &Keys, rules: &Rules) -> Heard {
    let events = match parsed(&arrived.raw) {
        Ok(events) => events,
        Err(error) => return Heard { told: vec![], error: Some(error) },
    };
    let mut heard = Heard::default();
    for (event, number) in events.into_iter().zip(1..) {
        match serde_json::from_value(event) {
            Ok(event) => heard.told.extend(told(event, arrived.received, keys, rules)),
            Err(error) => {
                heard.error.get_or_insert_with(|| format!("event {number} cannot be read: {error}"));
            }
        }
    }
    heard
}

fn told(event: Event, received: DateTime<Utc>, keys: &Keys, rules: &Rules) -> Option<Told> {
    let names = || event.our_token.iter().chain(&event.rfc_message_id);
    let by_path = names().find_map(|name| return_path(name, keys, received));
    let of = by_path.or_else(|| names().find_map(|name| message_id(name, keys)))?;
    let verdict = || event.smtp.as_ref().and_then(|smtp| rules.reply(smtp.line().as_bytes()));
    let what = match event.kind.as_str() {
        "delivered" => What::Delivered,
        "deferred" => What::Delayed(verdict()),
        "soft" | "hard" | "blocked" | "suppressed" | "bounced" => What::Bounced(verdict()?),
        "complaint" => What::Complaint(short(event.feedback_type.as_deref().unwrap_or("abuse")).to_ascii_lowercase()),
        _ => return None,
    };
    // Nobody tells of what is to come, nor of what nobody remembers.
    let at = event.occurred_at.unwrap_or(received).clamp(received - OLDEST, received);
    Some(Told { of, at, what, remote_mta: event.remote_mta.as_deref().map(short) })
}

/// What somebody wrote, as far as it is shown.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
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
pub(crate) fn facts(told: Vec<Told>, inbox: InboxId, people: &BTreeMap<DeliveryId, AddressKey>) -> Facts {
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
            inbox: Some(inbox),
            at: one.at,
        };
        match one.what {
            What::Delivered => facts.delivered.push((one.of.delivery, address)),
            What::Delayed(Some(verdict)) => facts.bounces.push(bounce(verdict, true)),
            What::Delayed(None) => facts.kept.push(one.of.delivery),
            What::Bounced(verdict) => facts.bounces.push(bounce(verdict, false)),
            What::Complaint(kind) => {
                facts.complaints.push(Complaint { delivery: one.of.delivery, kind, at: one.at });
            }
        }
    }
    facts
}
