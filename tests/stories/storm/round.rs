//! One campaign in the storm.

use super::books::{Findings, compare};
use super::{Storm, answers_lost};
use crate::world::{Line, until};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_sandbox::{Event, Truth};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

/// How often a process ends meanwhile, at most.
const ENDS: u64 = 20;
/// From the mark of a letter to its record at the host, on a machine that has much else to do.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(5);
/// Domains whose hosts take everything.
const FINE: [&str; 6] = ["orchard", "lantern", "harbour", "meadow", "cobalt", "juniper"];

/// What people did to one campaign while it went out.
#[derive(Default)]
struct Edits {
    /// Suppressed since when, and not lifted.
    suppressed: HashMap<String, DateTime<Utc>>,
    /// Suppressed at some time: where that was before the audience was planned, there is no letter for them.
    ever: HashSet<String>,
    is_cancelled: bool,
}

impl Storm {
    /// Launches a campaign, has everything happen to it, and compares the books when it is over.
    pub(super) async fn round(&mut self) {
        let begun = Instant::now();
        self.score.campaigns += 1;
        let number = self.score.campaigns;
        let name = format!("Letter {number}");
        let list = format!("List {number}");
        self.world.import_to(&list, &audience(number, self.people)).await;
        let doubt = self.chance.one_of(&["resend", "resend", "hold", "never"]);
        self.world.create_as(&list, &name, doubt).await;
        if self.chance.percent(30) {
            let times = self.chance.one_of(&[1, 2, 3]);
            self.fleet.end_while_reading(&self.world, times).await;
        }
        self.world.rebound(&["campaign", "launch", &name]).await;

        let mut edits = Edits::default();
        let may_cancel = self.chance.percent(15);
        let ends = 3 + self.chance.below(ENDS - 2);
        let before = self.world.sandbox.accepted();
        for end in 0..ends {
            tokio::time::sleep(self.chance.millis(20, 800)).await;
            // Who ends when all is over shows nothing.
            if self.world.sandbox.accepted() > before + self.people * 9 / 10 {
                break;
            }
            self.fleet.replace_the_dead(&self.world).await;
            self.somebody_acts(&name, number, &mut edits).await;
            if may_cancel && end + 1 == ends {
                edits.is_cancelled = self.world.run(&["campaign", "cancel", &name]).await.well;
            }
            self.fleet.end_one(&self.world, &mut self.chance).await;
        }
        let stormy = begun.elapsed();
        self.settles(&name, &edits).await;
        let settled = begun.elapsed();
        let found = self.settle_accounts(&name, number, &edits).await;
        if doubt != "resend" {
            assert_eq!(found.named, 0, "{name}: whoever is in doubt gets no second copy ({doubt})");
        }
        let over = begun.elapsed();
        eprintln!(
            "{name} ({doubt}): {} recipients; stormy until {stormy:.1?}, settled at {settled:.1?}, compared at {over:.1?}",
            self.people
        );
    }

    async fn somebody_acts(&mut self, name: &str, number: u64, edits: &mut Edits) {
        match self.chance.below(4) {
            // It may be over already; then there is nothing to pause.
            0 if self.world.run(&["campaign", "pause", name]).await.well => {
                tokio::time::sleep(self.chance.millis(50, 300)).await;
                self.fleet.replace_the_dead(&self.world).await;
                self.world.rebound(&["campaign", "resume", name]).await;
            }
            1 if self.fleet.has_pages() => {
                let who = person(number, self.people - 1 - self.chance.below(self.people / 2));
                self.suppress(&who).await;
                edits.ever.insert(who.clone());
                edits.suppressed.insert(who.clone(), Utc::now());
                if self.chance.percent(40) {
                    self.lift(&who).await;
                    edits.suppressed.remove(&who);
                }
            }
            _ => {}
        }
    }

    async fn suppress(&self, who: &str) {
        let browser = self.world.browser().await;
        let fields = [("addresses", who), ("days", ""), ("why", "asked by telephone")];
        let (status, page) = browser.press("/suppressions", "/suppressions", &fields).await;
        assert!(status.is_success() && page.contains(who), "{status} {page}");
    }

