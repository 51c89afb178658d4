//! Randomness that a number repeats, on every machine and with every version of every library: SplitMix64.

/// A stream of numbers that follows from its first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The stream of this number.
    #[must_use]
    pub fn new(number: u64) -> Seed {
        Seed(number)
    }

    /// A stream of its own for this purpose: what one purpose draws changes no other.
    #[must_use]
    pub fn fork(&self, purpose: &str) -> Seed {
        // FNV-1a, so that purposes that differ little are far apart.
        let hash = purpose
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let mut forked = Seed(self.0 ^ hash);
        forked.draw();
        forked
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 when there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number between both, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A place in a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// Sixteen bytes of a version 4 UUID.
    pub fn command_id(&mut self) -> [u8; 16] {
        let number = (u128::from(self.draw()) << 64) | u128::from(self.draw());
        uuid::Builder::from_random_bytes(number.to_be_bytes())
            .into_uuid()
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_number_when_drawn_from_then_the_stream_is_that_of_the_published_algorithm() {
        let mut seed = Seed::new(1_234_567);
        assert_eq!(seed.draw(), 6_457_827_717_110_365_317);
        assert_eq!(seed.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn given_bounds_when_drawn_then_all_between_come_and_nothing_else() {
        let mut seed = Seed::new(7);
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| seed.between(3, 6)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(seed.below(0), 0);
    }
}
