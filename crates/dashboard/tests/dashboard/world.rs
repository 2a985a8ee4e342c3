//! An installation, and browsers that are signed in to it.

use crate::seed;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_dashboard::{App, Counted, FullChecks, Hasher, Preflights, Proxies, Readings, router, users};
use rebound_db::{Pool, sessions};
use rebound_domain::{Clock, Role};
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "a short sentence";
const URL: &str = "https://mail.fernhill.example";

pub(crate) struct World {
    pub(crate) db: Pool,
    pub(crate) router: Router,
    pub(crate) now: DateTime<Utc>,
    _folder: TempDir,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A browser with its cookie, and the token of its forms.
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl World {
    pub(crate) async fn empty() -> Self {
        Self::of(seed::sender()).await
    }

    /// One whose mail names itself by `sender`.
    pub(crate) async fn of(sender: rebound_send::Sender) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let app = App {
            db: db.clone(),
            clock: Clock::wall(),
            hasher: Hasher::default(),
            public_url: URL.into(),
            secure_cookies: true,
            demo: None,
            sender: Arc::new(sender),
            wake: Arc::default(),
            work: Arc::default(),
            proxies: Proxies::default(),
            installation: seed::installation(),
            suppressed: Counted::default(),
            preflights: Preflights::default(),
            full_checks: FullChecks::default(),
            readings: Readings::default(),
        };
        Self { db, router: router(app), now: Utc::now(), _folder: folder }
    }

    pub(crate) async fn seeded() -> Self {
        let world = Self::empty().await;
        seed::fill(&world.db, 96, world.now).await;
        world
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream has no end; whoever asks for one here wants its head only.
        let streams = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let bytes = if streams { Vec::new() } else { axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec() };
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub(crate) async fn get(&self, browser: Option<&Browser>, path: &str) -> Answer {
        let mut request = Request::get(path);
        if let Some(browser) = browser {
            request = request.header(header::COOKIE, &browser.cookie);
        }
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// Sends a form of ours, with its token.
    pub(crate) async fn post(&self, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &browser.csrf));
        self.send(Some(browser), path, &fields, Some(URL)).await
    }

    /// Sends the upload form, whose parts end at `--b`.
    pub(crate) async fn upload(&self, browser: &Browser, body: String) -> Answer {
        let request = Request::post("/imports/new")
            .header(header::COOKIE, &browser.cookie)
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
        self.ask(request.body(Body::from(body)).unwrap()).await
    }

    pub(crate) async fn send(
        &self,
        browser: Option<&Browser>,
        path: &str,
        fields: &[(&str, &str)],
        origin: Option<&str>,
    ) -> Answer {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(browser) = browser {
            request = request.header(header::COOKIE, &browser.cookie);
        }
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.ask(request.body(Body::from(body)).unwrap()).await
    }

    /// Adds somebody in `role`, and signs them in through the page.
    pub(crate) async fn browser(&self, role: Role) -> Browser {
        let email = format!("{}@fernhill.example", role.as_str());
        users::create(&self.db, &email, role.as_str(), role, PASSWORD, self.now).await.unwrap();
        self.sign_in(&email).await
    }

    /// Lets the one browser of `role` stand open, so that its password was given an hour ago.
    pub(crate) async fn leave_open(&self, role: Role) {
        let email = format!("{}@fernhill.example", role.as_str()).parse().unwrap();
        let user = users::find(&self.db, &email).await.unwrap();
        let session = sessions::of_user(&self.db, user.id, Utc::now()).await.unwrap().remove(0);
        let long_ago = Utc::now() - TimeDelta::hours(1);
        sessions::confirm(&self.db, &session.digest, long_ago).await.unwrap();
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Browser {
        let answer = self.send(None, "/sign-in", &[("email", email), ("password", PASSWORD)], Some(URL)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let page = self.get(Some(&Browser { cookie: cookie.clone(), csrf: String::new() }), "/account").await;
        let csrf = page.text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Browser { cookie, csrf }
    }
}
