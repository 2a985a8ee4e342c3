//! From what a mail host says to what it means.
//!
//! ```text
//!          ┌─ words   (what a host said, in any language) ─┐
//! report ──┼─ codes   (RFC 3463, reply codes)              ├─▶ weighted candidates ─▶ Verdict
//! reply  ──┴─ context (which host, which command, when)  ──┘                         best, second-best
//! ```
//!
//! The crate reads bytes and returns a verdict. It opens no file, socket or database, and it does not decide
//! what becomes of a contact: that is the policy's, in `rebound-domain`.
//!
//! ```
//! use rebound_domain::{BounceCause, Permanence};
//!
//! let bounce = rebound_classify::reply(b"550 5.1.1 no such user here").unwrap();
//! assert_eq!(bounce.permanence, Permanence::Hard);
//! assert_eq!(bounce.cause, BounceCause::MailboxUnknown);
//! ```
//!
//! A verdict says why: each piece of [`Evidence`](rebound_domain::Evidence) names the rule, the words it recognised
//! and where they stand. The rules are data, built into the program: `rules/*.toml` (what words mean, grouped by who
//! says them), `rules/codes.toml` (what codes mean) and `rules/shapes.toml` (how reports look). A user's own rules
//! are laid over them by [`Rules::with`].

mod answer;
mod auto_reply;
mod blocks;
mod dsn;
mod facts;
mod feedback;
mod judge;
mod message;
mod notification;
mod original;
mod place;
mod plain;
mod reply;
mod report;
mod rules;
mod shapes;
mod words;

pub use answer::{Answer, RecipientAnswer, ReplyAnswer, VerdictAnswer};
pub use dsn::Action;
pub use original::Original;
pub use reply::reply;
pub use report::{FailedRecipient, Report, report};
pub use rules::{Fault, Rules};
