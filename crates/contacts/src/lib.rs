//! Who may be written to.
//!
//! ```text
//! people.csv ─ import ─▶ contacts ─ lists ─▶ audience ─▶ (a campaign) ─▶ bounces, complaints ─ feedback ─┐
//!                                              ▲                                                         ▼
//!      unsubscribe, suppress, lift ────────────┴────────────────────────────────────────── suppressions ─┘
//! ```
//!
//! The crate owns the rules that change a contact: joining, leaving, being suppressed, coming back. It sends nothing
//! and reads no mail. Everything here may be repeated without harm.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rebound_contacts::{Import, import};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let db = rebound_db::temporary(folder.path()).await.unwrap();
//! let now = chrono::Utc::now();
//! let list = rebound_db::lists::ensure(&db, "Newsletter", now).await.unwrap();
//!
//! let file = "E-mail;First name\nada@orchard.example;Ada\nno address;Bob\n".as_bytes();
//! let settings = Import::new(list.id, "people.csv", now);
//! let imported = import(&db, file, &settings, |_| ()).await.unwrap();
//!
//! assert_eq!((imported.counts.added, imported.counts.bad), (1, 1));
//! let audience = rebound_contacts::audience(&db, list.id, rebound_domain::ContactId(0), 10, now).await.unwrap();
//! assert_eq!(audience[0].fields["first_name"], "Ada");
//! # })
//! ```

mod audience;
mod error;
mod export;
pub mod feedback;
mod fields;
mod import;
mod jobs;
pub mod membership;
mod policies;
pub mod rules;
mod subscription;
mod suppression;

pub use audience::{audience, audience_count};
pub use error::Error;
pub use export::{Export, export, guarded};
pub use feedback::{
    Caller, let_count, record_acceptances, record_arrivals, record_bounces, record_click, record_complaints,
    record_deliveries,
};
pub use fields::set_fields;
pub use import::{
    BadRows, Import, Imported, Preview, PreviewColumn, Target, Upload, bad_rows, import, preview, start, upload,
};
pub use jobs::{Jobs, cancel, restore_later, retry};
pub use policies::{REPLAYED_DAYS, Replay, effect, save_policy};
pub use rules::{NewRule, RuleBook, save_rules};
pub use subscription::{Preference, confirm, prefer, preferences, resubscribe, subscribe, unsubscribe};
pub use suppression::{SuppressionExport, lift, lift_all, lift_found, suppress, suppress_all};
