//! The crate from outside: replies, whole reports, hostile bytes, what others may rely on, and a corpus if there is one.

mod corpus;
mod hostile;
mod replies;
mod reports;
mod servers;
mod share;
mod surface;
