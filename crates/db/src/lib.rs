//! The one database: its connection, its rows, its questions.
//!
//! ```text
//! contacts ─ lists ─ suppressions ─ campaigns ─ deliveries ─ attempts ─ inbox ─ bounces ─ incidents …
//!     each module is a noun; each function is a question, named for its answer, and speaks domain types
//! ```
//!
//! A question takes any [`Connection`]: the [`Pool`], or a [`Transaction`] that the caller has begun. Rows never
//! leave the crate. SQLite and PostgreSQL answer the same questions.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let folder = tempfile::tempdir().unwrap();
//! let db = rebound_db::temporary(folder.path()).await.unwrap();
//! let list = rebound_db::lists::ensure(&db, "Newsletter", chrono::Utc::now()).await.unwrap();
//! assert_eq!(rebound_db::lists::named(&db, "Newsletter").await.unwrap(), Some(list));
//! # })
//! ```

mod connection;
mod entity;
mod error;
mod fail_point;
mod sql;

pub mod audience;
pub mod bounces;
pub mod campaigns;
pub mod clicks;
pub mod complaints;
pub mod contacts;
pub mod copy;
pub mod deliveries;
pub mod dkim_keys;
pub mod doubts;
pub mod events;
pub mod forecast;
pub mod imports;
pub mod inbox;
pub mod incidents;
pub mod jobs;
pub mod lanes;
pub mod leases;
pub mod lists;
pub mod outcomes;
pub mod policies;
pub mod rates;
pub mod rule_files;
pub mod sending_domains;
pub mod servers;
pub mod sessions;
pub mod sign_ins;
pub mod standings;
pub mod statistics;
pub mod subscriptions;
pub mod suppressions;
pub mod users;
pub mod volumes;
pub mod wake;
pub mod workers;

pub use audience::Audience;
pub use connection::{Connection, Pool, Transaction, connect, migrate, pending_migrations, temporary};
pub use error::{Error, Outage};
pub use fail_point::{fail_point, fail_point_amid};
