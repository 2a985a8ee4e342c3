//! Lanes at rest, kept so that a restart does not storm a host that asked for patience.

use crate::entity::lanes::{ActiveModel, Column, Entity};
use crate::sql::{execute, millis, number, time};
use crate::{Connection, Error, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{BounceCause, Receiver};
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, QueryOrder, Set};

/// A receiver that is not written to for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestingLane {
    /// Whose.
    pub receiver: Receiver,
    /// When a probe goes.
    pub until: DateTime<Utc>,
    /// How often in a row it has rested.
    pub rests: u32,
    /// Why.
    pub cause: BounceCause,
    /// The host's own words.
    pub words: String,
}

/// Keeps that a lane rests.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn rest(db: &impl Connection, lane: &RestingLane) -> Result<(), Error> {
    let cause = BounceCause::ALL.iter().position(|cause| *cause == lane.cause).unwrap_or_default();
    let row = ActiveModel {
        receiver: Set(lane.receiver.as_str().to_owned()),
        until: Set(millis(lane.until)),
        rests: Set(lane.rests.into()),
        cause: Set(i16::try_from(cause).unwrap_or(i16::MAX)),
        words: Set(lane.words.clone()),
    };
    let newer = OnConflict::column(Column::Receiver)
        .update_columns([Column::Until, Column::Rests, Column::Cause, Column::Words])
        .to_owned();
    Entity::insert(row).on_conflict(newer).exec_without_returning(db).await?;
    Ok(())
}

/// Forgets a rest: the receiver answers again.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn open(db: &impl Connection, receiver: &Receiver) -> Result<(), Error> {
    Entity::delete_by_id(receiver.as_str().to_owned()).exec(db).await?;
    Ok(())
}

/// The lanes at rest, the soonest probe first.
///
/// # Errors
/// [`Error`]
pub async fn resting(db: &impl Connection) -> Result<Vec<RestingLane>, Error> {
    let rows = Entity::find().order_by_asc(Column::Until).all(db).await?;
    rows.into_iter()
        .map(|row| {
            let cause = usize::try_from(row.cause).ok().and_then(|place| BounceCause::ALL.get(place)).copied();
            Ok(RestingLane {
                receiver: Receiver::of_domain(&row.receiver),
                until: time(row.until),
                rests: u32::try_from(row.rests).unwrap_or(0),
                cause: cause.ok_or(Error::unreadable("lanes", "cause"))?,
                words: row.words,
            })
        })
        .collect()
}

/// Lets a probe go to a receiver that rests, at `now`, with what waits for it; `false` where it does not rest.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn hurry(tx: &Transaction, receiver: &Receiver, now: DateTime<Utc>) -> Result<bool, Error> {
    let (name, now) = (receiver.as_str(), millis(now));
    let sql = "SELECT until FROM lanes WHERE receiver = $1 AND until > $2";
    let until = number(tx, sql, [name.into(), now.into()]).await?;
    if until == 0 {
        return Ok(false);
    }
    execute(tx, "UPDATE lanes SET until = $2 WHERE receiver = $1", [name.into(), now.into()]).await?;
    // What was given back because of the rest is due at its end, or a twentieth later; 0 and 1 are planned and deferred.
    let latest = until + (until - now) / 20 + 1;
    let sql = "UPDATE deliveries SET due = $2 WHERE state IN (0, 1) AND due > $2 AND due <= $3
         AND contact_id IN (SELECT id FROM contacts WHERE domain = $1)";
    execute(tx, sql, [name.into(), now.into(), latest.into()]).await?;
    Ok(true)
}
