//! `/campaigns/new`, `/campaigns/{id}/edit`: what an author writes.

use super::found;
use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Allowed, Submitted, Write};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use rebound_db::{campaigns, lists};
use rebound_domain::{Campaign, CampaignState, DoubtPolicy, Draft, EmailAddress, Fields, List, ListId, field_name};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "campaigns/form.html")]
struct Form {
    frame: Frame,
    id: Option<i64>,
    lists: Vec<List>,
    written: Written,
    faults: Vec<Fault>,
}

impl Form {
    /// What is wrong with a field, if anything.
    fn fault(&self, field: &str) -> Option<&str> {
        self.faults.iter().find(|fault| fault.field == field).map(|fault| fault.words.as_str())
    }
}

struct Fault {
    field: &'static str,
    words: String,
}

/// The form as it was written, kept when it is not taken.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Written {
    name: String,
    list: String,
    from_name: String,
    from: String,
    reply_to: String,
    subject: String,
    html: String,
    text: String,
    postal_address: String,
    defaults: String,
    doubt: String,
    /// There where it is ticked.
    counts_clicks: Option<String>,
}

pub(crate) async fn blank(by: Allowed<Write>, State(app): State<App>) -> Result<Response, PageError> {
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    let lists = lists::all(&app.db).await?;
    // Who wrote before writes from the same place again.
    let last = campaigns::all(&app.db).await?.into_iter().max_by_key(|campaign| campaign.id);
    let counts_clicks = last.as_ref().is_none_or(|last| last.draft.counts_clicks).then(|| "yes".to_owned());
    let written = last.map_or_else(Written::default, |last| Written {
        from_name: last.draft.from_name,
        from: last.draft.from.to_string(),
        reply_to: last.draft.reply_to.map(|address| address.to_string()).unwrap_or_default(),
        postal_address: last.draft.postal_address,
        ..Written::default()
    });
    let written = Written { counts_clicks, ..written };
    Ok(Page(Form { frame, id: None, lists, written, faults: vec![] }).into_response())
}

pub(crate) async fn create(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Write, Written>,
) -> Result<Response, PageError> {
    let kept = match form.draft(&lists::all(&app.db).await?) {
        Err(faults) => Err(faults),
        Ok(draft) => match campaigns::create(&app.db, &draft, app.now()).await {
            Ok(id) => Ok(id.0),
            Err(rebound_db::Error::Taken { .. }) => Err(vec![taken()]),
            Err(error) => return Err(error.into()),
        },
    };
    answer(&app, &by, None, form, kept).await
}

pub(crate) async fn edit(
    by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    refuse_launched(&campaign)?;
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    let lists = lists::all(&app.db).await?;
    Ok(Page(Form { frame, id: Some(id), lists, written: campaign.draft.into(), faults: vec![] }).into_response())
}

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Write, Written>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    refuse_launched(&campaign)?;
    let kept = match form.draft(&lists::all(&app.db).await?) {
        Err(faults) => Err(faults),
        Ok(draft) => match campaigns::update(&app.db, campaign.id, &draft).await {
            Ok(true) => Ok(id),
            Ok(false) => return Err(PageError::NotNow("the campaign was launched meanwhile".into())),
            Err(rebound_db::Error::Taken { .. }) => Err(vec![taken()]),
            Err(error) => return Err(error.into()),
        },
    };
    answer(&app, &by, Some(id), form, kept).await
}

async fn answer(
    app: &App,
    by: &Allowed<Write>,
    id: Option<i64>,
    written: Written,
    kept: Result<i64, Vec<Fault>>,
) -> Result<Response, PageError> {
    match kept {
        Ok(id) => Ok(Redirect::to(&format!("/campaigns/{id}")).into_response()),
        Err(faults) => {
            let frame = Frame::of(app, by, Place::Campaigns).await?;
            let lists = lists::all(&app.db).await?;
            Ok(Faulty(Form { frame, id, lists, written, faults }).into_response())
        }
    }
}

fn refuse_launched(campaign: &Campaign) -> Result<(), PageError> {
    match campaign.state {
        CampaignState::Draft => Ok(()),
        state => Err(PageError::NotNow(format!("a campaign that is {} cannot be edited", state.as_str()))),
    }
}

fn taken() -> Fault {
    Fault { field: "name", words: "Another campaign has this name. Choose one of its own.".into() }
}

