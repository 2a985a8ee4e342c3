//! Calls between processes.

use crate::postgres::Server;
use rebound_db::{connect, wake};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Whether a call is heard. A long time for a machine that has much to do; no call comes late.
async fn hears(calls: &mut UnboundedReceiver<()>) -> bool {
    tokio::time::timeout(Duration::from_secs(10), calls.recv()).await.is_ok()
}

#[tokio::test]
async fn a_call_wakes_another_process_when_it_is_committed() {
    let server = Server::start();
    let (here, there) = (connect(&server.url()).await.unwrap(), connect(&server.url()).await.unwrap());
    let (told, mut calls) = unbounded_channel();
    let url = server.url();
    tokio::spawn(async move { wake::listen(&there, &url, move || told.send(()).unwrap()).await });
    assert!(hears(&mut calls).await, "it looks around when it begins");

    wake::call(&here).await.unwrap();
    assert!(hears(&mut calls).await);

    let tx = here.begin().await.unwrap();
    wake::call(&tx).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(calls.try_recv().is_err(), "there is nothing to see yet");
    tx.commit().await.unwrap();
    assert!(hears(&mut calls).await);
}

#[tokio::test]
async fn a_line_that_was_cut_is_made_anew_and_looks_around() {
    let server = Server::start();
    let db = connect(&server.url()).await.unwrap();
    let (told, mut calls) = unbounded_channel();
    let (url, there) = (server.url(), db.clone());
    tokio::spawn(async move { wake::listen(&there, &url, move || told.send(()).unwrap()).await });
    assert!(hears(&mut calls).await);

    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    assert!(hears(&mut calls).await, "something may have been called meanwhile");
    wake::call(&db).await.unwrap();
    assert!(hears(&mut calls).await);
}
