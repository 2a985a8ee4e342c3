//! What a person does in one process wakes the workers of others.

use crate::campaigns::{furnish, sender};
use crate::postgres::empty;
use chrono::Utc;
use rebound_db::wake;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const ME: &str = "ines@fernhill.example";

/// Whether a call is heard. A long time for a machine that has much to do; no call comes late.
async fn hears(calls: &mut UnboundedReceiver<()>) -> bool {
    tokio::time::timeout(Duration::from_secs(10), calls.recv()).await.is_ok()
}

#[tokio::test]
async fn a_launch_and_a_resumption_are_heard_by_other_processes() {
    let url = empty();
    let db = rebound_db::connect(&url).await.unwrap();
    rebound_db::migrate(&db).await.unwrap();
    let id = furnish(&db).await;
    let (told, mut calls) = unbounded_channel();
    let there = rebound_db::connect(&url).await.unwrap();
    tokio::spawn(async move { wake::listen(&there, &url, move || told.send(()).unwrap()).await });
    assert!(hears(&mut calls).await, "it looks around when it begins");

    rebound_send::launch(&db, id, &sender(), ME, Utc::now()).await.unwrap();
    assert!(hears(&mut calls).await, "a launch");

    rebound_send::pause(&db, id, ME, Utc::now()).await.unwrap();
    rebound_send::resume(&db, id, ME, Utc::now()).await.unwrap();
    assert!(hears(&mut calls).await, "a resumption");
    assert!(calls.try_recv().is_err(), "a pause has nothing to wake for");
}
