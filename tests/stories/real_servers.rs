//! Rebound among the servers that people run: a Postfix that it sends through, two that take mail, and a Dovecot.
//!
//! ```text
//! Rebound ─▶ post.fernhill.test ─┬▶ mx.larkfield.test ─┬▶ Dovecot (brookside.test)
//!    ▲                           │                     └▶ mx.farm.test, for who has moved
//!    │                           ├▶ mx.farm.test (farm, heath, orchard and meadow.test)
//!    └── their DSNs ◀────────────┴▶ a port where nobody listens (quarry.test)
//! ```

use crate::daemon::must_be_able_to_serve_mail;
use crate::dovecot::Dovecot;
use crate::engine::{Engine, on_both_engines};
use crate::greylist::Greylist;
use crate::pages::{Browser, link, text_of};
use crate::postfix::{Postfix, Setup};
use crate::program::free_port;
use crate::world::{World, until};
use rebound_sandbox::Settings;
use std::net::SocketAddr;

on_both_engines! {
    every_bounce_of_real_servers_is_attributed_explained_and_acted_on,
}

/// Two hours a second: three days of retrying are over in 36.
const FASTER: f64 = 7_200.0;

/// So many at one host that a few failures among them are no burst.
const FINE: usize = 25;

const RETURN_DOMAIN: &str = "bounce.fernhill.test";

/// Its servers end before the world in whose folder they live.
struct Town {
    relay: Postfix,
    larkfield: Postfix,
    farm: Postfix,
    brookside: Dovecot,
    greylist: Greylist,
    world: World,
}

async fn every_bounce_of_real_servers_is_attributed_explained_and_acted_on(engine: Engine) {
    must_be_able_to_serve_mail();
    let town = Town::start(engine).await;
    town.brookside.fill("pia@brookside.test");
    let fine: Vec<String> = (0..FINE).map(person).collect();
    let others = "ada@larkfield.test nobody@larkfield.test old@larkfield.test pia@brookside.test nil@brookside.test \
                  rob@quarry.test grete@heath.test olga@orchard.test mia@meadow.test";
    town.world.import(&format!("email\n{}\n{}\n", fine.join("\n"), others.replace(' ', "\n"))).await;

    town.world.launch("Spring").await;
    until("the full mailbox is known to be full", async || {
        let line = town.world.ledger("Spring").await.remove("pia@brookside.test")?;
        (line.state == "deferred" && line.verdict.as_deref() == Some("mailbox_full")).then_some(())
    })
    .await;
    town.brookside.empty("pia@brookside.test");

    town.everyone_has_the_outcome_that_the_servers_gave_them().await;
    town.letters_are_where_they_belong_and_came_once().await;
    let browser = town.world.browser().await;
    town.only_who_is_gone_is_suppressed(&browser).await;
    town.the_pages_tell_it_in_the_words_of_the_hosts(&browser).await;
}

impl Town {
    async fn start(engine: Engine) -> Self {
        let settings = Settings { faster: FASTER, ..Settings::default() };
        let mut world = World::asleep(engine.database(), settings, "").await;
        let ports: [SocketAddr; 8] = std::array::from_fn(|_| free_port());
        let [post, larkfield, brookside, farm, heath, orchard, meadow, nobody] = ports;
        let greylist = Greylist::start().await;
        let instance = |host| Setup::new(world.folder(), host).route(RETURN_DOMAIN, "smtp", world.bounces);

        let larkfield_host = instance("mx.larkfield.test")
            .set("virtual_mailbox_domains", "larkfield.test")
            .set("relay_domains", "brookside.test")
            .mailboxes((0..FINE).map(person).chain(["ada@larkfield.test".to_owned()]))
            .table("virtual_alias_maps", [("old@larkfield.test", "gone@farm.test")])
            .route("brookside.test", "lmtp", brookside)
            .route("farm.test", "smtp", farm)
            .listen(larkfield, &[])
            .start(larkfield)
            .await;

        let greylisted = format!("smtpd_recipient_restrictions = check_policy_service inet:{}", greylist.address);
        let small = "message_size_limit = 1000";
        let farm_host = instance("mx.farm.test")
            .set("virtual_mailbox_domains", "farm.test heath.test orchard.test meadow.test")
            .mailboxes(["grete@heath.test", "olga@orchard.test", "mia@meadow.test"].map(str::to_owned))
            .listen(farm, &[])
            .listen(heath, &[&greylisted])
            // The first tells its limit when it is greeted, so that the relay does not even try; the other does not.
            .listen(orchard, &[small])
            .listen(meadow, &[small, "smtpd_discard_ehlo_keywords = size"])
            .start(farm)
            .await;

        let relay = instance("post.fernhill.test")
            // Five days of trying, in ten seconds; the sender is told of a delay after two.
            .set("maximal_queue_lifetime", "10s")
            .set("bounce_queue_lifetime", "10s")
            .set("delay_warning_time", "2s")
            .tries_again_soon()
            .route("larkfield.test", "smtp", larkfield)
            .route("brookside.test", "smtp", larkfield)
            .route("heath.test", "smtp", heath)
            .route("orchard.test", "smtp", orchard)
            .route("meadow.test", "smtp", meadow)
            .route("quarry.test", "smtp", nobody)
            .listen(post, &[])
            .start(post)
            .await;

        let brookside = Dovecot::start(world.folder(), brookside, &["pia@brookside.test"]).await;
        world.configure(post, "");
        world.serve().await;
        Self { relay, larkfield: larkfield_host, farm: farm_host, brookside, greylist, world }
    }

