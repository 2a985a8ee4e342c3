//! Where messages wait for lines that lead to one place: a relay, or the mail hosts of a receiver.

use crate::Relay;
use crate::breaks::Behind;
use crate::mx::{Exchange, NoLine};
use crate::outlet::Outlet;
use crate::prepare::Prepared;
use crate::transport::{Line, RelayDown};
use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc};

/// A line to a relay that nobody uses for so long is closed, before the relay does.
const IDLE: Duration = Duration::from_secs(30);

/// A relay that takes no more lines than it has is asked for another after so long.
const FULL: Duration = Duration::from_secs(1);

/// A line to a receiver is kept for so long: the next message to it may be on its way.
const LINGER: Duration = Duration::from_secs(5);

/// How often a line that lingers looks whether it is wanted elsewhere.
const SOON: Duration = Duration::from_millis(50);

/// Those who wait for a connection while all are taken.
#[derive(Default)]
pub(crate) struct Wants {
    waiting: AtomicUsize,
    bell: Notify,
}

/// One who waits.
pub(crate) struct Waiting(Arc<Wants>);

impl Wants {
    /// Somebody waits, until what it is given is dropped.
    pub(crate) fn one(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.bell.notify_one();
        Waiting(Arc::clone(self))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where messages wait for lines to one place.
pub(crate) struct Destination {
    pub(crate) outlet: Arc<Outlet>,
    to: To,
    waiting: mpsc::UnboundedSender<Prepared>,
    ready: Mutex<mpsc::UnboundedReceiver<Prepared>>,
    /// Messages that are made ready for it or wait.
    expected: AtomicUsize,
    /// Lines that serve it, those that are being opened included.
    pub(super) lines: AtomicUsize,
}

enum To {
    Relay(Box<Relay>),
    /// The hosts as they were found last, and whoever wants a line that only lingers.
    Receiver(std::sync::Mutex<Arc<Exchange>>, Arc<Wants>),
}

/// Why no line leads there.
pub(crate) enum Unopened {
    /// The relay is not there, or takes no more lines: the message goes another way, or later.
    Relay,
    /// No mail host of the receiver gave one: that is an answer to the message.
    Receiver(Box<NoLine>),
}

/// What a line that has nothing to do shall do.
pub(crate) enum Next {
    Message(Box<Prepared>),
    /// Close, and come again when there is something.
    Rest,
    /// Close for good.
    Leave,
}

impl Destination {
    pub(crate) fn relay(outlet: Arc<Outlet>, relay: Relay) -> Self {
        Self::new(outlet, To::Relay(Box::new(relay)))
    }

    /// The hosts of `exchange`; lines that linger are closed when somebody else `wants` one.
    pub(crate) fn receiver(outlet: Arc<Outlet>, exchange: Arc<Exchange>, wants: Arc<Wants>) -> Self {
        Self::new(outlet, To::Receiver(std::sync::Mutex::new(exchange), wants))
    }

    /// The same hosts were looked for again: they may have other addresses now.
    pub(crate) fn found_again(&self, exchange: &Arc<Exchange>) {
        if let To::Receiver(known, _) = &self.to {
            *lock(known) = Arc::clone(exchange);
        }
    }

    /// Whether it is a receiver: then what a host does is an answer of its own.
    pub(crate) fn is_receiver(&self) -> bool {
        matches!(self.to, To::Receiver(..))
    }

    fn new(outlet: Arc<Outlet>, to: To) -> Self {
        let (waiting, ready) = mpsc::unbounded_channel();
        let (expected, lines) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { outlet, to, waiting, ready: Mutex::new(ready), expected, lines }
    }

    /// A message for it is being made.
    pub(crate) fn expect(&self) -> usize {
        self.expected.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Messages that are being made, or wait.
    pub(crate) fn expected(&self) -> usize {
        self.expected.load(Ordering::SeqCst)
    }

    /// A message is ready. There are never more than the outlet has room for.
    pub(crate) fn put(&self, prepared: Prepared) {
        // Both ends are here.
        let _ = self.waiting.send(prepared);
    }

    /// A message that is ready, if there is one. Whoever holds the lock waits: then there is none.
    pub(crate) fn at_hand(&self) -> Option<Prepared> {
        let prepared = self.ready.try_lock().ok()?.try_recv().ok()?;
        Some(self.taken(prepared))
    }

    /// The next message, or what else to do. Cancelled, it has taken none.
    pub(crate) async fn next(&self) -> Next {
        let next = async {
            let prepared = self.ready.lock().await.recv().await;
            prepared.map_or(Next::Leave, |prepared| Next::Message(Box::new(self.taken(prepared))))
        };
        tokio::pin!(next);
        match &self.to {
            To::Relay(_) => tokio::select! {
                biased;
                next = &mut next => next,
                () = tokio::time::sleep(IDLE) => Next::Rest,
            },
            To::Receiver(_, wants) => tokio::select! {
                biased;
                next = &mut next => next,
                () = self.is_wanted_elsewhere(wants) => Next::Leave,
                () = tokio::time::sleep(LINGER) => Next::Leave,
            },
        }
    }

    /// Until somebody else waits for a connection, and nothing is on its way to here.
    async fn is_wanted_elsewhere(&self, wants: &Wants) {
        while wants.waiting.load(Ordering::SeqCst) == 0 || self.expected() > 0 {
            tokio::select! {
                () = wants.bell.notified() => {}
                () = tokio::time::sleep(SOON) => {}
            }
        }
    }

    /// The next message, however long it takes.
    pub(crate) async fn wait(&self) -> Option<Prepared> {
        let prepared = self.ready.lock().await.recv().await?;
        Some(self.taken(prepared))
    }

    fn taken(&self, (mut ready, message): Prepared) -> Prepared {
        self.expected.fetch_sub(1, Ordering::SeqCst);
        ready.job.pass.place = None;
        (ready, message)
    }

    /// Opens a line for a message to somebody at `domain`.
    pub(crate) async fn open(&self, domain: &str, per_connection: u32, now: DateTime<Utc>) -> Result<Line, Unopened> {
        let line = match &self.to {
            To::Relay(relay) => self.open_to_relay(relay).await?,
            To::Receiver(exchange, _) => {
                let exchange = Arc::clone(&lock(exchange));
                match Box::pin(exchange.open_for(domain, now)).await {
                    Ok((line, _)) => line.carrying(per_connection),
                    Err(none) => return Err(Unopened::Receiver(Box::new(none))),
                }
            }
        };
        self.outlet.open.fetch_add(1, Ordering::Relaxed);
        Ok(line)
    }

    async fn open_to_relay(&self, relay: &Relay) -> Result<Line, Unopened> {
        let down = &self.outlet.down;
        if down.borrow().is_some() {
            // It is being asked already; what waits for it is not held until each has found out for itself.
            return Err(Unopened::Relay);
        }
        if !self.outlet.breaks.may_open() {
            tokio::time::sleep(FULL).await;
            return Err(Unopened::Relay);
        }
        let why = match Line::open(relay).await {
            Ok(line) => {
                down.send_if_modified(|down| !self.outlet.breaks.is_alone() && down.take().is_some());
                return Ok(line);
            }
            Err(why) => why,
        };
        self.outlet.breaks.closed();
        if self.outlet.breaks.is_alone() {
            // That it is away just now is found out when its rest is over.
        } else if self.outlet.open.load(Ordering::Relaxed) > 0 {
            // A relay that takes no more lines than it has is not down.
            tokio::time::sleep(FULL).await;
        } else {
            down.send_if_modified(|down: &mut Option<RelayDown>| down.replace(why.clone()).as_ref() != Some(&why));
        }
        Err(Unopened::Relay)
    }

    /// A line is closed, or broke.
    pub(crate) fn closed(&self) {
        self.outlet.open.fetch_sub(1, Ordering::Relaxed);
        if let To::Relay(_) = &self.to {
            self.outlet.breaks.closed();
        }
    }

    /// It answered to a message.
    pub(crate) fn answered(&self) {
        if let To::Relay(_) = &self.to {
            self.outlet.breaks.answered();
        }
    }

    /// A line broke; a relay that does so over and over is left alone.
    pub(crate) fn broke(&self, behind: Behind) {
        if let To::Relay(relay) = &self.to
            && self.outlet.breaks.broke(behind)
        {
            self.outlet.down.send_replace(Some(RelayDown::breaks(relay)));
        }
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves it whole: each change is a single step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
