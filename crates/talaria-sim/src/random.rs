//! Pseudo-random numbers for the masks of frames, for jitter and for ids, where speed matters.
//!
//! They are predictable and must not be used for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A SplitMix64 generator. Its state takes eight bytes.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator with a different seed on each call, taken from the standard library's hash map.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// A generator with this seed. The same seed gives the same numbers.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, uniform over `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The masking key of a frame (RFC 6455 §5.3).
    pub fn mask(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.next_u64().to_le_bytes();
        [a, b, c, d]
    }

    /// A number in `0.0..1.0`, uniform.
    pub fn unit(&mut self) -> f64 {
        // A double holds 53 bits exactly.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Random::seeded(7), Random::seeded(7));
        for _ in 0..100 {
            assert_eq!(a.next_u64(), b.next_u64());
        }
    }

    #[test]
    fn a_unit_number_stays_below_one() {
        let mut random = Random::seeded(1);
        assert!((0..10_000).map(|_| random.unit()).all(|n| (0.0..1.0).contains(&n)));
    }
}
