//! `/campaigns/{id}` before it is launched: five steps, what must be mended, a preview; then the launch.

use super::preview::{Part, Shown, reader};
use super::{found, list_name};
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Launch, See};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rebound_db::{Audience, Pool, audience, campaigns, events};
use rebound_domain::{Campaign, CampaignState, Contact, ContactId};
use rebound_send::{Depth, Finding, Part as Of, Preflight, Template as Message, pictures_inside, preflight};

/// People that the preview can be shown as.
const SHOWN_AS: u32 = 20;

/// Entries of the log among which the last tests are looked for.
const LOG: u32 = 50;

/// Tests that are shown.
const TESTS: usize = 5;

#[derive(Template)]
#[template(path = "campaigns/draft.html")]
struct DraftPage {
    frame: Frame,
    campaign: Campaign,
    list: String,
    plan: Plan,
    shown_as: Vec<Contact>,
    whom: Contact,
    next: Option<ContactId>,
    part: Part,
    images: bool,
    subject: String,
    tests: Vec<(When, String)>,
    scheduled: Option<When>,
    before: Option<Before>,
}

#[derive(Template)]
#[template(path = "campaigns/launch.html")]
struct LaunchPage {
    frame: Frame,
    campaign: Campaign,
    list: String,
    plan: Plan,
}

/// What is known before it goes.
struct Plan(Preflight);

/// How a step stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tick {
    Done,
    Look,
    Stop,
}

/// What a resend changes about the message that went out first.
struct Before {
    id: i64,
    name: String,
    cause: &'static str,
    subject: String,
    size: String,
    new_size: String,
    pictures: usize,
    new_pictures: usize,
}

impl Plan {
    fn people(&self) -> Count {
        Count(self.0.people)
    }

    fn can_go(&self) -> bool {
        self.0.can_go()
    }

    fn tick(&self, of: Of) -> Tick {
        let mut own = self.0.findings.iter().filter(|finding| finding.part == of);
        match own.clone().next() {
            None => Tick::Done,
            Some(_) if own.any(|finding| finding.stops) => Tick::Stop,
            Some(_) => Tick::Look,
        }
    }

    /// `1 finding below` for a step that has some.
    fn below(&self, of: Of) -> Option<String> {
        let count = self.0.findings.iter().filter(|finding| finding.part == of).count() as i64;
        (count > 0).then(|| format!("{} below.", Count(count).of("finding", "findings")))
    }

    fn stops(&self) -> impl Iterator<Item = &Finding> {
        self.0.findings.iter().filter(|finding| finding.stops)
    }

    fn hints(&self) -> impl Iterator<Item = &Finding> {
        self.0.findings.iter().filter(|finding| !finding.stops)
    }

    /// `12 suppressed and 3 resting`, where somebody is left out.
    fn left_out(&self) -> Option<String> {
        let (suppressed, resting) = (Count(self.0.figures.suppressed), Count(self.0.figures.resting));
        (suppressed.0 + resting.0 > 0).then(|| format!("{suppressed} suppressed and {resting} resting"))
    }

    /// How many will not be reached if it goes as last time.
    fn expected(&self) -> Option<(Count, Count)> {
        let last = self.0.last.as_ref()?;
        let lost = self.0.people * last.bounced / last.people.max(1);
        Some((Count(self.0.people - lost), Count(lost)))
    }
}

pub(super) async fn show(
    app: &App,
    by: &Allowed<See>,
    campaign: Campaign,
    shown: &Shown,
) -> Result<Response, PageError> {
    let now = app.now();
    let frame = Frame::of(app, by, Place::Campaigns).await?;
    let list = list_name(&app.db, &campaign).await?;
    let plan = Plan(preflight(&app.db, &campaign, &app.sender, Depth::Sample, now).await?);
    let to = Audience::of(&campaign);
    let shown_as = audience::people(&app.db, to, ContactId(0), SHOWN_AS, now).await?;
    let whom = reader(&app.db, &campaign, shown.whom, now).await?;
    let next = audience::people(&app.db, to, whom.id, 1, now).await?.first().map(|contact| contact.id);
    let subject = Message::compile(&campaign.draft, &list)
        .and_then(|message| message.render(whom.address.as_str(), &whom.fields, "#"))
        .map_or_else(|error| error.to_string(), |rendered| rendered.subject);
    let page = DraftPage {
        frame,
        list,
        plan,
        shown_as,
        whom,
        next,
        part: shown.part,
        images: shown.images,
        subject,
        tests: tests(&app.db, &campaign, now).await?,
        scheduled: campaign.scheduled.map(|at| When::new(at, now)),
        before: before(&app.db, &campaign).await?,
        campaign,
    };
    Ok(Page(page).into_response())
}

/// What became of the last tests.
async fn tests(db: &Pool, campaign: &Campaign, now: DateTime<Utc>) -> Result<Vec<(When, String)>, PageError> {
    let log = events::of_subject(db, "campaign", campaign.id.0, LOG).await?;
    let tests = log.into_iter().filter(|entry| entry.kind == "campaign.tested").take(TESTS);
    Ok(tests.map(|entry| (When::new(entry.at, now), entry.detail)).collect())
}

async fn before(db: &Pool, campaign: &Campaign) -> Result<Option<Before>, PageError> {
    let Some(resend) = campaign.resend else { return Ok(None) };
    let Some(first) = campaigns::get(db, resend.of).await? else { return Ok(None) };
    let size = |one: &Campaign| crate::words::bytes(one.draft.html.len() + one.draft.text.len());
    Ok(Some(Before {
        id: first.id.0,
        cause: resend.cause.title(),
        size: size(&first),
        new_size: size(campaign),
        pictures: pictures_inside(&first.draft),
        new_pictures: pictures_inside(&campaign.draft),
        subject: first.draft.subject,
        name: first.draft.name,
    }))
}

pub(crate) async fn launch_page(
    by: Allowed<Launch>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    if !matches!(campaign.state, CampaignState::Draft | CampaignState::Scheduled) {
        return Err(PageError::NotNow(format!("a campaign that is {} cannot be launched", campaign.state.as_str())));
    }
    let page = LaunchPage {
        frame: Frame::of(&app, &by, Place::Campaigns).await?,
        list: list_name(&app.db, &campaign).await?,
        plan: Plan(preflight(&app.db, &campaign, &app.sender, Depth::Sample, app.now()).await?),
        campaign,
    };
    Ok(Page(page).into_response())
}
