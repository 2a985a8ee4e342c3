//! The words of the field and the rules that join them.
//!
//! ```text
//! Contact ─ List ─ Campaign ─▶ Delivery ─▶ reply or report ─▶ Verdict ─▶ Policy ─▶ Standing ─▶ Suppression
//!                                  ▲                                       │
//!                                  └──────────── next_try ◀────────────────┘
//! ```
//!
//! Everything here is a value, or a rule from values to values: no file, no socket, no database, and no
//! clock. Time is an argument.
//!
//! ```
//! use chrono::{TimeDelta, Utc};
//! use rebound_domain::{
//!     BounceCause, CampaignId, EmailAddress, Fact, Grade, Permanence, Policy, Standing, SuppressionReason, fold,
//! };
//!
//! let now = Utc::now();
//! let gone = Fact::Bounced {
//!     cause: BounceCause::MailboxUnknown,
//!     permanence: Permanence::Hard,
//!     grade: Grade::Ours,
//!     campaign: CampaignId(1),
//!     excused: false,
//! };
//! let standing = fold(&Policy::default(), &Standing::default(), &gone, now);
//! let ada: EmailAddress = "ada@orchard.example".parse().unwrap();
//! let suppression = standing.suppression(&ada.key(), "550 5.1.1 no such user".to_owned()).unwrap();
//! assert_eq!(suppression.reason, SuppressionReason::Hard);
//! ```

mod grouped;
mod id;

mod address;
mod contact;
mod list;

mod campaign;
mod delivery;
mod lane;
mod receiver;
mod token;

mod advice;
mod bounce;
mod status_code;
mod verdict;

mod click;
mod complaint;
mod incident;
mod policy;
mod resend;
mod retry;
mod suppression;

mod clock;
mod dkim;
mod dkim_record;
mod event_door;
mod seal;
mod sending_domain;
mod server;
mod user;
mod volume;

pub use address::{AddressKey, BadAddress, EmailAddress};
pub use advice::Advice;
pub use bounce::{Bounce, BounceCause, CauseGroup, Permanence, UnknownName};
pub use campaign::{Campaign, CampaignAct, CampaignState, DoubtPolicy, Draft, NotNow};
pub use click::{Follower, Visit};
pub use clock::Clock;
pub use complaint::Complaint;
pub use contact::{Contact, Fields, field_name, full_name};
pub use delivery::StateName;
pub use dkim::{DkimKey, KeyAlgorithm, KeyNotNow, KeyState, OVERLAP};
pub use dkim_record::{RecordState, judge_record};
pub use event_door::{EventDoor, Signature};
pub use grouped::Grouped;
pub use id::{
    BounceId, CampaignId, ContactId, DeliveryId, DkimKeyId, ImportId, InboxId, IncidentId, JobId, ListId,
    SendingDomainId, ServerId, UserId, WorkerId,
};
pub use incident::{Answer, Incident, IncidentSubject, WINDOW, burst, familiar_words};
pub use lane::{
    Action, Asker, Budget, Change, Example, Greylist, Group, Lane, Notice, PaceRule, PaceRules, Part, Pass, Slowed,
    Turn,
};
pub use list::{List, Subscription, SubscriptionState};
pub use policy::{
    Backoff, BadSetting, Case, Consequence, Effect, Fact, Grade, History, IncidentScope, Number, Policy, Reach, Row,
    Run, Setting, Standing, Totals, Troubled, fold,
};
pub use receiver::Receiver;
pub use resend::{Remedy, Resend};
pub use retry::{MOST_TRIES, Next, Refusal, Tries, next_try};
pub use seal::{NONCE, Unsealed, seal, sealed_with, unseal};
pub use sending_domain::{Alignment, BadDomain, DomainName, SendingDomain, organisational_domain, speaks_for};
pub use server::{Route, Server, Tls, TokenSource};
pub use status_code::{EnhancedStatusCode, NotACode, ReplyCode, StatusClass};
pub use suppression::{Scope, Suppression, SuppressionReason, strongest};
pub use token::{CountedLink, Keys, MessageId, RETURN_PATH_DAYS, ReturnPath, UnsubscribeLink};
pub use user::{NotTheirs, Permission, Role, User};
pub use verdict::{Confidence, Evidence, EvidenceField, ReportKind, SmtpCommand, Verdict};
pub use volume::{Limits, Span, Volume, WarmUp};
