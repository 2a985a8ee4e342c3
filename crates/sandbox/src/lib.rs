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
//! It resolves no names, speaks no TLS, never sends to anyone but the return host, and uses
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
mod hosts;
mod login;
mod mailboxes;
mod memory;
mod people;
mod queue;
mod report;
mod sandbox;
mod session;
mod settings;
mod truth;
mod wire;
mod words;

pub use mailboxes::{Behaviour, DOMAIN, Expectation, behaviour_of, expected};
pub use memory::Received;
pub use people::{Person, people};
pub use report::ReportKind;
pub use sandbox::Sandbox;
pub use settings::{Drops, Rate, Settings};
pub use truth::{Event, Truth, read_truth};
