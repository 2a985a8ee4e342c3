//! One connection: delivery after delivery, one try each, one outcome each.
//!
//! ```text
//! next ─▶ announce ─▶ hand over ─▶ hand over ─▶ …
//!         MAIL RCPT    mark, DATA   the next envelope travels behind the message before it
//!         DATA
//! ```
//!
//! What one message heard becomes durable together with the mark of the next, or before it.

use crate::attempt::{Shared, asker, given_up, hung_up, learn, learn_of_break, no_line, refused, unfit};
use crate::breaks::Behind;
use crate::destination::{Destination, Next, Unopened};
use crate::journal::Heard;
use crate::prepare::{Message, Prepared, Ready};
use crate::transport::{Answer, Envelope, Line, Mail, Unfit};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::fail_point;
use rebound_db::leases::plain::{Mark, Taken};
use rebound_domain::BounceCause;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// An answer that takes longer does not keep the last one from being stored.
const SHORTLY: Duration = Duration::from_millis(50);

/// Tries what is ready for `to` until there is no more.
pub(crate) async fn connection(shared: Arc<Shared>, to: Arc<Destination>) {
    let mut connection = Connection { shared, to, line: None, heard: None, aside: None };
    while let Some((ready, message)) = connection.next().await {
        let mut announced = connection.announce(ready, message).await;
        while let Some((ready, message)) = announced {
            announced = connection.hand_over(ready, message).await;
        }
        let is_worn = connection.mind_the_line().await == Worn::Out;
        if is_worn && connection.to.is_receiver() && connection.aside.is_none() {
            // Whoever waits for a connection comes first; what is left here opens another behind them.
            break;
        }
    }
    connection.store().await;
    connection.close().await;
}

type Letter = (Ready, Message);

/// Whether a line has carried its share.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worn {
    Out,
    Not,
}

struct Connection {
    shared: Arc<Shared>,
    to: Arc<Destination>,
    line: Option<Line>,
    /// What the last message heard, until it is stored.
    heard: Option<Heard>,
    /// Was to go with the message before it, and must be looked at first.
    aside: Option<Prepared>,
}

impl Connection {
    /// The next letter, until we stop; what cannot be tried is settled on the way.
    async fn next(&mut self) -> Option<Letter> {
        loop {
            let (mut ready, message) = self.next_prepared().await?;
            if self.to.outlet.rate.is_set() {
                self.store().await;
            }
            if !self.may_go(&ready).await || !self.is_within_limits(&mut ready).await {
                self.hand_back(&ready).await;
                continue;
            }
            // The last to be asked: it may have waited for its turn.
            if let Some(until) = self.turn_back(&ready) {
                self.store().await;
                self.heard = Some(Heard::Back(ready.of.id, Some(until)));
                continue;
            }
            match message {
                Ok(message) => return Some((ready, message)),
                Err(error) => self.unfit(&ready, BounceCause::ContentRejected, &error.to_string()).await,
            }
        }
    }

    /// With none at hand, what was heard is stored before waiting for one.
    async fn next_prepared(&mut self) -> Option<Prepared> {
        let (shared, to) = (Arc::clone(&self.shared), Arc::clone(&self.to));
        if shared.ending.is_cancelled() {
            return None;
        }
        if let Some(prepared) = self.aside.take() {
            return Some(prepared);
        }
        if let Some(prepared) = to.at_hand() {
            return Some(prepared);
        }
        self.store().await;
        let next = async {
            loop {
                let Some(line) = self.line.as_mut() else { return to.next().await };
                tokio::select! {
                    biased;
                    next = to.next() => return next,
                    // A relay that stops is down at once for whoever opens the next line, not when this one is used.
                    () = line.ended() => drop(self.take_line()),
                }
            }
        };
        match shared.ending.run_until_cancelled(next).await? {
            Next::Message(prepared) => Some(*prepared),
            Next::Leave => None,
            Next::Rest => {
                self.close().await;
                shared.ending.run_until_cancelled(to.wait()).await?
            }
        }
    }

    /// Waits for its turn, unless we stop or the campaign does. The mark asks again; but a recipient who is refused
    /// never comes to be marked, and a campaign that waits must not go on collecting refusals.
    async fn may_go(&self, ready: &Ready) -> bool {
        if !self.shared.sending.holds(ready.of.id.campaign()) {
            return false;
        }
        tokio::select! {
            () = self.to.outlet.rate.turn() => true,
            () = self.shared.ending.cancelled() => false,
        }
    }

