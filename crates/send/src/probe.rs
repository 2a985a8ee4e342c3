//! Asking a provider again before its rest is over.

use chrono::{DateTime, Utc};
use rebound_db::events::{self, Event};
use rebound_db::{Pool, lanes};
use rebound_domain::{IncidentId, Receiver};

/// `actor` wants the provider of `incident` to be asked now: one message goes as a probe, and what waits for it is due.
/// `false` where it does not rest.
///
/// # Errors
/// [`rebound_db::Error`]
pub async fn probe_now(
    pool: &Pool,
    receiver: &Receiver,
    incident: IncidentId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<bool, rebound_db::Error> {
    let tx = pool.begin().await?;
    if !lanes::hurry(&tx, receiver, now).await? {
        return Ok(false);
    }
    let event = Event {
        at: now,
        kind: "incident.probed",
        actor,
        subject: "incident",
        subject_id: Some(incident.0),
        key: None,
        detail: receiver.as_str().to_owned(),
    };
    events::add(&tx, &event).await?;
    tx.commit().await?;
    Ok(true)
}
