//! A disk that takes nothing more.

use crate::world::{World, people};
use rebound_sandbox::Settings;
use std::path::Path;

/// Rebound's own log may be on the full disk too.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let mut world = World::asleep("sqlite:rebound.db".to_owned(), Settings::default(), "").await;
    std::os::unix::fs::symlink(Path::new("/dev/full"), world.folder().join("err")).unwrap();
    world.serve().await;
    world.import(&people(20, &[])).await;

    world.send("Spring").await;

    assert_eq!(world.sandbox.accepted(), 20);
    world.stop().await;
}
