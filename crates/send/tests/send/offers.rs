//! What a relay offers is made use of, and what it does not take is not sent to it.

use crate::campaigns::{furnish, in_state, sender, until, work};
use crate::relay;
use rebound_db::outcomes;
use rebound_domain::{BounceCause, CampaignState, StateName};
use std::collections::BTreeSet;

const ME: &str = "ines@fernhill.example";

#[tokio::test]
async fn envelopes_that_travel_behind_messages_reach_everybody_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let id = furnish(&db).await;
    let relay = relay::start_offering("250-relay\r\n250-PIPELINING\r\n250 SIZE\r\n", &[]).await;
    rebound_send::launch(&db, id, &sender(), ME, chrono::Utc::now()).await.unwrap();
    let (stop, worker) = work(&db, &folder, &relay);
    until("the end of the campaign", async || in_state(&db, id, CampaignState::Sent).await).await;
    stop.cancel();
    worker.await.unwrap();

    let messages = relay.messages();
    let to: BTreeSet<&str> =
        messages.iter().filter_map(|text| text.lines().find(|line| line.starts_with("To: "))).collect();
    assert_eq!((messages.len(), to.len()), (10, 10), "{to:?}");
}

#[tokio::test]
async fn a_message_over_the_size_that_a_relay_names_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let id = furnish(&db).await;
    let relay = relay::start_offering("250-relay\r\n250-PIPELINING\r\n250 SIZE 900\r\n", &[]).await;
    rebound_send::launch(&db, id, &sender(), ME, chrono::Utc::now()).await.unwrap();
    let (stop, worker) = work(&db, &folder, &relay);
    let failed = until("what became of them", async || {
        let failed = outcomes::of_campaign(&db, id).await.unwrap();
        (failed.iter().map(|group| group.count).sum::<i64>() == 10).then_some(failed)
    })
    .await;
    stop.cancel();
    worker.await.unwrap();

    assert!(relay.messages().is_empty(), "not even tried");
    for group in failed {
        assert_eq!((group.cause, group.hard, group.state), (BounceCause::MessageTooLarge, false, StateName::Bounced));
        assert!(group.words.contains("the server takes 900 at most"), "{}", group.words);
    }
}
