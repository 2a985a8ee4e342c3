//! A database with a campaign that was sent to a few people, and a listener for what comes back.

use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::RuleBook;
use rebound_db::{
    Pool, bounces, campaigns, clicks, contacts, deliveries, inbox, leases, lists, subscriptions, suppressions,
};
use rebound_domain::{
    AddressKey, CampaignState, Clock, ContactId, DeliveryId, DoubtPolicy, Draft, EmailAddress, Fields, InboxId, Keys,
    ListId, MessageId, ReturnPath, StateName, Suppression, WorkerId,
};
use rebound_ingest::{Limits, Listener, Reader, Reception};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const DOMAIN: &str = "bounce.example";

const WORKER: WorkerId = WorkerId(1);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) db: Pool,
    pub(crate) keys: Keys,
    pub(crate) now: DateTime<Utc>,
    pub(crate) list: ListId,
}

impl World {
    /// A campaign from Fernhill Garden that `people` took two hours ago.
    pub(crate) async fn with(people: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        Self::on(db, folder, people).await
    }

    /// The same in `db`, a database with nothing in it.
    pub(crate) async fn on(db: Pool, folder: TempDir, people: &[&str]) -> Self {
        let (now, keys) = (Utc::now(), Keys::new(('a', b"a key for tests, and nothing else".to_vec()), vec![]));
        let sent = now - TimeDelta::hours(2);
        let list = lists::ensure(&db, "Newsletter", sent).await.unwrap().id;
        let addresses: Vec<EmailAddress> = people.iter().map(|person| person.parse().unwrap()).collect();
        let folded: Vec<AddressKey> = addresses.iter().map(EmailAddress::key).collect();
        let people: Vec<_> = addresses.into_iter().map(|address| (address, Fields::default())).collect();
        contacts::add(&db, &people, sent).await.unwrap();
        subscriptions::confirm_all(&db, list, &folded, "a form", sent).await.unwrap();
        let world = Self { folder, db, keys, now, list };
        world.send("Spring", sent).await;
        world
    }

    pub(crate) async fn send(&self, name: &str, sent: DateTime<Utc>) {
        let tries = self.hand_over(name, sent).await;
        assert_eq!(leases::accept(&self.db, WORKER, &tries).await.unwrap().len(), tries.len());
    }

