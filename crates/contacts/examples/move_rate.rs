//! How long a move to PostgreSQL takes: `cargo run --release -p rebound-contacts --example move_rate URL [PEOPLE]`, where
//! the database at the URL is empty.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use rebound_contacts::{Import, import};
use rebound_db::copy::{Move, Step, to_postgres};
use std::fmt::Write;
use std::io::Cursor;
use std::time::Instant;

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let people: u64 = std::env::args().nth(2).map_or(1_000_000, |people| people.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let now = chrono::Utc::now();
    let list = rebound_db::lists::ensure(&db, "Rate", now).await.unwrap();
    let mut file = "email,first name,last name,town,plan\n".to_owned();
    for number in 0..people {
        let person = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        writeln!(file, "person{person}@orchard.example,Ada,Lovelace,Ghent,gold").unwrap();
    }
    import(&db, Cursor::new(file), &Import::new(list.id, "rows.csv", now), |_| ()).await.unwrap();
    db.close().await;

    let (start, mut copied) = (Instant::now(), None);
    let file = folder.path().join("rebound.db");
    let order = Move { file: &file, url: &url, actor: "bench" };
    let progress = |progress: rebound_db::copy::Progress<'_>| {
        if progress.step == Step::Comparing {
            copied.get_or_insert_with(|| start.elapsed().as_secs_f64());
        }
    };
    let moved = to_postgres(order, chrono::Utc::now, progress, std::future::pending());
    let rows: i64 = moved.await.unwrap().iter().map(|table| table.rows).sum();
    let (seconds, copying) = (start.elapsed().as_secs_f64(), copied.unwrap_or_default());
    println!(
        "{people} people, {rows} rows: {copying:.1} s to copy, {:.1} s to compare, {seconds:.1} s",
        seconds - copying
    );
}
