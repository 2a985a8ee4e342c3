//! Straight to the hosts of each receiver: all of them Postfix, found by DNS.
//!
//! ```text
//! Rebound ─▶ a name server
//!    │  ├───▶ mx.larkfield.test   larkfield (whose first host is dead), glade and brookside.test; encrypted
//!    │  ├───▶ mx.farm.test        farm, heath, orchard, meadow and quarry.test
//!    │  └───▶ mx.vale.test        vale.test, whose DNS names a certificate that its host does not show
//!    ▲
//!    └─────── a DSN of mx.larkfield.test, for who has moved
//! ```

use crate::certificate::Certificate;
use crate::daemon::must_be_able_to_serve_mail;
use crate::engine::{Engine, on_both_engines};
use crate::greylist::Greylist;
use crate::pages::{Browser, link, text_of};
use crate::postfix::{Postfix, Setup};
use crate::program::free_port;
use crate::world::{World, until};
use rebound_sandbox::Settings;
use rebound_sandbox::names::{CertUsage, NameServer};
use std::net::{Ipv4Addr, SocketAddr};

on_both_engines! {
    mail_goes_straight_to_real_hosts_and_everyone_has_the_outcome_that_they_gave,
}

/// An hour a second: a later try is soon, and the days of trying are longer than this story.
const FASTER: f64 = 3_600.0;

/// So many at one host that a few failures among them are no burst.
const FINE: usize = 25;

/// Who is greylisted at first, and has moved: the report comes for a later try.
const MOVED: &str = "gil@heath.test";

/// Those whose letters arrive at once.
const ARRIVE: [(&str, &str); 3] = [("larkfield.test", "ada"), ("glade.test", "bo"), ("brookside.test", "cy")];

/// What is heard of those who cannot be reached, and what is said of it.
const GONE: [(&str, &str, &str); 7] = [
    ("nobody@larkfield.test", "mailbox_unknown", "User unknown in virtual mailbox table"),
    ("old@larkfield.test", "mailbox_unknown", "gone@farm.test"),
    ("olga@orchard.test", "message_too_large", "the server takes 1000 at most"),
    ("mia@meadow.test", "message_too_large", "message file too big"),
    ("nil@nowhere.test", "domain_unknown", "There is no domain nowhere.test"),
    ("dee@declines.test", "domain_unknown", "it says so by a null MX record"),
    (MOVED, "mailbox_unknown", "gone@farm.test"),
];

/// Those who are reached later, why, and what was said until then.
const LATER: [(&str, &str, &str); 4] = [
    ("fay@farm.test", "mailbox_full", "The mailbox is full"),
    ("grete@heath.test", "greylisted", "Greylisted"),
    ("rob@quarry.test", "host_unreachable", "did not say where the mail of quarry.test goes"),
    ("val@vale.test", "security_required", "its certificate is not the one that the domain names in its DNS"),
];

/// Its servers end before the world in whose folder they live.
struct Country {
    larkfield: Postfix,
    farm: Postfix,
    vale: Postfix,
    /// The certificate that the DNS of vale.test names.
    named: Certificate,
    names: NameServer,
    _greylist: Greylist,
    world: World,
}

async fn mail_goes_straight_to_real_hosts_and_everyone_has_the_outcome_that_they_gave(engine: Engine) {
    must_be_able_to_serve_mail();
    let country = Country::start(engine).await;
    let world = &country.world;
    let browser = world.browser().await;
    country.an_administrator_chooses_the_way(&browser).await;
    let fine = (0..FINE).map(person);
    let arrive = ARRIVE.iter().map(|(domain, user)| format!("{user}@{domain}"));
    let others = GONE.iter().chain(&LATER).map(|(address, ..)| (*address).to_owned());
    let everyone: Vec<String> = fine.chain(arrive).chain(others).collect();
    world.import(&format!("email\n{}\n", everyone.join("\n"))).await;

    world.launch("Spring").await;
    for (recipient, cause, _) in LATER {
        until(&format!("{recipient} waits because of {cause}"), async || {
            let line = world.ledger("Spring").await.remove(recipient)?;
            (line.verdict.as_deref() == Some(cause)).then_some(())
        })
        .await;
    }
    assert_eq!(country.vale.letters("vale.test", "val").len(), 0, "nothing goes over a line that may be somebody's");
    country.mend();

    world.reaches("Spring", "sent").await;
    country.everyone_has_an_outcome(everyone.len()).await;
    country.what_was_accepted_is_there_once();
    country.the_pages_tell_it(&browser).await;
}

