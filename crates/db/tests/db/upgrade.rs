//! An older database becomes a newer one with all that is in it.

use rebound_db::{connect, contacts, migrate, pending_migrations};
use rebound_domain::{AddressKey, ContactId};
use rebound_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database};

#[tokio::test]
async fn people_from_before_the_fifth_step_are_found_by_their_domain() {
    let folder = tempfile::tempdir().unwrap();
    let server = crate::postgres::Server::start();
    for url in [format!("sqlite:{}", folder.path().join("old.db").display()), server.url()] {
        let made = url.replace("sqlite:", "sqlite://") + if url.starts_with("sqlite") { "?mode=rwc" } else { "" };
        let old = Database::connect(made).await.unwrap();
        Migrator::up(&old, Some(4)).await.unwrap();
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