    /// Nobody knows whether it arrived: it waits to be sent again.
    pub(crate) async fn send_in_doubt(&self, name: &str, sent: DateTime<Utc>) {
        let ids: Vec<_> = self.hand_over(name, sent).await.into_iter().map(|of| of.id).collect();
        let transaction = self.db.begin().await.unwrap();
        leases::doubt(&transaction, WORKER, &ids, sent).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// The newest letter to `address`, which waits, goes out once more and is taken.
    pub(crate) async fn try_again(&self, address: &str, at: DateTime<Utc>) {
        let id = self.delivery(address).await;
        let due = at + TimeDelta::days(30);
        let lease = leases::claim(&self.db, WORKER, id.campaign(), 1000, due).await.unwrap();
        let lease = lease.into_iter().find(|lease| lease.id == id).unwrap();
        let of = leases::Try { id, number: lease.attempts + 1 };
        leases::mark(&self.db, WORKER, std::slice::from_ref(&of), at).await.unwrap();
        let answered = leases::Answered { of: of.clone(), accepted: true, reply: "250 ok".to_owned() };
        leases::note_answers(&self.db, WORKER, &[answered], at).await.unwrap();
        assert_eq!(leases::accept(&self.db, WORKER, &[of]).await.unwrap().len(), 1);
    }

    async fn hand_over(&self, name: &str, sent: DateTime<Utc>) -> Vec<leases::Try> {
        let id = campaigns::create(&self.db, &draft(name, self.list), sent).await.unwrap();
        let links = ["https://fernhill.example/bulbs?for={{ email }}", "https://fernhill.example/shop", "nowhere"];
        let transaction = self.db.begin().await.unwrap();
        clicks::keep_links(&transaction, id, &links.map(str::to_owned)).await.unwrap();
        transaction.commit().await.unwrap();
        for (from, to) in
            [(CampaignState::Draft, CampaignState::Planning), (CampaignState::Planning, CampaignState::Sending)]
        {
            assert!(campaigns::set_state(&self.db, id, from, to, None, sent).await.unwrap());
        }
        let campaign = campaigns::get(&self.db, id).await.unwrap().unwrap();
        let transaction = self.db.begin().await.unwrap();
        while campaigns::plan(&transaction, &campaign, sent).await.unwrap() > 0 {}
        transaction.commit().await.unwrap();
        let leased = leases::claim(&self.db, WORKER, id, 1000, sent).await.unwrap();
        let tries: Vec<_> = leased.iter().map(|lease| leases::Try { id: lease.id, number: 1 }).collect();
        assert_eq!(leases::mark(&self.db, WORKER, &tries, sent).await.unwrap().len(), tries.len());
        tries
    }

    pub(crate) async fn contact(&self, address: &str) -> ContactId {
        contacts::by_key(&self.db, &key(address)).await.unwrap().unwrap().id
    }

    /// The newest delivery to `address`.
    pub(crate) async fn delivery(&self, address: &str) -> DeliveryId {
        let all = deliveries::of_contact(&self.db, self.contact(address).await).await.unwrap();
        all.iter().map(|delivery| delivery.id).max().unwrap()
    }

    pub(crate) async fn state(&self, address: &str) -> StateName {
        let id = self.delivery(address).await;
        deliveries::get(&self.db, &[id]).await.unwrap()[0].state
    }

    pub(crate) async fn return_path(&self, address: &str) -> String {
        let delivery = self.delivery(address).await;
        format!("{}@{DOMAIN}", ReturnPath { delivery, attempt: 1 }.sign(&self.keys, self.now))
    }

    pub(crate) async fn message_id(&self, address: &str) -> String {
        format!("{}@news.example", MessageId(self.delivery(address).await).sign(&self.keys))
    }

    pub(crate) async fn suppression(&self, address: &str) -> Option<Suppression> {
        let key = key(address);
        let standing = suppressions::standing(&self.db, std::slice::from_ref(&key), Some(self.list), Utc::now());
        standing.await.unwrap().remove(&key)
    }

    /// How many final bounces are noted for `address`.
    pub(crate) async fn bounces(&self, address: &str) -> usize {
        bounces::judged(&self.db, &[key(address)]).await.unwrap().len()
    }

    /// Puts `message` to `recipient` into the inbox.
    pub(crate) async fn arrive(&self, recipient: &str, message: &str) -> InboxId {
        let (source, recipient) = ("smtp".to_owned(), recipient.to_owned());
        let (received, raw) = (Utc::now(), message.as_bytes().to_vec());
        let arrived = inbox::Arrived { received, source, mail_from: String::new(), recipient, raw };
        inbox::keep(&self.db, &arrived).await.unwrap()
    }

    /// The bodies in the inbox, unread.
    pub(crate) async fn inbox(&self) -> Vec<Vec<u8>> {
        let unread = inbox::unread(&self.db, 10_000).await.unwrap();
        unread.into_iter().map(|(_, arrived)| arrived.raw).collect()
    }

    /// Reads all that is unread; how many messages that were.
    pub(crate) async fn read_all(&self) -> usize {
        let (db, keys) = (self.db.clone(), self.keys.clone());
        let reader = Reader { db, keys, clock: Clock::wall(), rules: RuleBook::default() };
        let mut all = 0;
        loop {
            match reader.read_batch(Utc::now()).await.unwrap() {
                0 => return all,
                some => all += some,
            }
        }
    }

    pub(crate) async fn listen(&self, limits: Limits) -> Door {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, stop) = (listener.address(), CancellationToken::new());
        let (host, domain) = ("mx.bounce.example".to_owned(), DOMAIN.to_owned());
        let reception = Reception { host, domain, keys: self.keys.clone(), clock: Clock::wall(), limits };
        let wake = Arc::new(Notify::new());
        let run = listener.run(self.db.clone(), reception, Arc::clone(&wake), stop.clone());
        Door { address, stop, wake, running: tokio::spawn(run) }
    }
}

/// A listener that runs.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) wake: Arc<Notify>,
    pub(crate) running: JoinHandle<()>,
}

