//! Names that tell one run's traffic from every other's: the run's id, its devices' ids and its messages' keys.
//!
//! A key travels as a message's `transaction_uuid`, so whoever finds the message at the far end of the gateway
//! knows which run sent it and as which number. That is what makes "lost" and "duplicated" exact.

use std::fmt;

use crate::random::Random;

/// How a key's text starts; also says that it is not a real UUID.
const PREFIX: &str = "sim-";

/// The id of one run of a fleet or a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(u32);

impl RunId {
    /// An id that no other run is likely to have.
    #[must_use]
    pub fn random() -> Self {
        Self((Random::new().next_u64() >> 32) as u32)
    }

    /// The id with this number, for tests.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// The canonical id of this run's `index`-th device: `mac:` and twelve hex digits, the first four of them the
    /// run's. Two runs share a gateway without taking each other's ids, short of a collision in 65,536.
    #[must_use]
    pub fn device_id(self, index: usize) -> String {
        format!("mac:{:04x}{:08x}", self.0 as u16, index as u32)
    }

    /// The device's index, if `id` (canonical) is one of this run's.
    #[must_use]
    pub fn device_index(self, id: &str) -> Option<usize> {
        let digits = id.strip_prefix("mac:")?;
        if digits.len() != 12 || u16::from_str_radix(digits.get(..4)?, 16).ok()? != self.0 as u16 {
            return None;
        }
        usize::from_str_radix(digits.get(4..)?, 16).ok()
    }

    /// The key of this run's message number `sequence`.
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

/// A message's `transaction_uuid`: which run sent it, and as which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The run that sent it.
    pub run: RunId,
    /// Its number in the run, from 0.
    pub sequence: u64,
}

impl Key {
    /// Reads a key's text. `None` for anything that [`Key`]'s `Display` did not write: a message of someone else's.
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
        fn a_key_reads_back_as_it_was_written(run: u32, sequence in 0u64..1 << 48) {
            let key = RunId::new(run).key(sequence);
            prop_assert_eq!(Key::parse(key.to_string().as_bytes()), Some(key));
        }

        #[test]
        fn a_device_id_tells_its_index(run: u32, index in 0usize..1 << 24) {
            let run = RunId::new(run);
            prop_assert_eq!(run.device_index(&run.device_id(index)), Some(index));
        }

        #[test]
        fn any_other_text_is_no_key(text in "\\PC{0,40}") {
            if let Some(key) = Key::parse(text.as_bytes()) {
                prop_assert_eq!(key.to_string(), text.to_lowercase());
            }
        }
    }

    #[test]
    fn another_runs_device_is_not_taken_for_ours() {
        assert_eq!(RunId::new(2).device_index(&RunId::new(1).device_id(7)), None);
        assert_eq!(RunId::new(2).device_index("mac:112233445566"), None);
        assert_eq!(RunId::new(2).device_index("uuid:x"), None);
    }
}
