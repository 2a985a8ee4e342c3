//! Sending again to exactly those whom a campaign did not reach.
//!
//! A resend is a campaign of its own, whose audience is those of the first one who bounced for one cause and may still
//! be written to. So each message keeps its own Message-ID, and everything else works as for any campaign.

use chrono::{DateTime, Utc};
use rebound_db::{Audience, Connection, Pool, audience, campaigns, deliveries, doubts, events, wake};
use rebound_domain::{BounceCause, Campaign, CampaignId, CampaignState, Draft, Remedy, Resend};
use regex::Regex;
use std::sync::LazyLock;

/// Why nothing is sent again. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    Unknown,
    /// The cause says that the address is gone, or that its owner does not want the mail.
    #[error("nobody is written to again after “{}”", .0.title())]
    Never(BounceCause),
    /// Everybody has it by now, is being written to, or may not be written to.
    #[error("nobody is left to send it again to")]
    Nobody,
    /// It is cancelled, and stays so.
    #[error("a cancelled campaign sends nothing more")]
    Cancelled,
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// What goes out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What went out before, to be edited or not.
    #[default]
    Same,
    /// The same words in far fewer bytes.
    Light,
}

/// The people that a resend of `campaign` for `cause` would go to now.
///
/// # Errors
/// [`ResendError`]
pub async fn resendable(
    db: &Pool,
    campaign: &Campaign,
    cause: BounceCause,
    now: DateTime<Utc>,
) -> Result<i64, ResendError> {
    if Remedy::of(cause).is_none() {
        return Err(ResendError::Never(cause));
    }
    let audience = Audience { list: campaign.draft.list, resend: Some(of(campaign, cause)), joined: None };
    Ok(audience::count(db, audience, now).await?)
}

