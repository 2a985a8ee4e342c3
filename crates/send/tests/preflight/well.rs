//! Where all is well, nothing is found; where nobody answers, nothing is held against anybody.

#[path = "../../../db/tests/db/postgres.rs"]
#[allow(dead_code, reason = "another crate's tests stop and resume it")]
mod postgres;

use crate::installation::{RELAY, Setup, found, key, preflight, public_key};
use crate::web::Host;
use rebound_domain::Fields;
use rebound_send::{Check, Level, PreflightAnswer};
use std::time::{Duration, Instant};

/// What makes an installation another one, and how.
type Form = (&'static str, fn(&mut Setup));

/// Ten installations, each well in its own way.
const WELL: [Form; 10] = [
    ("as it comes", |_| ()),
    ("text alone", |s| {
        s.draft.text = "The bulbs are in. Tulips, crocuses and snowdrops came this week.".into();
        s.draft.html = String::new();
    }),
    ("merge fields with defaults", |s| {
        s.draft.subject = "{{ first_name }}, the bulbs are in".into();
        s.draft.defaults = Fields::from([("first_name".into(), "Gardener".into())]);
    }),
    ("answers to another domain", |s| s.draft.reply_to = Some("ines@orchard.test".parse().unwrap())),
    ("a part of the domain sends, and its house has the record", |s| {
        s.draft.from = "hello@letters.fernhill.test".parse().unwrap();
        s.zone.mx("letters.fernhill.test", "mx.fernhill.test");
    }),
    ("a provider’s relay, included", |s| {
        s.relay = Some("smtp.relay.test".into());
        s.zone.address("smtp.relay.test", [198, 51, 100, 9]);
        s.zone.text("spf.relay.test", "v=spf1 ip4:203.0.113.0/24 -all");
        s.zone.without("bounce.fernhill.test", "TXT");
        s.zone.text("bounce.fernhill.test", "v=spf1 include:spf.relay.test ~all");
    }),
    ("SPF by a, mx and redirect", |s| {
        s.zone.without("bounce.fernhill.test", "TXT");
        s.zone.text("bounce.fernhill.test", "v=spf1 redirect=_spf.fernhill.test");
        s.zone.text("_spf.fernhill.test", "v=spf1 mx:fernhill.test a:mail.fernhill.test/24 ?all");
    }),
    ("a domain that takes mail without an MX record", |s| {
        s.people.push("ada@larkfield.test".into());
        s.zone.address("larkfield.test", RELAY);
    }),
    ("a relay on the same machine, whose address nobody knows", |s| {
        s.relay = Some("127.0.0.1".into());
        s.dkim = key(public_key(162));
        s.zone.without("r1._domainkey.fernhill.test", "TXT");
        s.zone.text("r1._domainkey.fernhill.test", &format!("v=DKIM1; p={}", public_key(162)));
    }),
    ("a large list that is known well, with few complaints", |s| {
        s.known(1_500, "orchard.test");
        s.past.bounced = 15;
        s.past.complaints = 1;
    }),
];

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    for (name, change) in WELL {
        let mut setup = Setup::well();
        change(&mut setup);
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        assert_eq!(found(setup, &db).await, [], "{name}");
    }
}

#[tokio::test]
async fn both_engines_find_the_same() {
    let server = postgres::Server::start();
    let forms: [fn(&mut Setup); 3] = [
        |_| (),
        |s| {
            s.known(1_100, "orchard.test");
            (s.past.bounced, s.past.yesterday) = (150, 10);
        },
        |s| {
            s.people.extend(["ada.b@gmail.com", "adab@gmail.com", "postmaster@nowhere.test"].map(str::to_owned));
            (s.past.yesterday, s.past.complaints) = (10_000, 31);
        },
    ];
    for (number, change) in forms.iter().enumerate() {
        let mut setup = Setup::well();
        change(&mut setup);
        let folder = tempfile::tempdir().unwrap();
        let sqlite = rebound_db::temporary(folder.path()).await.unwrap();
        let postgres = server.create(&format!("form_{number}"), "template0");
        let postgres = rebound_db::connect(&postgres).await.unwrap();
        rebound_db::migrate(&postgres).await.unwrap();
        let on_sqlite = found(setup.clone(), &sqlite).await;
        assert_eq!(found(setup, &postgres).await, on_sqlite, "{number}");
        assert_eq!(on_sqlite.is_empty(), number == 0, "{on_sqlite:?}");
    }
}

#[tokio::test]
async fn an_outage_of_the_name_server_is_no_fault_and_takes_seconds_only() {
    let mut setup = Setup::well();
    setup.names_answer = false;
    setup.listener = Host::Ours;
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let begun = Instant::now();
    let known = preflight(setup, &db).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(known.can_go());
    assert!(known.findings.iter().all(|finding| finding.level == Level::Hints), "{:?}", known.findings);
    let unseen: Vec<_> = known.findings.iter().filter(|finding| finding.check == Check::Unchecked).collect();
    for words in ["SPF", "DKIM", "DMARC", "could not be checked"] {
        assert!(unseen.iter().any(|finding| finding.what.contains(words)), "{words}: {unseen:?}");
    }
}

#[tokio::test]
async fn programs_hear_all_that_people_see() {
    let mut setup = Setup::well();
    setup.zone.without("bounce.fernhill.test", "TXT");
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let known = preflight(setup, &db).await;
    let campaign = rebound_db::campaigns::all(&db).await.unwrap().remove(0);
    let told = serde_json::to_value(PreflightAnswer::new(&campaign, &known)).unwrap();
    assert_eq!((told["can_go"].as_bool(), told["people"].as_i64()), (Some(true), Some(20)));
    let finding = &told["findings"][0];
    for (name, expected) in [
        ("check", "spf_missing"),
        ("level", "warns"),
        ("part", "from"),
        ("mend", "/return-path"),
        ("what", "bounce.fernhill.test has no SPF record."),
    ] {
        assert_eq!(finding[name], expected, "{told}");
    }
    assert_eq!(finding["rules"], serde_json::json!(["Gmail", "Yahoo", "Microsoft"]));
}

#[test]
fn every_check_is_on_the_page_about_them() {
    let page = include_str!("../../../../docs/guide/preflight.md");
    for check in Check::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", check.as_str())));
        let row = row.unwrap_or_else(|| panic!("docs/guide/preflight.md has no row for {}", check.as_str()));
        let level = match check.level() {
            Level::Stops => "stops",
            Level::Warns => "warns",
            Level::Hints => "hint",
        };
        assert!(row.contains(level) && row.contains(check.rules()), "{row}");
    }
}
