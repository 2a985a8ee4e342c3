//! Campaigns, and the planning of their deliveries.

mod plan;

pub use plan::{CHUNK, is_ours_to_plan, plan};

use crate::entity::campaigns::{ActiveModel, Column, Entity, Model};
use crate::sql::{all as rows_of, execute, millis, number, time};
use crate::{Connection, Error, workers};
use chrono::{DateTime, Utc};
use rebound_domain::{Campaign, CampaignId, CampaignState, DoubtPolicy, Draft, ListId, Resend};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Set, SqlErr};

/// Keeps a draft.
///
/// # Errors
/// [`Error::Taken`] when another campaign has that name.
pub async fn create(db: &impl Connection, draft: &Draft, now: DateTime<Utc>) -> Result<CampaignId, Error> {
    keep(db, draft, None, now).await
}

/// Keeps the draft of a resend. There is one at a time for each campaign and cause.
///
/// # Errors
/// [`Error::Taken`] when another campaign has that name, or the resend is being written already.
pub async fn create_resend(
    db: &impl Connection,
    draft: &Draft,
    resend: Resend,
    now: DateTime<Utc>,
) -> Result<CampaignId, Error> {
    keep(db, draft, Some(resend), now).await
}

async fn keep(
    db: &impl Connection,
    draft: &Draft,
    resend: Option<Resend>,
    now: DateTime<Utc>,
) -> Result<CampaignId, Error> {
    let row = ActiveModel {
        parent: Set(resend.map(|resend| resend.of.0)),
        cause: Set(resend.map(|resend| resend.cause.as_str().to_owned())),
        expected: Set(0),
        doubts_left: Set(0),
        state: Set(CampaignState::Draft.code()),
        reason: Set(None),
        created: Set(millis(now)),
        launched: Set(None),
        finished: Set(None),
        planned: Set(0),
        audience_cursor: Set(0),
        trusted: Set(0),
        waits_for_relay: Set(false),
        ..written(draft)
    };
    let inserted = Entity::insert(row).exec(db).await.map_err(taken)?;
    Ok(CampaignId(inserted.last_insert_id))
}

/// Keeps what was changed in a draft; `false` when it is no draft any more.
///
/// # Errors
/// [`Error::Taken`] when another campaign has that name.
pub async fn update(db: &impl Connection, id: CampaignId, draft: &Draft) -> Result<bool, Error> {
    let change = Entity::update_many()
        .set(written(draft))
        .filter(Column::Id.eq(id.0))
        .filter(Column::State.eq(CampaignState::Draft.code()));
    Ok(change.exec(db).await.map_err(taken)?.rows_affected == 1)
}

/// Throws a draft away; `false` when it is no draft any more.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn delete(db: &impl Connection, id: CampaignId) -> Result<bool, Error> {
    Ok(execute(db, "DELETE FROM campaigns WHERE id = $1 AND state = 0", [id.0.into()]).await? == 1)
}

/// The resends of a campaign, oldest first.
///
/// # Errors
/// [`Error`]
pub async fn resends(db: &impl Connection, of: CampaignId) -> Result<Vec<Campaign>, Error> {
    let rows = Entity::find().filter(Column::Parent.eq(of.0)).order_by_asc(Column::Id).all(db).await?;
    rows.into_iter().map(Campaign::try_from).collect()
}

fn written(draft: &Draft) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        name: Set(draft.name.clone()),
        list_id: Set(draft.list.0),
        from_name: Set(draft.from_name.clone()),
        from_address: Set(draft.from.to_string()),
        reply_to: Set(draft.reply_to.as_ref().map(ToString::to_string)),
        subject: Set(draft.subject.clone()),
        html: Set(draft.html.clone()),
        body: Set(draft.text.clone()),
        postal_address: Set(draft.postal_address.clone()),
        defaults: Set(serde_json::json!(draft.defaults).to_string()),
        doubt: Set(draft.doubt as i16),
        counts_clicks: Set(draft.counts_clicks),
        ..ActiveModel::default()
    }
}

fn taken(error: sea_orm::DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Taken { what: "campaign" },
        _ => error.into(),
    }
}

/// The campaign with `id`.
///
/// # Errors
/// [`Error`]
pub async fn get(db: &impl Connection, id: CampaignId) -> Result<Option<Campaign>, Error> {
    Entity::find_by_id(id.0).one(db).await?.map(Campaign::try_from).transpose()
}

/// The campaign called `name`.
///
/// # Errors
/// [`Error`]
pub async fn named(db: &impl Connection, name: &str) -> Result<Option<Campaign>, Error> {
    Entity::find().filter(Column::Name.eq(name)).one(db).await?.map(Campaign::try_from).transpose()
}

