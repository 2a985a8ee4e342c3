//! Bounces that a rule may judge again, and what it said of them: noted where corrections are, beside the verdicts.

use super::NotedBounce;
use super::noted::{COLUMNS, Row};
use crate::sql::{all, execute, json, millis, number, rows};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{BounceId, Case};
use sea_orm::{DatabaseBackend, DbErr, FromQueryResult, QueryResult, Value};
use std::collections::HashMap;

/// A bounce that a rule may judge again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// As it is noted.
    pub bounce: NotedBounce,
    /// Whether a person had the last word on it: then no rule has.
    pub by_hand: bool,
    /// The rule that judged it again before, where one had the last word.
    pub by_rule: Option<String>,
}

/// What a rule says that a bounce was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Which bounce.
    pub id: BounceId,
    /// The rule.
    pub rule: String,
    /// What it was; `None` where the rule says nothing of it any more, and the verdict rules.
    pub judged: Option<Case>,
}

/// More phrases than this are not looked for one by one: then each bounce is looked at.
const PHRASES: usize = 200;

/// Final bounces of ours that hold one of `words` (in ASCII lower case), or that `rule` judged before. Not those of
/// a burst, nor those of an incident that was restored: so many people cannot all have gone wrong at once, and a person
/// has said so.
fn conditions(db: &impl Connection, words: &[String], rules: &[String], values: &mut Vec<Value>) -> String {
    let lower = match db.get_database_backend() {
        // Only ASCII is folded, on either engine, as the phrases are.
        DatabaseBackend::Postgres => "LOWER(b.diagnostic COLLATE \"C\")",
        _ => "LOWER(b.diagnostic)",
    };
    let mut speaks: Vec<String> = vec![];
    if words.len() > PHRASES {
        speaks.push("1 = 1".to_owned());
    } else {
        for words in words {
            values.push(holding(words).into());
            speaks.push(format!("{lower} LIKE ${} ESCAPE '!'", values.len()));
        }
        for rule in rules {
            values.push(rule.as_str().into());
            speaks.push(format!("n.rule = ${}", values.len()));
        }
    }
    if speaks.is_empty() {
        speaks.push("1 = 0".to_owned());
    }
    format!(
        "FROM bounces b LEFT JOIN corrections n
            ON n.id = (SELECT MAX(c.id) FROM corrections c WHERE c.bounce_id = b.id)
         WHERE b.is_final AND b.delivery_id IS NOT NULL AND b.grade > 0 AND ({})
            AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = b.incident_id
                AND (i.burst = TRUE OR EXISTS (SELECT 1 FROM events e WHERE e.subject = 'incident'
                    AND e.subject_id = i.id AND e.kind = 'incident.restored')))",
        speaks.join(" OR ")
    )
}

fn holding(words: &str) -> String {
    let escaped = words.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

/// The next `limit` bounces after `after`, in the order of noting, that hold one of `words` or that one of `rules`
/// judged before.
///
/// # Errors
/// [`Error`]
pub async fn again(
    db: &impl Connection,
    words: &[String],
    rules: &[String],
    after: BounceId,
    limit: u32,
) -> Result<Vec<Again>, Error> {
    let mut values: Vec<Value> = vec![after.0.into(), i64::from(limit).into()];
    let conditions = conditions(db, words, rules, &mut values);
    let sql = format!(
        "SELECT {COLUMNS}, n.rule AS said_by_rule, n.id AS said {conditions} AND b.id > $1 ORDER BY b.id LIMIT $2"
    );
    let found: Vec<Said> = all(db, &sql, values).await?;
    let read = |one: Said| {
        let by_hand = one.said.is_some() && one.rule.is_none();
        Ok(Again { bounce: one.row.try_into()?, by_hand, by_rule: one.rule })
    };
    found.into_iter().map(read).collect()
}

/// How many there are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn again_count(db: &impl Connection, words: &[String], rules: &[String]) -> Result<i64, Error> {
    let mut values = vec![];
    let conditions = conditions(db, words, rules, &mut values);
    number(db, &format!("SELECT COUNT(*) {conditions}"), values).await
}

/// Notes what rules say that bounces were, as `actor` had them judged again, and why.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn judge_again(
    db: &impl Connection,
    judgements: &[Judgement],
    (actor, why): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        id: i64,
        judged: Option<String>,
        rule: &'a str,
    }
    if judgements.is_empty() {
        return Ok(());
    }
    let line = |one: &'_ Judgement| (one.id.0, one.judged.map(|case| case.to_string()));
    let lines = judgements.iter().map(|one| {
        let (id, judged) = line(one);
        Line { id, judged, rule: &one.rule }
    });
    let sql = format!(
        "INSERT INTO corrections (bounce_id, origin, at, actor, judged, why, rule)
         SELECT id, id, $2, $3, judged, $4, rule FROM {}",
        rows(db, 1, &[("id", "BIGINT"), ("judged", "TEXT"), ("rule", "TEXT")])
    );
    let values: [Value; 4] = [json(lines)?.into(), millis(now).into(), actor.into(), why.into()];
    execute(db, &sql, values).await?;
    let mut by_case: HashMap<Option<String>, Vec<i64>> = HashMap::new();
    for (id, judged) in judgements.iter().map(line) {
        by_case.entry(judged).or_default().push(id);
    }
    #[derive(serde::Serialize)]
    struct Id {
        id: i64,
    }
    let wanted = rows(db, 1, &[("id", "BIGINT")]);
    for (judged, ids) in by_case {
        let sql = format!("UPDATE bounces SET corrected = $2 WHERE id IN (SELECT id FROM {wanted})");
        execute(db, &sql, [json(ids.into_iter().map(|id| Id { id }))?.into(), judged.into()]).await?;
    }
    Ok(())
}

struct Said {
    row: Row,
    rule: Option<String>,
    said: Option<i64>,
}

impl FromQueryResult for Said {
    fn from_query_result(result: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Ok(Self {
            row: Row::from_query_result(result, prefix)?,
            rule: result.try_get(prefix, "said_by_rule")?,
            said: result.try_get(prefix, "said")?,
        })
    }
}
