//! From a socket to a fact.
//!
//! ```text
//! socket ─ Listener ─▶ inbox ─ Reader ─▶ whose? ─ classify ─▶ contacts::record_bounces
//! files ── take_in ──▶  (db)   unread    signed    what it     policy judges,
//!                              first     by us     means       one transaction
//!
//! a link in a letter ─ public_routes ─▶ contacts::{unsubscribe, record_click}
//! ```
//!
//! Three doors, and one rule for each: the [`Listener`] stores a message before it says `250`, and takes only what
//! is addressed to a return path that we have signed; the [`Reader`] believes only what proves to be about a message
//! of ours; a public page changes something only by POST. The crate writes no mail, and never answers any.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rebound_domain::{Clock, Keys};
//! use rebound_ingest::{Reader, take_in};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let db = rebound_db::temporary(folder.path()).await.unwrap();
//! let keys = Keys::new(('a', b"a key of 32 bytes, or many more.".to_vec()), vec![]);
//! let now = chrono::Utc::now();
//!
//! let report = folder.path().join("report.eml");
//! std::fs::write(&report, "Subject: hello\n\nThis is no bounce.\n").unwrap();
//! assert_eq!(take_in(&db, &report, &keys, now).await.unwrap().kept, 1);
//!
//! let reader = Reader { db, keys, clock: Clock::wall(), rules: Default::default() };
//! assert_eq!(reader.read_batch(now).await.unwrap(), 1);
//! assert_eq!(reader.read_batch(now).await.unwrap(), 0);
//! # })
//! ```

mod error;
mod events;
mod files;
mod guesses;
mod keeper;
mod limits;
mod listener;
mod mailbox;
mod public_routes;
mod reader;
mod smtp;
mod whose;

pub use error::Error;
pub use files::{TakenIn, take_in};
pub use limits::Limits;
pub use listener::{Listener, Reception};
pub use mailbox::{FoundMessage, LARGEST, messages};
pub use public_routes::{
    ClientAddress, Destination, PublicAddress, PublicPages, Signed, public_addresses, public_routes,
};
pub use reader::Reader;