/// All campaigns, newest first.
///
/// # Errors
/// [`Error`]
pub async fn all(db: &impl Connection) -> Result<Vec<Campaign>, Error> {
    let rows = Entity::find().order_by_desc(Column::Id).all(db).await?;
    rows.into_iter().map(Campaign::try_from).collect()
}

/// The campaigns in any of `states`, oldest first.
///
/// # Errors
/// [`Error`]
pub async fn in_states(db: &impl Connection, states: &[CampaignState]) -> Result<Vec<Campaign>, Error> {
    let states = states.iter().map(|state| state.code());
    let rows = Entity::find().filter(Column::State.is_in(states)).order_by_asc(Column::Id).all(db).await?;
    rows.into_iter().map(Campaign::try_from).collect()
}

/// The scheduled campaigns whose time has come.
///
/// # Errors
/// [`Error`]
pub async fn due(db: &impl Connection, now: DateTime<Utc>) -> Result<Vec<Campaign>, Error> {
    let rows = Entity::find()
        .filter(Column::State.eq(CampaignState::Scheduled.code()))
        .filter(Column::Scheduled.lte(millis(now)));
    rows.order_by_asc(Column::Scheduled).all(db).await?.into_iter().map(Campaign::try_from).collect()
}

/// Says when a campaign is to be launched.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn schedule(db: &impl Connection, id: CampaignId, at: Option<DateTime<Utc>>) -> Result<(), Error> {
    execute(db, "UPDATE campaigns SET scheduled = $1 WHERE id = $2", [at.map(millis).into(), id.0.into()]).await?;
    Ok(())
}

/// Says about how many deliveries the planning will make.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn expect(db: &impl Connection, id: CampaignId, people: i64) -> Result<(), Error> {
    execute(db, "UPDATE campaigns SET expected = $1 WHERE id = $2", [people.into(), id.0.into()]).await?;
    Ok(())
}

/// 2 is planning, 3 is sending: an index holds just these.
pub(crate) const SENDING: &str = "SELECT id FROM campaigns WHERE state IN (2, 3)";

/// The campaigns whose messages may go out now.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sending(db: &impl Connection) -> Result<Vec<CampaignId>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
    }
    let rows = rows_of::<Row>(db, SENDING, []).await?;
    Ok(rows.into_iter().map(|row| CampaignId(row.id)).collect())
}

/// Moves a campaign from one state to another; `false` when it stood elsewhere, and nothing was changed.
///
/// The first move to `planning` sets the cut-off; the move to `sent` or `cancelled` the end.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_state(
    db: &impl Connection,
    id: CampaignId,
    from: CampaignState,
    to: CampaignState,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let over = matches!(to, CampaignState::Sent | CampaignState::Cancelled);
    let sql = "UPDATE campaigns SET state = $1, reason = $2,
            launched = CASE WHEN $1 = 2 THEN COALESCE(launched, $3) ELSE launched END,
            finished = CASE WHEN $4 = 1 THEN $3 ELSE NULL END
        WHERE id = $5 AND state = $6";
    let values = [
        to.code().into(),
        reason.map(str::to_owned).into(),
        millis(now).into(),
        i16::from(over).into(),
        id.0.into(),
        from.code().into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// Lets every campaign that sends wait until the relay answers again, unless a worker can send. Where the reason is news,
/// those that wait for it already give it too.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn wait_for_relay(db: &impl Connection, reason: &str, is_news: bool) -> Result<u64, Error> {
    let sql = format!(
        "UPDATE campaigns SET state = 4, reason = $1, waits_for_relay = TRUE
         WHERE (state IN (2, 3) OR (state = 4 AND waits_for_relay AND $2 AND (reason IS NULL OR reason <> $1)))
             AND NOT EXISTS ({})",
        workers::able(db)
    );
    execute(db, &sql, [reason.into(), is_news.into()]).await
}

/// Whether a campaign waits for the relay.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn any_waits_for_relay(db: &impl Connection) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM campaigns WHERE state = 4 AND waits_for_relay";
    Ok(number(db, sql, []).await? > 0)
}

/// Lets the campaigns go on that waited for the relay, and only those, as a worker can send.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn relay_is_back(db: &impl Connection) -> Result<u64, Error> {
    let sql = format!(
        "UPDATE campaigns SET state = 2, reason = NULL, waits_for_relay = FALSE
         WHERE state = 4 AND waits_for_relay AND EXISTS ({})",
        workers::able(db)
    );
    execute(db, &sql, []).await
}

