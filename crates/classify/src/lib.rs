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
//! A verdict says why: each piece of [`Evidence`](rebound_domain::Evidence) names the rule and the words it
//! recognised. The rules are built into the program: `rules/status.toml` (what codes mean), `rules/phrases.toml`
//! (what words mean) and `rules/shapes.toml` (how reports look).

mod answer;
mod auto_reply;
mod blocks;
mod dsn;
mod feedback;
mod message;
mod original;
mod phrases;
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
