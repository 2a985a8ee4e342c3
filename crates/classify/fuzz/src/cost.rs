//! What reading one input costs.

use std::time::{Duration, Instant};

/// Bytes that one input may need at once, besides its own.
pub const MEMORY: u64 = 64 << 20;

/// Runs `read`, and fails when it takes longer than `most` or needs more than [`MEMORY`] at once.
pub fn bounded(name: &str, most: Duration, read: impl FnOnce()) {
    // What is compiled once for all messages is not counted.
    let _ = rebound_classify::report(b"From: mailer-daemon\nSubject: undeliverable\n\n<a@b.test>:\n550 5.1.1 no\n");
    let (wall, start) = (Instant::now(), on_processor());
    let bytes = allocation_counter::measure(read).bytes_max;
    let took = match (start, wall.elapsed()) {
        (Some(start), wall) if wall > most => on_processor().map_or(wall, |end| end - start),
        (_, wall) => wall,
    };
    assert!(took <= most, "{name} took {took:?}");
    assert!(bytes <= MEMORY, "{name} needed {bytes} bytes at once");
}

/// How long this thread has run, where Linux tells: other programs on a busy machine are not the classifier's fault.
fn on_processor() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
