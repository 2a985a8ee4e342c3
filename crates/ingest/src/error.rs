//! Why mail could not be taken in.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why mail could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken by another program, or may not be used by this one.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A message in a file is larger than we take.
    #[error("{path} holds a message of more than {limit} bytes")]
    TooLarge {
        /// Which one.
        path: PathBuf,
        /// What we take, in bytes.
        limit: usize,
    },
    /// The database did not answer.
    #[error("the database did not answer")]
    Database(#[from] rebound_db::Error),
}
