//! A user's file of rules, and a reply judged by it if it is taken.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use rebound_classify_fuzz::{bounded, grow, promises};

fuzz_target!(|bytes: &[u8]| bounded(|| promises::of_a_rule_file(bytes)));
fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { grow(data, size, most, seed) });