impl Country {
    async fn start(engine: Engine) -> Self {
        let settings = Settings { faster: FASTER, ..Settings::default() };
        let mut world = World::asleep(engine.database(), settings, "").await;
        let (port, greylist, named) = (free_port().port(), Greylist::start().await, Certificate::of("mx.vale.test"));
        let at = |last: u8| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        let instance = |host| Setup::new(world.folder(), host).route("bounce.fernhill.test", "smtp", world.bounces);

        let own = Certificate::of("some.other.test");
        let mailboxes = ARRIVE.iter().map(|(domain, user)| format!("{user}@{domain}"));
        let larkfield = instance("mx.larkfield.test")
            .set("virtual_mailbox_domains", "larkfield.test glade.test brookside.test")
            .mailboxes((0..FINE).map(person).chain(mailboxes).chain(["tess@larkfield.test".to_owned()]))
            .table("virtual_alias_maps", [("old@larkfield.test", "gone@farm.test")])
            .route("farm.test", "smtp", at(3))
            .encrypted(&own)
            .listen(at(2), &[])
            .start(at(2))
            .await;

        let full = world.write("full", "fay@farm.test 452 4.2.2 The mailbox is full\n");
        let full = format!("smtpd_recipient_restrictions = check_recipient_access texthash:{}", full.display());
        let greylisted = format!("smtpd_recipient_restrictions = check_policy_service inet:{}", greylist.address);
        let small = "message_size_limit = 1000";
        let at_the_farm = LATER[..3].iter().chain(&GONE[2..4]).map(|(address, ..)| (*address).to_owned());
        let farm = instance("mx.farm.test")
            .set("virtual_mailbox_domains", "farm.test heath.test orchard.test meadow.test quarry.test")
            .mailboxes(at_the_farm)
            .table("virtual_alias_maps", [(MOVED, "gone@farm.test")])
            .set("max_use", "1")
            .listen(at(3), &[&full])
            .listen(at(4), &[&greylisted])
            // The first tells its limit when it is greeted, so that nobody even tries; the other does not.
            .listen(at(5), &[small])
            .listen(at(6), &[small, "smtpd_discard_ehlo_keywords = size"])
            .start(at(3))
            .await;

        let vale = instance("mx.vale.test")
            .set("virtual_mailbox_domains", "vale.test")
            .mailboxes(["val@vale.test".to_owned()])
            .encrypted(&own)
            .listen(at(8), &[])
            .start(at(8))
            .await;

        let names = names(&named, port);
        let server = names.start().await.unwrap();
        world.configure_servers(&format!("nameserver = '{server}'"), &format!("[direct]\nport = {port}"));
        world.serve().await;
        Self { larkfield, farm, vale, named, names, _greylist: greylist, world }
    }

    /// Through the pages, with a test before anything goes.
    async fn an_administrator_chooses_the_way(&self, browser: &Browser) {
        let fields = [
            ("kind", "direct"),
            ("sources", "127.0.0.1"),
            ("hello", "out.fernhill.test"),
            ("weight", "1"),
            ("connections", "8"),
        ];
        let (status, page) = browser.press("/servers/new?kind=direct", "/servers/new", &fields).await;
        assert!(status.is_success(), "{status}: {}", text_of(&page));
        let (_, page) = browser.press("/servers/1", "/servers/1/test", &[("to", "tess@larkfield.test")]).await;
        let text = text_of(&page);
        assert!(text.contains("mx.larkfield.test") && text.contains("encrypted"), "{text}");
        until("the test message", async || self.larkfield.subjects("larkfield.test", "tess").pop()).await;
        let list = browser.text("/servers").await;
        assert!(list.contains("Straight to receivers") && list.contains("In use"), "{list}");
    }

    /// Mailbox, name server and certificate are put right.
    fn mend(&self) {
        self.world.write("full", "");
        self.names.recover();
        self.vale.show(&self.named);
    }

