//! What Kafka's own Java client saw in a topic.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A record, as `ReadTopic.java` prints it.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    /// The partition it is in.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key, bytes that are not UTF-8 replaced; none in a record without one.
    pub key: Option<String>,
    /// The partition that a Java producer would have chosen for the key.
    pub expected_partition: Option<i32>,
    /// Names and values, in order.
    pub headers: Vec<(String, Option<String>)>,
    value_hex: String,
}

impl Record {
    /// The value's bytes.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let nibble = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
        self.value_hex.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
    }
}

/// Whole topics in numbers, as `CheckTopics.java` prints them. A numbered record has `seq=` and a number in its value; each key counts
/// its own from 0.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// The records of each topic, numbered or not.
    pub topics: BTreeMap<String, u64>,
    /// Numbered records, those that came again included.
    pub numbered: u64,
    /// Numbered records that are there for the first time.
    pub distinct: u64,
    /// Numbered records that are there again.
    pub duplicates: u64,
    /// The keys of numbered records.
    pub keys: u64,
    /// Numbers below the highest of their key that are nowhere.
    pub gaps: u64,
    /// Numbered records that stand, in their topic, behind a higher number of their key.
    pub disordered: u64,
    /// Records in another partition than a Java producer would have chosen.
    pub misplaced: u64,
    /// The first few faults, in words.
    pub examples: Vec<String>,
}
