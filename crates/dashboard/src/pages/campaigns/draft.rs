//! `/campaigns/{id}` before it is launched: five steps, what must be mended, a preview; then the launch.

use super::preview::{Part, Shown, reader};
use super::{found, list_name};
use crate::App;
use crate::error::PageError;
use crate::full_checks::Stand;
use crate::page::{Frame, Page, Place};
use crate::pages::imports::percent;
use crate::session::{Allowed, Launch, See};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rebound_db::{Audience, Pool, audience, campaigns, events};
use rebound_domain::{Campaign, CampaignState, Contact, ContactId, Permission};
use rebound_send::{
    Checked, Depth, Finding, Level, Mend, Part as Of, Preflight, Progress, Template as Message, letter_size,
    pictures_inside, preflight,
};
use serde::Deserialize;
use std::time::Duration;

/// People that the preview can be shown as.
const SHOWN_AS: u32 = 20;

/// Entries of the log among which the last tests are looked for.
const LOG: u32 = 50;

/// How long a page waits for letters that are being made, before it says how far that is.
const PATIENCE: Duration = Duration::from_millis(800);

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

#[derive(Template)]
#[template(path = "campaigns/checks.html")]
struct Checks {
    frame: Frame,
    campaign: Campaign,
    plan: Plan,
}

/// What is known before it goes.
struct Plan {
    known: Preflight,
    /// Whether the world was asked.
    heard: bool,
    letters: Letters,
}

/// How far it is to make the letter for everybody.
enum Letters {
    /// It was made for everybody, or for some and the launch will do the rest.
    Enough,
    /// It will be as soon as the page asks for it.
    Wanted,
    /// Those of other campaigns are made first.
    Queued,
    Making(Making),
    Failed,
}

/// So far.
struct Making {
    made: Count,
    people: Count,
    percent: i64,
}

impl Making {
    fn of(progress: &Progress) -> Self {
        let (made, people) = (progress.made(), progress.people());
        Self { made: Count(made), people: Count(people), percent: percent(made, people) }
    }
}

/// How a step stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tick {
    Done,
    /// Nothing is wrong so far.
    Open,
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
        Count(self.known.people)
    }

    fn can_go(&self) -> bool {
        self.known.can_go()
    }

    fn tick(&self, of: Of) -> Tick {
        let own = self.known.findings.iter().filter(|finding| finding.part() == of);
        match own.map(|finding| finding.level).min() {
            Some(Level::Stops) => Tick::Stop,
            Some(Level::Warns) => Tick::Look,
            // The world says nothing about a subject.
            Some(Level::Hints) | None if self.heard || of == Of::Subject => Tick::Done,
            Some(Level::Hints) | None => Tick::Open,
        }
    }

    /// `1 finding below` for a step that has some.
    fn below(&self, of: Of) -> Option<String> {
        let count =
            self.known.findings.iter().filter(|finding| finding.part() == of && finding.level != Level::Hints).count()
                as i64;
        (count > 0).then(|| format!("{} below.", Count(count).of("finding", "findings")))
    }

    fn stops(&self) -> impl Iterator<Item = &Finding> {
        self.known.findings.iter().filter(|finding| finding.stops())
    }

    /// All of them, each with the class and the words of its weight.
    fn findings(&self) -> impl Iterator<Item = (&Finding, &'static str, &'static str)> {
        self.known.findings.iter().map(|finding| match finding.level {
            Level::Stops => (finding, "s-hard", "Must be mended"),
            Level::Warns => (finding, "s-soft", "Look at this"),
            Level::Hints => (finding, "s-draft", "Good to know"),
        })
    }

    /// Whether there is nothing more to wait for.
    fn is_whole(&self) -> bool {
        self.heard && matches!(self.letters, Letters::Enough | Letters::Failed)
    }

    /// `12 suppressed and 3 resting`, where somebody is left out.
    fn left_out(&self) -> Option<String> {
        let (suppressed, resting) = (Count(self.known.figures.suppressed), Count(self.known.figures.resting));
        (suppressed.0 + resting.0 > 0).then(|| format!("{suppressed} suppressed and {resting} resting"))
    }

    /// How many will not be reached if it goes as last time.
    fn expected(&self) -> Option<(Count, Count)> {
        let last = self.known.last.as_ref()?;
        let lost = self.known.people * last.bounced / last.people.max(1);
        Some((Count(self.known.people - lost), Count(lost)))
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
    let plan = plan(app, &campaign, by.may(Permission::Launch), shown.look).await?;
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
    let size = |one: &Campaign| crate::words::bytes(letter_size(&one.draft));
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

/// What is known of it: with what the world says, and with a letter made for everybody where somebody may launch it. Either
/// as it was found lately, or waited for.
async fn plan(app: &App, campaign: &Campaign, launches: bool, waits: bool) -> Result<Plan, PageError> {
    let outside = async {
        match waits {
            true => app.preflights.get(app, campaign).await.map(Some),
            false => app.preflights.lately(app, campaign).await,
        }
    };
    let ((known, letters), outside) = tokio::try_join!(inside(app, campaign, launches, waits), outside)?;
    Ok(match outside {
        Some(outside) => Plan { known: known.with(outside), heard: true, letters },
        None => Plan { known, heard: false, letters },
    })
}

/// What the letter and the list say.
async fn inside(
    app: &App,
    campaign: &Campaign,
    launches: bool,
    waits: bool,
) -> Result<(Preflight, Letters), rebound_db::Error> {
    let check = match app.full_checks.get(app, campaign).await? {
        Some(check) => check,
        None => {
            let sample = preflight(&app.db, campaign, &app.sender, Depth::Sample, app.now()).await?;
            let is_past = campaign.launched.is_some();
            if is_past || !launches || !sample.is_partial() || !Checked::may_hold(&app.db, campaign, app.now()).await? {
                return Ok((sample, Letters::Enough));
            }
            if !waits {
                return Ok((sample, Letters::Wanted));
            }
            match app.full_checks.start(app, campaign, sample.clone()) {
                Some(check) => check,
                None => return Ok((sample, Letters::Queued)),
            }
        }
    };
    if waits {
        check.wait(PATIENCE).await;
    }
    let letters = match check.stand() {
        Stand::Making(progress) => Letters::Making(Making::of(&progress)),
        Stand::Made(_) => Letters::Enough,
        Stand::Failed => Letters::Failed,
        Stand::Superseded => Letters::Wanted,
    };
    Ok((check.known(), letters))
}

/// How the list of checks is asked for.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// What was heard a while ago does not count.
    #[serde(default)]
    again: bool,
}

/// `/campaigns/{id}/checks`: the list of checks with what the world says, for the page to put into its place.
pub(crate) async fn checks(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    if asked.again {
        app.preflights.forget(campaign.id);
        if by.may(Permission::Launch) {
            app.full_checks.forget(campaign.id);
        }
    }
    let plan = plan(&app, &campaign, by.may(Permission::Launch), true).await?;
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(Checks { frame, campaign, plan }).into_response())
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
        plan: plan(&app, &campaign, true, true).await?,
        campaign,
    };
    Ok(Page(page).into_response())
}
