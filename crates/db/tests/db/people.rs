//! People, sessions, servers and the audit, asked on both engines.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::events::{self, Event, Filter};
use rebound_db::jobs::{self, JobKind, JobState, NewJob};
use rebound_db::sessions::{self, NewSession};
use rebound_db::sign_ins::{self, Allowance};
use rebound_db::users::{self, NewUser};
use rebound_db::volumes::{self, Taken};
use rebound_db::{Audience, audience, contacts, inbox, lists, servers, subscriptions};
use rebound_domain::{
    ContactId, EmailAddress, Fields, Limits, Role, Route, Server, ServerId, Span, Tls, TokenSource, Volume, WarmUp,
};

#[tokio::test]
async fn people_their_sessions_and_links_are_the_same_on_both() {
    for (engine, db) in engines().await.each() {
        let now = Utc::now();
        let jo = NewUser {
            email: "jo@fernhill.example".parse().unwrap(),
            name: "Jo".into(),
            role: Role::Marketer,
            password: String::new(),
        };
        let id = users::create(db, &jo, now).await.unwrap();
        users::open_link(db, "link", id, now + TimeDelta::days(7)).await.unwrap();
        let invited = users::by_link(db, "link", now).await.unwrap().unwrap();
        assert!(!invited.has_password && invited.link_until.is_some() && invited.seen.is_none(), "{engine}");
        assert!(users::use_link(db, "link", now).await.unwrap(), "{engine}");
        users::put_password(db, id, "hash").await.unwrap();
        users::set_role(db, id, Role::Auditor).await.unwrap();
        for digest in ["0123456789abcdef-one", "fedcba9876543210-two"] {
            let new = NewSession { digest, user: id, csrf: "token", device: "Firefox on Linux", address: "192.0.2.7" };
            sessions::start(db, new, now).await.unwrap();
        }
        sessions::confirm(db, "fedcba9876543210-two", now).await.unwrap();
        assert_eq!(sessions::of_user(db, id, now).await.unwrap().len(), 2, "{engine}");
        assert!(sessions::end_named(db, id, "0123456789abcdef").await.unwrap(), "{engine}");
        assert_eq!(sessions::end_others(db, id, "none").await.unwrap(), 1, "{engine}");
        users::set_active(db, id, Some(now)).await.unwrap();
        assert!(users::who_may_sign_in(db, &jo.email.key()).await.unwrap().is_none(), "{engine}");
        let person = users::people(db).await.unwrap().remove(0);
        assert!(person.deactivated.is_some() && person.user.role == Role::Auditor, "{engine}");
        assert_eq!(inbox::last_received(db).await.unwrap(), None, "{engine}");
    }
}

#[tokio::test]
async fn servers_are_kept_alike_on_both() {
    for (engine, db) in engines().await.each() {
        let now = Utc::now();
        let server = |name: &str| Server {
            id: ServerId(0),
            name: name.into(),
            route: Route::Relay {
                host: "smtp.example.org".into(),
                port: 587,
                tls: Tls::StartTls,
                authority: String::new(),
                login: "news".into(),
                token: TokenSource::parse("https://login.example.org/token", "4f1c", "mail").unwrap(),
            },
            hello: "mail.example.org".into(),
            connections: 8,
            weight: 2,
            limits: Limits { per_day: Some(500), ..Limits::default() },
            warm_up: Some(WarmUp { from: DateTime::UNIX_EPOCH, first: 50, growth: 30, until: 20_000 }),
        };
        for (count, name) in ["First", "Second"].into_iter().enumerate() {
            let id = servers::create(db, &server(name), "ines", now).await.unwrap();
            let tx = db.begin().await.unwrap();
            servers::set_password(&tx, id, "s1.a.sealed").await.unwrap();
            servers::set_in_use(&tx, id, true).await.unwrap();
            servers::note_test(&tx, id, None, now).await.unwrap();
            tx.commit().await.unwrap();
            let mut in_use = servers::in_use(db).await.unwrap();
            let kept = in_use.pop().unwrap();
            assert_eq!(in_use.len(), count, "{engine}");
            assert_eq!(kept.server, Server { id, ..server(name) }, "{engine}");
            assert_eq!((kept.server.id, kept.sealed.as_str()), (id, "s1.a.sealed"), "{engine}");
        }
        let first = servers::list(db).await.unwrap().remove(0);
        let sources = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let straight = Server { route: Route::Direct { sources }, warm_up: None, ..first.server.clone() };
        servers::update(db, &straight, "jo", now).await.unwrap();
        let changed = servers::get(db, first.server.id).await.unwrap().unwrap();
        assert_eq!((changed.server, changed.changed_by.as_str()), (straight, "jo"), "{engine}");
        assert!(servers::remove(db, first.server.id).await.unwrap(), "{engine}");
    }
}

