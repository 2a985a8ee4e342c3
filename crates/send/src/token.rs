//! Tokens that stand for a password: those of OAuth 2.0's client credentials (RFC 6749 §4.4).

use crate::roots::roots;
use rebound_domain::TokenSource;
use reqwest::{Client, Response, redirect};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For all of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Octets at most: a token has some thousands.
const LARGEST: usize = 64 * 1024;

/// How long a token is good whose source does not say so, as the standard only recommends that it does.
const UNSAID: u64 = 300;

/// A token that has less left is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// Who gave none is not asked again for so long: many lines may want one, and too many wrong secrets lock a client out.
const REFUSED: Duration = Duration::from_secs(15);

/// A client of ours at a source of tokens, and what it heard there last, which all copies share.
#[derive(Clone)]
pub struct Tokens {
    source: TokenSource,
    secret: String,
    /// Certificates (PEM) of an authority of one's own.
    authority: Option<String>,
    last: Arc<Mutex<Option<Heard>>>,
    /// One asks for all that wait.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct Heard {
    /// The token, or why there is none.
    answer: Result<String, String>,
    until: Instant,
}

/// Two are the same that would be given the same.
impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, &self.secret, &self.authority) == (&other.source, &other.secret, &other.authority)
    }
}

impl Eq for Tokens {}

impl Tokens {
    /// For the client of `source` whose secret it is. Besides authorities that the web trusts, the source may have its
    /// certificate from `authority` (PEM).
    #[must_use]
    pub fn new(source: TokenSource, secret: String, authority: Option<String>) -> Self {
        Self { source, secret, authority, last: Arc::default(), asking: Arc::default() }
    }

    /// The last answer while it is good, or a new one.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) async fn token(&self) -> Result<String, String> {
        let _alone = self.asking.lock().await;
        if let Some(heard) = self.last().clone().filter(|heard| heard.until > Instant::now()) {
            return heard.answer;
        }
        let (answer, good) = match self.ask().await {
            Ok(given) => {
                let lives = Duration::from_secs(given.expires_in.unwrap_or(UNSAID).min(24 * 60 * 60));
                (Ok(given.access_token), lives.saturating_sub(MARGIN))
            }
            Err(why) => (Err(format!("{}: {why}", self.source.url)), REFUSED),
        };
        *self.last() = Some(Heard { answer: answer.clone(), until: Instant::now() + good });
        answer
    }

    /// The next login asks for a new one: the last was not taken.
    pub(crate) fn forget(&self) {
        *self.last() = None;
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Heard>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<Given, String> {
        let TokenSource { url, client, scope } = &self.source;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", &self.secret),
            ("scope", scope),
        ];
        let wanted = form.iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
        let answer = self.client()?.post(url).form(&wanted).send().await.map_err(|error| said(&error))?;
        let status = answer.status();
        let body = read(answer).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| "its answer holds no token".to_owned());
        }
        // Its words are shown to administrators; they quote no secret, by RFC 6749 §5.2.
        let why = serde_json::from_slice::<Refused>(&body).map_or_else(|_| String::new(), |refused| refused.words());
        Err(format!("it answers {}{why}", status.as_u16()))
    }

    fn client(&self) -> Result<Client, String> {
        let roots = roots(self.authority.as_deref())?;
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // A secret follows no redirect.
        let client = Client::builder().tls_backend_preconfigured(tls).redirect(redirect::Policy::none());
        client.timeout(PATIENCE).build().map_err(|error| said(&error))
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| said(&error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err("its answer has no end".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What went wrong, down to its first cause, without the address, which is told anyway.
fn said(error: &reqwest::Error) -> String {
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    why.to_string()
}

/// RFC 6749 §5.1.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<u64>,
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Refused {
    fn words(&self) -> String {
        let description: String = self.error_description.lines().next().unwrap_or_default().chars().take(300).collect();
        let error: String = self.error.chars().take(100).collect();
        format!(", {error}: {description}").trim_end_matches([':', ' ']).to_owned()
    }
}
