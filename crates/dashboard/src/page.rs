//! A page: a template, and what stands around it on every page.

use crate::error::PageError;
use crate::session::{Allowed, Needs};
use crate::words::Count;
use crate::{App, DemoNotice};
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use rebound_domain::Permission;

/// A template as an answer.
pub(crate) struct Page<T>(pub(crate) T);

/// A template as an answer to a form that was not taken: its faults are named in it.
pub(crate) struct Faulty<T>(pub(crate) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        rendered(StatusCode::OK, &self.0)
    }
}

impl<T: Template> IntoResponse for Faulty<T> {
    fn into_response(self) -> Response {
        rendered(StatusCode::UNPROCESSABLE_ENTITY, &self.0)
    }
}

fn rendered(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => PageError::from(error).into_response(),
    }
}

/// What stands around every page: navigation, who is signed in, what their forms carry.
pub(crate) struct Frame {
    /// The entry of the navigation that is open.
    pub(crate) place: Place,
    /// For forms.
    pub(crate) csrf: String,
    /// Who is signed in.
    pub(crate) name: String,
    /// As what.
    pub(crate) role: &'static str,
    /// Incidents that are open.
    pub(crate) incidents: Count,
    /// The banner of a demo.
    pub(crate) demo: Option<DemoNotice>,
    /// Whether they may change contacts and drafts.
    pub(crate) writes: bool,
    /// Whether they may send.
    pub(crate) launches: bool,
    /// Whether they may administer.
    pub(crate) administers: bool,
    /// Whether they may read the audit log.
    pub(crate) audits: bool,
}

/// The entries of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Campaigns,
    Contacts,
    Lists,
    Suppressions,
    Bounces,
    Incidents,
    Servers,
    SendingDomains,
    ReturnPath,
    Policies,
    Users,
    Audit,
    Work,
    Settings,
    Account,
}

impl Frame {
    /// The frame for someone at `place`.
    pub(crate) async fn of<P: Needs>(app: &App, by: &Allowed<P>, place: Place) -> Result<Self, PageError> {
        let user = &by.session.user;
        Ok(Self {
            place,
            csrf: by.session.csrf.clone(),
            name: user.name.clone(),
            role: user.role.as_str(),
            incidents: Count(rebound_db::incidents::open(&app.db).await?.len() as i64),
            demo: app.demo,
            writes: by.may(Permission::Write),
            launches: by.may(Permission::Launch),
            administers: by.may(Permission::Administer),
            audits: by.may(Permission::Audit),
        })
    }

    /// `page` where it is the open entry, for `aria-current`.
    pub(crate) fn here(&self, place: Place) -> bool {
        self.place == place
    }

    /// How many times faster the demo runs, in words.
    pub(crate) fn demo_speed(&self) -> Option<Count> {
        // Factors are small whole numbers in practice; a half is not worth a word.
        #[allow(clippy::cast_possible_truncation)]
        self.demo.map(|demo| Count(demo.factor.round() as i64))
    }
}
