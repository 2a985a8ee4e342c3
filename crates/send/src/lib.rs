//! From a campaign to messages handed over.
//!
//! ```text
//! launch ─▶ deliveries (planned) ─▶ Worker: claim ─▶ compose ─▶ envelope ─▶ mark ─▶ final dot ─▶ outcome
//!           one per contact            lease          merge      MAIL RCPT   durable              durable
//! ```
//!
//! The author's words are laid out (MJML) and their template compiled once for a campaign ([`Template`]); composing only
//! fills it.
//!
//! A hand-over has two phases: the mark is on the disk before the final dot is written, so that after a crash it
//! is known by name whose message may have left. The crate speaks to a relay, to the mail hosts of
//! receivers ([`mx`]) and to the database; it opens no port and reads no report.
//!
//! ```
//! use rebound_domain::{CampaignId, DeliveryId, Keys};
//! use rebound_send::Sender;
//!
//! let sender = Sender {
//!     keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
//!     return_domain: "bounce.fernhill.example".into(),
//!     public_url: "https://news.fernhill.example".into(),
//! };
//! let delivery = DeliveryId::new(CampaignId(7), 0).unwrap();
//! // What was taken once has another return path when it is tried again, and all tries share one Message-ID.
//! let now = chrono::Utc::now();
//! assert_ne!(sender.return_path(delivery, 1, now), sender.return_path(delivery, 2, now));
//! assert!(sender.message_id(delivery).ends_with("@bounce.fernhill.example"));
//! ```

mod attempt;
mod batch;
mod beside;
mod breaks;
mod check;
mod compose;
mod connection;
mod destination;
mod direct;
mod dispatch;
mod dns;
mod journal;
mod launch;
mod links;
mod markup;
pub mod mx;
mod outlet;
mod outlets;
mod pace;
mod planning;
mod prepare;
mod probe;
mod quota;
mod rate;
mod resend;
pub mod return_path;
mod roots;
mod scheduled;
pub mod sending_domains;
pub mod servers;
mod settings;
mod share;
mod sign;
mod signing_key;
mod takeover;
mod template;
mod tenure;
mod test_send;
mod timer;
mod token;
mod transport;
mod trial;
mod worker;

pub use check::{
    Check, Checked, Depth, DkimState, Finding, Last, Level, Mend, Outside, Part, Preflight, PreflightAnswer, Progress,
    Surroundings, outside, preflight,
};
pub use compose::{ComposeError, Composer};
pub use launch::{Cleared, LaunchError, cancel, launch, pause, resume, unschedule};
pub use links::{destination, links_of};
pub use probe::probe_now;
pub use rebound_domain::Tls;
pub use resend::{ResendError, Version, hurry, leave_doubts, pictures_inside, resend, resend_doubts, resendable};
pub use settings::{Egress, Login, Proof, Relay, Sender, Via};
pub use sign::{SignError, Signer};
pub use signing_key::{NotMade, Secret, make_key};
pub use template::{Rendered, Template, TemplateError, letter_size};
pub use test_send::{Outcome, TestError, Tested, test_send};
pub use token::Tokens;
pub use transport::{RelayDown, probe};
pub use trial::{Step, Trial, trial};
pub use worker::{Worker, WorkerError};
