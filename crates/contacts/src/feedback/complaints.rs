//! A recipient pressed "report spam": no more mail, from this moment.

use super::REBOUND;
use chrono::{DateTime, Utc};
use rebound_db::complaints::{self, NotedComplaint};
use rebound_db::events::{self, Event};
use rebound_db::statistics::{self, Count, Kind};
use rebound_db::{Error, Transaction, suppressions};
use rebound_domain::{Complaint, Scope, Suppression, SuppressionReason};
use std::collections::BTreeMap;

/// Records complaints; how many were new. A wish to leave suppresses its address for all mail at once; other
/// feedback is only noted.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn record_complaints(tx: &Transaction, heard: &[Complaint], now: DateTime<Utc>) -> Result<usize, Error> {
    let new = complaints::add(tx, heard).await?;
    let leaving: Vec<&NotedComplaint> = new.iter().filter(|noted| noted.complaint.is_wish_to_leave()).collect();
    let counted =
        leaving.iter().map(|noted| Count::one(now, noted.complaint.delivery.campaign(), Kind::Complaint, None));
    statistics::count(tx, &counted.collect::<Vec<_>>()).await?;
    let each_once: BTreeMap<_, _> = leaving.iter().rev().map(|noted| (&noted.address, *noted)).collect();
    let suppressed: Vec<Suppression> = each_once.values().map(|noted| suppression(noted)).collect();
    suppressions::add_all(tx, &suppressed).await?;
    events::add_all(tx, &new.iter().map(|noted| event(noted, now)).collect::<Vec<_>>()).await?;
    Ok(new.len())
}

fn suppression(noted: &NotedComplaint) -> Suppression {
    Suppression {
        address: noted.address.clone(),
        scope: Scope::Everywhere,
        reason: SuppressionReason::Complaint,
        since: noted.complaint.at,
        until: None,
        evidence: format!("Reported as spam ({})", noted.complaint.kind),
    }
}

fn event(noted: &NotedComplaint, now: DateTime<Utc>) -> Event<'static> {
    let Complaint { delivery, kind, .. } = &noted.complaint;
    Event {
        at: now,
        kind: if noted.complaint.is_wish_to_leave() { "complained" } else { "feedback" },
        actor: REBOUND,
        subject: "delivery",
        subject_id: Some(delivery.0),
        key: Some(noted.address.clone()),
        detail: serde_json::json!({ "kind": kind }).to_string(),
    }
}
