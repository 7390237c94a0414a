//! The weights of partners: `device.outbound.partnerWeights`.

use std::collections::HashMap;

use crate::device::Owner;

/// Which share of a contended queue each partner gets, in proportion to the others.
#[derive(Clone, Debug, Default)]
pub struct PartnerWeights {
    /// By the hash of the partner's id. Those that are missing have [`Weight::DEFAULT`].
    by_partner: HashMap<u32, Weight>,
}

/// A weight from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u8);

/// A weight that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight is a whole number from 1 to {}", Weight::MAX)]
pub struct WeightError;

impl Weight {
    /// That of a partner without one of its own.
    pub const DEFAULT: Self = Self(1);
    /// The highest. Beyond it, the turn of one partner would be as long as a queue.
    pub const MAX: u8 = 100;

    /// # Errors
    /// [`WeightError`] for 0, which would starve the partner, and above [`Self::MAX`].
    pub fn new(weight: u64) -> Result<Self, WeightError> {
        match u8::try_from(weight) {
            Ok(weight @ 1..=Self::MAX) => Ok(Self(weight)),
            _ => Err(WeightError),
        }
    }

    pub(super) const fn get(self) -> usize {
        self.0 as usize
    }
}

impl PartnerWeights {
    /// Sets the weight of a partner.
    pub fn set(&mut self, partner: &str, weight: Weight) {
        self.by_partner.insert(Owner::partner_key(partner), weight);
    }

    #[cfg(test)]
    pub(super) fn of_keys(weights: impl Iterator<Item = (u32, Weight)>) -> Self {
        Self { by_partner: weights.collect() }
    }

    pub(super) fn of(&self, partner: u32) -> Weight {
        self.by_partner.get(&partner).copied().unwrap_or(Weight::DEFAULT)
    }
}
