//! The ids of a run, of its devices and of its messages.
//!
//! A message's key is its `transaction_uuid`. It contains the run and a sequence number, so a far end of the gateway can tell
//! which message of which run has arrived, and losses and duplicates are counted exactly.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The start of a key's text. It also shows that the text is not a UUID.
const PREFIX: &str = "sim-";

/// The id of one run of a fleet or a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(u32);

impl RunId {
    /// A random id, which other runs are unlikely to have.
    #[must_use]
    pub fn random() -> Self {
        Self((Random::new().next_u64() >> 32) as u32)
    }

    /// The id of the run after so many others. Such ids differ also in the ids of their devices, up to 65,536 of them.
    #[must_use]
    pub fn after(self, others: u32) -> Self {
        Self(self.0.wrapping_add(others))
    }

    /// The id with this number, for tests.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// The canonical id of the device with this index: `mac:` and twelve hex digits, of which the first four are the run's. So
    /// two runs can use a gateway at the same time; the probability that their ids collide is 1 in 65,536.
    #[must_use]
    pub fn device_id(self, index: usize) -> String {
        format!("mac:{:04x}{:08x}", self.0 as u16, index as u32)
    }

    /// The index of the device with this canonical id, if it is a device of this run.
    #[must_use]
    pub fn device_index(self, id: &str) -> Option<usize> {
        let digits = id.strip_prefix("mac:")?;
        if digits.len() != 12 || u16::from_str_radix(digits.get(..4)?, 16).ok()? != self.0 as u16 {
            return None;
        }
        usize::from_str_radix(digits.get(4..)?, 16).ok()
    }

    /// The key of the message with this sequence number.
    #[must_use]
    pub fn key(self, sequence: u64) -> Key {
        Key { run: self, sequence }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The key of a message, which is its `transaction_uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The run that sent it.
    pub run: RunId,
    /// Its sequence number in the run, from 0.
    pub sequence: u64,
}

impl Key {
    /// Parses the `Display` of a key. `None` for other texts: the message is from another sender.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(text).ok()?.strip_prefix(PREFIX)?;
        let (run, sequence) = rest.split_once('-')?;
        if run.len() != 8 || sequence.len() != 12 {
            return None;
        }
        let run = u32::from_str_radix(run, 16).ok()?;
        Some(Self { run: RunId(run), sequence: u64::from_str_radix(sequence, 16).ok()? })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{:012x}", self.run, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_text_of_a_key_parses_to_the_key(run: u32, sequence in 0u64..1 << 48) {
            let key = RunId::new(run).key(sequence);
            prop_assert_eq!(Key::parse(key.to_string().as_bytes()), Some(key));
        }

        #[test]
        fn a_device_id_contains_its_index(run: u32, index in 0usize..1 << 24) {
            let run = RunId::new(run);
            prop_assert_eq!(run.device_index(&run.device_id(index)), Some(index));
        }

        #[test]
        fn other_texts_are_not_keys(text in "\\PC{0,40}") {
            if let Some(key) = Key::parse(text.as_bytes()) {
                prop_assert_eq!(key.to_string(), text.to_lowercase());
            }
        }
    }

    #[test]
    fn devices_of_other_runs_have_no_index() {
        assert_eq!(RunId::new(2).device_index(&RunId::new(1).device_id(7)), None);
        assert_eq!(RunId::new(2).device_index("mac:112233445566"), None);
        assert_eq!(RunId::new(2).device_index("uuid:x"), None);
    }
}
