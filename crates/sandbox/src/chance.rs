//! Chance that is the same in every run and on every machine.

/// SplitMix64: a seed in, a stream of well mixed numbers out. A crate's generator may change its
/// stream from version to version; the demo's contacts should not.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In 0..1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `things`; `None` when there are none.
    pub(crate) fn pick<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let count = u64::try_from(things.len()).ok().filter(|n| *n > 0)?;
        let index = usize::try_from(self.number() % count).ok()?;
        things.get(index).copied()
    }
}

/// A number in 0..1 that belongs to `ordinal`.
pub(crate) fn share_of(ordinal: u64) -> f64 {
    Chance::new(ordinal).share()
}

/// A number that belongs to `text` (FNV-1a, mixed).
pub(crate) fn number_of(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    Chance::new(hash).number()
}
