//! `/policies/versions/{version}`: one saved version, and what it changed.

use super::{Change, Version, changes, version_line};
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::Count;
use askama::Template;
use axum::extract::{Path, State};
use rebound_db::policies;

#[derive(Template)]
#[template(path = "policies/version.html")]
pub(crate) struct Show {
    frame: Frame,
    version: Version,
    based_on: u32,
    in_force: u32,
    /// What it changed, against the version before.
    changed: Vec<Change>,
    /// How it differs from the one in force.
    differs: Vec<Change>,
    numbers: Vec<(String, Count)>,
}

pub(crate) async fn version(
    by: Allowed<See>,
    State(app): State<App>,
    Path(number): Path<u32>,
) -> Result<Page<Show>, PageError> {
    let saved = policies::versions(&app.db).await?;
    let at = saved.iter().position(|one| one.policy.version == number).ok_or(PageError::NotFound)?;
    let one = saved.get(at).ok_or(PageError::NotFound)?;
    let before = saved.get(at + 1).map(|older| &older.policy);
    let newest = saved.first().ok_or(PageError::NotFound)?;
    let numbers = one.policy.settings().into_iter();
    Ok(Page(Show {
        frame: Frame::of(&app, &by, Place::Policies).await?,
        version: version_line(one, before, app.now()),
        based_on: one.based_on,
        in_force: newest.policy.version,
        changed: before.map(|before| changes(before, &one.policy)).unwrap_or_default(),
        differs: changes(&newest.policy, &one.policy),
        numbers: numbers.map(|(setting, value)| (setting.title(), Count(value.into()))).collect(),
    }))
}
