//! Random numbers that spread what would otherwise happen at the same moment. They are no secrets.

use std::hash::{BuildHasher as _, RandomState};

/// A random number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a random number needs no more than 52 bits")]
pub(crate) fn fraction() -> f64 {
    number() as f64 / u64::MAX as f64
}

/// A random number of 64 bits.
pub(crate) fn number() -> u64 {
    // Every `RandomState` has other keys.
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_differ_and_are_from_0_to_1() {
        let numbers: Vec<f64> = (0..100).map(|_| fraction()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(numbers.iter().any(|number| *number < 0.5) && numbers.iter().any(|number| *number > 0.5));
    }
}