/// Keeps a draft that goes to those of campaign `id` who did not get it for `cause`. Asked twice, there is one draft.
///
/// # Errors
/// [`ResendError`]
pub async fn resend(
    db: &Pool,
    id: CampaignId,
    cause: BounceCause,
    version: Version,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<CampaignId, ResendError> {
    let campaign = campaigns::get(db, id).await?.ok_or(ResendError::Unknown)?;
    let resend = of(&campaign, cause);
    if let Some(draft) = written(db, resend).await? {
        return Ok(draft);
    }
    let people = resendable(db, &campaign, cause, now).await?;
    if people == 0 {
        return Err(ResendError::Nobody);
    }
    let first = campaigns::get(db, resend.of).await?.ok_or(ResendError::Unknown)?;
    let before = campaigns::resends(db, resend.of).await?.len();
    let draft = match version {
        Version::Same => campaign.draft,
        Version::Light => lighten(&campaign.draft),
    };
    for number in before + 1.. {
        let draft = Draft { name: format!("{}, again {number}", first.draft.name), ..draft.clone() };
        match campaigns::create_resend(db, &draft, resend, now).await {
            Ok(made) => {
                note(db, made, actor, format!("{people} people: {}", cause.title()), "campaign.resend", now).await?;
                return Ok(made);
            }
            Err(rebound_db::Error::Taken { .. }) => {
                // The name is taken, or somebody else began the same resend.
                if let Some(draft) = written(db, resend).await? {
                    return Ok(draft);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ResendError::Nobody)
}

fn of(campaign: &Campaign, cause: BounceCause) -> Resend {
    Resend { of: campaign.resend.map_or(campaign.id, |resend| resend.of), cause }
}

async fn written(db: &Pool, resend: Resend) -> Result<Option<CampaignId>, rebound_db::Error> {
    let resends = campaigns::resends(db, resend.of).await?;
    let draft = |one: &Campaign| one.resend == Some(resend) && one.state == CampaignState::Draft;
    Ok(resends.into_iter().find(draft).map(|one| one.id))
}

/// Tries those again at once who wait after failing for `cause`; how many. Twice is once: they are due already.
///
/// # Errors
/// [`ResendError`]
pub async fn hurry(
    db: &Pool,
    id: CampaignId,
    cause: BounceCause,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<u64, ResendError> {
    refuse_cancelled(db, id).await?;
    let tx = db.begin().await?;
    let count = deliveries::hurry(&tx, id, cause, now).await?;
    note(&tx, id, actor, format!("{count} people: {}", cause.title()), "campaign.hurried", now).await?;
    wake::call(&tx).await?;
    tx.commit().await?;
    Ok(count)
}

/// Sends those again that were in doubt by `seen`: somebody may get it twice. How many.
///
/// # Errors
/// [`ResendError`]
pub async fn resend_doubts(
    db: &Pool,
    id: CampaignId,
    seen: DateTime<Utc>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<u64, ResendError> {
    refuse_cancelled(db, id).await?;
    let tx = db.begin().await?;
    let count = doubts::resend(&tx, id, seen, now).await?;
    note(&tx, id, actor, format!("{count} messages"), "campaign.doubts_resent", now).await?;
    wake::call(&tx).await?;
    tx.commit().await?;
    Ok(count)
}

/// Leaves those as not known that were in doubt by `seen`: nobody is asked about them again.
///
/// # Errors
/// [`ResendError`]
pub async fn leave_doubts(
    db: &Pool,
    id: CampaignId,
    seen: DateTime<Utc>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), ResendError> {
    let tx = db.begin().await?;
    doubts::leave(&tx, id, seen).await?;
    note(&tx, id, actor, String::new(), "campaign.doubts_left", now).await?;
    Ok(tx.commit().await?)
}

async fn refuse_cancelled(db: &Pool, id: CampaignId) -> Result<(), ResendError> {
    match campaigns::get(db, id).await?.ok_or(ResendError::Unknown)?.state {
        CampaignState::Cancelled => Err(ResendError::Cancelled),
        _ => Ok(()),
    }
}

async fn note(
    db: &impl Connection,
    id: CampaignId,
    actor: &str,
    detail: String,
    kind: &str,
    now: DateTime<Utc>,
) -> Result<(), rebound_db::Error> {
    let event = events::Event { at: now, kind, actor, subject: "campaign", subject_id: Some(id.0), key: None, detail };
    events::add(db, &event).await
}

static INSIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?is)<(?:mj-image|img)\b[^>]*\bsrc\s*=\s*["']?data:[^>]*>(?:\s*</mj-image>)?"#).ok()
});
static ALT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?is)\balt\s*=\s*"([^"]*)""#).ok());

/// How many pictures are inside the message itself.
#[must_use]
pub fn pictures_inside(draft: &Draft) -> usize {
    INSIDE.as_ref().map_or(0, |inside| inside.find_iter(&draft.html).count())
}

/// The same words in fewer bytes: pictures that are inside give way to their words; where there are none, the text
/// goes alone.
fn lighten(draft: &Draft) -> Draft {
    if pictures_inside(draft) == 0 {
        return Draft { html: String::new(), text: text_alone(draft), ..draft.clone() };
    }
    let words = |found: &regex::Captures<'_>| {
        let alt = ALT.as_ref().and_then(|alt| alt.captures(&found[0]));
        let alt = alt.map(|alt| alt[1].to_owned()).unwrap_or_default();
        if found[0].starts_with("<mj-image") { format!("<mj-text>{alt}</mj-text>") } else { alt }
    };
    let html =
        INSIDE.as_ref().map_or_else(|| draft.html.clone(), |inside| inside.replace_all(&draft.html, words).into());
    Draft { html, ..draft.clone() }
}

fn text_alone(draft: &Draft) -> String {
    if draft.text.trim().is_empty() {
        crate::template::text_of(&draft.html).unwrap_or_else(|_| draft.text.clone())
    } else {
        draft.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(html: &str, text: &str) -> Draft {
        Draft { text: text.into(), ..crate::template::tests::draft("Hello", html) }
    }

    #[test]
    fn the_light_version_keeps_the_words() {
        let heavy = draft(
            r#"<p>Hi {{ town }}</p><img alt="A bulb" src="data:image/png;base64,AAAA"><img src="https://a.example/b.png">"#,
            "",
        );
        assert_eq!(pictures_inside(&heavy), 1);
        assert_eq!(lighten(&heavy).html, r#"<p>Hi {{ town }}</p>A bulb<img src="https://a.example/b.png">"#);
        let heavy =
            draft(r#"<mjml><mj-image alt="A bulb" src="data:x"></mj-image><mj-image src="data:x" /></mjml>"#, "");
        assert_eq!(lighten(&heavy).html, "<mjml><mj-text>A bulb</mj-text><mj-text></mj-text></mjml>");
        let light = lighten(&draft("<p>Hi {{ town }}</p>", ""));
        assert_eq!((light.html.as_str(), light.text.trim()), ("", "Hi {{ town }}"));
        assert_eq!(lighten(&draft("<p>Hi</p>", "Hello")).text, "Hello");
    }
}
