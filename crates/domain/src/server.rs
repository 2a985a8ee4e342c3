//! A way out for our mail: a server that takes it all, or this machine itself.

use crate::{Limits, ServerId, WarmUp};
use std::net::IpAddr;

/// A way out for our mail, without the secret to its login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its identity.
    pub id: ServerId,
    /// What it is called here.
    pub name: String,
    /// Where mail goes from here.
    pub route: Route,
    /// How we name ourselves to whoever takes the mail.
    pub hello: String,
    /// Connections at once, 1 to 256.
    pub connections: u16,
    /// Its share of the mail beside others that are in use, 1 to 100.
    pub weight: u16,
    /// How much it may be given.
    pub limits: Limits,
    /// How its daily volume grows; `None` for one that is known to its receivers.
    pub warm_up: Option<WarmUp>,
}

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// All of it to one server, which passes it on.
    Relay {
        /// Its host name, which its certificate must bear.
        host: String,
        /// Its port: 587 for submission, 465 for TLS from the start, 25 between servers.
        port: u16,
        /// How the line is protected.
        tls: Tls,
        /// Certificates (PEM) of an authority of one's own that signed the server's; empty for those the web trusts.
        authority: String,
        /// The user to sign in as; empty where it asks for none.
        login: String,
        /// Where the token comes from that it takes in place of a password.
        token: Option<TokenSource>,
    },
    /// To the mail hosts of each receiver.
    Direct {
        /// Our addresses that it leaves from, in turns; none for whichever the system takes.
        sources: Vec<IpAddr>,
    },
}

impl Route {
    /// In one phrase: `smtp.example.org, port 587`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Relay { host, port, .. } => format!("{host}, port {port}"),
            Self::Direct { sources } if sources.is_empty() => "to the mail hosts of each receiver".to_owned(),
            Self::Direct { sources } => {
                let sources: Vec<String> = sources.iter().map(IpAddr::to_string).collect();
                format!("to the mail hosts of each receiver, from {}", sources.join(" and "))
            }
        }
    }
}

/// Who gives the tokens that stand for a password, to a client of ours with a secret of its own: OAuth 2.0's client
/// credentials (RFC 6749 §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The address of the token endpoint.
    pub url: String,
    /// Our client's identifier there.
    pub client: String,
    /// What the token shall be good for.
    pub scope: String,
}

impl TokenSource {
    /// As it is written; `None` where nothing is.
    ///
    /// # Errors
    /// In words, where a part is missing, or the secret would travel open.
    pub fn parse(url: &str, client: &str, scope: &str) -> Result<Option<Self>, String> {
        let [url, client, scope] = [url, client, scope].map(|text| text.trim().to_owned());
        if url.is_empty() && client.is_empty() && scope.is_empty() {
            return Ok(None);
        }
        let here = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
        if !url.starts_with("https://") && !here.iter().any(|here| url.starts_with(here)) {
            return Err("the tokens’ address must begin with https://".to_owned());
        }
        if client.is_empty() {
            return Err("tokens are given to a client: write its identifier".to_owned());
        }
        Ok(Some(Self { url, client, scope }))
    }
}

/// How the line to a server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: only for a server on this machine or in a closed network.
    None,
    /// STARTTLS, or no mail.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

impl Tls {
    /// All of them, the safest first.
    pub const ALL: [Self; 3] = [Self::StartTls, Self::Implicit, Self::None];

    /// The name, as the configuration has it: `starttls`, `tls`, `none`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Implicit => "tls",
            Self::None => "none",
        }
    }

    /// The one called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tls| tls.as_str() == name)
    }
}
