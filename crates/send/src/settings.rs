//! What sending needs to know, once, from the configuration.

use crate::Tokens;
use crate::mx::{DirectSettings, Exchanges};
use crate::transport::{Line, RelayDown};
use chrono::{DateTime, Utc};
use rebound_domain::{
    CampaignId, DeliveryId, Keys, Limits, MessageId, ReturnPath, ServerId, Tls, UnsubscribeLink, WarmUp,
};

/// A way out for our mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Its identity; 0 for that of the configuration.
    pub id: ServerId,
    /// What it is called here.
    pub name: String,
    /// Where mail goes by it.
    pub via: Via,
    /// Connections at once.
    pub connections: usize,
    /// Its share beside others.
    pub weight: u16,
    /// How much it may be given.
    pub limits: Limits,
    /// How its daily volume grows.
    pub warm_up: Option<WarmUp>,
}

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// To one server that passes it on.
    Relay(Relay),
    /// To the mail hosts of each receiver.
    Direct(DirectSettings),
}

impl Egress {
    /// The only way: all mail through `relay`.
    #[must_use]
    pub fn only(relay: Relay, connections: usize, per_second: Option<u32>) -> Self {
        Self {
            id: ServerId(0),
            name: relay.host.clone(),
            via: Via::Relay(relay),
            connections,
            weight: 1,
            limits: Limits { per_second, ..Limits::default() },
            warm_up: None,
        }
    }

    /// A line for one message to somebody at `domain`.
    pub(crate) async fn line_to(&self, domain: &str, now: DateTime<Utc>) -> Result<Line, RelayDown> {
        let direct = match &self.via {
            Via::Relay(relay) => return Line::open(relay).await,
            Via::Direct(direct) => direct,
        };
        let exchanges = Exchanges::new(direct.clone()).map_err(|why| RelayDown::not_ready(&self.name, &why))?;
        let none = |words| RelayDown::NoHost { words };
        let exchange = exchanges.of(domain).await.map_err(|why| none(why.to_string()))?;
        let (line, _) = Box::pin(exchange.open(now)).await.map_err(|why| none(why.to_string()))?;
        Ok(line)
    }
}

/// The relay that mail is handed to.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its host name, which its certificate must bear.
    pub host: String,
    /// Its port: 587 for submission, 465 for TLS from the start, 25 between servers.
    pub port: u16,
    /// How the line is protected.
    pub tls: Tls,
    /// Certificates (PEM) of an authority of one's own that signed the relay's; besides those the web trusts.
    pub authority: Option<String>,
    /// Who signs in, if it asks for that.
    pub login: Option<Login>,
    /// How we name ourselves to it.
    pub hello: String,
}

/// Who signs in to a relay.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// As whom.
    pub user: String,
    /// What shows that we are.
    pub proof: Proof,
}

/// What shows a relay that we are who we say.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// By `AUTH PLAIN`, or `LOGIN` where there is no other.
    Password(String),
    /// A token, by `AUTH XOAUTH2` as Microsoft 365 and Google speak it.
    Token(Tokens),
}

impl Login {
    /// By user and password.
    #[must_use]
    pub fn password(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), proof: Proof::Password(password.to_owned()) }
    }
}

// The password must not reach a log by way of `{:?}`.
impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

/// How our messages name us, and how their answers find back.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Signs return paths, links and Message-IDs.
    pub keys: Keys,
    /// The domain that bounces are sent to.
    pub return_domain: String,
    /// Where people reach the unsubscribe page, without a slash at the end.
    pub public_url: String,
}

impl Sender {
    /// The envelope sender of one try.
    #[must_use]
    pub fn return_path(&self, delivery: DeliveryId, attempt: u8, now: DateTime<Utc>) -> String {
        format!("{}@{}", ReturnPath { delivery, attempt }.sign(&self.keys, now), self.return_domain)
    }

    /// The Message-ID of all tries of one delivery, without angle brackets.
    #[must_use]
    pub fn message_id(&self, delivery: DeliveryId) -> String {
        format!("{}@{}", MessageId(delivery).sign(&self.keys), self.return_domain)
    }

    /// The link by which its recipient leaves.
    #[must_use]
    pub fn unsubscribe_url(&self, delivery: DeliveryId) -> String {
        format!("{}/u/{}", self.public_url, UnsubscribeLink(delivery).sign(&self.keys))
    }

    /// What feedback loops tell campaigns apart by: campaign, list, sender.
    #[must_use]
    pub fn feedback_id(&self, campaign: CampaignId, list: i64) -> String {
        format!("c{campaign}:l{list}:rebound:{}", self.return_domain)
    }
}
