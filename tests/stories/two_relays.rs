//! Two relays beside each other, both Postfix: one is stopped in the middle of a campaign, and comes back.
//!
//! ```text
//! Rebound ─┬▶ post1 (3 parts) ─┬▶ the pretend internet
//!    ▲     └▶ post2 (1 part)  ─┴▶ mx.late.test, which comes later
//!    └─ their DSNs
//! ```

use crate::daemon::must_be_able_to_serve_mail;
use crate::engine::{Engine, on_both_engines};
use crate::pages::{Browser, text_of};
use crate::postfix::{Postfix, Setup};
use crate::program::free_port;
use crate::world::{Line, World, until};
use rebound_sandbox::Settings;
use std::collections::BTreeMap;
use std::net::SocketAddr;

on_both_engines! {
    one_relay_goes_on_for_the_other_and_nobody_is_lost_or_bothered,
}

/// Those whose hosts are there: so many that the campaign goes on for a quarter of a minute after the first relay is back,
/// on a busy machine too.
const FINE: usize = 900;

/// So many letters have arrived in the middle of the campaign.
const MIDDLE: u64 = 90;

/// Those whose host comes later, and as many whom it does not know.
const LATE: usize = 6;

/// Twenty seconds a second: what was on a line that broke waits a minute before it is tried again.
const FASTER: f64 = 20.0;

/// Messages a second: the campaign shall be long enough to stop something in the middle of it.
const RATES: [(&str, &str); 2] = [("3", "45"), ("1", "15")];

/// Its servers end before the world in whose folder they live.
struct Town {
    relays: [Postfix; 2],
    late: SocketAddr,
    world: World,
}

async fn one_relay_goes_on_for_the_other_and_nobody_is_lost_or_bothered(engine: Engine) {
    must_be_able_to_serve_mail();
    let mut town = Town::start(engine).await;
    let browser = town.world.browser().await;
    let late = (0..LATE).flat_map(|number| [format!("known{number}@late.test"), format!("unknown{number}@late.test")]);
    let fine = (0..FINE).map(|number| format!("person{number}@sandbox.test"));
    let people: Vec<String> = late.chain(fine).collect();
    town.world.import(&format!("email\n{}\n", people.join("\n"))).await;

    town.world.launch("Spring").await;
    until("the middle of the campaign", async || (town.world.sandbox.accepted() > MIDDLE).then_some(())).await;
    until("the first relay keeps what is late", async || (town.relays[0].deferred() > 0).then_some(())).await;
    let [first, second] = town.given();
    town.relays[0].stop();
    assert!(first > second, "three parts and one: {first} and {second}");

    until("the second relay goes on", async || (town.given()[1] > second + 20).then_some(())).await;
    assert_eq!(town.world.status("Spring").await["state"], "sending");
    let servers = until("the page tells of it", async || {
        Some(browser.text("/servers").await).filter(|page| page.contains("cannot be reached"))
    })
    .await;
    assert!(servers.contains("In use, last test failed"), "{servers}");

    let [before, _] = town.given();
    town.relays[0].start_again().await;
    until("the first relay has its share again", async || (town.given()[0] > before + 20).then_some(())).await;
    let servers = until("the page tells of that too", async || {
        Some(browser.text("/servers").await).filter(|page| !page.contains("cannot be reached"))
    })
    .await;
    assert!(!servers.contains("last test failed"), "{servers}");
    town.world.reaches("Spring", "sent").await;

    let host = town.late_host().await;
    town.what_was_late_has_its_outcome(&host).await;
    town.nobody_is_lost_or_bothered().await;
}

