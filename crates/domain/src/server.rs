//! A server that takes our mail.

use crate::ServerId;

/// A server that takes our mail, without the secret to its login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its identity.
    pub id: ServerId,
    /// What it is called here.
    pub name: String,
    /// Its host name, which its certificate must bear.
    pub host: String,
    /// Its port: 587 for submission, 465 for TLS from the start, 25 between servers.
    pub port: u16,
    /// How the line is protected.
    pub tls: Tls,
    /// Certificates (PEM) of an authority of one's own that signed the server's; empty for those the web trusts.
    pub authority: String,
    /// The user to sign in as; empty where it asks for none.
    pub login: String,
    /// Connections at once, 1 to 256.
    pub connections: u16,
    /// Messages per second at most; 0 for as fast as it takes them.
    pub per_second: u32,
    /// How we name ourselves to it.
    pub hello: String,
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
