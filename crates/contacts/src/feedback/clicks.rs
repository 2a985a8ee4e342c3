//! Links that were followed, and what that says of a letter and of its person.

use super::{arrivals, standings};
use chrono::{DateTime, Utc};
use rebound_db::clicks::{self, Click};
use rebound_db::events::{self, Event};
use rebound_db::{Connection, Error, Pool, Transaction, leases, policies};
use rebound_domain::{Contact, CountedLink, Follower, Visit};

/// What a request for a link says of whoever makes it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// What its program calls itself.
    pub agent: &'a str,
    /// Whether it says that nobody asked for the page yet.
    pub is_ahead: bool,
}

/// Notes that a link was followed, once for each link of each letter. A person who follows one has the letter, also where we
/// were in doubt, and their mailbox works. Of people who do not want it noted, nothing is.
///
/// # Errors
/// [`Error`]: nothing was noted.
pub async fn record_click(
    db: &Pool,
    of: CountedLink,
    contact: &Contact,
    caller: &Caller<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if clicks::is_uncounted(db, contact.id).await? || seen(db, of, caller, now).await?.is_none() {
        return Ok(());
    }
    let tx = db.begin().await?;
    // Scanners follow all links of a letter at once: one of them after the other. Asked again, nothing can come between.
    clicks::one_at_a_time(&tx, contact.id).await?;
    let Some(seen) = seen(&tx, of, caller, now).await? else { return Ok(()) };
    if clicks::is_uncounted(&tx, contact.id).await? {
        return Ok(());
    }
    if seen.click.follower == Follower::Person {
        let policy = policies::in_force(&tx).await?;
        arrivals::record_arrivals(&tx, &[of.delivery], "a link of it was followed", &policy, now).await?;
        standings::reached(&tx, &[(of.delivery, contact.address.key())], &policy, now).await?;
    }
    clicks::note(&tx, &seen.click).await?;
    if let Some(from) = seen.unmasked {
        clicks::were_a_machine(&tx, of.delivery, from).await?;
    }
    tx.commit().await
}

/// A visit that is to be noted.
struct Seen {
    click: Click,
    /// Since when visits were a machine's, as this one shows.
    unmasked: Option<DateTime<Utc>>,
}

/// `None` where it says nothing new.
async fn seen(
    db: &impl Connection,
    of: CountedLink,
    caller: &Caller<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Seen>, Error> {
    let before = clicks::of_letter(db, of.delivery).await?;
    let same = before.iter().find(|click| click.of == of).map(|click| click.follower);
    if same == Some(Follower::Person) {
        return Ok(None);
    }
    let handed = leases::last_handed(db, &[of.delivery]).await?.remove(&of.delivery);
    let other = before.iter().filter(|click| click.of != of).map(|click| click.at).max();
    let visit = Visit {
        agent: caller.agent,
        is_ahead: caller.is_ahead,
        since_handed: handed.map(|at| now - at),
        since_other: other.map(|at| now - at),
    };
    let follower = visit.follower();
    if same == Some(follower) {
        return Ok(None);
    }
    let unmasked = other.filter(|_| visit.unmasks_other());
    Ok(Some(Seen { click: Click { of, at: now, follower }, unmasked }))
}

/// A person says whether it may be noted which links they follow. Where not, what was is forgotten.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn let_count(
    tx: &Transaction,
    contact: &Contact,
    may: bool,
    source: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    clicks::one_at_a_time(tx, contact.id).await?;
    if clicks::is_uncounted(tx, contact.id).await? != may {
        return Ok(());
    }
    let kind = if may {
        clicks::count_again(tx, contact.id).await?;
        "clicks.allowed"
    } else {
        clicks::stop_counting(tx, contact.id, now).await?;
        "clicks.refused"
    };
    let (id, key) = (Some(contact.id.0), Some(contact.address.key()));
    let (actor, detail) = (contact.address.as_str(), source.to_owned());
    events::add(tx, &Event { at: now, kind, actor, subject: "contact", subject_id: id, key, detail }).await
}