impl Town {
    async fn start(engine: Engine) -> Self {
        let mut world = World::asleep(engine.database(), Settings { faster: FASTER, ..Settings::default() }, "").await;
        let late = free_port();
        let mut relays = Vec::new();
        let mut addresses = Vec::new();
        for name in ["post1.fernhill.test", "post2.fernhill.test"] {
            let address = free_port();
            let relay = Setup::new(world.folder(), name)
                .tries_again_soon()
                .route("bounce.fernhill.test", "smtp", world.bounces)
                .route("sandbox.test", "smtp", world.sandbox.address())
                .route("late.test", "smtp", late)
                .listen(address, &[])
                .start(address)
                .await;
            relays.push(relay);
            addresses.push(address);
        }
        world.configure_servers("", "");
        world.serve().await;
        let browser = world.browser().await;
        for (nth, (address, rate)) in addresses.into_iter().zip(RATES).enumerate() {
            add(&browser, nth + 1, address, rate).await;
        }
        let relays = relays.try_into().unwrap_or_else(|_| panic!("two relays"));
        Self { relays, late, world }
    }

    /// Letters that each relay has taken.
    fn given(&self) -> [usize; 2] {
        self.relays.each_ref().map(|relay| relay.taken().len())
    }

    /// The host that nobody has reached so far.
    async fn late_host(&self) -> Postfix {
        Setup::new(self.world.folder(), "mx.late.test")
            .set("virtual_mailbox_domains", "late.test")
            .mailboxes((0..LATE).map(|number| format!("known{number}@late.test")))
            .listen(self.late, &[])
            .start(self.late)
            .await
    }

    /// The relays had it in their queues: they deliver what they can, and report the rest.
    async fn what_was_late_has_its_outcome(&self, host: &Postfix) {
        for number in 0..LATE {
            let known = format!("known{number}");
            until(&format!("{known} has the letter"), async || host.subjects("late.test", &known).pop()).await;
            let unknown = format!("unknown{number}@late.test");
            until(&format!("{unknown} is known to be gone"), async || {
                let line = self.world.ledger("Spring").await.remove(&unknown)?;
                (line.state == "bounced" && line.verdict.as_deref() == Some("mailbox_unknown")).then_some(())
            })
            .await;
        }
    }

    async fn nobody_is_lost_or_bothered(&self) {
        let ledger = self.world.ledger("Spring").await;
        assert_eq!(ledger.len(), FINE + 2 * LATE);
        let taken = self.taken_by_recipient();
        for Line { recipient, state, in_doubt, .. } in ledger.values() {
            let is_unknown = recipient.starts_with("unknown");
            assert_eq!(state, if is_unknown { "bounced" } else { "accepted" }, "{recipient}");
            let (times, may) = (taken.get(recipient).copied().unwrap_or(0), 1 + usize::try_from(*in_doubt).unwrap());
            assert!((1..=may).contains(&times), "{recipient} was handed over {times} times, {may} can be explained");
        }
        let doubts = ledger.values().filter(|line| line.in_doubt > 0).count();
        assert!(doubts <= 8, "one for each line at most, {doubts}");
        for number in 0..FINE {
            let who = format!("person{number}@sandbox.test");
            until(&format!("the letter of {who}"), async || self.world.subjects(&who).pop()).await;
        }
    }

    fn taken_by_recipient(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for recipient in self.relays.iter().flat_map(|relay| relay.taken().into_values()) {
            *times.entry(recipient).or_default() += 1;
        }
        times
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n\n{}", self.relays.each_ref().map(Postfix::log).join("\n\n"), self.world.log());
        }
    }
}

/// Adds a relay on the page, and puts it in use.
async fn add(browser: &Browser, number: usize, relay: SocketAddr, (weight, per_second): (&str, &str)) {
    let (name, port) = (format!("Post {number}"), relay.port().to_string());
    let fields = [
        ("kind", "relay"),
        ("name", name.as_str()),
        ("host", "127.0.0.1"),
        ("port", &port),
        ("tls", "none"),
        ("hello", "news.fernhill.test"),
        ("connections", "4"),
        ("weight", weight),
        ("per_second", per_second),
    ];
    let (status, page) = browser.press("/servers/new", "/servers/new", &fields).await;
    assert!(status.is_success() && page.contains(&name), "{status}: {}", text_of(&page));
    browser.press("/servers", &format!("/servers/{number}/use"), &[]).await;
}