/// Lets a campaign wait until a person has looked at an incident; `false` when it was not sending.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn hold(db: &impl Connection, id: CampaignId, reason: &str) -> Result<bool, Error> {
    let sql = "UPDATE campaigns SET state = 4, reason = $1, waits_for_relay = FALSE
        WHERE id = $2 AND (state IN (2, 3) OR (state = 4 AND waits_for_relay))";
    Ok(execute(db, sql, [reason.into(), id.0.into()]).await? == 1)
}

/// Says from when on bursts of a campaign are looked for: a person has seen the earlier one and sends on.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn trust_from(db: &impl Connection, id: CampaignId, now: DateTime<Utc>) -> Result<(), Error> {
    execute(db, "UPDATE campaigns SET trusted = $1 WHERE id = $2", [millis(now).into(), id.0.into()]).await?;
    Ok(())
}

/// Cancels all deliveries of a campaign that have not been taken.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn cancel_open(db: &impl Connection, id: CampaignId) -> Result<u64, Error> {
    let sql = "UPDATE deliveries SET state = 8 WHERE (id >> 31) = $1 AND state IN (0, 1)";
    execute(db, sql, [id.0.into()]).await
}

/// Sends on where a report gave custody back to us after the campaign was sent, and cancels what came back to a
/// campaign that was cancelled meanwhile. Nearly always there is neither, which is seen without writing.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn reopen(db: &impl Connection) -> Result<u64, Error> {
    let mut reopened = 0;
    for (id, state) in over_and_open(db).await? {
        if state == CampaignState::Cancelled {
            cancel_open(db, id).await?;
        } else {
            let sql = "UPDATE campaigns SET state = 3, finished = NULL WHERE id = $1 AND state = 7
                AND EXISTS (SELECT 1 FROM deliveries d WHERE (d.id >> 31) = $1 AND d.state IN (0, 1))";
            reopened += execute(db, sql, [id.0.into()]).await?;
        }
    }
    Ok(reopened)
}

/// The campaigns that are over, yet have deliveries that wait. From one campaign with such to the next, by their index:
/// neither those that wait nor the campaigns that are over are counted through.
async fn over_and_open(db: &impl Connection) -> Result<Vec<(CampaignId, CampaignState)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        state: i16,
    }
    // It begins with SELECT, and so is asked of those who only read.
    let sql = "SELECT g.id, g.state FROM (
            WITH RECURSIVE waits (id) AS (
                SELECT (SELECT (id >> 31) FROM deliveries WHERE state IN (0, 1) ORDER BY (id >> 31) LIMIT 1)
                UNION ALL
                SELECT (SELECT (d.id >> 31) FROM deliveries d WHERE d.state IN (0, 1) AND (d.id >> 31) > waits.id
                        ORDER BY (d.id >> 31) LIMIT 1)
                FROM waits WHERE waits.id IS NOT NULL)
            SELECT id FROM waits WHERE id IS NOT NULL) AS waiting
        CROSS JOIN campaigns g WHERE g.id = waiting.id AND g.state IN (6, 7)";
    let over = rows_of::<Row>(db, sql, []).await?.into_iter();
    let read = |row: Row| Some((CampaignId(row.id), CampaignState::from_code(row.state)?));
    Ok(over.filter_map(read).collect())
}

impl TryFrom<Model> for Campaign {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let unreadable = |column| Error::unreadable("campaigns", column);
        let doubt = match row.doubt {
            0 => DoubtPolicy::Resend,
            1 => DoubtPolicy::Hold,
            2 => DoubtPolicy::Never,
            _ => return Err(unreadable("doubt")),
        };
        let resend = match (row.parent, row.cause) {
            (Some(of), Some(cause)) => {
                Some(Resend { of: CampaignId(of), cause: cause.parse().map_err(|_| unreadable("cause"))? })
            }
            _ => None,
        };
        let reply_to = row.reply_to.map(|text| text.parse()).transpose().map_err(|_| unreadable("reply_to"))?;
        Ok(Self {
            id: CampaignId(row.id),
            draft: Draft {
                name: row.name,
                list: ListId(row.list_id),
                from_name: row.from_name,
                from: row.from_address.parse().map_err(|_| unreadable("from_address"))?,
                reply_to,
                subject: row.subject,
                html: row.html,
                text: row.body,
                postal_address: row.postal_address,
                defaults: serde_json::from_str(&row.defaults).map_err(|_| unreadable("defaults"))?,
                doubt,
                counts_clicks: row.counts_clicks,
            },
            state: CampaignState::from_code(row.state).ok_or(unreadable("state"))?,
            reason: row.reason,
            created: time(row.created),
            launched: row.launched.map(time),
            finished: row.finished.map(time),
            planned: row.planned,
            expected: row.expected,
            scheduled: row.scheduled.map(time),
            resend,
        })
    }
}