impl Written {
    /// The draft that was written, or everything that is wrong with it.
    fn draft(&self, lists: &[List]) -> Result<Draft, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |field, words: &str| faults.push(Fault { field, words: words.to_owned() });
        let address = |text: &str| text.parse::<EmailAddress>().map_err(|error| sentence(&error.to_string()));
        if self.name.trim().is_empty() {
            fault("name", "Give it a name. Only you and your colleagues see it.");
        }
        let list = self.list.parse().ok().map(ListId).filter(|id| lists.iter().any(|list| list.id == *id));
        if list.is_none() {
            fault("list", "Choose the list it goes to.");
        }
        if self.from_name.trim().is_empty() {
            fault("from_name", "Say who writes.");
        }
        let from = address(&self.from).map_err(|words| fault("from", &words)).ok();
        let reply_to = match self.reply_to.trim() {
            "" => None,
            text => address(text).map_err(|words| fault("reply_to", &words)).ok(),
        };
        let defaults = defaults(&self.defaults).map_err(|words| fault("defaults", &words)).unwrap_or_default();
        let (Some(list), Some(from), true) = (list, from, faults.is_empty()) else { return Err(faults) };
        let draft = Draft {
            name: line(&self.name),
            list,
            from_name: line(&self.from_name),
            from,
            reply_to,
            subject: line(&self.subject),
            html: self.html.clone(),
            text: self.text.clone(),
            postal_address: self.postal_address.trim().to_owned(),
            defaults,
            doubt: doubt(&self.doubt),
            counts_clicks: self.counts_clicks.is_some(),
        };
        match rebound_send::Template::compile(&draft, "") {
            Ok(_) => Ok(draft),
            Err(error) => {
                let field = match error.part {
                    "Subject" => "subject",
                    "Text" => "text",
                    _ => "html",
                };
                Err(vec![Fault { field, words: sentence(&error.to_string()) }])
            }
        }
    }
}

impl From<Draft> for Written {
    fn from(draft: Draft) -> Self {
        let defaults: Vec<String> = draft.defaults.iter().map(|(field, value)| format!("{field}: {value}")).collect();
        Self {
            name: draft.name,
            list: draft.list.to_string(),
            from_name: draft.from_name,
            from: draft.from.to_string(),
            reply_to: draft.reply_to.map(|address| address.to_string()).unwrap_or_default(),
            subject: draft.subject,
            html: draft.html,
            text: draft.text,
            postal_address: draft.postal_address,
            defaults: defaults.join("\n"),
            doubt: name_of(draft.doubt).to_owned(),
            counts_clicks: draft.counts_clicks.then(|| "yes".to_owned()),
        }
    }
}

/// `first_name: friend`, one a line.
fn defaults(text: &str) -> Result<Fields, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| match line.split_once(':') {
        Some((field, value)) if !field_name(field).is_empty() => Ok((field_name(field), value.trim().to_owned())),
        _ => Err(format!("“{line}” is not a field and its value. Write: first_name: friend")),
    };
    lines.map(pair).collect()
}

/// Without control characters: a header has one line.
fn line(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).collect()
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

fn doubt(name: &str) -> DoubtPolicy {
    match name {
        "hold" => DoubtPolicy::Hold,
        "never" => DoubtPolicy::Never,
        _ => DoubtPolicy::Resend,
    }
}

fn name_of(doubt: DoubtPolicy) -> &'static str {
    match doubt {
        DoubtPolicy::Resend => "resend",
        DoubtPolicy::Hold => "hold",
        DoubtPolicy::Never => "never",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Written {
        Written {
            name: "Spring".into(),
            list: "1".into(),
            from_name: "Fernhill".into(),
            from: "hello@fernhill.example".into(),
            subject: "For {{ first_name }}".into(),
            html: "<p>Hello</p>".into(),
            postal_address: "1 Lane".into(),
            defaults: "First name: friend\n\n town:Ulmen".into(),
            ..Written::default()
        }
    }

    #[test]
    fn a_draft_survives_being_edited() {
        let lists = [List { id: ListId(1), name: "Newsletter".into() }];
        let draft = written().draft(&lists).ok().unwrap();
        assert_eq!(draft.defaults["first_name"], "friend");
        assert_eq!(Written::from(draft.clone()).draft(&lists).ok().unwrap(), draft);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let lists = [List { id: ListId(1), name: "Newsletter".into() }];
        let fields = |written: Written| -> Vec<&str> {
            written.draft(&lists).err().unwrap().iter().map(|fault| fault.field).collect()
        };
        assert_eq!(fields(Written::default()), ["name", "list", "from_name", "from"]);
        assert_eq!(fields(Written { list: "2".into(), reply_to: "x".into(), ..written() }), ["list", "reply_to"]);
        assert_eq!(fields(Written { html: "{{ open".into(), ..written() }), ["html"]);
        let mjml = "<mjml>\n<mj-body><mj-text>{{ town }}</mj-body></mjml>";
        let faults = Written { html: mjml.into(), ..written() }.draft(&lists).err().unwrap();
        assert_eq!(
            (faults[0].field, faults[0].words.as_str()),
            ("html", "HTML, line 2: </mj-body> stands where <mj-text> is still open.")
        );
        assert_eq!(fields(Written { defaults: "no value".into(), ..written() }), ["defaults"]);
    }
}
