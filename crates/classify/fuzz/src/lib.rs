//! What the fuzz targets share: the promises they hold the classifier to, what an input may cost, and the changes that
//! only somebody who knows mail would make.
//!
//! `tests/classify/hostile.rs` includes the three modules as they are, and runs them for a moment.

pub mod cost;
pub mod mutate;
pub mod promises;

use std::time::Duration;

use libfuzzer_sys::fuzzer_mutate;

/// Holds the classifier to `promise`, within the bounds of [`cost`]. libFuzzer's own would not do: it looks at the
/// memory of the process once a second, and takes time in which other programs ran for ours.
pub fn bounded(promise: impl FnOnce()) {
    cost::bounded("the input", Duration::from_secs(1), promise);
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
