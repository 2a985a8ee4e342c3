//! What has an opposite, and doing it.

use crate::App;
use crate::error::PageError;
use crate::users::{self, By};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::{lift, suppress};
use rebound_db::events::Entry;
use rebound_domain::{AddressKey, Role, Scope, SuppressionReason, User, UserId};

/// After so long nobody remembers what it was for.
const UNTIL: TimeDelta = TimeDelta::days(30);

/// The opposite of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inverse {
    /// Of suppressing by hand.
    Lift(AddressKey),
    /// Of lifting.
    Suppress(AddressKey),
    /// Of shutting out.
    Reactivate(UserId),
    /// Of letting in again.
    Deactivate(UserId),
    /// Of changing a role.
    Role(UserId, Role),
}

impl Inverse {
    /// The opposite of `entry`; `None` where it has none, or it was too long ago.
    pub(super) fn of(entry: &Entry, now: DateTime<Utc>) -> Option<Self> {
        let user = entry.subject_id.map(UserId);
        let by_hand = entry.actor != "rebound";
        match entry.kind.as_str() {
            _ if entry.at + UNTIL < now => None,
            "suppressed" if by_hand => entry.key.clone().map(Self::Lift),
            "lifted" | "lifted.other" if by_hand => entry.key.clone().map(Self::Suppress),
            "user.deactivated" => user.map(Self::Reactivate),
            "user.reactivated" => user.map(Self::Deactivate),
            "user.role" => {
                let (_, roles) = entry.detail.rsplit_once(": ")?;
                Some(Self::Role(user?, Role::named(roles.split(" → ").next()?)?))
            }
            _ => None,
        }
    }

    /// What the button says.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Lift(_) => "Lift it again",
            Self::Suppress(_) => "Suppress it again",
            Self::Reactivate(_) => "Let them in again",
            Self::Deactivate(_) => "Shut them out again",
            Self::Role(..) => "Give the old role back",
        }
    }

    /// The person who signs in here whom it is about.
    pub(super) fn person(&self) -> Option<UserId> {
        match self {
            Self::Lift(_) | Self::Suppress(_) => None,
            Self::Reactivate(id) | Self::Deactivate(id) | Self::Role(id, _) => Some(*id),
        }
    }

    /// What it comes to, a sentence each; `name` is that person's.
    pub(super) fn consequences(&self, name: &str) -> Vec<String> {
        let sentences = match self {
            Self::Lift(key) => [
                format!("The suppression by hand of 1 address, {key}, is lifted. Others that stand for it stay."),
                "Campaigns reach it again from the next one on.".to_owned(),
            ],
            Self::Suppress(key) => [
                format!("1 address, {key}, is suppressed by hand, for all mail and for good."),
                "The reason that stood before the lifting does not come back: by hand is what the list will say."
                    .to_owned(),
            ],
            Self::Reactivate(_) => [
                format!("1 person, {name}, may sign in again, with their old role and password."),
                "Their browsers have to sign in anew.".to_owned(),
            ],
            Self::Deactivate(_) => [
                format!("1 person, {name}, may not sign in any more, and is signed out everywhere."),
                "Nothing they made is removed.".to_owned(),
            ],
            Self::Role(_, role) => [
                format!("1 person, {name}, is {} again.", role.as_str()),
                "All their browsers are signed out.".to_owned(),
            ],
        };
        sentences.into()
    }

    /// Whether it changes who may sign in, which needs the password given lately.
    pub(super) fn is_about_people(&self) -> bool {
        match self {
            Self::Lift(_) | Self::Suppress(_) => false,
            Self::Reactivate(_) | Self::Deactivate(_) | Self::Role(..) => true,
        }
    }

    /// Does it, by the rules that hold for doing it elsewhere.
    pub(super) async fn act(self, app: &App, by: &User, now: DateTime<Utc>) -> Result<(), PageError> {
        let (db, actor) = (&app.db, by.email.as_str());
        match self {
            Self::Lift(key) => {
                let reason = SuppressionReason::Manual;
                if !lift(db, &key, Scope::Everywhere, reason, "taken back", actor, now).await.map_err(broken)? {
                    return Err(PageError::NotNow("the address is not suppressed by hand any more".to_owned()));
                }
            }
            Self::Suppress(key) => {
                let tx = db.begin().await?;
                suppress(&tx, &key, Scope::Everywhere, None, "lifting was taken back", actor, now)
                    .await
                    .map_err(broken)?;
                tx.commit().await?;
            }
            Self::Reactivate(id) => users::reactivate(db, By::User(by), id, now).await?,
            Self::Deactivate(id) => users::deactivate(db, By::User(by), id, now).await?,
            Self::Role(id, role) => users::set_role(db, By::User(by), id, role, now).await?,
        }
        Ok(())
    }
}

fn broken(error: rebound_contacts::Error) -> PageError {
    PageError::Broken(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, actor: &str, detail: &str) -> Entry {
        let key = Some("ada@orchard.test".parse::<rebound_domain::EmailAddress>().unwrap().key());
        let (kind, actor, detail) = (kind.to_owned(), actor.to_owned(), detail.to_owned());
        Entry { id: 1, at: DateTime::UNIX_EPOCH, kind, actor, subject: "user".into(), subject_id: Some(3), key, detail }
    }

    #[test]
    fn only_what_people_did_lately_can_be_taken_back() {
        let (soon, late) = (DateTime::UNIX_EPOCH + TimeDelta::days(29), DateTime::UNIX_EPOCH + TimeDelta::days(31));
        let by_hand = entry("suppressed", "ines@fernhill.example", "");
        assert!(matches!(Inverse::of(&by_hand, soon), Some(Inverse::Lift(_))));
        assert_eq!(Inverse::of(&by_hand, late), None);
        assert_eq!(Inverse::of(&entry("suppressed", "rebound", ""), soon), None);
        let role = entry("user.role", "ines@fernhill.example", "jo@fernhill.example: marketer → admin");
        assert_eq!(Inverse::of(&role, soon), Some(Inverse::Role(UserId(3), Role::Marketer)));
        assert_eq!(Inverse::of(&entry("signed-in", "ines@fernhill.example", ""), soon), None);
    }
}
