//! How many rows an import takes per second: `cargo run --release -p rebound-contacts --example import_rate [ROWS]`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use rebound_contacts::{Import, import};
use std::io::{Read, Result};
use std::time::Instant;

/// Rows that are made as they are read, so that no file of gigabytes is needed.
struct Rows {
    next: u64,
    last: u64,
    ready: Vec<u8>,
    taken: usize,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
            for number in self.next..self.last.min(self.next + 500) {
                // No order, and one in fifty comes twice.
                let person = (number - u64::from(number % 50 == 49)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
                let row = format!("person{person}@orchard.example,Ada,Lovelace,Ghent,gold\n");
                self.ready.extend_from_slice(row.as_bytes());
            }
            self.next = self.last.min(self.next + 500);
        }
        let length = buffer.len().min(self.ready.len() - self.taken);
        buffer[..length].copy_from_slice(&self.ready[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

#[tokio::main]
async fn main() {
    let rows = std::env::args().nth(1).map_or(1_000_000, |rows| rows.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let now = chrono::Utc::now();
    let list = rebound_db::lists::ensure(&db, "Rate", now).await.unwrap();
    for time in ["first", "again"] {
        let ready = b"email,first name,last name,town,plan\n".to_vec();
        let source = Rows { next: 0, last: rows, ready, taken: 0 };
        let start = Instant::now();
        let imported = import(&db, source, &Import::new(list.id, "rows.csv", now), |_| ()).await.unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!("{time}: {rows} rows, {:.0} rows per second, {:?}", rows as f64 / seconds, imported.counts);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("memory: unknown"));
}
