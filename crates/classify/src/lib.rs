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
//! are laid over them by [`Rules::with`]. [`Mbox`] takes an mbox apart; a Maildir is a folder of messages, and
//! `examples/classify.rs` reads one.
//!
//! # The causes
//!
//! A the address, B a full mailbox, C the receiving server, D the size, E a filter or policy, O the rest.
//!
//! | cause | in plain words | group |
//! |---|---|---|
//! | `mailbox_unknown` | No such mailbox at this domain | A |
//! | `mailbox_inactive` | The mailbox is closed, suspended or unused | A |
//! | `address_moved` | The person has a new address | A |
//! | `domain_unknown` | The domain does not exist or takes no mail | A |
//! | `mailbox_full` | The mailbox is over its quota | B |
//! | `host_unreachable` | The receiving server cannot be reached | C |
//! | `timeout_expired` | Given up after trying for days | C |
//! | `recipient_system` | The receiving server has a fault | C |
//! | `routing_error` | Mail goes in a circle or cannot be routed | C |
//! | `relay_denied` | The server says that it does not serve this domain | C |
//! | `message_too_large` | The message is over a size limit | D |
//! | `spam_suspected` | A filter thinks that the content is spam | E |
//! | `reputation_block` | The sending server or a link has a bad reputation | E |
//! | `auth_failure` | SPF, DKIM or DMARC failed | E |
//! | `sender_dns` | The sending server's reverse DNS or HELO name is wrong | E |
//! | `sender_rejected` | This sender address or domain is refused | E |
//! | `rate_limited` | Too many messages, connections or recipients | E |
//! | `greylisted` | First contact: told to come back later | E |
//! | `policy_other` | Refused by local rules, no other words given | E |
//! | `content_rejected` | The message is malformed or carries something not allowed | E |
//! | `virus` | A virus was found | E |
//! | `security_required` | Encryption or a login is demanded | O |
//! | `recipient_refused` | This person, or their rules, do not want this sender | O |
//! | `protocol_error` | The two servers did not understand each other | O |
//! | `undetermined` | The report gives no usable reason | O |

mod answer;
mod auto_reply;
mod blocks;
mod dsn;
mod facts;
mod feedback;
mod judge;
mod mbox;
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
pub use mbox::Mbox;
pub use original::Original;
pub use reply::reply;
pub use report::{FailedRecipient, Report, report};
pub use rules::{Fault, Rules};
