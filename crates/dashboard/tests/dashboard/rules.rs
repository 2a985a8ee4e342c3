//! Rules of the installation's own: written by hand, or made of a bounce.

use crate::world::{Browser, World};
use axum::http::StatusCode;
use rebound_contacts::Jobs;
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::{rule_files, suppressions};
use rebound_domain::{BounceCause as C, Case, Clock, Permanence, Role};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const RULE: &str = "[[rule]]\r\nid = \"local.no\"\r\ncause = \"virus\"\r\nwhy = \"ours\"\r\n\
    words = [\"computer says no\"]\r\nexample = \"550 computer says no\"\r\nnot = \"550 no\"\r\n";

#[tokio::test]
async fn rules_are_saved_as_versions_and_faults_stand_at_their_rule() {
    let world = World::seeded().await;
    let admin = world.browser(Role::Admin).await;
    let marketer = world.browser(Role::Marketer).await;
    let page = world.get(Some(&admin), "/settings/rules").await;
    assert!(page.text.contains("No rules of your own yet"), "{}", page.text);
    assert!(world.get(Some(&admin), "/settings").await.text.contains("href=\"/settings/rules\""));
    assert_eq!(world.get(Some(&marketer), "/settings/rules").await.status, StatusCode::FORBIDDEN);
    let fields = |text: &str, based_on: &str| {
        vec![("text", text.to_owned()), ("note", "their filter".to_owned()), ("based_on", based_on.to_owned())]
    };
    let save = async |browser: &Browser, text: &str, based_on: &str| {
        let fields = fields(text, based_on);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.post(browser, "/settings/rules", &fields).await
    };
    assert_eq!(save(&marketer, RULE, "0").await.status, StatusCode::FORBIDDEN);

    let faulty = RULE.replace("550 computer says no", "550 <b>yes</b>");
    let answer = save(&admin, &faulty, "0").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("<code>local.no</code>") && answer.text.contains("line 1"), "{}", answer.text);
    assert!(answer.text.contains("does not match its example") && !answer.text.contains("<b>yes"), "{}", answer.text);
    assert!(answer.text.contains("words = [") && answer.text.contains("their filter"), "what was typed is kept");
    assert_eq!(rule_files::in_force(&world.db).await.unwrap(), 0);

    assert_eq!(save(&admin, RULE, "0").await.status, StatusCode::SEE_OTHER);
    let page = world.get(Some(&admin), "/settings/rules").await;
    for part in ["Version 1", "their filter", "admin@fernhill.example", "In force", "+local-"] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let read = world.post(&marketer, "/classify", &[("bounce", "550 computer says no")]).await;
    assert!(read.text.contains("A virus was found") && read.text.contains("local.no"), "{}", read.text);

    let late = save(&admin, &RULE.replace("virus", "spam_suspected"), "0").await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text.contains("saved version 1 while you wrote") && late.text.contains("spam_suspected"));
    assert!(late.text.contains("name=\"based_on\" value=\"1\""), "{}", late.text);
    assert_eq!(save(&admin, "", "1").await.status, StatusCode::SEE_OTHER);
    let old = world.get(Some(&admin), "/settings/rules/versions/1").await;
    assert!(old.text.contains("computer says no") && old.text.contains("/settings/rules?from=1"), "{}", old.text);
    assert!(world.get(Some(&admin), "/settings/rules?from=1").await.text.contains("computer says no"));
    assert_eq!(world.get(Some(&admin), "/settings/rules/versions/9").await.status, StatusCode::NOT_FOUND);

    // It held once; the rules that the program comes with have changed since.
    let saved = rule_files::Saved { version: 3, note: String::new(), actor: "x".into(), at: world.now };
    rule_files::add(&world.db, &saved, &faulty).await.unwrap();
    let page = world.get(Some(&admin), "/settings/rules").await;
    assert!(page.text.contains("laid aside") && page.text.contains("does not match its example"), "{}", page.text);
    let read = world.post(&marketer, "/classify", &[("bounce", "550 5.1.1 no such user")]).await;
    assert!(read.text.contains("No such mailbox"), "the built-in rules go on");
}

async fn wrong(world: &World) -> NotedBounce {
    let filter = bounces::Filter { cause: Some(C::MailboxUnknown), ..bounces::Filter::default() };
    bounces::page(&world.db, &filter, None, 99).await.unwrap().remove(0)
}

