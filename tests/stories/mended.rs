//! A relay that cannot be used as it was set up: its state says why and what to do, until it is mended.

use crate::certificate::Certificate;
use crate::daemon::must_be_able_to_serve_mail;
use crate::dovecot::Dovecot;
use crate::engine::{Engine, on_both_engines};
use crate::pages::{Browser, text_of};
use crate::postfix::{Postfix, Setup};
use crate::program::free_port;
use crate::world::{World, until};
use rebound_sandbox::Settings;
use std::net::SocketAddr;

on_both_engines! {
    what_is_wrong_with_a_relay_is_told_until_it_is_mended_and_then_everything_goes_by_itself,
}

const PASSWORD: &str = "right-password";
const WRONG: &str = "wrong-password";

const PEOPLE: [&str; 3] = ["ada", "bo", "cy"];

/// Its servers end before the world in whose folder they live.
struct Town {
    relay: Postfix,
    /// Where it takes mail from those whom it knows, over a protected line.
    gate: SocketAddr,
    /// Where it protects nothing.
    open: SocketAddr,
    _logins: Dovecot,
    world: World,
}

/// What an administrator writes about the relay, where that changes.
#[derive(Clone, Copy)]
struct Written<'a> {
    port: SocketAddr,
    authority: &'a str,
    password: &'a str,
}

async fn what_is_wrong_with_a_relay_is_told_until_it_is_mended_and_then_everything_goes_by_itself(engine: Engine) {
    must_be_able_to_serve_mail();
    let (other, own) = (Certificate::of("post.elsewhere.test"), Certificate::of("localhost"));
    let town = Town::start(engine, &other).await;
    let browser = town.world.browser().await;
    let people: Vec<String> = PEOPLE.iter().map(|user| format!("{user}@larkfield.test")).collect();
    town.world.import(&format!("email\n{}\n", people.join("\n"))).await;
    town.world.launch("Spring").await;
    town.says(&browser, "No sending server is in use", "Choose one under Sending servers").await;

    let written = Written { port: town.open, authority: "", password: WRONG };
    write(&browser, "/servers/new", "/servers/new", written).await;
    let authority = "Correct its name, port, security or authority under Sending servers";
    town.says(&browser, "offers no protected line: STARTTLS is not supported", authority).await;

    let written = Written { port: town.gate, ..written };
    write(&browser, "/servers/1", "/servers/1", written).await;
    town.says(&browser, "offers no protected line: nobody who is trusted has signed its certificate", authority).await;

    write(&browser, "/servers/1", "/servers/1", Written { authority: &other.text, ..written }).await;
    town.says(&browser, "offers no protected line: its certificate is in another name: post.elsewhere.test", authority)
        .await;

    town.relay.show(&own);
    let written = Written { authority: &own.text, ..written };
    write(&browser, "/servers/1", "/servers/1", written).await;
    town.says(&browser, "refused the login: 5.7.8 Error: authentication failed", "Check user and password").await;

    write(&browser, "/servers/1", "/servers/1", Written { password: PASSWORD, ..written }).await;
    town.world.reaches("Spring", "sent").await;
    for user in PEOPLE {
        until("the letter", async || town.relay.subjects("larkfield.test", user).pop()).await;
        assert_eq!(town.relay.subjects("larkfield.test", user), ["Spring"], "{user}");
    }
    let ledger = town.world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.attempts == 1 && line.in_doubt == 0), "none of it was a try: {ledger:?}");
    let servers = until("the page has forgotten it", async || {
        Some(browser.text("/servers").await).filter(|page| !page.contains("last test failed"))
    })
    .await;
    assert!(servers.contains("In use") && !servers.contains("refused the login"), "{servers}");
    for text in [&town.world.log(), &town.world.printed()] {
        assert!(!text.contains(WRONG) && !text.contains(PASSWORD), "a password is never shown: {text}");
    }
}

impl Town {
    async fn start(engine: Engine, shown: &Certificate) -> Self {
        let mut world = World::asleep(engine.database(), Settings::default(), "").await;
        let (gate, open, logins) = (free_port(), free_port(), free_port());
        let known = Dovecot::of_logins(world.folder(), logins, ("news", PASSWORD)).await;
        let only_known = "smtpd_relay_restrictions = permit_sasl_authenticated, reject";
        let relay = Setup::new(world.folder(), "post.fernhill.test")
            .set("virtual_mailbox_domains", "larkfield.test")
            .mailboxes(PEOPLE.map(|user| format!("{user}@larkfield.test")))
            .set("smtpd_sasl_auth_enable", "yes")
            .set("smtpd_sasl_type", "dovecot")
            .set("smtpd_sasl_path", format!("inet:{logins}"))
            .set("smtpd_tls_auth_only", "yes")
            .encrypted(shown)
            .listen(gate, &[only_known])
            .listen(open, &[only_known, "smtpd_tls_security_level = none"])
            .start(gate)
            .await;
        world.configure_servers("", "");
        world.serve().await;
        Self { relay, gate, open, _logins: known, world }
    }

    /// The campaign waits and says `wrong` and `to_do`, on its page too, and so does the list of servers. Nothing went.
    async fn says(&self, browser: &Browser, wrong: &str, to_do: &str) {
        until(&format!("the campaign waits: {wrong}"), async || {
            let status = self.world.status("Spring").await;
            let reason = status["reason"].as_str()?;
            (status["state"] == "waiting" && reason.contains(wrong) && reason.contains(to_do)).then_some(())
        })
        .await;
        let page = browser.text("/campaigns/1").await;
        assert!(page.contains(wrong) && page.contains(to_do), "{page}");
        if !wrong.starts_with("No sending server") {
            until(&format!("the servers' page tells of it: {wrong}"), async || {
                let page = browser.text("/servers").await;
                let is_told = page.contains(wrong) && page.contains(to_do) && page.contains("last test failed");
                assert!(!page.contains(WRONG), "a password is never shown: {page}");
                is_told.then_some(())
            })
            .await;
        }
        for user in PEOPLE {
            assert!(self.relay.subjects("larkfield.test", user).is_empty(), "{user}");
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n\n{}", self.relay.log(), self.world.log());
        }
    }
}

/// Fills in the form on the page `form`.
async fn write(browser: &Browser, form: &str, path: &str, written: Written<'_>) {
    let port = written.port.port().to_string();
    let fields = [
        ("kind", "relay"),
        ("host", "localhost"),
        ("port", port.as_str()),
        ("tls", "starttls"),
        ("login", "news"),
        ("password", written.password),
        ("authority", written.authority),
        ("hello", "news.fernhill.test"),
        ("connections", "2"),
        ("weight", "1"),
    ];
    let (status, page) = browser.press(form, path, &fields).await;
    assert!(status.is_success(), "{status}: {}", text_of(&page));
}
