//! What a dead letter holds (contract §8.14): the record, cut if it was too large, and headers that say why.
//!
//! It only makes the letter; the [engine](super) decides when, and sends it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::DeadLetter as DeadLetterConfig;
use crate::dead_letter::DeadLetterReason;
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::PublishError;
use crate::routing::{HeaderBlock, Target};

/// As much of the value of a record that is too large as its dead letter keeps, in bytes.
const TOO_LARGE_KEPT: usize = 64 << 10;
/// More than the client and the header of a cut value take of a record's limit.
const OVERHEAD: usize = 512;

mod name {
    pub(super) const REASON: &str = "dead-letter-reason";
    pub(super) const ERROR: &str = "dead-letter-error";
    pub(super) const TOPIC: &str = "dead-letter-topic";
    pub(super) const EVENT_TYPE: &str = "dead-letter-event-type";
    pub(super) const TIME: &str = "dead-letter-time";
    pub(super) const FULL_SIZE: &str = "dead-letter-full-size";
    pub(super) const CONTENT_TYPE: &str = "content-type";
}

/// The target of dead letters, if there is one.
pub(super) fn target(config: &DeadLetterConfig) -> Option<Arc<Target>> {
    (!config.topic.is_empty()).then(|| Target::new(&config.topic, ""))
}

/// A dead letter that is to be sent.
pub(super) struct DeadLetter<'a> {
    key: Option<&'a [u8]>,
    value: &'a [u8],
    headers: HeaderBlock,
}

/// The record that gets a dead letter.
pub(super) struct Original<'a> {
    pub(super) record: RecordRef<'a>,
    pub(super) context: &'a DeliveryContext,
    /// Its value, without a frame that is not filled in.
    pub(super) value: &'a [u8],
    /// The value's type, if it lacks its frame.
    pub(super) content_type: Option<&'static str>,
}

impl<'a> DeadLetter<'a> {
    /// The dead letter of a record, of at most `limit` bytes.
    pub(super) fn new(
        original: &Original<'a>,
        error: &PublishError,
        reason: DeadLetterReason,
        limit: usize,
    ) -> Self {
        let Original { record, value, .. } = *original;
        let explanation = explanation(original, error, reason);
        let room = limit.saturating_sub(explanation.size() + OVERHEAD);
        let mut key = record.key;
        let mut headers = record.headers.to_block();
        if key.map_or(0, <[u8]>::len) + headers.size() > room / 2 {
            // Key and headers alone are too large.
            key = None;
            headers.clear();
        }
        let room = room.saturating_sub(key.map_or(0, <[u8]>::len) + headers.size());
        headers.append(explanation.as_ref());
        let kept = if reason == DeadLetterReason::TooLarge { room.min(TOO_LARGE_KEPT) } else { room };
        if value.len() > kept {
            headers.push_display(name::FULL_SIZE, value.len());
        }
        DeadLetter { key, value: &value[..value.len().min(kept)], headers }
    }

    pub(super) fn record<'s>(&'s self, target: &'s Arc<Target>) -> RecordRef<'s> {
        RecordRef { target, key: self.key, value: self.value, headers: self.headers.as_ref() }
    }
}

/// The headers that say why, when and where from.
fn explanation(original: &Original<'_>, error: &PublishError, reason: DeadLetterReason) -> HeaderBlock {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut block = HeaderBlock::default();
    block.push(name::REASON, reason.as_str().as_bytes());
    block.push(name::ERROR, error.to_string().as_bytes());
    block.push(name::TOPIC, original.record.target.topic.as_bytes());
    block.push(name::EVENT_TYPE, original.context.event_type().as_bytes());
    block.push_display(name::TIME, now);
    if let Some(content_type) = original.content_type {
        block.push(name::CONTENT_TYPE, content_type.as_bytes());
    }
    block
}
