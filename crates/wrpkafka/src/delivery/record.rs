//! The bytes of a record and where they go.

use std::sync::Arc;

use crate::routing::{HeaderBlock, Target};

/// A record as the publishing thread has it: everything is borrowed, and the client copies what it keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRef<'a> {
    pub(crate) target: &'a Arc<Target>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    pub(crate) headers: &'a HeaderBlock,
}

/// A record that outlives the publish call, since it waits.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) target: Arc<Target>,
    pub(crate) key: Option<Box<[u8]>>,
    pub(crate) value: Box<[u8]>,
    pub(crate) headers: HeaderBlock,
}

impl RecordRef<'_> {
    /// What the record takes of the buffer: key, value and headers, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.len() + self.headers.size()
    }

    pub(crate) fn to_record(self) -> Record {
        Record {
            target: Arc::clone(self.target),
            key: self.key.map(Into::into),
            value: self.value.into(),
            headers: self.headers.clone(),
        }
    }
}

impl Record {
    pub(crate) fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            target: &self.target,
            key: self.key.as_deref(),
            value: &self.value,
            headers: &self.headers,
        }
    }
}
