//! A test: the message as one contact would get it, to an address of the author's, the way campaigns go.
//!
//! It is no delivery: it is counted nowhere, its bounce goes to the author, and its unsubscribe link leads nowhere.

use crate::compose::Composer;
use crate::sending_domains::{self, DomainError};
use crate::transport::{Answer, Envelope, Line, Mail, RelayDown, Wire};
use crate::{ComposeError, Egress, Sender, TemplateError, Via};
use chrono::{DateTime, Utc};
use rebound_db::{Pool, events, lists, suppressions};
use rebound_domain::{Campaign, Contact, EmailAddress, Scope};
use std::time::Duration;
use tokio::time::timeout;

/// A person waits for the result.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why no test was sent to anybody.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The message cannot be made.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The message cannot be made for this contact.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The keys that sign cannot be used.
    #[error(transparent)]
    Signing(DomainError),
    /// There is no line to the relay.
    #[error(transparent)]
    Relay(#[from] RelayDown),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

impl From<DomainError> for TestError {
    fn from(error: DomainError) -> Self {
        match error {
            DomainError::Database(error) => Self::Database(error),
            other => Self::Signing(other),
        }
    }
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// To whom.
    pub to: EmailAddress,
    /// What the relay said.
    pub outcome: Outcome,
}

/// What the relay said to a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took the message: its words.
    Taken(String),
    /// It refused: its words.
    Refused(String),
    /// It did not answer in time, or the line broke; the message may have arrived.
    NotKnown,
    /// Nothing was sent: the address asked for no more mail.
    Suppressed,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(words) => write!(f, "the relay took it: {words}"),
            Self::Refused(words) => write!(f, "the relay refused it: {words}"),
            Self::NotKnown => f.write_str("the relay did not answer; it may have arrived"),
            Self::Suppressed => f.write_str("not sent, since the address is suppressed"),
        }
    }
}

/// Sends `campaign` as `shown_as` would get it to each of `to`, and notes what became of it.
///
/// # Errors
/// [`TestError`] when nothing could be sent at all.
pub async fn test_send(
    db: &Pool,
    (egress, sender): (&Egress, &Sender),
    campaign: &Campaign,
    shown_as: &Contact,
    to: &[EmailAddress],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Tested>, TestError> {
    let list = lists::get(db, campaign.draft.list).await?.map_or_else(String::new, |list| list.name);
    let signer = sending_domains::signer(db, &sender.keys, &campaign.draft.from).await?;
    let composer = Composer::new(campaign.clone(), &list, sender.clone(), &[])?.signed_by(signer);
    let mut line: Option<Line> = None;
    let mut tested = Vec::new();
    for address in to {
        let outcome = if is_suppressed(db, address, now).await? {
            Outcome::Suppressed
        } else {
            let message = composer.compose_test(shown_as, address, now)?;
            let from = campaign.draft.from.as_str();
            let mut open = match line.take().filter(|line| !line.is_broken()) {
                Some(line) => line,
                None => open(egress, address, now).await?,
            };
            let outcome = timeout(PATIENCE, hand_over(&mut open, from, address, &message)).await;
            if outcome.is_err() {
                open.abandon();
            }
            match egress.via {
                Via::Relay(_) => line = Some(open),
                // The next one may be for another receiver.
                Via::Direct(_) if !open.is_broken() => open.close().await,
                Via::Direct(_) => {}
            }
            outcome.unwrap_or(Outcome::NotKnown)
        };
        note(db, campaign, address, &outcome, actor, now).await?;
        tested.push(Tested { to: address.clone(), outcome });
    }
    if let Some(line) = line.filter(|line| !line.is_broken()) {
        line.close().await;
    }
    Ok(tested)
}

async fn open(egress: &Egress, to: &EmailAddress, now: DateTime<Utc>) -> Result<Line, RelayDown> {
    let late = |_| RelayDown::Unreachable { relay: egress.name.clone(), why: "no answer within 30 seconds".into() };
    timeout(PATIENCE, Box::pin(egress.line_to(to.domain(), now))).await.map_err(late)?
}

async fn hand_over(line: &mut Line, from: &str, to: &EmailAddress, message: &str) -> Outcome {
    let mail = Mail { from, to: to.as_str(), size: message.len() };
    if let Some(unfit) = line.offers().refuse(&mail) {
        return Outcome::Refused(unfit.to_string());
    }
    match line.envelope(&mail).await {
        Envelope::Ready => {}
        Envelope::Refused(reply) => return Outcome::Refused(reply.line()),
        Envelope::Lost | Envelope::Ended => return Outcome::NotKnown,
    }
    match line.message(&Wire::new(message)).await {
        Answer::Accepted(reply) => Outcome::Taken(reply.line()),
        Answer::Refused(reply) => Outcome::Refused(reply.line()),
        Answer::Doubt => Outcome::NotKnown,
    }
}

async fn is_suppressed(db: &Pool, address: &EmailAddress, now: DateTime<Utc>) -> Result<bool, rebound_db::Error> {
    let all = suppressions::of(db, &address.key()).await?;
    Ok(all.iter().any(|one| one.scope == Scope::Everywhere && one.until.is_none_or(|until| until > now)))
}

async fn note(
    db: &Pool,
    campaign: &Campaign,
    to: &EmailAddress,
    outcome: &Outcome,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), rebound_db::Error> {
    let event = events::Event {
        at: now,
        kind: "campaign.tested",
        actor,
        subject: "campaign",
        subject_id: Some(campaign.id.0),
        key: None,
        detail: format!("{to}: {outcome}"),
    };
    events::add(db, &event).await
}
