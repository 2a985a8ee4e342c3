//! What the fuzz targets share: the promises they hold the classifier to, the changes that only somebody who knows
//! mail would make, and the bound on memory.
//!
//! `tests/classify/hostile.rs` includes [`promises`] and [`mutate`] as they are, and runs them for a moment.

pub mod mutate;
pub mod promises;

use libfuzzer_sys::fuzzer_mutate;

/// Bytes by which one input may make the program grow.
const MEMORY: u64 = 64 << 20;

/// Runs `promise`, and fails when it needs too much memory at once. libFuzzer looks at the process once a second and
/// would miss most of it.
pub fn bounded(promise: impl FnOnce()) {
    // What is compiled once is no growth.
    let _ = (rebound_classify::reply(b"550 5.1.1 no such user"), rebound_classify::report(b""));
    let most = allocation_counter::measure(promise).bytes_max;
    assert!(most <= MEMORY, "{most} bytes were needed at once");
}

/// Changes the first `size` bytes of `data`, every other time as somebody who knows mail would; gives the new size.
pub fn grow(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, most);
    }
    let mut changed = data[..size].to_vec();
    mutate::mutate(&mut changed, u64::from(seed));
    let size = changed.len().min(most).min(data.len());
    data[..size].copy_from_slice(&changed[..size]);
    size
}
