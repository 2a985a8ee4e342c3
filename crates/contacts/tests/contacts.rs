//! Who may be written to, on a real database.

#![allow(clippy::unwrap_used, clippy::panic)] // what a test stands on may stop it

#[path = "contacts/corrections.rs"]
mod corrections;
#[path = "contacts/feedback.rs"]
mod feedback;
#[path = "contacts/formats.rs"]
mod formats;
#[path = "contacts/histories.rs"]
mod histories;
#[path = "contacts/jobs.rs"]
mod jobs;
#[path = "contacts/leaving.rs"]
mod leaving;
#[path = "contacts/lifting.rs"]
mod lifting;
#[path = "contacts/limits.rs"]
mod limits;
#[path = "contacts/mailing.rs"]
mod mailing;
#[path = "contacts/merging.rs"]
mod merging;
#[path = "contacts/place.rs"]
mod place;
#[path = "contacts/policies.rs"]
mod policies;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
#[path = "../../db/tests/db/postgres.rs"]
mod postgres;
#[path = "contacts/rules.rs"]
mod rules;
