//! What each of several workers has of what they share.

/// One of the workers that share what a receiver bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Workers before this one.
    pub nth: u32,
    /// All of them, this one included: at least one.
    pub of: u32,
}

impl Part {
    /// A worker that shares with nobody.
    pub const WHOLE: Self = Self { nth: 0, of: 1 };

    /// Its number of `all` that are not divided further: all workers together have so many, or one each where there are
    /// fewer. A worker that had none would only keep from the others what it claims.
    #[must_use]
    pub fn of_number(self, all: u32) -> u32 {
        let of = self.of.max(1);
        (all / of + u32::from(self.nth < all % of)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_the_whole() {
        for (all, of, expected) in [(1, 1, 1), (10, 4, 10), (20, 3, 20), (7, 7, 7), (2, 4, 4)] {
            let parts: Vec<u32> = (0..of).map(|nth| Part { nth, of }.of_number(all)).collect();
            assert_eq!(parts.iter().sum::<u32>(), expected, "{parts:?}");
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1, "{parts:?}");
        }
        assert_eq!(Part { nth: 0, of: 0 }.of_number(5), 5);
    }
}
