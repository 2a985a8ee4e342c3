//! How long a commit takes that changes one row, in milliseconds: half of a thousand take no longer, after some thousands
//! that bring the files to their lengths.
//!
//! ```sh
//! cargo run --release -p rebound-db --example commit sqlite:empty.db
//! cargo run --release -p rebound-db --example commit postgres://rebound@127.0.0.1/empty
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "it stops where it cannot go on, and says so"
)]

use chrono::Utc;
use rebound_db::statistics::{Count, Kind, count};
use rebound_domain::CampaignId;
use std::time::Instant;

const BEFORE: usize = 4000;
const MEASURED: usize = 1000;

/// No campaign has this number.
const NOBODYS: CampaignId = CampaignId(1 << 30);

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let db = rebound_db::connect(&url).await.unwrap();
    rebound_db::migrate(&db).await.unwrap();
    let mut times = Vec::with_capacity(BEFORE + MEASURED);
    for _ in 0..BEFORE + MEASURED {
        let one = Count::one(Utc::now(), NOBODYS, Kind::Accepted, None);
        let start = Instant::now();
        count(&db, &[one]).await.unwrap();
        times.push(start.elapsed());
    }
    let measured = &mut times[BEFORE..];
    measured.sort_unstable();
    println!("{:.3}", measured[MEASURED / 2].as_secs_f64() * 1000.0);
}
