//! How many messages a second this machine signs: `cargo run --release -p rebound-send --example sign_rate [THREADS]`.
//!
//! Prints one line for RSA-2048, for Ed25519 and for both, of a message of 10 KB: signatures and messages a second,
//! and microseconds of a thread for each message.

#![allow(clippy::print_stdout, reason = "what it measures is what it says")]
#![allow(clippy::cast_precision_loss, reason = "counts of some seconds")]

use chrono::{DateTime, Utc};
use rebound_domain::{DkimKey, DkimKeyId, DomainName, KeyAlgorithm, KeyState, SendingDomainId};
use rebound_send::{NotMade, Secret, Signer, make_key};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads: usize = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let (message, now) = (message(), Utc::now());
    let [rsa, edwards] = KeyAlgorithm::ALL;
    for (name, algorithms) in [("rsa-2048", vec![rsa]), ("ed25519", vec![edwards]), ("dual", vec![rsa, edwards])] {
        let made: Result<Vec<_>, _> = algorithms.iter().map(|one| made(*one, now)).collect();
        let domain: DomainName = "fernhill.example".parse()?;
        let signer = Signer::new(domain, &made?)?.ok_or("no key")?;
        let rate = rate(&signer, message.as_bytes(), threads, now);
        let signatures = rate * algorithms.len() as f64;
        let each = threads as f64 * 1_000_000.0 / rate;
        println!(
            "{name:<9} {threads} threads {signatures:>9.0} signatures/s {rate:>9.0} messages/s {each:>7.1} µs/message"
        );
    }
    Ok(())
}

/// Messages a second, all threads together.
fn rate(signer: &Signer, message: &[u8], threads: usize, now: DateTime<Utc>) -> f64 {
    let (count, start) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut signed = 0;
                while start.elapsed() < TIME && signer.sign(message, now).is_ok() {
                    signed += 1;
                }
                count.fetch_add(signed, Ordering::Relaxed);
            });
        }
    });
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn made(algorithm: KeyAlgorithm, now: DateTime<Utc>) -> Result<(DkimKey, Secret), NotMade> {
    let (public, secret) = make_key(algorithm)?;
    let key = DkimKey {
        id: DkimKeyId(1),
        domain: SendingDomainId(1),
        selector: algorithm.selector(now, 0),
        algorithm,
        public,
        state: KeyState::Active { since: now },
        made: now,
        checked: None,
    };
    Ok((key, secret))
}

/// The headers that a campaign has, and text of 10 KB in lines of 76.
fn message() -> String {
    let mut message = String::from(
        "From: \"Fern Hill\" <news@fernhill.example>\r\nTo: <ada@orchard.example>\r\nSubject: Spring bulbs\r\n\
         Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@bounce.fernhill.example>\r\n\
         List-ID: <l1.bounce.fernhill.example>\r\nList-Unsubscribe: <https://mail.fernhill.example/u/1>\r\n\
         List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: c1:l1:rebound:bounce.fernhill.example\r\n\
         Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
    );
    while message.len() < 10_000 {
        message.push_str("Bulbs that were planted in autumn come up in spring, each in its own time.\r\n");
    }
    message
}
