//! What a way is owed beside others, so that each has the share of its weight.

/// For so many rounds of all ways it counts that one could not take its share.
const ROUNDS: i64 = 100;

/// What one way is owed: it earns its weight with each message, and pays for those that it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owed(i64);

impl Owed {
    /// A message is to go, and this way is open. Whoever could not take its share for long must not have all of it
    /// afterwards.
    pub(crate) fn earn(&mut self, weight: u16) {
        let weight = i64::from(weight);
        self.0 = (self.0 + weight).min(ROUNDS * weight);
    }

    /// The message goes this way; `weights` are those of all that are open. Whoever went for others for long must not
    /// have nothing afterwards.
    pub(crate) fn pay(&mut self, weights: i64) {
        self.0 = (self.0 - weights).max(-ROUNDS * weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets `messages` go by ways of these weights, the first only while `first` is able to; how many each was given.
    fn go<const N: usize>(owed: &mut [Owed; N], weights: [u16; N], messages: usize, first: bool) -> [usize; N] {
        let (all, mut given) = (weights.iter().map(|weight| i64::from(*weight)).sum(), [0; N]);
        for _ in 0..messages {
            owed.iter_mut().zip(weights).for_each(|(owed, weight)| owed.earn(weight));
            let able = usize::from(!first)..N;
            let way = able.max_by_key(|way| (owed[*way], std::cmp::Reverse(*way))).unwrap();
            owed[way].pay(all);
            given[way] += 1;
        }
        given
    }

    #[test]
    fn each_has_the_share_of_its_weight() {
        assert_eq!(go(&mut [Owed::default(); 3], [5, 3, 2], 1_000, true), [500, 300, 200]);
        let [most, least] = go(&mut [Owed::default(); 2], [100, 1], 101_000, true);
        assert!((999..=1_001).contains(&least), "{most} and {least}");
    }

    #[test]
    fn one_that_could_not_take_its_share_for_long_has_not_all_of_it_afterwards() {
        let mut owed = [Owed::default(); 2];
        assert_eq!(go(&mut owed, [1, 1], 1_000_000, false), [0, 1_000_000]);
        assert_eq!(go(&mut owed, [1, 1], 400, true), [275, 125]);
        assert_eq!(go(&mut owed, [1, 1], 400, true), [200, 200]);
    }
}
