//! An older database becomes a newer one with all that is in it.

use rebound_db::{connect, contacts, deliveries, leases, migrate, pending_migrations};
use rebound_domain::{AddressKey, ContactId, DeliveryId, StateName, WorkerId};
use rebound_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};

/// A database as it was after the first `steps`.
async fn old(url: &str, steps: usize) -> DatabaseConnection {
    let made = url.replace("sqlite:", "sqlite://") + if url.starts_with("sqlite") { "?mode=rwc" } else { "" };
    let old = Database::connect(made).await.unwrap();
    Migrator::up(&old, Some(u32::try_from(steps).unwrap())).await.unwrap();
    old
}

#[tokio::test]
async fn people_from_before_the_fifth_step_are_found_by_their_domain() {
    let folder = tempfile::tempdir().unwrap();
    for url in [format!("sqlite:{}", folder.path().join("old.db").display()), crate::postgres::empty()] {
        let old = old(&url, 4).await;
        for (key, address) in
            [("mira@orchard.example", "Mira@orchard.example"), ("\"a@b\"@hill.example", "\"a@b\"@hill.example")]
        {
            let sql = format!(
                "INSERT INTO contacts (key, address, fields, created) VALUES ('{key}', '{address}', '{{}}', 7)"
            );
            old.execute_unprepared(&sql).await.unwrap();
        }
        old.close().await.unwrap();

        let db = connect(&url).await.unwrap();
        assert_eq!(pending_migrations(&db).await.unwrap().len(), Migrator::migrations().len() - 4);
        migrate(&db).await.unwrap();
        migrate(&db).await.unwrap();

        assert!(pending_migrations(&db).await.unwrap().is_empty());
        let mira = contacts::by_key(&db, &AddressKey::stored("mira@orchard.example".into())).await.unwrap().unwrap();
        assert_eq!((mira.id, mira.address.as_str()), (ContactId(1), "Mira@orchard.example"));
        for domain in ["orchard.example", "hill.example"] {
            let sql = format!("SELECT count(*) FROM contacts WHERE domain = '{domain}'");
            let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
            let row = db.query_one_raw(statement).await.unwrap().unwrap();
            assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1, "{domain} in {url}");
        }
        db.close().await;
    }
}

#[tokio::test]
async fn what_was_marked_by_a_number_of_its_own_is_in_doubt_when_its_worker_died() {
    let folder = tempfile::tempdir().unwrap();
    let (leased, marked) = (DeliveryId(1 << 31), DeliveryId((1 << 31) + 1));
    let before = Migrator::migrations().iter().position(|step| step.name().ends_with("_handed")).unwrap();
    for url in [format!("sqlite:{}", folder.path().join("old.db").display()), crate::postgres::empty()] {
        let old = old(&url, before).await;
        for (id, state, due, attempts) in [(leased, 2, 5, 0), (marked, 3, 7, 1)] {
            let sql = format!(
                "INSERT INTO deliveries (id, contact_id, state, due, since, attempts, worker)
                 VALUES ({id}, {id}, {state}, {due}, 1, {attempts}, 9)",
                id = id.0
            );
            old.execute_unprepared(&sql).await.unwrap();
        }
        old.close().await.unwrap();

        let db = connect(&url).await.unwrap();
        migrate(&db).await.unwrap();

        let states = async || {
            let found = deliveries::get(&db, &[leased, marked]).await.unwrap();
            let of = |id| found.iter().find(|one| one.id == id).map(|one| (one.state, one.attempts)).unwrap();
            [of(leased), of(marked)]
        };
        assert_eq!(states().await, [(StateName::Leased, 0), (StateName::HandingOver, 1)], "{url}");
        let tx = db.begin().await.unwrap();
        assert_eq!(leases::recover(&tx, WorkerId(9), chrono::Utc::now()).await.unwrap(), 1, "{url}");
        tx.commit().await.unwrap();
        assert_eq!(states().await, [(StateName::Planned, 0), (StateName::InDoubt, 1)], "{url}");
        let handed = leases::last_handed(&db, &[marked]).await.unwrap();
        assert_eq!(handed[&marked].timestamp_millis(), 7, "{url}");
        db.close().await;
    }
}
