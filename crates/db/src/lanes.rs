//! Lanes that are held, kept so that a restart does not storm a host that asked for patience.

use crate::entity::lanes::{Column, Entity, Model};
use crate::sql::{all, execute, millis, rows, time};
use crate::{Connection, Error, Transaction};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{BounceCause, Notice, PaceRules, Receiver, ServerId, Slowed};
use sea_orm::{EntityTrait, FromQueryResult, QueryOrder, Value};

/// A receiver that is not written to for a while, or not as fast as could be.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldLane {
    /// By which way; the configuration's is number 0.
    pub server: ServerId,
    /// Whose.
    pub receiver: Receiver,
    /// What holds it, why, and until when.
    pub notice: Notice,
}

/// Keeps what holds a lane at `now`, in place of what held it before. Another worker may have been told of more: a rest
/// that is not over stays, unless this one is longer, and so does what slows it for longer.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn hold(db: &impl Connection, lane: &HeldLane, now: DateTime<Utc>) -> Result<(), Error> {
    let notice = &lane.notice;
    let cause = BounceCause::ALL.iter().position(|cause| *cause == notice.cause).unwrap_or_default();
    let (rests, per_hour, places) = match notice.slowed {
        Slowed::Rests { rests } => (rests, None, None),
        Slowed::PerHour(rate) => (0, Some(rate), None),
        Slowed::Connections(most) => (0, None, Some(most)),
    };
    let sql = "INSERT INTO lanes (server_id, receiver, until, rests, cause, words, per_hour, places, why)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (server_id, receiver) DO UPDATE SET until = excluded.until, rests = excluded.rests,
             cause = excluded.cause, words = excluded.words, per_hour = excluded.per_hour, places = excluded.places,
             why = excluded.why, probing = NULL
         WHERE lanes.until <= $10
             OR (excluded.per_hour IS NULL AND excluded.places IS NULL, excluded.until)
                 >= (lanes.per_hour IS NULL AND lanes.places IS NULL, lanes.until)";
    let values: [Value; 10] = [
        lane.server.0.into(),
        lane.receiver.as_str().into(),
        millis(notice.until).into(),
        i64::from(rests).into(),
        i16::try_from(cause).unwrap_or(i16::MAX).into(),
        notice.words.as_str().into(),
        per_hour.map(i64::from).into(),
        places.map(i64::from).into(),
        notice.why.as_str().into(),
        millis(now).into(),
    ];
    execute(db, sql, values).await?;
    Ok(())
}

/// Forgets what held a lane until `now` or before: the receiver takes our mail again. What holds it for longer stays:
/// another worker was told so meanwhile.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn open(
    db: &impl Connection,
    server: ServerId,
    receiver: &Receiver,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let sql = "DELETE FROM lanes WHERE server_id = $1 AND receiver = $2 AND until <= $3";
    execute(db, sql, [server.0.into(), receiver.as_str().into(), millis(now).into()]).await?;
    Ok(())
}

/// Whether a probe may go at `now` to a receiver whose rest seems to be over; where not, when to ask again. Of several workers
/// one sends it. Another may have been told of a longer rest, or have found the receiver open: then it may go, too.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn probe(
    db: &impl Connection,
    server: ServerId,
    receiver: &Receiver,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Error> {
    /// A probe of which nothing was heard for so long is not waited for any more.
    const PATIENCE: TimeDelta = TimeDelta::minutes(1);
    /// How soon those who wait ask what became of it.
    const SOON: TimeDelta = TimeDelta::seconds(5);
    let (name, at) = (receiver.as_str(), millis(now));
    let sql = format!(
        "UPDATE lanes SET probing = $4 WHERE server_id = $1 AND receiver = $2 AND {RESTS}
             AND until <= $3 AND (probing IS NULL OR probing <= $3)"
    );
    let values = [server.0.into(), name.into(), at.into(), millis(now + PATIENCE).into()];
    if execute(db, &sql, values).await? > 0 {
        return Ok(None);
    }
    let rest = Entity::find_by_id((server.0, name.to_owned())).one(db).await?;
    let rest = rest.filter(|rest| rest.per_hour.is_none() && rest.places.is_none());
    Ok(rest.map(|rest| if rest.until > at { time(rest.until) } else { now + SOON }))
}

/// The lanes that are held, those first that end soonest. A slowed one may be over by now: see [`Notice::holds`].
///
/// # Errors
/// [`Error`]
pub async fn held(db: &impl Connection) -> Result<Vec<HeldLane>, Error> {
    let rows = Entity::find().order_by_asc(Column::Until).all(db).await?;
    rows.into_iter().map(HeldLane::try_from).collect()
}

