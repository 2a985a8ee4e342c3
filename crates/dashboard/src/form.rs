//! Forms as they are read: whole, within a limit, and as text that a database can keep.

use crate::App;
use crate::error::PageError;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The longest form: a campaign with both of its parts.
const LIMIT: usize = 2 << 20;

/// A form from before the sign-in, which carries no token.
pub(crate) struct Open<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Open<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        Ok(Self(fields(&parts, &whole(body).await?, app).await?))
    }
}

/// All of a form, if no field of it holds a NUL: no text in PostgreSQL may.
pub(crate) async fn whole(body: Body) -> Result<Bytes, PageError> {
    let body = axum::body::to_bytes(body, LIMIT).await.map_err(|_| PageError::TooLarge)?;
    // A percent sign of the text itself is written `%25`.
    if body.contains(&0) || body.windows(3).any(|three| three == b"%00") {
        return Err(PageError::Nul);
    }
    Ok(body)
}

/// What stands in its fields.
pub(crate) async fn fields<T: DeserializeOwned>(parts: &Parts, body: &Bytes, app: &App) -> Result<T, PageError> {
    let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let form = axum::extract::Form::<T>::from_request(request, app).await;
    form.map(|axum::extract::Form(fields)| fields).map_err(|_| PageError::Unreadable)
}
