//! Lanes at rest, kept so that a restart does not storm a host that asked for patience.

use crate::entity::lanes::{ActiveModel, Column, Entity};
use crate::sql::{millis, time};
use crate::{Connection, Error};
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
