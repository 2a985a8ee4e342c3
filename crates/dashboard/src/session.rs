//! Who asks, whether they may, and whether the form is ours.
//!
//! Every handler behind the sign-in names the permission it needs by its first argument: [`Allowed`] where it
//! only looks, [`Submitted`] where a form changes something.

use crate::App;
use crate::error::PageError;
use crate::form::{fields, whole};
use crate::secret::Secret;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use chrono::{TimeDelta, Utc};
use rebound_db::sessions::{self, Session};
use rebound_domain::Permission;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use subtle::ConstantTimeEq;

/// A permission as a type, so that a handler cannot be written without naming one.
pub(crate) trait Needs: Send + Sync + 'static {
    /// Which.
    const PERMISSION: Permission;
    /// Whether the password must have been given lately: a browser that was left open is not enough.
    const LATELY: bool = false;
}

macro_rules! needs {
    ($($name:ident)*) => {$(
        #[doc = concat!("[`Permission::", stringify!($name), "`]")]
        pub(crate) enum $name {}
        impl Needs for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )*};
}
needs! { See Write Launch Audit Administer }

/// [`Permission::Administer`] for secrets and for who may sign in, with the password given lately.
pub(crate) enum Manage {}
impl Needs for Manage {
    const PERMISSION: Permission = Permission::Administer;
    const LATELY: bool = true;
}

/// [`Permission::Audit`] for taking the log away, with the password given lately.
pub(crate) enum Export {}
impl Needs for Export {
    const PERMISSION: Permission = Permission::Audit;
    const LATELY: bool = true;
}

/// [`Permission::Write`] for taking people's addresses away, with the password given lately.
pub(crate) enum TakeAway {}
impl Needs for TakeAway {
    const PERMISSION: Permission = Permission::Write;
    const LATELY: bool = true;
}

/// A page that needs the password lately opens for so long after it was given.
const LATELY: TimeDelta = TimeDelta::minutes(15);
/// Its forms are taken for so long, so that what was typed is not lost.
const FORM_LATELY: TimeDelta = TimeDelta::minutes(45);

/// Someone signed in who may do `P`.
pub(crate) struct Allowed<P> {
    /// Who, and what their forms carry.
    pub(crate) session: Session,
    needs: PhantomData<P>,
}

impl<P> Allowed<P> {
    /// What the audit log calls them.
    pub(crate) fn actor(&self) -> &str {
        self.session.user.email.as_str()
    }

    /// Whether they may do that as well: pages leave out what they may not.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.session.user.role.may(permission)
    }

    /// Whether they gave their password lately enough to open what asks for it.
    pub(crate) fn confirmed_lately(&self) -> bool {
        self.confirmed_within(LATELY)
    }

    fn confirmed_within(&self, patience: TimeDelta) -> bool {
        self.session.confirmed + patience >= Utc::now()
    }

    /// Whether `token` is what the forms of this session carry.
    pub(crate) fn wrote(&self, token: &str) -> bool {
        bool::from(self.session.csrf.as_bytes().ct_eq(token.as_bytes()))
    }
}

impl<P: Needs> FromRequestParts<App> for Allowed<P> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let sign_in = || PageError::SignIn {
            // Only a page can be come back to.
            back: (parts.method == Method::GET).then(|| parts.uri.path().to_owned()),
        };
        let secret = cookie(&parts.headers, app).ok_or_else(sign_in)?;
        // The wall clock: a demo that runs faster signs nobody out.
        let session = sessions::get(&app.db, &secret.digest(), Utc::now()).await?.ok_or_else(sign_in)?;
        if !session.user.role.may(P::PERMISSION) {
            return Err(PageError::Forbidden);
        }
        let patience = if parts.method == Method::GET { LATELY } else { FORM_LATELY };
        let by = Self { session, needs: PhantomData };
        if P::LATELY && !by.confirmed_within(patience) {
            return Err(PageError::Confirm { back: page_of(parts) });
        }
        Ok(by)
    }
}

/// The page that was asked for, or that the form was on.
fn page_of(parts: &Parts) -> String {
    if parts.method == Method::GET {
        let whole = parts.uri.path_and_query().map(ToString::to_string);
        return whole.unwrap_or_else(|| parts.uri.path().to_owned());
    }
    let referer = parts.headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let path = referer.and_then(|url| url.split_once("://")).and_then(|(_, rest)| rest.split_once('/'));
    path.map_or_else(|| "/".to_owned(), |(_, path)| format!("/{}", path.split(['?', '#']).next().unwrap_or_default()))
}

/// A form of ours, filled in by someone who may do `P`.
pub(crate) struct Submitted<P, T> {
    /// Who.
    pub(crate) by: Allowed<P>,
    /// What they wrote.
    pub(crate) form: T,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<P: Needs, T: DeserializeOwned> FromRequest<App> for Submitted<P, T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let by = Allowed::<P>::from_request_parts(&mut parts, app).await?;
        let body = whole(body).await?;
        let token: Token = fields(&parts, &body, app).await?;
        if !by.wrote(&token.csrf) {
            return Err(PageError::Forged);
        }
        let form = fields(&parts, &body, app).await?;
        Ok(Self { by, form })
    }
}

/// `__Host-` ties the cookie to this host, to TLS and to the whole of it.
fn cookie_name(app: &App) -> &'static str {
    if app.secure_cookies { "__Host-rebound" } else { "rebound" }
}

/// The secret that the browser holds.
pub(crate) fn cookie(headers: &HeaderMap, app: &App) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(app)).map(|(_, value)| Secret::from_text(value))
}

/// The header that gives the browser `secret`, or takes it away.
pub(crate) fn set_cookie(app: &App, secret: Option<Secret>) -> HeaderValue {
    let age = if secret.is_some() { sessions::WHOLE.num_seconds() } else { 0 };
    let secure = if app.secure_cookies { "; Secure" } else { "" };
    let value = secret.map(Secret::into_text).unwrap_or_default();
    let name = cookie_name(app);
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}");
    // Base64 and names are always a header; an empty one would only sign nobody in.
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""))
}