/// The lanes at rest, the soonest probe first.
///
/// # Errors
/// [`Error`]
pub async fn resting(db: &impl Connection) -> Result<Vec<HeldLane>, Error> {
    let rests = |lane: &HeldLane| matches!(lane.notice.slowed, Slowed::Rests { .. });
    Ok(held(db).await?.into_iter().filter(rests).collect())
}

impl TryFrom<Model> for HeldLane {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let cause = usize::try_from(row.cause).ok().and_then(|place| BounceCause::ALL.get(place)).copied();
        let number = |number: i64| u32::try_from(number).unwrap_or(0);
        let slowed = match (row.per_hour, row.places) {
            (Some(rate), _) => Slowed::PerHour(number(rate).max(1)),
            (None, Some(most)) => Slowed::Connections(number(most).max(1)),
            (None, None) => Slowed::Rests { rests: number(row.rests) },
        };
        let notice = Notice {
            slowed,
            until: time(row.until),
            why: row.why,
            cause: cause.ok_or(Error::unreadable("lanes", "cause"))?,
            words: row.words,
        };
        Ok(Self { server: ServerId(row.server_id), receiver: Receiver::of_domain(&row.receiver), notice })
    }
}

/// Lets a probe go to a receiver that rests, at `now`, with what waits for it; `false` where it does not rest.
///
/// Behind a relay that are the recipients of its domain. Straight to its hosts it may have any domain, which stands
/// nowhere: there goes, too, whoever is due at the end of the rest, when all come again that it held back. One or another
/// of those waits for something else; the lanes decide who passes.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn hurry(tx: &Transaction, receiver: &Receiver, now: DateTime<Utc>) -> Result<bool, Error> {
    #[derive(FromQueryResult)]
    struct Rest {
        until: i64,
        is_direct: bool,
    }
    let (name, now) = (receiver.as_str(), millis(now));
    let sql = format!(
        "SELECT until, COALESCE((SELECT s.is_direct FROM sending_servers s WHERE s.id = server_id), FALSE) AS is_direct
         FROM lanes WHERE receiver = $1 AND until > $2 AND {RESTS}"
    );
    let rests: Vec<Rest> = all(tx, &sql, [name.into(), now.into()]).await?;
    let ends = || rests.iter().map(|rest| rest.until);
    let (Some(first), Some(last)) = (ends().min(), ends().max()) else { return Ok(false) };
    let sql = format!("UPDATE lanes SET until = $2 WHERE receiver = $1 AND until > $2 AND {RESTS}");
    execute(tx, &sql, [name.into(), now.into()]).await?;
    let is_direct = rests.iter().any(|rest| rest.is_direct);
    // What was given back because of the rest is due at its end, or a twentieth later.
    let due = Due { now, first: if is_direct { first } else { i64::MAX }, latest: last + (last - now) / 20 + 1 };
    bring_forward(tx, &domains(receiver, is_direct), due).await?;
    Ok(true)
}

/// A lane that rests, and is not only slowed.
const RESTS: &str = "per_hour IS NULL AND places IS NULL";

/// The domains of which it is known that a receiver has them.
fn domains(receiver: &Receiver, is_direct: bool) -> Vec<&str> {
    let group = PaceRules::built_in().group(receiver).filter(|_| is_direct);
    let known = group.into_iter().flat_map(|group| group.domains.iter().map(String::as_str));
    known.chain([receiver.as_str()]).collect()
}

/// What is brought forward.
struct Due {
    /// To when.
    now: i64,
    /// From when on, whatever the domain.
    first: i64,
    /// Until when.
    latest: i64,
}

/// Lets go at `due.now` what waits for a receiver that has these domains. By the time that it is due, of which each
/// campaign has an index: a receiver may have a million contacts.
async fn bring_forward(tx: &Transaction, domains: &[&str], due: Due) -> Result<(), Error> {
    let names: Vec<_> = domains.iter().map(|domain| serde_json::json!({ "domain": domain })).collect();
    let names = serde_json::Value::from(names).to_string();
    // 0 and 1 are planned and deferred; of campaigns, those that are launched and not over. With the plus SQLite sees that
    // the index by campaign and time will do.
    let sql = format!(
        "UPDATE deliveries SET due = $2
         WHERE (id >> 31) IN (SELECT +id FROM campaigns WHERE state IN (2, 3, 4, 5))
           AND state IN (0, 1) AND due > $2 AND due <= $3
           AND (due >= $4 OR (SELECT c.domain FROM contacts c WHERE c.id = contact_id) IN (SELECT domain FROM {}))",
        rows(tx, 1, &[("domain", "TEXT")])
    );
    execute(tx, &sql, [names.into(), due.now.into(), due.latest.into(), due.first.into()]).await?;
    Ok(())
}