    async fn everyone_has_an_outcome(&self, people: usize) {
        for (recipient, cause, _) in GONE {
            until(&format!("{recipient} is bounced ({cause})"), async || {
                let line = self.world.ledger("Spring").await.remove(recipient)?;
                (line.state == "bounced" && line.verdict.as_deref() == Some(cause)).then_some(())
            })
            .await;
        }
        let ledger = self.world.ledger("Spring").await;
        assert_eq!(ledger.len(), people);
        for line in ledger.values() {
            let gone = GONE.iter().any(|(address, ..)| *address == line.recipient);
            assert_eq!(line.state, if gone { "bounced" } else { "accepted" }, "{line:?}");
            assert_eq!(line.in_doubt, 0, "{line:?}");
            let later = line.recipient == MOVED || LATER.iter().any(|(address, ..)| *address == line.recipient);
            assert_eq!(line.attempts > 1, later, "only who was put off is tried again: {line:?}");
        }
    }

    fn what_was_accepted_is_there_once(&self) {
        for user in (0..FINE).map(|number| format!("person{number}")) {
            assert_eq!(self.larkfield.subjects("larkfield.test", &user), ["Spring"], "{user}");
        }
        for (domain, user) in ARRIVE {
            assert_eq!(self.larkfield.subjects(domain, user), ["Spring"], "{user} at {domain}");
        }
        for (host, domain, user, is_encrypted) in [
            (&self.larkfield, "larkfield.test", "ada", true), // nobody vouches for the certificate, and none is demanded
            (&self.vale, "vale.test", "val", true),
            (&self.farm, "farm.test", "fay", false),
            (&self.farm, "heath.test", "grete", false),
            (&self.farm, "quarry.test", "rob", false),
        ] {
            let letters = host.letters(domain, user);
            assert_eq!(letters.len(), 1, "{user} at {domain}");
            assert_eq!(letters[0].contains("(using TLSv1."), is_encrypted, "{user} at {domain}: {}", letters[0]);
        }
        for (domain, user) in [("orchard.test", "olga"), ("meadow.test", "mia")] {
            assert!(self.farm.letters(domain, user).is_empty(), "{user} at {domain}");
        }
    }

    async fn the_pages_tell_it(&self, browser: &Browser) {
        for (recipient, _, words) in GONE.into_iter().chain(LATER) {
            let (_, found) = browser.get(&format!("/bounces?q={recipient}")).await;
            let page = browser.text(&link(&found, "/bounces/")).await;
            assert!(page.contains(words) && page.contains(recipient), "{recipient}: {words} in {page}");
        }
        let suppressed = browser.text("/suppressions").await;
        for (recipient, cause, _) in GONE.into_iter().chain(LATER) {
            let is_gone = matches!(cause, "mailbox_unknown" | "domain_unknown");
            assert_eq!(suppressed.contains(recipient), is_gone, "{recipient}: {suppressed}");
        }
    }
}

impl Drop for Country {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hosts = [&self.larkfield, &self.farm, &self.vale].map(Postfix::log).join("\n\n");
            eprintln!("{hosts}\n\n{}", self.world.log());
        }
    }
}

/// What DNS says, with somebody who vouches for it.
fn names(named: &Certificate, port: u16) -> NameServer {
    let names = NameServer::default();
    let at = |last| Ipv4Addr::new(127, 0, 0, last);
    names.sign();
    names.mx("larkfield.test", 10, "dead.larkfield.test").mx("larkfield.test", 20, "mx.larkfield.test");
    names.address("dead.larkfield.test", at(9)).address("mx.larkfield.test", at(2));
    names.mx("glade.test", 10, "mx.larkfield.test").mx("brookside.test", 10, "mx.larkfield.test");
    for (last, domain) in [(3, "farm.test"), (4, "heath.test"), (5, "orchard.test"), (6, "meadow.test")] {
        let host = format!("mx.{domain}");
        names.mx(domain, 10, &host).address(&host, at(last));
    }
    names.mx("quarry.test", 10, "mx.farm.test");
    names.fail("quarry.test");
    names.mx("declines.test", 0, ".");
    names.mx("vale.test", 10, "mx.vale.test").address("mx.vale.test", at(8));
    names.tlsa(&format!("_{port}._tcp.mx.vale.test"), CertUsage::DaneEe, &named.bytes);
    names
}

fn person(number: usize) -> String {
    format!("person{number}@larkfield.test")
}
