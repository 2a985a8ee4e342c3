//! What a test tells the name server.

use rebound_sandbox::names::{NameServer, RecordType};
use std::net::SocketAddr;

/// Records by their full name.
#[derive(Default)]
pub(crate) struct Zone(NameServer);

impl Clone for Zone {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

impl Zone {
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.0.text(name, text);
    }

    pub(crate) fn mx(&mut self, name: &str, host: &str) {
        self.0.mx(name, 10, host);
    }

    pub(crate) fn address(&mut self, name: &str, address: [u8; 4]) {
        self.0.address(name, address);
    }

    pub(crate) fn reverse(&mut self, address: [u8; 4], name: &str) {
        self.0.reverse(address, name);
    }

    /// Leaves out what stands at `name`, but for other kinds of records than `like`.
    pub(crate) fn without(&mut self, name: &str, like: &str) {
        let kind: RecordType = like.parse().unwrap();
        assert!(self.0.remove(name, Some(kind)) > 0, "there is no {like} at {name}");
    }

    /// Starts a name server that knows these records and no others.
    pub(crate) async fn serve(self) -> SocketAddr {
        self.0.start().await.unwrap()
    }
}
