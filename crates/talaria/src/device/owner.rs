//! Whose an event is: the keys under which queues count the events of devices and partners.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

/// Seeded, so that no device can choose an id that shares the key of another.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A device and its partner, as hashes of their ids: few share one. Made when the device connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The key of the partner.
    pub partner: u32,
    /// The key of the device.
    pub device: u32,
}

impl Owner {
    /// The owner of the events of a device.
    #[must_use]
    pub fn new(device: &str, partner: &str) -> Self {
        Self { partner: key(partner), device: key(device) }
    }

    /// The key of a partner.
    #[must_use]
    pub fn partner_key(partner: &str) -> u32 {
        key(partner)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of the bits suffice")]
fn key(id: &str) -> u32 {
    HASHES.hash_one(id) as u32
}
