//! A line between a worker and PostgreSQL that a test can hold up or cut, as a network does.

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Nothing comes through, and nobody is told.
    Held,
    /// Whoever is connected is cut off, and nobody gets through.
    Cut,
}

/// The name of a server's socket in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

pub(super) struct Link {
    folder: TempDir,
    state: watch::Sender<State>,
}

impl Link {
    /// A line to the server of `database`.
    pub(super) fn to(database: &str) -> Self {
        let server = PathBuf::from(server(database)).join(SOCKET);
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let state = watch::Sender::new(State::Open);
        tokio::spawn(listen(listener, server, state.subscribe()));
        Self { folder, state }
    }

    /// The address of `database` by this line.
    pub(super) fn address(&self, database: &str) -> String {
        database.replace(server(database), &self.folder.path().display().to_string())
    }

    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// The folder that the server's socket is in.
fn server(database: &str) -> &str {
    database.split_once("host=").map(|(_, folder)| folder).unwrap()
}

async fn listen(listener: UnixListener, server: PathBuf, state: watch::Receiver<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if *state.borrow() != State::Cut {
            tokio::spawn(carry(client, server.clone(), state.clone()));
        }
    }
}

async fn carry(client: UnixStream, server: impl AsRef<Path>, state: watch::Receiver<State>) {
    let Ok(server) = UnixStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut end = state.clone();
    tokio::select! {
        () = pump(from_client, to_server, state.clone()) => {}
        () = pump(from_server, to_client, state) => {}
        _ = end.wait_for(|state| *state == State::Cut) => {}
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if state.wait_for(|state| *state != State::Held).await.is_err() || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
    }
}
