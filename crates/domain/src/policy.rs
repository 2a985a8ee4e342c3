//! What each cause leads to: the only place where a contact's fate is decided.
//!
//! A [`Policy`] has a [`Row`] per cause. [`fold`] takes one fact into a [`Standing`]; what the standing
//! says about suppression is [`Standing::suppression`].

mod rows;
mod standing;

pub use rows::{Backoff, Consequence, IncidentScope, Policy, Row};
pub use standing::{Fact, Grade, Reach, Run, Standing, fold};