#[tokio::test]
async fn workers_that_count_at_once_never_give_more_than_the_limit() {
    for (engine, db) in engines().await.each() {
        let (server, now) = (ServerId(7), Utc::now());
        let limits = Limits { per_minute: Some(90), per_day: Some(1_000), ..Limits::default() };
        let all: Vec<Volume> = limits.volumes(None, now).collect();
        let take = async || {
            let mut granted = 0;
            while let Taken::Granted(count) = volumes::take(db, server, 4, &all, now).await.unwrap() {
                granted += count;
            }
            granted
        };
        let (a, b, c) = tokio::join!(take(), take(), take());
        assert_eq!(a + b + c, 90, "{engine}");
        volumes::put_back(db, server, 5, now).await.unwrap();
        for span in [Span::Minute, Span::Day] {
            assert_eq!(volumes::given(db, server, span, now).await.unwrap(), 85, "{engine}");
        }
        assert_eq!(volumes::given(db, server, Span::Minute, now + TimeDelta::minutes(2)).await.unwrap(), 0, "{engine}");
    }
}

#[tokio::test]
async fn the_audit_is_filtered_alike_and_paged_by_its_order() {
    for (engine, db) in engines().await.each() {
        let start = Utc::now() - TimeDelta::days(3);
        let key = Some("ada@orchard.test".parse::<rebound_domain::EmailAddress>().unwrap().key());
        for n in 0..6 {
            let at = start + TimeDelta::days(n);
            let actor = if n % 2 == 0 { "rebound" } else { "ines@fernhill.example" };
            let (kind, detail) = (if n < 3 { "suppressed" } else { "lifted" }, n.to_string());
            let key = key.clone().filter(|_| n > 0);
            events::add(db, &Event { at, kind, actor, subject: "contact", subject_id: Some(n), key, detail })
                .await
                .unwrap();
        }
        let asked = async |filter: Filter, before| {
            let found = events::find(db, &filter, before, 10).await.unwrap();
            found.into_iter().map(|entry| entry.detail).collect::<Vec<_>>().join("")
        };
        let all = Filter::default();
        assert_eq!(asked(all.clone(), None).await, "543210", "{engine}");
        let fourth = events::find(db, &all, None, 2).await.unwrap().pop().unwrap();
        assert_eq!(asked(all.clone(), Some(fourth.id)).await, "3210", "{engine}");
        assert_eq!(asked(Filter { by_people: true, ..all.clone() }, None).await, "531", "{engine}");
        assert_eq!(
            asked(Filter { actor: Some("rebound".into()), kind: Some("lifted".into()), ..all.clone() }, None).await,
            "4",
            "{engine}"
        );
        assert_eq!(asked(Filter { key: key.clone(), ..all.clone() }, None).await, "54321", "{engine}");
        let days =
            Filter { since: Some(start + TimeDelta::days(1)), until: Some(start + TimeDelta::days(3)), ..all.clone() };
        assert_eq!(asked(days, None).await, "21", "{engine}");
        assert_eq!(asked(Filter { subject: Some("campaign".into()), ..all }, None).await, "", "{engine}");
        assert_eq!(events::get(db, fourth.id).await.unwrap().unwrap().detail, "4", "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_guesses_at_once_only_the_free_ones_are_looked_at() {
    for (engine, db) in engines().await.each() {
        let now = Utc::now();
        let guesses = (0..64).map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                let of =
                    |subject: &str, free| Allowance { subject: subject.into(), free, longest: TimeDelta::minutes(15) };
                let place = format!("from 192.0.2.{}", n % 4);
                let allowances = [of(&place, 20), of("to ines", 5)];
                // Their clocks are not read in the order in which they come.
                sign_ins::charge(&db, &allowances, now - TimeDelta::milliseconds(n)).await.unwrap()
            })
        });
        let mut looked = 0;
        for guess in guesses.collect::<Vec<_>>() {
            looked += i32::from(guess.await.unwrap());
        }
        assert_eq!(looked, 5, "{engine}");
    }
}

