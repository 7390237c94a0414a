//! How a route with several topics chooses one of them (contract §8.5).

use std::sync::atomic::{AtomicUsize, Ordering};

use wrp::MessageRef;

/// A compiled `topicShardStrategy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// One topic after the other.
    RoundRobin,
    /// By the hash of the record's key, which is the device's id unless the route says otherwise.
    DeviceId,
    /// By the hash of a metadata value, its field named exactly.
    Metadata(Box<str>),
}

/// What is wrong with a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StrategyError {
    #[error("is not a strategy: expected `roundrobin`, `deviceid` or `metadata:<field>`")]
    Unknown,
    #[error("names no field: expected `metadata:<field>`")]
    NoField,
}

impl Strategy {
    /// Parses a strategy. Case and blanks count.
    pub(crate) fn parse(text: &str) -> Result<Strategy, StrategyError> {
        match text {
            "roundrobin" => Ok(Strategy::RoundRobin),
            "deviceid" => Ok(Strategy::DeviceId),
            _ => match text.strip_prefix("metadata:") {
                Some(field) if field.trim().is_empty() => Err(StrategyError::NoField),
                Some(field) => Ok(Strategy::Metadata(field.into())),
                None => Err(StrategyError::Unknown),
            },
        }
    }
}

/// A strategy at work: chooses among a number of topics.
#[derive(Debug)]
pub(crate) struct Sharding {
    strategy: Strategy,
    /// The next topic for round robin, and for messages that lack what the strategy hashes.
    next: AtomicUsize,
}

impl Sharding {
    pub(crate) fn new(strategy: Strategy) -> Sharding {
        Sharding { strategy, next: AtomicUsize::new(0) }
    }

    /// The index of the topic for a message, below `topics`. The key is the record's.
    pub(crate) fn choose(&self, topics: usize, message: &MessageRef<'_>, key: Option<&[u8]>) -> usize {
        let hashed = match &self.strategy {
            Strategy::RoundRobin => None,
            Strategy::DeviceId => key,
            Strategy::Metadata(field) => message.metadata(field).map(wrp::Text::as_bytes),
        };
        match hashed {
            Some(bytes) if !bytes.is_empty() => fnv1a(bytes) as usize % topics,
            _ => self.next.fetch_add(1, Ordering::Relaxed) % topics,
        }
    }
}

/// FNV-1a, 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_fnv_shards() {
        vectors::run("fnv_shards.json", |case| {
            let text = vectors::bytes(&case.value["text"]);
            let hash = fnv1a(&text);
            if Some(u64::from(hash)) != case.value["hash"].as_u64() {
                return Err(format!("hash {hash}, expected {}", case.value["hash"]));
            }
            for shard in case.value["shards"].as_array().into_iter().flatten() {
                // Counts of zero and less are the library's: a route has at least one topic.
                let topics = shard[0].as_u64().unwrap_or_default();
                let index = u64::from(hash).checked_rem(topics).unwrap_or_default();
                if Some(index) != shard[1].as_u64() {
                    return Err(format!("shard {index} of {topics}, expected {}", shard[1]));
                }
            }
            Ok(())
        });
    }
}
