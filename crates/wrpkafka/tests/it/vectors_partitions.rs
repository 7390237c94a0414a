//! The partition of a keyed record is the one that any Java or franz-go producer chooses (contract §8.7).
//!
//! librdkafka chooses it (`partitioner=murmur2_random`), so its function is called here; `mock_cluster.rs` reads back where
//! records really went.

use std::ptr;

use rdkafka::bindings::rd_kafka_msg_partitioner_murmur2;

#[expect(unsafe_code, reason = "librdkafka's partitioner has no safe wrapper, and the library needs none")]
fn partition(key: &[u8], partitions: i32) -> i32 {
    // SAFETY: the function reads `key.len()` bytes of the key and nothing else (rdkafka_msg.c).
    unsafe {
        rd_kafka_msg_partitioner_murmur2(
            ptr::null(),
            key.as_ptr().cast(),
            key.len(),
            partitions,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    }
}

#[test]
fn vectors_partitions() {
    vectors::run("partitions.json", |case| {
        let key = vectors::hex(case.value["key"].as_str().ok_or("no key")?);
        for pair in case.value["partitions"].as_array().into_iter().flatten() {
            let count = pair[0].as_i64().and_then(|count| i32::try_from(count).ok()).ok_or("no count")?;
            let chosen = partition(&key, count);
            if pair[1] != chosen {
                return Err(format!("partition {chosen} of {count}, expected {}", pair[1]));
            }
        }
        // The hash itself, through a count above all of them.
        let hash = partition(&key, i32::MAX);
        let expected = case.value["positive_hash"].as_i64().unwrap_or_default() % i64::from(i32::MAX);
        if i64::from(hash) == expected { Ok(()) } else { Err(format!("hash {hash}, expected {expected}")) }
    });
}
