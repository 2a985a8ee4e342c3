//! Reports that PostgreSQL would not take as they are: they must not come again and again, before all others.

use crate::postgres::Server;
use crate::world::{World, gone};
use rebound_db::inbox;

const ADA: &str = "ada@orchard.example";
const BOB: &str = "bob@orchard.example";

async fn world(server: &Server) -> World {
    let db = rebound_db::connect(&server.url()).await.unwrap();
    rebound_db::migrate(&db).await.unwrap();
    World::on(db, tempfile::tempdir().unwrap(), &[ADA, BOB]).await
}

#[tokio::test]
async fn a_report_with_nul_in_it_counts_like_any_other() {
    let server = Server::start();
    let world = world(&server).await;
    let poison = gone(ADA, "x")
        .replace("such user", "such \0user\0\0")
        .replace("Reporting-MTA: dns; ", "Reporting-MTA: dns; m\0x.")
        .replace("Subject: ", "Subject: \0");
    assert!(poison.matches('\0').count() >= 4, "{poison:?}");
    let first = world.arrive(&world.return_path(ADA).await, &poison).await;
    let next = world.arrive(&world.return_path(BOB).await, &gone(BOB, "x")).await;

    assert_eq!(world.read_all().await, 2);
    for id in [first, next] {
        assert_eq!(inbox::reading(&world.db, id).await.unwrap().unwrap().error, None);
    }
    assert_eq!((world.bounces(ADA).await, world.bounces(BOB).await), (1, 1));
}

#[tokio::test]
async fn a_report_that_the_database_will_never_take_is_set_aside() {
    let server = Server::start();
    let world = world(&server).await;
    server.run("ALTER TABLE bounces ADD CONSTRAINT no_poison CHECK (diagnostic NOT LIKE '%arsenic%')");
    let poison = world.arrive(&world.return_path(ADA).await, &gone(ADA, "x").replace("such user", "arsenic")).await;
    let next = world.arrive(&world.return_path(BOB).await, &gone(BOB, "x")).await;

    assert_eq!(world.read_all().await, 2);
    let why = inbox::reading(&world.db, poison).await.unwrap().unwrap().error.unwrap();
    assert!(why.contains("no_poison"), "it says what stood in the way: {why}");
    assert_eq!(inbox::reading(&world.db, next).await.unwrap().unwrap().error, None);
    assert_eq!((world.bounces(ADA).await, world.bounces(BOB).await), (0, 1));

    // When the cause is gone, it is read after all.
    server.run("ALTER TABLE bounces DROP CONSTRAINT no_poison");
    assert_eq!(inbox::reread_failed(&world.db).await.unwrap(), 1);
    assert_eq!(world.read_all().await, 1);
    assert_eq!(world.bounces(ADA).await, 1);
}