/// The value of a button or a field that holds it first.
fn value(text: &str, before: &str) -> String {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("{before} in {text}"));
    rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_rule_is_made_of_a_bounce_and_the_history_judged_by_it() {
    let world = World::seeded().await;
    let admin = world.browser(Role::Admin).await;
    let marketer = world.browser(Role::Marketer).await;
    let bounce = wrong(&world).await;
    let path = format!("/bounces/{}", bounce.id);
    let make = format!("{path}/rule");
    let alike = bounces::Filter { cause: Some(C::MailboxUnknown), ..bounces::Filter::default() };
    let alike = bounces::page(&world.db, &alike, None, 99).await.unwrap();
    let suppressed = async || suppressions::of(&world.db, &bounce.address).await.unwrap().len();
    assert_eq!(suppressed().await, 1);

    assert!(world.get(Some(&admin), &path).await.text.contains("Make it a rule"));
    assert!(!world.get(Some(&marketer), &path).await.text.contains("Make it a rule"));
    assert_eq!(world.get(Some(&marketer), &make).await.status, StatusCode::FORBIDDEN);
    let page = world.get(Some(&admin), &make).await;
    assert_eq!(page.status, StatusCode::OK);
    let words = page.text.split("name=\"words\"").nth(1).unwrap().split('>').nth(1).unwrap();
    let words = words.split("</textarea").next().unwrap().split('<').next().unwrap().to_owned();
    assert!(!words.is_empty() && bounce.verdict.diagnostic.contains(&words) && !words.contains('@'), "{words}");

    let fields = |words: &str, seen: &str| {
        [
            ("rule", "local.they-are-full"),
            ("words", words),
            ("case", "mailbox_full"),
            ("why", "they wrote to me"),
            ("not", "550 something else"),
            ("based_on", "0"),
            ("seen", seen),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    let send = async |browser: &Browser, words: &str, seen: &str| {
        let fields = fields(words, seen);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.post(browser, &make, &fields).await
    };
    assert_eq!(send(&marketer, &words, "").await.status, StatusCode::FORBIDDEN);
    let faulty = send(&admin, "words that nobody said", "").await;
    assert_eq!(faulty.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(faulty.text.contains("does not match its example"), "{}", faulty.text);

    let look = send(&admin, &words, "").await;
    let expected = alike.iter().filter(|one| one.verdict.diagnostic.contains(&words)).count();
    assert!(expected > 0 && look.text.contains(&format!("{expected} bounce")), "{expected}: {}", look.text);
    assert!(look.text.contains("written to again") && look.text.contains(&format!("href=\"{path}\"")), "{}", look.text);
    assert_eq!((suppressed().await, rule_files::in_force(&world.db).await.unwrap()), (1, 0), "a look changes nothing");
    let seen = value(&look.text, "btn-primary\" type=\"submit\" name=\"seen\"");

    // Something else than was seen is looked at first.
    let other = send(&admin, &format!("{words}\nand more of it"), &seen).await;
    assert_eq!((other.status, rule_files::in_force(&world.db).await.unwrap()), (StatusCode::OK, 0));
    assert_eq!(send(&admin, &words, &seen).await.status, StatusCode::SEE_OTHER);
    assert_eq!(rule_files::in_force(&world.db).await.unwrap(), 1);
    assert!(world.get(Some(&admin), "/jobs").await.text.contains("judged again by version 1"));

    let url = format!("sqlite:{}", world.db.file().unwrap().display());
    let jobs = Jobs { db: world.db.clone(), url, clock: Clock::wall() };
    let stop = CancellationToken::new();
    let worker = tokio::spawn(jobs.run(std::sync::Arc::default(), stop.clone()));
    let begin = Instant::now();
    while suppressed().await > 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "the history is not judged again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
    let judged = bounces::get(&world.db, bounce.id).await.unwrap().unwrap();
    assert_eq!(judged.case(), Case::of(C::MailboxFull, Permanence::Soft));
    let page = world.get(Some(&marketer), &path).await;
    for part in ["Judged again by rule local.they-are-full on", "admin@fernhill.example", "read by rules 20"] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let rules = world.get(Some(&admin), "/settings/rules").await;
    assert!(rules.text.contains("local.they-are-full: they wrote to me"), "{}", rules.text);
    assert!(world.get(Some(&admin), "/audit?about=rules").await.text.contains("had the history judged again"));
    // A marketer may still say what this one was.
    let says = [("case", "mailbox_unknown-for-good"), ("why", ""), ("seen", "1")];
    assert_eq!(world.post(&marketer, &format!("{path}/correction"), &says).await.status, StatusCode::SEE_OTHER);
    assert_eq!(suppressed().await, 1);
}
