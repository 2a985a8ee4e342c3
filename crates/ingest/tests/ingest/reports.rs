//! From what came back to what it does to a contact.

use crate::world::{World, dsn, gone, key};
use chrono::{TimeDelta, Utc};
use rebound_contacts::RuleBook;
use rebound_db::{bounces, inbox};
use rebound_domain::Clock;
use rebound_domain::{BounceCause, Grade, Keys, MessageId, ReportKind, ReturnPath, StateName, SuppressionReason};
use rebound_ingest::{Limits, Reader, take_in};
use std::sync::Arc;
use std::time::Duration;

const ADA: &str = "ada@orchard.example";
const BOB: &str = "bob@orchard.example";

#[tokio::test]
async fn a_report_to_a_signed_return_path_ends_an_address_that_is_gone() {
    let world = World::with(&[ADA, BOB]).await;
    let door = world.listen(Limits::default()).await;
    let (db, keys) = (world.db.clone(), world.keys.clone());
    let reader = Reader { db, keys, clock: Clock::wall(), rules: RuleBook::default() };
    let reading = tokio::spawn(reader.run(Arc::clone(&door.wake), door.stop.clone()));

    let answer = door.deliver(&world.return_path(ADA).await, &gone(ADA, "unsigned@news.example")).await;

    assert!(answer.starts_with("250 "));
    while world.suppression(ADA).await.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.suppression(ADA).await.unwrap().reason, SuppressionReason::Hard);
    assert_eq!(world.state(ADA).await, StateName::Bounced);
    assert_eq!((world.suppression(BOB).await, world.state(BOB).await), (None, StateName::Accepted));
    let noted = bounces::of_key(&world.db, &key(ADA), 10).await.unwrap();
    assert_eq!((noted[0].grade, noted[0].attempt), (Grade::Ours, 1));
    assert_eq!(noted[0].reporting_mta.as_deref(), Some("mx.example"));
    let raw = inbox::raw(&world.db, noted[0].inbox.unwrap()).await.unwrap().unwrap();
    assert!(String::from_utf8(raw).unwrap().contains("Final-Recipient: rfc822; ada@orchard.example\r\n"));
    door.stop.cancel();
    reading.await.unwrap();
}

#[tokio::test]
async fn a_rule_that_is_saved_holds_for_the_next_report() {
    let world = World::with(&[ADA, BOB]).await;
    let (db, keys) = (world.db.clone(), world.keys.clone());
    let reader = Reader { db, keys, clock: Clock::wall(), rules: RuleBook::default() };
    let read = async |who: &str| {
        let report = dsn(who, "5.0.0", "550 computer says no", "x@y.example");
        world.arrive(&world.return_path(who).await, &report).await;
        assert_eq!(reader.read_batch(Utc::now()).await.unwrap(), 1);
        let verdict = bounces::of_key(&world.db, &key(who), 9).await.unwrap().remove(0).verdict;
        (verdict.cause, verdict.rules.contains("+local-"))
    };
    let (before, local) = read(ADA).await;
    assert!(before != BounceCause::Virus && !local, "{before}");
    let rule = "[[rule]]\nid = 'local.no'\ncause = 'virus'\nwhy = 'ours'\nwords = ['computer says no']\n\
                example = '550 computer says no'\nnot = '550 no'";
    rebound_contacts::save_rules(&world.db, rule, 0, ("eve@house.example", ""), Utc::now()).await.unwrap();
    assert_eq!(read(BOB).await, (BounceCause::Virus, true));
}

#[tokio::test]
async fn a_report_a_thousand_times_is_one_report() {
    let world = World::with(&[ADA]).await;
    let recipient = world.return_path(ADA).await;
    for n in 0..1000 {
        world.arrive(&recipient, &format!("Date: {n}\r\n{}", gone(ADA, "x@y.example"))).await;
    }
    assert_eq!(world.read_all().await, 1000);
    assert_eq!(world.bounces(ADA).await, 1);
    let since = world.suppression(ADA).await.unwrap().since;

    world.arrive(&recipient, &format!("Date: later\r\n{}", gone(ADA, "x@y.example"))).await;
    assert_eq!(world.read_all().await, 1);
    assert_eq!((world.bounces(ADA).await, world.suppression(ADA).await.unwrap().since), (1, since));
}

