//! How a route with several topics chooses one of them (contract §8.5, `topicShardStrategy`).

use std::sync::atomic::{AtomicUsize, Ordering};

use wrp::MessageRef;

use crate::config::ShardStrategy;

/// A [`ShardStrategy`] at work on the topics of one route.
#[derive(Debug)]
pub(crate) struct Sharding {
    strategy: ShardStrategy,
    /// The next topic for round robin, and for messages that lack what the strategy hashes.
    next: AtomicUsize,
}

impl Sharding {
    pub(crate) fn new(strategy: &ShardStrategy) -> Self {
        Self { strategy: strategy.clone(), next: AtomicUsize::new(0) }
    }

    /// The index of a message's topic, below `topics`. The key is the record's.
    pub(crate) fn choose(&self, topics: usize, message: &MessageRef<'_>, key: Option<&[u8]>) -> usize {
        let hashed = match &self.strategy {
            ShardStrategy::RoundRobin => None,
            ShardStrategy::DeviceId => key,
            ShardStrategy::Metadata(field) => message.metadata(field).map(wrp::Text::as_bytes),
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
                // The reference's function takes counts of zero and less; our routes have at least one topic.
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
