//! The bytes of a record and where they go.

use std::sync::Arc;

use crate::routing::{Headers, Target};

/// A record as the publishing thread has it: everything is borrowed, and the client copies what it keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRef<'a> {
    pub(crate) target: &'a Arc<Target>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    pub(crate) headers: Headers<'a>,
}

/// The bytes of a record that outlives the publish call, since it waits: in one allocation. Its target is in its context.
///
/// First the lengths of key and headers and the number of headers (4 bytes each, native order), then headers, key and value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(Box<[u8]>);

/// The length of a key that is Kafka's null.
const NO_KEY: u32 = u32::MAX;
const LENGTH: usize = size_of::<u32>();
const LENGTHS: usize = 3 * LENGTH;

/// The parts of a packed record, by their ends.
struct Parts {
    has_key: bool,
    header_count: usize,
    headers_end: usize,
    key_end: usize,
}

impl RecordRef<'_> {
    /// What the record takes of the buffer: key, value and headers, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.len() + self.headers.size()
    }

    pub(crate) fn to_record(self) -> Record {
        Record::new(self.key, self.value, self.headers)
    }
}

impl Record {
    pub(crate) fn new(key: Option<&[u8]>, value: &[u8], headers: Headers<'_>) -> Self {
        let key_length = key.map_or(NO_KEY, |key| length(key.len()));
        let (key, header_bytes) = (key.unwrap_or_default(), headers.bytes());
        let mut bytes = Vec::with_capacity(LENGTHS + header_bytes.len() + key.len() + value.len());
        for number in [key_length, length(header_bytes.len()), length(headers.len())] {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        for part in [header_bytes, key, value] {
            bytes.extend_from_slice(part);
        }
        Self(bytes.into())
    }

    /// The record with the target that its context has.
    pub(crate) fn as_ref<'a>(&'a self, target: &'a Arc<Target>) -> RecordRef<'a> {
        let Parts { has_key, header_count, headers_end, key_end } = self.parts();
        let part = |from, to| self.0.get(from..to).unwrap_or_default();
        RecordRef {
            target,
            key: has_key.then(|| part(headers_end, key_end)),
            value: part(key_end, self.0.len()),
            headers: Headers::new(part(LENGTHS, headers_end), header_count),
        }
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        let Parts { has_key, headers_end, key_end, .. } = self.parts();
        if has_key { self.0.get(headers_end..key_end) } else { None }
    }

    pub(crate) fn value_mut(&mut self) -> &mut [u8] {
        let key_end = self.parts().key_end;
        self.0.get_mut(key_end..).unwrap_or_default()
    }

    /// The bytes that it holds.
    pub(crate) fn held(&self) -> usize {
        self.0.len()
    }

    fn parts(&self) -> Parts {
        let number = |index: usize| {
            let bytes = self.0.get(index * LENGTH..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        let (key, headers_end) = (number(0), LENGTHS + number(1) as usize);
        let has_key = key != NO_KEY;
        let key_end = headers_end + if has_key { key as usize } else { 0 };
        Parts { has_key, header_count: number(2) as usize, headers_end, key_end }
    }
}

/// A record is smaller than 4 GiB, and so is each of its parts.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NO_KEY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::HeaderBlock;

    #[test]
    fn a_packed_record_is_what_it_was() {
        let target = Target::new("t", "");
        let mut headers = HeaderBlock::default();
        headers.push("name", b"value");
        headers.push("other", b"");
        for key in [None, Some(&b""[..]), Some(&b"key"[..])] {
            for value in [&b""[..], b"value"] {
                for headers in [headers.as_ref(), HeaderBlock::default().as_ref()] {
                    let record = RecordRef { target: &target, key, value, headers };
                    let mut packed = record.to_record();
                    let read = packed.as_ref(&target);
                    assert_eq!((read.key, read.value), (key, value));
                    assert!(read.headers.iter().eq(headers.iter()));
                    assert_eq!((read.headers.len(), read.size()), (headers.len(), record.size()));
                    assert_eq!(packed.key(), key);
                    assert_eq!(packed.value_mut(), value);
                }
            }
        }
        assert_eq!(Record::default().as_ref(&target).size(), 0);
    }
}