#[tokio::test]
async fn a_forged_report_changes_nothing() {
    let world = World::with(&[ADA]).await;
    let path = ReturnPath { delivery: world.delivery(ADA).await, attempt: 1 };
    let thief = Keys::new(('a', b"a guess at the key".to_vec()), vec![]);
    let local = path.sign(&world.keys, world.now);
    let forged_paths = [
        String::new(),
        "bounces@bounce.example".to_owned(),
        format!("{}@bounce.example", path.sign(&thief, world.now)),
        format!("{}@bounce.example", path.sign(&world.keys, world.now - TimeDelta::days(50))),
        format!("{}{}@bounce.example", &local[..local.len() - 1], if local.ends_with('a') { 'b' } else { 'a' }),
        format!("b.{}@bounce.example", &local[4..]),
    ];
    let forged_ids = [
        String::new(),
        "anything@news.example".to_owned(),
        format!("{}@news.example", MessageId(path.delivery).sign(&thief)),
        format!("m.a.{}.aaaaaaaaaaaaaaaa@news.example", "a".repeat(13)),
    ];
    let words =
        [("5.1.1", "550 5.1.1 no such user"), ("5.2.1", "550 mailbox disabled"), ("4.2.2", "452 4.2.2 over quota")];
    for recipient in &forged_paths {
        for id in &forged_ids {
            for (status, words) in words {
                world.arrive(recipient, &dsn(ADA, status, words, id)).await;
            }
            let complaint = feedback(id, "abuse");
            world.arrive(recipient, &complaint).await;
        }
    }
    assert_eq!(world.read_all().await, 96);

    assert_eq!((world.suppression(ADA).await, world.state(ADA).await), (None, StateName::Accepted));
    assert_eq!(world.bounces(ADA).await, 0);
    let noted = bounces::of_key(&world.db, &key(ADA), 100).await.unwrap();
    assert_eq!(noted.len(), 72);
    assert!(noted.iter().all(|bounce| bounce.grade == Grade::TextOnly && bounce.delivery.is_none()));
}

#[tokio::test]
async fn a_returned_message_names_its_delivery_where_the_return_path_was_rewritten() {
    let world = World::with(&[ADA]).await;
    world.arrive("bounces@relay.example", &gone(ADA, &world.message_id(ADA).await)).await;
    world.read_all().await;
    let noted = bounces::of_key(&world.db, &key(ADA), 10).await.unwrap();
    assert_eq!((noted[0].grade, noted[0].attempt), (Grade::Returned, 1));
    assert_eq!(world.suppression(ADA).await.unwrap().reason, SuppressionReason::Hard);
}

#[tokio::test]
async fn mail_that_was_forwarded_fails_for_the_contact_it_was_sent_to() {
    let world = World::with(&[ADA, "cleo@elsewhere.example"]).await;
    world.arrive(&world.return_path(ADA).await, &gone("cleo@elsewhere.example", "x@y.example")).await;
    world.read_all().await;
    assert_eq!((world.bounces(ADA).await, world.bounces("cleo@elsewhere.example").await), (1, 0));
    assert_eq!(world.state("cleo@elsewhere.example").await, StateName::Accepted);
}

#[tokio::test]
async fn a_complaint_stops_all_mail() {
    let world = World::with(&[ADA, BOB]).await;
    world.arrive(&world.return_path(ADA).await, &feedback("x@y.example", "abuse")).await;
    world.arrive("fbl@bounce.example", &feedback(&world.message_id(BOB).await, "not-spam")).await;
    world.read_all().await;
    assert_eq!(world.suppression(ADA).await.unwrap().reason, SuppressionReason::Complaint);
    assert_eq!(world.suppression(BOB).await, None);
}

#[tokio::test]
async fn only_a_readers_feedback_says_that_a_letter_in_doubt_arrived() {
    let world = World::with(&[ADA, BOB]).await;
    world.send_in_doubt("Summer", world.now).await;
    world.arrive("fbl@bounce.example", &feedback(&world.message_id(ADA).await, "auth-failure")).await;
    world.arrive("fbl@bounce.example", &feedback(&world.message_id(BOB).await, "not-spam")).await;
    world.read_all().await;
    assert_ne!(world.state(ADA).await, StateName::Accepted, "hosts send such reports of what they refused");
    assert_eq!(world.state(BOB).await, StateName::Accepted);
}

#[tokio::test]
async fn what_is_no_failure_is_only_named() {
    let world = World::with(&[ADA]).await;
    let recipient = world.return_path(ADA).await;
    let away =
        "From: ada@orchard.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.";
    let hello = "From: ada@orchard.example\r\nSubject: Re: Spring\r\n\r\nLovely, thank you!";
    let delivered = gone(ADA, "x").replace("Action: failed", "Action: delivered").replace("5.1.1", "2.1.5");
    let late = dsn(ADA, "4.2.2", "452 4.2.2 over quota", "x").replace("Action: failed", "Action: delayed");
    for (message, kind) in [
        (away, ReportKind::AutoReply),
        (hello, ReportKind::NotBounce),
        (&*delivered, ReportKind::NotBounce),
        (&*late, ReportKind::Delay),
        ("", ReportKind::NotBounce),
        ("\0\u{1}\r\r\n\n", ReportKind::NotBounce),
    ] {
        let id = world.arrive(&recipient, message).await;
        world.read_all().await;
        let reading = inbox::reading(&world.db, id).await.unwrap().unwrap();
        assert_eq!((reading.kind, reading.error), (Some(kind), None), "{message}");
    }
    assert_eq!((world.bounces(ADA).await, world.suppression(ADA).await), (0, None));
    assert_eq!(world.state(ADA).await, StateName::Accepted);
    let noted = bounces::of_key(&world.db, &key(ADA), 10).await.unwrap();
    assert_eq!(noted.iter().map(|bounce| bounce.verdict.cause).collect::<Vec<_>>(), [BounceCause::MailboxFull]);
}

