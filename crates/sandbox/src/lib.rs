//! A pretend internet for tests and demonstrations, behind one SMTP address.
//!
//! ```text
//!            MAIL RCPT DATA      ┌─ orchard.sandbox.test  takes everything
//! sender ─────────────────────▶  ├─ kelp.sandbox.test     550 5.1.1
//!        ◀───────────────────── ─┼─ ember.sandbox.test    452 4.2.2, later 250
//!        replies in the words    ├─ …                     one host per domain
//!        of the host behind      └─ north.sandbox.test    250, then a report ─┐
//!        the recipient                                                        │
//! return host ◀── DSN, feedback report, automatic reply, over SMTP ───────────┘
//! ```
//!
//! A sender uses the sandbox as its relay. How the host behind a recipient behaves follows from
//! the address ([`behaviour_of`]) and can be changed while it runs. What really happened is
//! appended to a file ([`Truth`]) before the sender hears of it, so that a sender's books can be
//! compared with it, recipient by recipient ([`expected`]).
//!
//! Who behaves how: a domain with a label of these names, or an address at `sandbox.test` itself
//! (`ada@quota.sandbox.test`, `quota-7@sandbox.test`).
//!
//! | model | names |
//! |---|---|
//! | takes everything; late, or slow at every `RCPT` | `fine`, `slow`, `tarpit` |
//! | refuses for good | `gone`, `moved`, `inactive`, `blocked`, `large`, `spam`, `unexplained` |
//! | refuses for now | `full`, `emptied`, `down`, `back`, `grey`, `flaky` |
//! | takes so much: in any window and says so, or does not; in each hour; at once; by day | `rate`, `hidden`, `quota`, `burst`, `diurnal` |
//! | takes it and writes back | `full-report`, `gone-report`, `forwards`, `away`, `complains` |
//! | `421` and closes the line, for a while | `storms` |
//! | drops the line: at `RCPT`; once, before its record or after it | `closes`, `loses`, `loses-answer` |
//! | replies wrongly: no reply, a code 999, a reply without an end, one before it is asked, none after the message | `garbage`, `nines`, `endless`, `early`, `mumbles` |
//!
//! How much and how late is set for all hosts ([`Settings`]): the [`Rate`], the waits, the answers that
//! get lost ([`Drops`]), and what goes wrong with a protected line ([`Tls`]), which belongs to the relay in
//! front of the hosts, as does a login.
//!
//! A test may also bring hosts of its own making ([`Model`]).
//!
//! It resolves no names, never sends to anyone but the return host, and uses
//! nothing of the product that it is there to test.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use rebound_sandbox::{Sandbox, Settings};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let sandbox = Sandbox::start(Settings::default()).await?;
//! let mut client = tokio::net::TcpStream::connect(sandbox.address()).await?;
//! client.write_all(b"EHLO me\r\nMAIL FROM:<me@news.example>\r\nRCPT TO:<gone@sandbox.test>\r\n\
//!     RCPT TO:<ada@sandbox.test>\r\nDATA\r\nSubject: Spring\r\n\r\nHello\r\n.\r\nQUIT\r\n").await?;
//! let mut said = String::new();
//! client.read_to_string(&mut said).await?;
//!
//! assert!(said.contains("\r\n550 5.1.1 "));
//! let received = sandbox.received("ada@sandbox.test");
//! assert_eq!(received[0].subject, "Spring");
//! # sandbox.stop().await;
//! # Ok(())
//! # }
//! ```

mod chance;
mod command;
mod courier;
mod domains;
mod faults;
mod hosts;
mod limits;
mod login;
mod mailboxes;
mod memory;
mod model;
pub mod names;
mod people;
mod queue;
mod report;
mod sandbox;
mod session;
mod settings;
mod tls;
mod truth;
mod wire;
mod words;

pub use mailboxes::{Behaviour, DOMAIN, Expectation, behaviour_of, expected};
pub use memory::Received;
pub use model::{Knock, Model, Said};
pub use people::{Person, people};
pub use report::ReportKind;
pub use sandbox::Sandbox;
pub use settings::{Drops, Rate, Settings};
pub use tls::{Tls, TlsFault};
pub use truth::{Event, Truth, read_truth};