    /// Whether the limits of the way still have a place for a letter that may have waited for long.
    async fn is_within_limits(&self, ready: &mut Ready) -> bool {
        /// A place that is not good any more when it comes is asked for again, but not for ever: a clock may run so fast.
        const TRIES: usize = 3;
        let (quota, ticket) = (&self.to.outlet.quota, &mut ready.job.pass.ticket);
        for _ in 0..TRIES {
            let now = self.shared.now();
            if ticket.is_good(now) {
                return true;
            }
            match quota.renew(&self.shared.db, ticket, now).await {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(%error, "a letter goes back, as its place in the limits cannot be counted");
                    return false;
                }
            }
        }
        true
    }

    /// Until when a letter waits whose receiver began to rest, or was slowed, after it was let through: many may be ready by
    /// then, and each would keep a line busy in vain.
    fn turn_back(&self, ready: &Ready) -> Option<DateTime<Utc>> {
        if ready.job.is_probe {
            return None;
        }
        let (lanes, job) = (&self.to.outlet.lanes, &ready.job);
        lanes.turn_back(&job.receiver, asker(&job.lease), job.slowings, self.shared.now())
    }

    /// Gives the relay the envelope; the letter comes back when the relay waits for it.
    async fn announce(&mut self, ready: Ready, message: Message) -> Option<Letter> {
        if self.line.is_none() {
            self.open_for(&ready).await;
        }
        let line = self.line.as_mut()?;
        let mail = ready.mail(&message);
        if let Some(why) = line.offers().refuse(&mail) {
            self.unfit(&ready, cause(&why), &why.to_string()).await;
            return None;
        }
        let said = {
            let envelope = line.envelope(&mail);
            tokio::pin!(envelope);
            match timeout(SHORTLY, &mut envelope).await {
                Ok(said) => said,
                Err(_) => {
                    let heard = self.heard.take();
                    self.shared.journal.step(heard, None).await;
                    // Whoever stops does not wait for it: nothing was sent yet.
                    self.shared.ending.run_until_cancelled(envelope).await.unwrap_or(Envelope::Ended)
                }
            }
        };
        if self.shared.ending.is_cancelled() && matches!(said, Envelope::Ended) {
            line.abandon();
        }
        match said {
            Envelope::Ready => Some((ready, message)),
            Envelope::Lost => {
                self.lost(&ready).await;
                None
            }
            said => {
                self.not_announced(&ready, said).await;
                None
            }
        }
    }

    /// Opens a line; where there is none, what follows from that for the letter is settled.
    async fn open_for(&mut self, ready: &Ready) {
        let (shared, to) = (Arc::clone(&self.shared), Arc::clone(&self.to));
        let per_connection = to.outlet.lanes.per_connection(&ready.job.receiver);
        let opening = to.open(ready.job.contact.address.domain(), per_connection, shared.now());
        tokio::pin!(opening);
        let opened = match timeout(SHORTLY, &mut opening).await {
            Ok(opened) => Some(opened),
            Err(_) => {
                self.store().await;
                // Nothing was said of the letter yet: whoever stops need not wait for a host that may not be there.
                shared.ending.run_until_cancelled(opening).await
            }
        };
        match opened {
            Some(Ok(line)) => self.line = Some(line),
            Some(Err(Unopened::Relay)) | None => self.hand_back(ready).await,
            Some(Err(Unopened::Receiver(none))) => {
                self.store().await;
                self.heard = Some(no_line(&shared, &ready.job, ready.of.clone(), &none).await);
            }
        }
    }

    /// Marks the letter and writes it, with the envelope of the next one behind it where there is one: that comes back
    /// when the relay waits for it.
    async fn hand_over(&mut self, mut ready: Ready, message: Message) -> Option<Letter> {
        if !self.is_within_limits(&mut ready).await {
            // The host took its time to answer the envelope.
            self.line.iter_mut().for_each(Line::abandon);
            self.hand_back(&ready).await;
            return None;
        }
        let heard = self.heard.take();
        fail_point("before-mark").await;
        let mark = Mark { of: ready.of.clone(), key: ready.job.contact.address.key() };
        if !self.shared.journal.step(heard, Some(mark)).await {
            // Suppressed, cancelled or paused while it waited: the DATA that was opened is never finished.
            self.line.iter_mut().for_each(Line::abandon);
            self.unanswered(&ready);
            return None;
        }
        fail_point("after-mark").await;
        // Whoever slept may have been taken for dead, and the letter be somebody else's now.
        if !self.shared.tenure.holds() {
            tracing::warn!("a letter was not sent, as others may have taken this worker for dead");
            self.line.iter_mut().for_each(Line::abandon);
            self.unanswered(&ready);
            self.heard = Some(Heard::Unsent(ready.of.clone()));
            return None;
        }
        ready.job.pass.ticket.use_up();
        let next = self.companion();
        let line = self.line.as_mut()?;
        let Some((next, following)) = next else {
            let answer = line.message(&message.wire).await;
            fail_point("after-reply").await;
            self.hear(&ready, answer).await;
            return None;
        };
        let (answer, envelope) = line.message_and(&message.wire, &next.mail(&following), &self.shared.ending).await;
        fail_point("after-reply").await;
        self.hear(&ready, answer).await;
        if matches!(envelope, Envelope::Ready) {
            return Some((next, following));
        }
        self.not_announced(&next, envelope).await;
        None
    }

    /// A letter at hand whose envelope may travel behind the message that is about to be written.
    fn companion(&mut self) -> Option<Letter> {
        let line = self.line.as_ref()?;
        if !line.takes_two_together() || self.to.outlet.rate.is_set() || self.shared.ending.is_cancelled() {
            return None;
        }
        match self.to.at_hand()? {
            (ready, Ok(message))
                if self.shared.sending.holds(ready.of.id.campaign())
                    && (ready.job.is_probe
                        || !self.to.outlet.lanes.is_closer(&ready.job.receiver, ready.job.slowings))
                    && line.offers().refuse(&ready.mail(&message)).is_none() =>
            {
                Some((ready, message))
            }
            prepared => {
                self.aside = Some(prepared);
                None
            }
        }
    }

    async fn hear(&mut self, ready: &Ready, answer: Answer) {
        if !matches!(answer, Answer::Doubt) {
            self.to.answered();
        }
        self.heard = Some(match answer {
            Answer::Accepted(reply) => {
                learn(&self.shared, &ready.job, None).await;
                let key = ready.job.contact.address.key();
                Heard::Accepted(Taken { of: ready.of.clone(), key, reply: reply.line() })
            }
            Answer::Refused(reply) => refused(&self.shared, &ready.job, ready.of.clone(), &reply).await,
            Answer::Doubt => {
                self.broke_off(ready).await;
                Heard::Doubt(ready.of.id)
            }
        });
    }

    /// A line broke behind a message. What a host does so to each must not be all of a campaign.
    async fn broke_off(&self, ready: &Ready) {
        if self.to.is_receiver() {
            learn_of_break(&self.shared, &ready.job).await;
            return;
        }
        self.unanswered(ready);
        self.to.broke(Behind::Message);
    }

    async fn not_announced(&mut self, ready: &Ready, envelope: Envelope) {
        self.store().await;
        self.heard = Some(match envelope {
            Envelope::Refused(reply) => {
                self.to.answered();
                refused(&self.shared, &ready.job, ready.of.clone(), &reply).await
            }
            // The line broke or ended for the message before it: this one goes over another line.
            Envelope::Ready | Envelope::Lost | Envelope::Ended => {
                self.unanswered(ready);
                Heard::Back(ready.of.id, None)
            }
        });
    }

    /// The line broke before anything was handed over.
    async fn lost(&mut self, ready: &Ready) {
        let now = self.shared.now();
        self.store().await;
        let is_over = now - ready.job.lease.since >= self.shared.policy().give_up_after();
        let is_fresh = self.line.as_ref().is_some_and(Line::is_fresh);
        if is_fresh && self.to.is_receiver() {
            self.heard = Some(hung_up(&self.shared, &ready.job, ready.of.clone()).await);
            return;
        }
        self.unanswered(ready);
        if is_fresh {
            self.to.broke(Behind::Nothing);
        }
        // A line that was there before may have ended for any reason. Where a new one broke, the relay may drop it for
        // this one recipient; a short wait lets others go first.
        let later = is_fresh.then(|| now + TimeDelta::minutes(1));
        let (key, receiver) = (ready.job.contact.address.key(), &ready.job.receiver);
        self.heard = Some(match is_over {
            true => given_up(ready.of.id, key, receiver, None, now),
            false => Heard::Back(ready.of.id, later),
        });
    }

    /// What cannot be tried goes back as it was.
    async fn hand_back(&mut self, ready: &Ready) {
        self.store().await;
        self.unanswered(ready);
        self.heard = Some(Heard::Back(ready.of.id, None));
    }

    async fn unfit(&mut self, ready: &Ready, cause: BounceCause, why: &str) {
        self.store().await;
        self.heard = Some(unfit(&self.shared, &ready.job, ready.of.clone(), cause, why));
    }

    fn unanswered(&self, ready: &Ready) {
        self.to.outlet.lanes.unanswered(&ready.job.receiver, ready.job.is_probe, self.shared.now());
    }

    async fn store(&mut self) {
        if let Some(heard) = self.heard.take() {
            self.shared.journal.step(Some(heard), None).await;
        }
    }

    /// A line that broke is dropped, and one that has carried its share is closed.
    async fn mind_the_line(&mut self) -> Worn {
        if self.line.as_ref().is_some_and(Line::is_broken) {
            drop(self.take_line());
        }
        if !self.line.as_ref().is_some_and(Line::is_worn) {
            return Worn::Not;
        }
        self.store().await;
        self.close().await;
        Worn::Out
    }

    fn take_line(&mut self) -> Option<Line> {
        let line = self.line.take();
        if line.is_some() {
            self.to.closed();
        }
        line
    }

    async fn close(&mut self) {
        if let Some(line) = self.take_line() {
            line.close().await;
        }
    }
}

fn cause(why: &Unfit) -> BounceCause {
    match why {
        Unfit::Utf8 => BounceCause::ProtocolError,
        Unfit::TooLarge { .. } => BounceCause::MessageTooLarge,
    }
}

impl Ready {
    fn mail<'a>(&'a self, message: &Message) -> Mail<'a> {
        Mail { from: &self.from, to: self.job.contact.address.as_str(), size: message.size }
    }
}