#[tokio::test]
async fn guesses_of_long_ago_are_forgotten_on_both() {
    for (engine, db) in engines().await.each() {
        let (now, later) = (Utc::now(), Utc::now() + TimeDelta::hours(2));
        let of = |subject: &str| [Allowance { subject: subject.into(), free: 1, longest: TimeDelta::minutes(15) }];
        for n in 0..9 {
            assert!(sign_ins::charge(db, &of(&format!("guest {n}")), now).await.unwrap(), "{engine}");
        }
        assert!(!sign_ins::charge(db, &of("guest 0"), now).await.unwrap(), "{engine}");
        assert!(sign_ins::charge(db, &of("ines"), later).await.unwrap(), "{engine}");
        for n in 0..9 {
            // As if nobody had been there: only a row that is gone lets them in at the old time.
            assert!(sign_ins::charge(db, &of(&format!("guest {n}")), now).await.unwrap(), "{engine}: guest {n}");
        }
    }
}

#[tokio::test]
async fn who_joined_of_late_is_found_and_whether_long_work_ran() {
    for (engine, db) in engines().await.each() {
        let before = Utc::now() - TimeDelta::hours(1);
        let list = lists::ensure(db, "News", before).await.unwrap().id;
        let other = lists::ensure(db, "Others", before).await.unwrap().id;
        let join = async |list, address: &str, since| {
            let address: EmailAddress = address.parse().unwrap();
            contacts::add(db, &[(address.clone(), Fields::new())], since).await.unwrap();
            subscriptions::confirm_all(db, list, &[address.key()], "a test", since).await.unwrap();
        };
        let at = before + TimeDelta::minutes(1);
        join(list, "ada@orchard.example", before).await;
        join(other, "bea@orchard.example", at).await;
        join(list, "cem@orchard.example", at).await;
        let joined = async |since| {
            let audience = Audience { list, resend: None, joined: Some(since) };
            let people = audience::people(db, audience, ContactId(0), 10, at).await.unwrap();
            assert_eq!(audience::count(db, audience, at).await.unwrap(), people.len() as i64, "{engine}");
            people.into_iter().map(|contact| contact.address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(joined(at).await, ["cem@orchard.example"], "{engine}");
        assert!(joined(at + TimeDelta::seconds(1)).await.is_empty(), "{engine}");

        let worked_since = async |since| jobs::worked_since(db, since).await.unwrap();
        assert!(!worked_since(before).await, "{engine}");
        let job = NewJob {
            kind: JobKind::Import,
            subject: 1,
            state: JobState::Waiting,
            total: 0,
            settings: "{}",
            actor: "ines",
        };
        let id = jobs::add(db, &job, before).await.unwrap().unwrap();
        assert!(worked_since(at).await, "{engine}: it may begin at any moment");
        assert!(jobs::cancel(db, id, "ines", at).await.unwrap(), "{engine}");
        assert!(worked_since(at).await, "{engine}: it wrote until then");
        assert!(!worked_since(at + TimeDelta::seconds(1)).await, "{engine}");
    }
}
