//! The receiving half of SMTP (RFC 5321), as far as a host needs it that takes only its own bounces.
//!
//! One command, one answer: pipelining is not offered, and who talks before the answer is hung up on. With lines
//! that end in CRLF and nothing else, no second message can hide in the first (SMTP smuggling).

mod body;
mod command;
mod reply;
mod session;
mod wire;

pub(crate) use body::Memory;
pub(crate) use reply::Reply;
pub(crate) use session::Session;
