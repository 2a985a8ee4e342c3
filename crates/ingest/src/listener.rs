//! Accepts, limits, keeps the message in the inbox, answers 250.

use crate::Error;
use crate::keeper::Keeper;
use crate::limits::{Limits, Seats};
use crate::smtp::{Memory, Reply, Session};
use rebound_db::Pool;
use rebound_domain::{Clock, Keys};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long sessions may go on once we are told to stop: what is in the middle of a message may finish it.
const LAST_ORDERS: Duration = Duration::from_secs(20);

/// Who we are, and what we take.
#[derive(Clone, Debug)]
pub struct Reception {
    /// Our name in the greeting.
    pub host: String,
    /// The domain of our return paths, in lower case.
    pub domain: String,
    /// What they are signed with.
    pub keys: Keys,
    /// The product's time.
    pub clock: Clock,
    /// How much we put up with.
    pub limits: Limits,
}

/// A socket that bounces come to.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens `address`, such as `0.0.0.0:25`.
    ///
    /// # Errors
    /// [`Error::Listen`], with the address, when it is taken or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        Ok(Self { socket, address })
    }

    /// Where it listens: the port that was given, where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes mail until `stop`; then lets messages that are on their way finish. `wake` is told of each message kept.
    pub async fn run(self, db: Pool, reception: Reception, wake: Arc<Notify>, stop: CancellationToken) {
        let (keeper, writing) = Keeper::start(db, wake);
        let memory = Memory::new(reception.limits.memory);
        let hall = Hall { reception: Arc::new(reception), keeper, memory, stop, seats: Seats::default() };
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                () = hall.stop.cancelled() => break,
                Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => hall.admit(&mut sessions, stream, peer.ip()),
                    Err(error) => {
                        // Out of file handles, mostly: those in session must finish first.
                        tracing::warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop((self.socket, hall));
        let _ = timeout(LAST_ORDERS, async { while sessions.join_next().await.is_some() {} }).await;
        sessions.shutdown().await;
        // What was handed to it is stored before it ends; if it broke, that was said where it happened.
        let _ = writing.await;
    }
}

/// What every session gets.
struct Hall {
    reception: Arc<Reception>,
    keeper: Keeper,
    memory: Memory,
    stop: CancellationToken,
    seats: Seats,
}

impl Hall {
    fn admit(&self, sessions: &mut JoinSet<()>, stream: TcpStream, peer: IpAddr) {
        // Answers are single small packets; waiting to fill them only costs time.
        let _ = stream.set_nodelay(true);
        let Some(seat) = self.seats.take(peer, &self.reception.limits) else {
            sessions.spawn(turn_away(stream));
            return;
        };
        let (reception, keeper, memory) = (Arc::clone(&self.reception), self.keeper.clone(), self.memory.clone());
        let session = Session::new(stream, reception, keeper, memory, self.stop.clone());
        sessions.spawn(async move {
            if let Err(error) = session.run().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a session broke off");
            }
            drop(seat);
        });
    }
}

async fn turn_away(mut stream: TcpStream) {
    let answer = Reply::TOO_MANY_CONNECTIONS.to_string();
    // Who does not listen has been told all the same.
    let _ = timeout(Duration::from_secs(1), stream.write_all(answer.as_bytes())).await;
}
