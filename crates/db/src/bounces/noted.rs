//! A row of `bounces`, and the value it becomes.

use crate::Error;
use crate::sql::time;
use chrono::{DateTime, Utc};
use rebound_domain::{
    AddressKey, BounceCause, BounceId, CampaignId, Case, ContactId, DeliveryId, Fact, Grade, InboxId, IncidentId,
    Permanence, Verdict,
};
use sea_orm::FromQueryResult;

/// A failed try that was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedBounce {
    /// Its identity.
    pub id: BounceId,
    /// When it was heard.
    pub at: DateTime<Utc>,
    /// Which message to whom; `None` where a report named an address only in its text.
    pub delivery: Option<DeliveryId>,
    /// Which try, counted from 1; 0 where that is not known.
    pub attempt: u8,
    /// To whom, if that is a contact.
    pub contact: Option<ContactId>,
    /// The recipient.
    pub address: AddressKey,
    /// The raw report, if it came by mail.
    pub inbox: Option<InboxId>,
    /// How well it is known to be about our message.
    pub grade: Grade,
    /// Whether it ended its delivery.
    pub is_final: bool,
    /// What was said, and what it means.
    pub verdict: Verdict,
    /// The host that wrote the report.
    pub reporting_mta: Option<String>,
    /// The version of the policy that judged it.
    pub policy_version: u32,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// Whether nobody is judged by it.
    pub excused: bool,
    /// What a person here says that it was; the verdict stays beside it.
    pub corrected: Option<Case>,
}

impl NotedBounce {
    /// The campaign it came back from.
    #[must_use]
    pub fn campaign(&self) -> Option<CampaignId> {
        self.delivery.map(DeliveryId::campaign)
    }

    /// What rules: what a person said, or else the verdict.
    #[must_use]
    pub fn case(&self) -> Case {
        self.corrected.unwrap_or_else(|| Case::of(self.verdict.cause, self.verdict.permanence))
    }

    /// Whether nobody is judged by it. A person who says what it was has looked: that counts.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        self.excused && self.corrected.is_none()
    }

    /// What it adds to the standing of its address, if it ended a delivery.
    #[must_use]
    pub fn fact(&self) -> Option<Fact> {
        let campaign = self.campaign().filter(|_| self.is_final)?;
        let (cause, permanence) = match self.corrected {
            Some(case) => (case.cause(), case.permanence()),
            None => (self.verdict.cause, self.verdict.permanence),
        };
        Some(Fact::Bounced { cause, permanence, grade: self.grade, campaign, excused: self.is_excused() })
    }
}

pub(super) const COLUMNS: &str = "b.id, b.at, b.delivery_id, b.attempt, b.contact_id, b.key, b.inbox_id, b.grade, \
    b.is_final, b.cause, b.hard, b.confidence, b.second, b.status, b.reply_code, b.diagnostic, b.reporting_mta, \
    b.evidence, b.detail, b.retry_after, b.policy_version, b.incident_id, b.excused, b.corrected, b.rules";

#[derive(FromQueryResult)]
pub(super) struct Row {
    id: i64,
    at: i64,
    delivery_id: Option<i64>,
    attempt: i16,
    contact_id: Option<i64>,
    key: String,
    inbox_id: Option<i64>,
    grade: i16,
    is_final: bool,
    cause: String,
    hard: bool,
    confidence: i16,
    second: Option<String>,
    status: Option<String>,
    reply_code: Option<i16>,
    diagnostic: String,
    reporting_mta: Option<String>,
    evidence: String,
    detail: Option<String>,
    retry_after: Option<i64>,
    policy_version: i64,
    incident_id: Option<i64>,
    excused: bool,
    corrected: Option<String>,
    rules: String,
}

pub(super) fn read(rows: Vec<Row>) -> Result<Vec<NotedBounce>, Error> {
    rows.into_iter().map(NotedBounce::try_from).collect()
}

const GRADES: [Grade; 3] = [Grade::TextOnly, Grade::Returned, Grade::Ours];

pub(super) fn grade_code(grade: Grade) -> i16 {
    grade as i16
}

impl TryFrom<Row> for NotedBounce {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let unreadable = |column| Error::unreadable("bounces", column);
        let grade = usize::try_from(row.grade).ok().and_then(|code| GRADES.get(code).copied());
        let second: Option<(BounceCause, u8)> =
            row.second.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| unreadable("second"))?;
        let verdict = Verdict {
            cause: row.cause.parse().map_err(|_| unreadable("cause"))?,
            permanence: if row.hard { Permanence::Hard } else { Permanence::Soft },
            confidence: u8::try_from(row.confidence).map_err(|_| unreadable("confidence"))?,
            second,
            status: row.status.map(|text| text.parse()).transpose().map_err(|_| unreadable("status"))?,
            reply_code: row.reply_code.map(u16::try_from).transpose().map_err(|_| unreadable("reply_code"))?,
            diagnostic: row.diagnostic,
            evidence: serde_json::from_str(&row.evidence).map_err(|_| unreadable("evidence"))?,
            retry_after: row.retry_after.and_then(|seconds| u32::try_from(seconds).ok()),
            detail: row.detail,
            rules: row.rules.into(),
            ..Verdict::known(BounceCause::Undetermined, Permanence::Soft, "")
        };
        Ok(Self {
            id: BounceId(row.id),
            at: time(row.at),
            delivery: row.delivery_id.map(DeliveryId),
            attempt: u8::try_from(row.attempt).map_err(|_| unreadable("attempt"))?,
            contact: row.contact_id.map(ContactId),
            address: AddressKey::stored(row.key),
            inbox: row.inbox_id.map(InboxId),
            grade: grade.ok_or(unreadable("grade"))?,
            is_final: row.is_final,
            verdict,
            reporting_mta: row.reporting_mta,
            policy_version: u32::try_from(row.policy_version).map_err(|_| unreadable("policy_version"))?,
            incident: row.incident_id.map(IncidentId),
            excused: row.excused,
            corrected: row.corrected.map(|name| name.parse()).transpose().map_err(|_| unreadable("corrected"))?,
        })
    }
}
