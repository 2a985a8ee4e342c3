//! Serves the pages over a made-up installation, to look at them while writing one.
//!
//! `cargo run -p rebound-dashboard --example serve` prints an address and a password; PORT changes the port.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "an example that cannot go on stops, and says where"
)]

#[path = "../tests/dashboard/seed.rs"]
mod seed;

use rebound_dashboard::{App, Counted, FullChecks, Hasher, Preflights, Proxies, Readings, router, users};
use rebound_domain::{Clock, Role};
use std::net::SocketAddr;
use std::sync::Arc;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let now = chrono::Utc::now();
    users::create(&db, "ines@fernhill.example", "Ines Okafor", Role::Owner, "a short sentence", now).await.unwrap();
    if !std::env::args().any(|argument| argument == "empty") {
        seed::fill(&db, 480, now).await;
    }
    let address = format!("127.0.0.1:{}", std::env::var("PORT").unwrap_or_else(|_| "8026".into()));
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    let app = App {
        db,
        clock: Clock::wall(),
        hasher: Hasher::default(),
        public_url: format!("http://{address}"),
        secure_cookies: false,
        demo: None,
        sender: Arc::new(seed::sender()),
        wake: Arc::default(),
        work: Arc::default(),
        proxies: Proxies::default(),
        installation: seed::installation(),
        suppressed: Counted::default(),
        preflights: Preflights::default(),
        full_checks: FullChecks::default(),
        readings: Readings::default(),
    };
    println!("http://{address}  ines@fernhill.example  a short sentence");
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await.unwrap();
}