impl Door {
    pub(crate) async fn call(&self) -> Caller {
        Caller { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// A session that has heard the greeting and said EHLO.
    pub(crate) async fn greeted(&self) -> Caller {
        let mut caller = self.call().await;
        assert!(caller.hear().await.starts_with("220 "));
        assert!(caller.ask("EHLO mx.example").await.starts_with("250-"));
        caller
    }

    /// A session that is about to send a message to `recipient`.
    pub(crate) async fn ready(&self, recipient: &str) -> Caller {
        let mut caller = self.greeted().await;
        caller.begin(recipient).await;
        caller
    }

    /// Sends `message` to `recipient`; the answer.
    pub(crate) async fn deliver(&self, recipient: &str, message: &str) -> String {
        let mut caller = self.ready(recipient).await;
        caller.say(format!("{message}\r\n.\r\n").as_bytes()).await;
        caller.hear().await
    }
}

/// The other side of a session.
pub(crate) struct Caller {
    stream: TcpStream,
}

impl Caller {
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        // The other side may have had enough already; what it says then is heard next.
        let _ = self.stream.write_all(bytes).await;
    }

    /// One answer, of all its lines; empty when the other side hung up.
    pub(crate) async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        loop {
            let read = timeout(Duration::from_secs(20), self.stream.read(&mut byte)).await.expect("an answer");
            if read.unwrap_or(0) == 0 {
                return String::from_utf8(heard).unwrap();
            }
            heard.push(byte[0]);
            let last = heard.split(|byte| *byte == b'\n').rev().nth(1).unwrap_or_default();
            if byte == *b"\n" && last.get(3) == Some(&b' ') {
                return String::from_utf8(heard).unwrap();
            }
        }
    }

    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.say(format!("{line}\r\n").as_bytes()).await;
        self.hear().await
    }

    pub(crate) async fn begin(&mut self, recipient: &str) {
        assert_eq!(self.ask("MAIL FROM:<>").await, "250 2.1.0 OK\r\n");
        assert_eq!(self.ask(&format!("RCPT TO:<{recipient}>")).await, "250 2.1.5 OK\r\n");
        assert!(self.ask("DATA").await.starts_with("354 "));
    }
}

pub(crate) fn key(address: &str) -> AddressKey {
    address.parse::<EmailAddress>().unwrap().key()
}

/// A delivery report about `failed`, who got the message `message_id`.
pub(crate) fn dsn(failed: &str, status: &str, words: &str, message_id: &str) -> String {
    let lines = [
        "From: MAILER-DAEMON@mx.example".to_owned(),
        "Subject: Undelivered Mail Returned to Sender".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x".to_owned(),
        String::new(),
        "--x\r\n\r\nThis is the mail system at mx.example.\r\n".to_owned(),
        "--x\r\nContent-Type: message/delivery-status\r\n".to_owned(),
        "Reporting-MTA: dns; mx.example\r\n".to_owned(),
        format!("Final-Recipient: rfc822; {failed}"),
        "Action: failed".to_owned(),
        format!("Status: {status}"),
        format!("Diagnostic-Code: smtp; {words}\r\n"),
        "--x\r\nContent-Type: text/rfc822-headers\r\n".to_owned(),
        format!("Message-ID: <{message_id}>"),
        "Subject: Spring\r\n".to_owned(),
        "--x--".to_owned(),
    ];
    lines.join("\r\n")
}

/// [`dsn`] from a host that says that there is no such mailbox.
pub(crate) fn gone(failed: &str, message_id: &str) -> String {
    dsn(failed, "5.1.1", "550 5.1.1 no such user here", message_id)
}

fn draft(name: &str, list: ListId) -> Draft {
    Draft {
        name: name.to_owned(),
        list,
        from_name: "Fernhill <Garden>".to_owned(),
        from: "news@news.example".parse().unwrap(),
        reply_to: None,
        subject: name.to_owned(),
        html: String::new(),
        text: "Hello".to_owned(),
        postal_address: "3 Mill Lane, Ulmen".to_owned(),
        defaults: Fields::default(),
        doubt: DoubtPolicy::default(),
        counts_clicks: true,
    }
}