    async fn lift(&self, who: &str) {
        let browser = self.world.browser().await;
        let (_, page) = browser.get(&format!("/suppressions?q={who}")).await;
        let pick = page.split("name=\"pick\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let fields = [("pick", pick), ("sure", "1"), ("why", "asked again")];
        let (status, _) = browser.press("/suppressions", "/suppressions/lift", &fields).await;
        assert!(status.is_success(), "{status}");
    }

    /// Waits until nothing is left to do: nobody waits, and every report has come back and was read.
    async fn settles(&mut self, name: &str, edits: &Edits) {
        let over = if edits.is_cancelled { "cancelled" } else { "sent" };
        // However slow the machine is, it goes on.
        let mut is_over = false;
        while !is_over {
            let before = self.world.sandbox.accepted();
            is_over = until(&format!("“{name}” goes on, or is {over}"), async || {
                self.fleet.replace_the_dead(&self.world).await;
                let status = self.world.status(name).await;
                let open = |state: &str| status["deliveries"][state].as_i64().unwrap();
                let nobody_waits =
                    ["planned", "deferred", "leased", "handing_over"].iter().all(|state| open(state) == 0);
                let is_over = status["state"] == over && nobody_waits;
                (is_over || self.world.sandbox.accepted() > before).then_some(is_over)
            })
            .await;
        }
        self.fleet.keep_the_pages(&self.world).await;
        until("every report is there", async || (self.world.sandbox.reports_pending() == 0).then_some(())).await;
    }

    /// Compares the books. Reports that were taken in may still have to be read.
    async fn settle_accounts(&mut self, name: &str, number: u64, edits: &Edits) -> Findings {
        let truth = self.news();
        let (found, ledger) = until("the reports are read", async || {
            let ledger = self.world.ledger(name).await;
            let found = compare(ledger.values(), &truth);
            let reports_wait = found.wrong.iter().any(|what| what.contains("every copy was given back"));
            (!reports_wait).then_some((found, ledger))
        })
        .await;
        let everybody = (0..self.people).map(|place| person(number, place));
        let absent: Vec<String> =
            everybody.filter(|who| !ledger.contains_key(who) && !edits.ever.contains(who)).collect();
        assert!(absent.is_empty(), "not in the ledger: {absent:?}");
        assert!(found.lost.is_empty(), "lost: {:?}", found.lost);
        assert!(found.unexplained.is_empty(), "unexplained: {:?}", found.unexplained);
        assert!(found.wrong.is_empty(), "{:?}", found.wrong);
        suppressed_in_time(edits, &truth);
        who_is_gone_is_known(&ledger, &truth);
        self.pages_agree(name, number, &found).await;
        self.score.recipients += found.recipients;
        self.score.lost += found.lost.len();
        self.score.doubts += found.doubts;
        self.score.named += found.named;
        self.score.unexplained += found.unexplained.len();
        self.score.answers_lost += answers_lost(&truth);
        found
    }

    /// The counters of command and page are those of the hosts.
    async fn pages_agree(&self, name: &str, number: u64, found: &Findings) {
        let status = self.world.status(name).await;
        for (state, count) in status["deliveries"].as_object().unwrap() {
            assert_eq!(count.as_i64().unwrap(), found.states.get(state).copied().unwrap_or(0), "{name}: {state}");
        }
        let accepted = status["deliveries"]["accepted"].as_i64().unwrap();
        assert_eq!(accepted, found.holds - found.holds_by_doubt, "{name}: what we count is what the hosts hold");
        let (_, page) = self.world.browser().await.get(&format!("/campaigns/{number}")).await;
        let figure = |name: &str| {
            let figure = page.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
            figure.unwrap_or_else(|| panic!("no {name} on the page")).parse::<i64>().unwrap()
        };
        assert_eq!(figure("data-done"), accepted, "{name}: the page's count");
    }
}

/// Everybody on the list of one campaign: most at hosts that take everything, a few at some that do not.
fn audience(number: u64, people: u64) -> String {
    let lines: Vec<String> = (0..people).map(|place| person(number, place)).collect();
    format!("email\n{}\n", lines.join("\n"))
}

fn person(number: u64, place: u64) -> String {
    match place % 100 {
        50 => format!("r{number}-{place}@gone.sandbox.test"),
        75 => format!("r{number}-{place}@gone-report.sandbox.test"),
        _ => {
            let domain = FINE[usize::try_from(place).unwrap() % FINE.len()];
            format!("r{number}-{place}@{domain}.sandbox.test")
        }
    }
}

/// Who was suppressed before their turn got nothing.
fn suppressed_in_time(edits: &Edits, truth: &[Truth]) {
    for line in truth.iter().filter(|line| line.event == Event::Accepted) {
        if let Some(since) = edits.suppressed.get(&line.recipient) {
            assert!(
                line.at < *since + ON_ITS_WAY,
                "{} was suppressed at {since}, and got it at {}",
                line.recipient,
                line.at
            );
        }
    }
}

/// A host that said that there is nobody was heard.
fn who_is_gone_is_known(ledger: &BTreeMap<String, Line>, truth: &[Truth]) {
    for line in truth.iter().filter(|line| line.event == Event::Refused) {
        let state = ledger.get(&line.recipient).map(|line| line.state.as_str());
        assert!(
            matches!(state, Some("bounced" | "cancelled" | "suppressed")),
            "{} was refused, and is {state:?}",
            line.recipient
        );
    }
}
