//! A failure that is ours or a host's, never a contact's.

use crate::{BounceCause, CampaignId, IncidentId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A failure that is ours or a host's, never a contact's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its identity.
    pub id: IncidentId,
    /// Of what.
    pub subject: IncidentSubject,
    /// What the bounces in it have in common.
    pub cause: BounceCause,
    /// Whether it came in a burst, so that the campaign waits.
    pub burst: bool,
    /// The host's own words, from the first of them.
    pub words: String,
    /// Since when.
    pub opened: DateTime<Utc>,
    /// Since when it is over.
    pub closed: Option<DateTime<Utc>>,
    /// How many bounces belong to it.
    pub bounces: i64,
}

/// What an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum IncidentSubject {
    /// What a campaign says or carries.
    Campaign {
        /// Which.
        campaign: CampaignId,
    },
    /// The route to a receiver.
    Route {
        /// The receiver, by the name of its lane where that is known, else by the recipient's domain.
        receiver: String,
    },
    /// The domain we send from.
    SendingDomain {
        /// Which.
        domain: String,
    },
}

/// Deliveries that are looked at together to see a burst.
pub const WINDOW: usize = 50;

/// One answer cannot be given for more than one in so many without being an incident: 20 %.
const ONE_IN: usize = 5;

/// Fewer than this many are no crowd, however small the campaign.
const FEW: usize = 3;

/// So many domains with the same words are no chance.
const SEVERAL: usize = 3;

/// A final bounce, as the look for bursts sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The delivery's place in the campaign, counted from 0.
    pub ordinal: i64,
    /// Why.
    pub cause: BounceCause,
    /// The host's words without what differs from message to message: see [`familiar_words`].
    pub words: String,
    /// The recipient's domain.
    pub domain: String,
}

/// The cause that came for too many at once, if one did.
///
/// `answers` are the final bounces among at most [`WINDOW`] neighbouring deliveries of one campaign, which has
/// `planned` in all. Among the first fifty, one cause for more than 20 % is enough; later, and in a campaign to
/// fewer than fifty, it takes the same words from unrelated domains.
#[must_use]
pub fn burst(answers: &[Answer], planned: i64) -> Option<BounceCause> {
    let window = usize::try_from(planned).unwrap_or(WINDOW).min(WINDOW);
    let many = (window / ONE_IN).max(FEW - 1);
    let mut causes: HashMap<BounceCause, usize> = HashMap::new();
    let mut words: HashMap<(&str, BounceCause), Vec<&str>> = HashMap::new();
    for answer in answers {
        if window == WINDOW && answer.ordinal < WINDOW as i64 {
            *causes.entry(answer.cause).or_default() += 1;
        }
        words.entry((&answer.words, answer.cause)).or_default().push(&answer.domain);
    }
    let one_cause = causes.into_iter().filter(|(_, count)| *count > many).max_by_key(|(cause, count)| (*count, *cause));
    let same_words = || {
        words.into_iter().find_map(|((_, cause), mut domains)| {
            let many = domains.len() > many;
            domains.sort_unstable();
            domains.dedup();
            (many && domains.len() >= SEVERAL).then_some(cause)
        })
    };
    one_cause.map(|(cause, _)| cause).or_else(same_words)
}

/// A host's words without addresses, numbers and identifiers, so that two answers can be told to be the same.
///
/// ```
/// use rebound_domain::familiar_words;
/// assert_eq!(
///     familiar_words("550 5.1.1 <ada@a.example>: no such user (id 7F3a9c)"),
///     familiar_words("550 5.1.1 <bo@b.example>: no such user (id 81bb02)"),
/// );
/// ```
#[must_use]
pub fn familiar_words(text: &str) -> String {
    let telling = |word: &&str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        !bare.is_empty() && !bare.contains('@') && !bare.contains("://") && !bare.chars().any(|c| c.is_ascii_digit())
    };
    let mut words = String::new();
    for word in text.split_whitespace().filter(telling).take(40) {
        words.extend(word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
        words.push(' ');
    }
    words.truncate(words.trim_end().len());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(from: i64, count: i64, domains: i64, words: &str) -> Vec<Answer> {
        (from..from + count)
            .map(|ordinal| Answer {
                ordinal,
                cause: BounceCause::MailboxUnknown,
                words: words.to_owned(),
                domain: format!("d{}.example", ordinal % domains),
            })
            .collect()
    }

    #[test]
    fn one_answer_for_many_at_once_is_a_burst() {
        let cause = Some(BounceCause::MailboxUnknown);
        for (what, planned, answers, expected) in [
            ("10 of the first fifty are 20 %", 500, answers(0, 10, 10, "no such user"), None),
            ("11 of the first fifty are more", 500, answers(0, 11, 1, "no such user"), cause),
            ("later, one dead domain is no burst", 5_000, answers(500, 50, 1, "no such user"), None),
            ("later, two domains may share words", 5_000, answers(500, 50, 2, "no such user"), None),
            ("later, the same words from many domains are", 5_000, answers(500, 11, 5, "no such user"), cause),
            ("of eight people three may be at one dead domain", 8, answers(0, 8, 1, "no such user"), None),
            ("of eight people at many domains three are a burst", 8, answers(0, 3, 3, "no such user"), cause),
            ("two are no crowd", 8, answers(0, 2, 2, "no such user"), None),
            ("nothing is nothing", 0, vec![], None),
        ] {
            assert_eq!(burst(&answers, planned), expected, "{what}");
        }
    }
}
