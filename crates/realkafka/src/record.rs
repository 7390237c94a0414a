//! Records and counts of a topic, as Kafka's own Java client reads them.
//!
//! The tools that print them are `ReadTopic.java` and `CheckTopics.java` in `scripts/kafka.d`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A record, as `ReadTopic.java` prints it.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    /// The number of its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Its key, with U+FFFD for bytes that are not UTF-8; `None` if the record has no key.
    pub key: Option<String>,
    /// The partition that a Java producer would have chosen for the key; `None` if the record has no key.
    pub expected_partition: Option<i32>,
    /// The names and values of its headers, in the order of the record.
    pub headers: Vec<(String, Option<String>)>,
    value_hex: String,
}

impl Record {
    /// The bytes of the value.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let nibble = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
        self.value_hex.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
    }
}

/// The counts of whole topics, as `CheckTopics.java` prints them.
///
/// A record is *numbered* if its value contains a marker, such as `seq=`, and a number. The numbers of each key begin at 0.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// The number of records in each topic, numbered or not.
    pub topics: BTreeMap<String, u64>,
    /// All numbered records.
    pub numbered: u64,
    /// Numbered records, without duplicates.
    pub distinct: u64,
    /// Numbered records whose key and number occurred before.
    pub duplicates: u64,
    /// Different keys of numbered records.
    pub keys: u64,
    /// Numbers that are missing below the highest number of their key.
    pub gaps: u64,
    /// Numbered records that come after a higher number of the same key in the same topic.
    pub disordered: u64,
    /// Records in another partition than a Java producer would have chosen.
    pub misplaced: u64,
    /// The duplicates themselves, at most the first thousand.
    pub duplicated: Vec<Duplicated>,
    /// Descriptions of the first few faults.
    pub examples: Vec<String>,
}

/// A numbered record that a topic has once more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Duplicated {
    /// The topic.
    pub topic: String,
    /// The record's key.
    pub key: String,
    /// The record's number.
    pub number: u64,
}
