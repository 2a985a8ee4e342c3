//! A way out while a worker lives: whether it is open, how much it may be given, and who takes what it is given.

use crate::breaks::Breaks;
use crate::destination::Destination;
use crate::direct::Direct;
use crate::pace::Lanes;
use crate::quota::Quota;
use crate::rate::Rate;
use crate::transport::probe;
use crate::worker::LOOK;
use crate::{Egress, Relay, RelayDown, Via};
use chrono::{DateTime, Utc};
use rebound_db::Pool;
use rebound_domain::ServerId;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// A way out.
pub(crate) struct Outlet {
    pub(crate) id: ServerId,
    pub(crate) name: String,
    pub(crate) weight: u16,
    /// Connections at once.
    pub(crate) connections: usize,
    pub(crate) lanes: Lanes,
    pub(crate) rate: Rate,
    pub(crate) quota: Arc<Quota>,
    /// Why nothing goes, while nothing goes.
    pub(crate) down: watch::Sender<Option<RelayDown>>,
    /// What it did with its last lines, where it is a relay.
    pub(crate) breaks: Breaks,
    /// Lines that are open.
    pub(crate) open: AtomicUsize,
    /// For what was chosen to go this way and is not on a line yet.
    pub(crate) room: Arc<Semaphore>,
}

/// Who takes what it is given.
pub(crate) enum Takes {
    Relay(Arc<Destination>),
    Direct(Arc<Direct>),
    /// Nobody: it is down for as long as the worker lives.
    Nothing,
}

/// Messages of one outlet that may be taken ahead: while the next ones are being taken, no connection waits.
pub(crate) fn ahead(connections: usize) -> usize {
    (connections * 2).clamp(16, 256) + connections
}

impl Outlet {
    /// Whatever it was before, it is taken for open, unless `down` says why it is not.
    pub(crate) fn new(db: &Pool, egress: &Egress, down: Option<RelayDown>) -> Self {
        let connections = egress.connections.max(1);
        let places = u32::try_from(ahead(connections) + 4 * connections).unwrap_or(u32::MAX);
        let lanes = match egress.via {
            Via::Relay(_) => Lanes::behind_relay(places),
            Via::Direct(_) => Lanes::to_receivers(u32::try_from(connections).unwrap_or(u32::MAX)),
        };
        Self {
            id: egress.id,
            name: egress.name.clone(),
            weight: egress.weight.max(1),
            connections,
            lanes,
            rate: Rate::new(db, format!("server {}", egress.id), egress.limits.per_second),
            quota: Arc::new(Quota::new(egress.id, egress.limits, egress.warm_up)),
            down: watch::Sender::new(down),
            breaks: Breaks::new(connections),
            open: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(ahead(connections))),
        }
    }

    /// Why nothing may go this way at `now`, and what has to happen first.
    pub(crate) fn closed(&self, now: DateTime<Utc>) -> Option<Closed> {
        if let Some(why) = &*self.down.borrow() {
            return Some(Closed::Down(why.clone()));
        }
        self.quota.until(now).map(|until| Closed::Full(self.name.clone(), until))
    }

    /// What is wrong with it, in words.
    pub(crate) fn fault(&self) -> Option<String> {
        self.down.borrow().clone().map(|why| Closed::Down(why).words())
    }

    /// Whether it has lines now.
    pub(crate) fn is_used(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }
}

/// Why an outlet takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Down(RelayDown),
    /// It was given as much as it may: its name, and until when.
    Full(String, DateTime<Utc>),
}

impl Closed {
    /// In words for the campaigns that wait.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Down(why) => format!("{why} {}", why.what_next()),
            Self::Full(name, until) => {
                let until = until.format("%-d %B, %H:%M UTC");
                format!("{name} was given as much as its limits allow. Sending goes on by itself at {until}.")
            }
        }
    }
}

/// How long a relay that is down is left alone at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Asks a relay that is down until it is back, less and less often.
pub(crate) async fn watch(outlet: Arc<Outlet>, relay: Relay, wake: Arc<Notify>, stop: CancellationToken) {
    let mut down = outlet.down.subscribe();
    let watching = async {
        let mut pause = LOOK;
        while down.wait_for(Option::is_some).await.is_ok() {
            // One that breaks its lines answers to a probe.
            tokio::time::sleep(outlet.breaks.rest()).await;
            match probe(&relay).await {
                Ok(()) => {
                    // In this order: a line that breaks in between changes nothing.
                    outlet.down.send_replace(None);
                    outlet.breaks.try_again();
                    wake.notify_one();
                    pause = LOOK;
                    continue;
                }
                Err(why) => {
                    outlet.down.send_if_modified(|down| down.replace(why.clone()).as_ref() != Some(&why));
                }
            }
            tokio::time::sleep(pause).await;
            // Who refuses us over and over may shut us out for good.
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    stop.run_until_cancelled(watching).await;
}
