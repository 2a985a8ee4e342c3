//! What sending needs to know, once, from the configuration.

use chrono::{DateTime, Utc};
use rebound_domain::{CampaignId, DeliveryId, Keys, MessageId, ReturnPath, Tls, UnsubscribeLink};

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
    /// User and password, if it asks for them.
    pub login: Option<(String, String)>,
    /// Connections at once.
    pub connections: usize,
    /// Messages per second at most.
    pub per_second: Option<u32>,
    /// How we name ourselves to it.
    pub hello: String,
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