#[tokio::test]
async fn of_several_recipients_only_ours_is_heard() {
    let world = World::with(&[ADA]).await;
    let two = gone(ADA, "x").replace(
        "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n\r\nFinal-Recipient: rfc822; else@where.example\r\n\
         Action: failed\r\nStatus: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.7.1 message looks like spam\r\n",
    );
    world.arrive(&world.return_path(ADA).await, &two).await;
    world.read_all().await;
    let noted = bounces::of_key(&world.db, &key(ADA), 10).await.unwrap();
    assert_eq!(noted.iter().map(|bounce| bounce.verdict.cause).collect::<Vec<_>>(), [BounceCause::MailboxUnknown]);
    assert!(bounces::of_key(&world.db, &key("else@where.example"), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_report_is_read_again_when_asked_for_and_does_no_more_than_before() {
    let world = World::with(&[ADA]).await;
    let id = world.arrive(&world.return_path(ADA).await, &gone(ADA, "x")).await;
    world.read_all().await;
    assert!(inbox::reread(&world.db, id).await.unwrap());
    assert_eq!(world.read_all().await, 1);
    assert_eq!(world.bounces(ADA).await, 1);
}

#[tokio::test]
async fn a_report_about_a_delivery_that_is_gone_is_noted_and_holds_nobody_up() {
    let world = World::with(&[ADA]).await;
    let unknown = ReturnPath { delivery: rebound_domain::DeliveryId(99 << 31), attempt: 1 };
    let recipient = format!("{}@bounce.example", unknown.sign(&world.keys, world.now));
    world.arrive(&recipient, &gone("zoe@orchard.example", "x")).await;
    world.arrive(&world.return_path(ADA).await, &gone(ADA, "x")).await;
    assert_eq!(world.read_all().await, 2);
    assert_eq!((world.bounces("zoe@orchard.example").await, world.bounces(ADA).await), (0, 1));
}

#[tokio::test]
async fn hostile_messages_cost_little_time_and_no_peace() {
    let world = World::with(&[ADA]).await;
    let nested: String =
        (0..2000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")).collect();
    for bomb in [
        nested,
        "A: b\r\n".repeat(200_000),
        format!("Subject: {}", "=?utf-8?B?".repeat(200_000)),
        format!("Content-Type: multipart/report; boundary=x\r\n\r\n{}", "--x\r\n\r\n".repeat(200_000)),
        format!("Content-Type: text/html\r\n\r\n{}", "<div>".repeat(500_000)),
        "x".repeat(20 << 20),
        format!(
            "Content-Type: message/delivery-status\r\n\r\n{}",
            "Final-Recipient: rfc822; a@b.example\r\n\r\n".repeat(50_000)
        ),
    ] {
        world.arrive(&world.return_path(ADA).await, &bomb).await;
    }
    world.arrive(&world.return_path(ADA).await, &gone(ADA, "x")).await;
    assert_eq!(world.read_all().await, 8);
    assert_eq!(world.bounces(ADA).await, 1);
}

#[tokio::test]
async fn reports_in_files_count_like_those_that_came_by_mail() {
    let world = World::with(&[ADA]).await;
    let file = world.folder.path().join("report.eml");
    let report = format!("Delivered-To: {}\r\n{}", world.return_path(ADA).await, gone(ADA, "x"));
    std::fs::write(&file, report).unwrap();
    for _ in 0..2 {
        assert_eq!(take_in(&world.db, &file, &world.keys, Utc::now()).await.unwrap().kept, 1);
    }
    assert_eq!(world.read_all().await, 1);
    assert_eq!(world.suppression(ADA).await.unwrap().reason, SuppressionReason::Hard);
}

fn feedback(message_id: &str, kind: &str) -> String {
    [
        "From: feedback@mx.example".to_owned(),
        "Subject: Complaint".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n".to_owned(),
        "--x\r\n\r\nSomebody calls this spam.\r\n".to_owned(),
        "--x\r\nContent-Type: message/feedback-report\r\n".to_owned(),
        format!("Feedback-Type: {kind}\r\nUser-Agent: Test/1\r\nVersion: 1\r\n"),
        "--x\r\nContent-Type: text/rfc822-headers\r\n".to_owned(),
        format!("Message-ID: <{message_id}>\r\nSubject: Spring\r\n"),
        "--x--".to_owned(),
    ]
    .join("\r\n")
}
