//! Links and who followed them, statement by statement, on both engines.

use crate::deliveries::{WORKER, launched, now, plan};
use crate::engines;
use chrono::TimeDelta;
use rebound_db::clicks::{self, Click};
use rebound_db::outcomes::{self, Filter};
use rebound_db::{Pool, deliveries, leases};
use rebound_domain::{Campaign, CountedLink, DeliveryId, DoubtPolicy, Follower};

const LINKS: [&str; 2] = ["https://fernhill.example/{{ a }}", "https://fernhill.example/ä?b&c"];

async fn keep(db: &Pool, campaign: &Campaign, links: &[&str]) {
    let tx = db.begin().await.unwrap();
    let links: Vec<String> = links.iter().map(ToString::to_string).collect();
    clicks::keep_links(&tx, campaign.id, &links).await.unwrap();
    tx.commit().await.unwrap();
}

async fn note(db: &Pool, delivery: DeliveryId, link: u16, second: i64, follower: Follower) {
    let tx = db.begin().await.unwrap();
    clicks::one_at_a_time(&tx, rebound_domain::ContactId(1)).await.unwrap();
    let at = now() + TimeDelta::seconds(second);
    clicks::note(&tx, &Click { of: CountedLink { delivery, link }, at, follower }).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn visits_are_noted_once_and_a_persons_goes_before_a_machines() {
    use Follower::{Machine, Person};
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, other) = (launched(db, DoubtPolicy::Hold).await, launched(db, DoubtPolicy::Never).await);
        plan(db, &campaign).await;
        plan(db, &other).await;
        keep(db, &campaign, &LINKS).await;
        keep(db, &campaign, &["https://elsewhere.example/", LINKS[1]]).await;
        keep(db, &other, &LINKS[..1]).await;
        assert_eq!(clicks::links(db, campaign.id).await.unwrap(), LINKS, "{engine}: what was kept stays");

        let [a, b, c] = [0, 1, 2].map(|number| DeliveryId::new(campaign.id, number).unwrap());
        let target = async |link| clicks::target(db, CountedLink { delivery: a, link }).await.unwrap();
        assert_eq!((target(2).await.as_deref(), target(3).await), (Some(LINKS[1]), None), "{engine}");

        for (delivery, link, second, follower) in [
            (a, 1, 1, Machine),
            (a, 1, 5, Machine),
            (a, 1, 9, Person),
            (a, 1, 12, Machine),
            (a, 1, 13, Person),
            (a, 2, 20, Person),
            (b, 1, 30, Machine),
            (c, 2, 40, Person),
            (DeliveryId::new(other.id, 0).unwrap(), 1, 50, Person),
        ] {
            note(db, delivery, link, second, follower).await;
        }
        let of_a = clicks::of_letter(db, a).await.unwrap();
        let first = of_a.iter().find(|click| click.of.link == 1).unwrap();
        assert_eq!((of_a.len(), first.follower, first.at), (2, Person, now() + TimeDelta::seconds(9)), "{engine}");
        let counts = async || {
            let counts = clicks::counts(db, campaign.id).await.unwrap();
            counts.iter().map(|link| (link.people, link.machines)).collect::<Vec<_>>()
        };
        assert_eq!(
            (counts().await, clicks::people(db, campaign.id).await.unwrap()),
            (vec![(1, 1), (2, 0)], 2),
            "{engine}"
        );
        let followed =
            outcomes::recipients(db, campaign.id, &Filter { link: Some(2), ..Filter::default() }, None, 10).await;
        let followed: Vec<DeliveryId> = followed.unwrap().iter().map(|one| one.delivery).collect();
        assert_eq!(followed, [a, c], "{engine}");

        let person = deliveries::get(db, &[a]).await.unwrap()[0].contact;
        let story = clicks::of_contact(db, person, 10).await.unwrap();
        let story: Vec<_> = story.iter().map(|one| one.target.as_str()).collect();
        // Whoever is first in one campaign is so in the other.
        assert_eq!(story, [LINKS[0], LINKS[1], LINKS[0]], "{engine}");

        let tx = db.begin().await.unwrap();
        clicks::were_a_machine(&tx, a, now() + TimeDelta::seconds(10)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(counts().await, [(1, 1), (1, 1)], "{engine}");

        assert!(!clicks::is_uncounted(db, person).await.unwrap(), "{engine}");
        for _ in 0..2 {
            let tx = db.begin().await.unwrap();
            clicks::stop_counting(&tx, person, now()).await.unwrap();
            tx.commit().await.unwrap();
            assert!(clicks::is_uncounted(db, person).await.unwrap(), "{engine}");
        }
        assert_eq!(
            (counts().await, clicks::of_letter(db, a).await.unwrap()),
            (vec![(0, 1), (1, 0)], vec![]),
            "{engine}"
        );
        let tx = db.begin().await.unwrap();
        clicks::count_again(&tx, person).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!clicks::is_uncounted(db, person).await.unwrap(), "{engine}");
    }
}

#[tokio::test]
async fn when_a_letter_was_handed_over_is_known() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Hold).await;
        plan(db, &campaign).await;
        let leases = leases::claim(db, WORKER, campaign.id, 1, now()).await.unwrap();
        let of = leases::Try { id: leases[0].id, number: 1 };
        let handed = async || leases::last_handed(db, &[of.id]).await.unwrap().remove(&of.id);
        assert_eq!(handed().await, None, "{engine}");
        leases::mark(db, WORKER, std::slice::from_ref(&of), now()).await.unwrap();
        let later = now() + TimeDelta::seconds(3);
        let answered = leases::Answered { of: of.clone(), accepted: true, reply: "250 ok".into() };
        leases::note_answers(db, WORKER, &[answered], later).await.unwrap();
        leases::accept(db, WORKER, std::slice::from_ref(&of)).await.unwrap();
        assert_eq!(handed().await, Some(now()), "{engine}");
    }
}
