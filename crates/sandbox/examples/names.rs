//! A name server that knows what it is told on its standard input: `names 127.0.0.1:5353 < records`, a record a line,
//! `NAME TXT VALUE`, until it is stopped.

#![allow(clippy::print_stdout, reason = "what it knows is what it says")]

use rebound_sandbox::names::NameServer;
use std::io::BufRead;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("names ADDRESS < records")?.parse()?;
    let names = NameServer::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.splitn(3, ' ');
        if let (Some(name), Some("TXT"), Some(value)) = (words.next(), words.next(), words.next()) {
            names.text(name, value);
            println!("{name}");
        }
    }
    names.start_at(address).await?;
    std::future::pending().await
}