    /// Reports come after the relay took the letters; that of a host that is away, after days.
    async fn everyone_has_the_outcome_that_the_servers_gave_them(&self) {
        for (recipient, state, verdict) in [
            ("ada@larkfield.test", "accepted", None),
            ("grete@heath.test", "accepted", Some("greylisted")),
            ("pia@brookside.test", "accepted", Some("mailbox_full")),
            ("nobody@larkfield.test", "bounced", Some("mailbox_unknown")),
            ("nil@brookside.test", "bounced", Some("mailbox_unknown")),
            ("old@larkfield.test", "bounced", Some("mailbox_unknown")),
            ("olga@orchard.test", "bounced", Some("message_too_large")),
            ("mia@meadow.test", "bounced", Some("message_too_large")),
            ("rob@quarry.test", "bounced", Some("host_unreachable")),
        ] {
            until(&format!("{recipient} is {state} ({verdict:?})"), async || {
                let line = self.world.ledger("Spring").await.remove(recipient).unwrap();
                (line.state == state && line.verdict.as_deref() == verdict).then_some(())
            })
            .await;
        }
    }

    async fn letters_are_where_they_belong_and_came_once(&self) {
        until("the full mailbox, emptied, has the letter", async || {
            (self.brookside.subjects("pia@brookside.test") == ["Spring"]).then_some(())
        })
        .await;
        assert_eq!(self.larkfield.subjects("larkfield.test", "ada"), ["Spring"]);
        assert_eq!(self.farm.subjects("heath.test", "grete"), ["Spring"]);
        let knocks = self.greylist.knocks("grete@heath.test");
        assert!(knocks > 1, "the greylist turned it away at first: {knocks}");
        let ledger = self.world.ledger("Spring").await;
        for (recipient, once) in [
            ("grete@heath.test", true), // the relay kept it, so it was not ours to send again
            ("nobody@larkfield.test", true),
            ("olga@orchard.test", true),
            ("mia@meadow.test", true),
            ("pia@brookside.test", false),
            ("rob@quarry.test", false),
        ] {
            let tries = ledger[recipient].attempts;
            assert_eq!(tries == 1, once, "{recipient} was tried {tries} times");
        }
    }

    async fn only_who_is_gone_is_suppressed(&self, browser: &Browser) {
        let suppressed = browser.text("/suppressions").await;
        for (recipient, gone) in [
            ("nobody@larkfield.test", true),
            ("nil@brookside.test", true),
            ("old@larkfield.test", true),
            ("ada@larkfield.test", false),
            ("pia@brookside.test", false),
            ("grete@heath.test", false),
            ("rob@quarry.test", false),
            ("olga@orchard.test", false),
            ("mia@meadow.test", false),
        ] {
            assert_eq!(suppressed.contains(recipient), gone, "{recipient}: {suppressed}");
        }
    }

    async fn the_pages_tell_it_in_the_words_of_the_hosts(&self, browser: &Browser) {
        let report = browser.text("/campaigns/1/recipients?state=bounced").await;
        for (recipient, words, in_report) in [
            ("nobody@larkfield.test", "User unknown in virtual mailbox table", true),
            ("nil@brookside.test", "User doesn't exist", true),
            ("old@larkfield.test", "gone@farm.test", true),
            ("olga@orchard.test", "exceeds size limit", true),
            ("mia@meadow.test", "message file too big", true),
            ("rob@quarry.test", "Connection refused", true),
            ("pia@brookside.test", "Quota exceeded", false),
            ("grete@heath.test", "Greylisted", false),
        ] {
            assert!(!in_report || report.contains(recipient), "{recipient} in {report}");
            let (_, found) = browser.get(&format!("/bounces?q={recipient}")).await;
            let bounce = link(&found, "/bounces/");
            let (_, page) = browser.get(&bounce).await;
            let text = text_of(&page);
            assert!(text.contains(words) && text.contains(recipient), "{recipient}: {words} in {text}");
            let of_incident = text.contains("Part of an incident");
            assert_eq!(of_incident, words.contains("size") || words.contains("big"), "{recipient}: {text}");
            let profile = browser.text(&link(&page, "/contacts/")).await;
            assert!(profile.contains(recipient) && profile.contains("Spring"), "{profile}");
        }
    }

    fn log(&self) -> String {
        [self.relay.log(), self.larkfield.log(), self.farm.log(), self.brookside.log()].join("\n\n")
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn person(number: usize) -> String {
    format!("person{number}@larkfield.test")
}
