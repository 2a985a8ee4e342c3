//! `/settings/rules`: the installation's own rules for reading bounces, their faults, and their versions.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Submitted};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use rebound_classify::Fault;
use rebound_contacts::Error;
use rebound_contacts::rules::{ids_of, rejudge_later, save_rules as keep};
use rebound_db::jobs::{self, Job, JobKind, JobState};
use rebound_db::rule_files::{self, Saved};
use serde::Deserialize;

/// Versions that are listed.
const VERSIONS: u32 = 50;
/// Lines of a rule that are shown with its faults.
const SHOWN: usize = 30;

#[derive(Template)]
#[template(path = "settings/rules.html")]
struct Index {
    frame: Frame,
    /// What stands in the form.
    text: String,
    note: String,
    based_on: i64,
    /// Whose text the form begins with, where that is an earlier version.
    from: Option<i64>,
    /// The version of all rules that bounces are read by.
    reads_by: String,
    count: Count,
    faults: Vec<Faults>,
    /// Whether the version in force does not hold any more.
    laid_aside: bool,
    /// Saved by somebody else while this was written.
    conflict: Option<Line>,
    versions: Vec<Line>,
    history: Option<Job>,
}

/// What is wrong with a rule, and the rule.
struct Faults {
    /// Its id; empty where the text as a whole cannot be read.
    rule: String,
    line: Option<usize>,
    whats: Vec<String>,
    text: String,
}

/// A version that was saved.
struct Line {
    version: i64,
    at: When,
    actor: String,
    note: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    from: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct Written {
    text: String,
    #[serde(default)]
    note: String,
    based_on: i64,
}

pub(crate) async fn rules(
    by: Allowed<Administer>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let in_force = app.readings.in_force(&app.db).await?;
    let version = asked.from.unwrap_or(in_force.version);
    let text = match rule_files::text(&app.db, version).await? {
        Some(text) => text,
        None if asked.from.is_some() => return Err(PageError::NotFound),
        None => String::new(),
    };
    let mut page = Index::of(&app, &by, text, String::new()).await?;
    page.from = asked.from.filter(|from| *from != in_force.version);
    if page.from.is_none() {
        page.faults = beside(&page.text, &in_force.faults);
    }
    Ok(Page(page).into_response())
}

/// Saves the text as a new version; 422 where it does not hold, 409 where another was saved meanwhile.
pub(crate) async fn save_rules(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Administer, Written>,
) -> Result<Response, PageError> {
    let text = form.text.replace("\r\n", "\n");
    match keep(&app.db, &text, form.based_on, (by.actor(), &form.note), app.now()).await {
        Ok(_) => Ok(Redirect::to("/settings/rules").into_response()),
        Err(Error::FaultyRules(faults)) => {
            let mut page = Index::of(&app, &by, text, form.note).await?;
            page.based_on = form.based_on;
            page.faults = beside(&page.text, &faults);
            Ok(Faulty(page).into_response())
        }
        Err(Error::RulesChanged { .. }) => {
            let mut page = Index::of(&app, &by, text, form.note).await?;
            page.conflict = rule_files::versions(&app.db, 1).await?.pop().map(|saved| line(saved, &app));
            Ok((StatusCode::CONFLICT, Page(page)).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// Has all of the history judged again by the rules in force.
pub(crate) async fn judge_history(
    State(app): State<App>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Redirect, PageError> {
    let in_force = app.readings.in_force(&app.db).await?;
    if in_force.version == 0 || !in_force.faults.is_empty() {
        return Err(PageError::NotNow("there are no rules of your own in force".to_owned()));
    }
    rejudge_later(&app.db, in_force.version, None, by.actor(), app.now()).await?;
    app.work.notify_one();
    Ok(Redirect::to("/settings/rules"))
}

#[derive(Template)]
#[template(path = "settings/rules_version.html")]
pub(crate) struct Show {
    frame: Frame,
    line: Line,
    in_force: i64,
    text: String,
}

pub(crate) async fn rules_version(
    by: Allowed<Administer>,
    State(app): State<App>,
    Path(version): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let text = rule_files::text(&app.db, version).await?.ok_or(PageError::NotFound)?;
    let saved = rule_files::saved(&app.db, version).await?.ok_or(PageError::NotFound)?;
    Ok(Page(Show {
        frame: Frame::of(&app, &by, Place::Settings).await?,
        line: line(saved, &app),
        in_force: rule_files::in_force(&app.db).await?,
        text,
    }))
}

impl Index {
    async fn of(app: &App, by: &Allowed<Administer>, text: String, note: String) -> Result<Self, PageError> {
        let in_force = app.readings.in_force(&app.db).await?;
        let versions = rule_files::versions(&app.db, VERSIONS).await?;
        Ok(Self {
            frame: Frame::of(app, by, Place::Settings).await?,
            count: Count::from_len(ids_of(&text).len()),
            text,
            note,
            based_on: in_force.version,
            from: None,
            reads_by: in_force.rules().version().to_owned(),
            faults: vec![],
            laid_aside: !in_force.faults.is_empty(),
            conflict: None,
            versions: versions.into_iter().map(|saved| line(saved, app)).collect(),
            history: jobs::of(&app.db, JobKind::Rejudge, in_force.version).await?,
        })
    }
}

fn line(saved: Saved, app: &App) -> Line {
    Line { version: saved.version, at: When::new(saved.at, app.now()), actor: saved.actor, note: saved.note }
}

/// The faults beside the rules that they are of.
fn beside(text: &str, faults: &[Fault]) -> Vec<Faults> {
    let mut told: Vec<Faults> = vec![];
    for fault in faults {
        match told.iter_mut().find(|one| one.rule == fault.rule) {
            Some(one) => one.whats.push(fault.what.clone()),
            None => {
                let (line, text) = block(text, &fault.rule).unzip();
                let (whats, text) = (vec![fault.what.clone()], text.unwrap_or_default());
                told.push(Faults { rule: fault.rule.clone(), line, whats, text });
            }
        }
    }
    told
}

/// Where the rule with `id` begins, counted from 1, and its lines.
fn block(text: &str, id: &str) -> Option<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| line.trim_start().starts_with("[[");
    let names = |line: &&str| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "id").then(|| value.trim().trim_matches(['"', '\''].as_slice()) == id)
    };
    let at = lines.iter().position(|line| !id.is_empty() && names(line) == Some(true))?;
    let start = lines.iter().take(at).rposition(begins).unwrap_or(at);
    let end = lines.iter().skip(at).position(begins).map_or(lines.len(), |after| at + after);
    let shown: Vec<&str> = lines.get(start..end)?.iter().take(SHOWN).copied().collect();
    Some((start + 1, shown.join("\n").trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_stand_beside_their_rule() {
        let text = "# ours\n[[rule]]\nid = \"local.a\"\nwords = []\n\n[[rule]]\nid = 'local.b'\n";
        let fault = |rule: &str, what: &str| Fault { rule: rule.to_owned(), what: what.to_owned() };
        let told = beside(text, &[fault("local.b", "one"), fault("", "line 3: x"), fault("local.b", "two")]);
        assert_eq!((told[0].line, &*told[0].text, told[0].whats.len()), (Some(6), "[[rule]]\nid = 'local.b'", 2));
        assert_eq!((told[1].line, &*told[1].text), (None, ""));
        assert_eq!(block(text, "local.a"), Some((2, "[[rule]]\nid = \"local.a\"\nwords = []".to_owned())));
    }
}
