//! `/setup/{secret}`: making the owner, once.

use crate::App;
use crate::error::PageError;
use crate::form::Open;
use crate::page::{Faulty, Page};
use crate::secret::Secret;
use crate::users::{By, checked, note};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use rebound_db::users;
use rebound_domain::Role;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "setup/index.html")]
pub(crate) struct Setup {
    name: String,
    email: String,
    fault: Option<String>,
}

pub(crate) async fn show(State(app): State<App>, Path(secret): Path<String>) -> Result<Page<Setup>, PageError> {
    if !users::setup_is_open(&app.db, &Secret::from_text(&secret).digest()).await? {
        return Err(PageError::NotFound);
    }
    Ok(Page(Setup { name: String::new(), email: String::new(), fault: None }))
}

#[derive(Deserialize)]
pub(crate) struct Owner {
    name: String,
    email: String,
    password: String,
}

pub(crate) async fn make(
    State(app): State<App>,
    Path(secret): Path<String>,
    Open(owner): Open<Owner>,
) -> Result<Response, PageError> {
    let digest = Secret::from_text(&secret).digest();
    if !users::setup_is_open(&app.db, &digest).await? {
        return Err(PageError::NotFound);
    }
    match checked(&app.hasher, &owner.email, &owner.name, Role::Owner, &owner.password).await {
        Err(fault) => {
            let page = Setup { name: owner.name, email: owner.email, fault: Some(fault.to_string()) };
            Ok(Faulty(page).into_response())
        }
        Ok(user) => {
            let tx = app.db.begin().await?;
            let id = users::set_up(&tx, &digest, &user, Utc::now()).await?.ok_or(PageError::NotFound)?;
            let owner = users::get(&tx, id).await?.ok_or(PageError::NotFound)?;
            note(&tx, By::User(&owner), "owner.made", id, "by the set-up link", app.now()).await?;
            tx.commit().await?;
            Ok(Redirect::to("/sign-in").into_response())
        }
    }
}
