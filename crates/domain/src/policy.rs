//! What each cause leads to: the only place where a contact's fate is decided.
//!
//! A [`Policy`] has a [`Row`] per cause. [`fold`] takes one fact into a [`Standing`]; what the standing
//! says about suppression is [`Standing::suppression`]. An [`Effect`] tells two policies apart by what happened.

mod case;
mod replay;
mod rows;
mod settings;
mod standing;

pub use case::Case;
pub use replay::{Effect, History, Totals, Troubled};
pub use rows::{Backoff, Consequence, IncidentScope, Policy, Row};
pub use settings::{BadSetting, Number, Setting};
pub use standing::{Fact, Grade, Reach, Run, Standing, fold};
