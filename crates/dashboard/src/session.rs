//! Who asks, whether they may, and whether the form is ours.
//!
//! Every handler behind the sign-in names the permission it needs by its first argument: [`Allowed`] where it
//! only looks, [`Submitted`] where a form changes something.

use crate::App;
use crate::error::PageError;
use crate::secret::Secret;
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use chrono::Utc;
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
        Ok(Self { session, needs: PhantomData })
    }
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
        let body = axum::body::to_bytes(body, FORM_LIMIT).await.map_err(|_| PageError::TooLarge)?;
        let form = |parts: &Parts| Request::from_parts(parts.clone(), axum::body::Body::from(body.clone()));
        let Form(token) = Form::<Token>::from_request(form(&parts), app).await.map_err(|_| PageError::Unreadable)?;
        if !by.wrote(&token.csrf) {
            return Err(PageError::Forged);
        }
        let Form(form) = Form::<T>::from_request(form(&parts), app).await.map_err(|_| PageError::Unreadable)?;
        Ok(Self { by, form })
    }
}

/// The longest form: a campaign with both of its parts.
const FORM_LIMIT: usize = 2 << 20;

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
