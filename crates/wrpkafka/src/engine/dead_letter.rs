//! What becomes of a record that can never be delivered.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Engine, Origin, Refusal};
use crate::config::DeadLetter;
use crate::dead_letter::{DeadLetterOutcome, DeadLetterReason};
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::PublishError;
use crate::routing::{HeaderBlock, Target};
use crate::schema::{FRAME, Frame};

/// As much of the value of a record that is too large as its dead letter keeps, in bytes.
const TOO_LARGE_KEPT: usize = 64 << 10;
/// What the client and the header of a cut value take of a record's limit, generously.
const OVERHEAD: usize = 512;

/// The headers that say why.
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
pub(super) fn target(config: &DeadLetter) -> Option<Arc<Target>> {
    (!config.topic.is_empty()).then(|| Target::new(&config.topic, ""))
}

impl Engine {
    /// Sends a dead letter for a record, if its error is one that lasts. The record's own fate is not changed by that.
    ///
    /// A dead letter is a record like others: bounded by the buffer and the waiting room, by the level of the original.
    /// There is none for a dead letter. Must not be called with the waiting room's lock held.
    pub(super) fn bury(&self, record: RecordRef<'_>, context: &DeliveryContext, error: &PublishError) {
        let (Some(reason), None) = (error.dead_letter_reason(), context.dead_letter) else { return };
        let Some(target) = &self.dead_letters else {
            return self.listeners.on_dead_letter(reason, DeadLetterOutcome::Discarded);
        };
        // While the frame is open, it is no part of the value.
        let is_open = context.frame == Frame::Open;
        let value = if is_open { record.value.get(FRAME..).unwrap_or_default() } else { record.value };
        let mut told = headers(record, context, error, reason);
        if let Some(schemas) = self.schemas.as_ref().filter(|_| is_open) {
            told.push(name::CONTENT_TYPE, schemas.content_type().as_bytes());
        }

        let room = self.limits.record_bytes.load(Relaxed).saturating_sub(told.size() + OVERHEAD);
        let mut key = record.key;
        let mut block = record.headers.clone();
        if key.map_or(0, <[u8]>::len) + block.size() > room / 2 {
            // They alone are what is too large.
            key = None;
            block.clear();
        }
        block.append(&told);
        let room = room.saturating_sub(key.map_or(0, <[u8]>::len) + block.size() - told.size());
        let kept = if reason == DeadLetterReason::TooLarge { room.min(TOO_LARGE_KEPT) } else { room };
        if value.len() > kept {
            block.push_display(name::FULL_SIZE, value.len());
        }
        let letter = RecordRef { target, key, value: &value[..value.len().min(kept)], headers: &block };

        let letter_context =
            DeliveryContext::dead_letter(Arc::clone(target), context, reason, Instant::now());
        if let Err(Refusal { context, error }) = self.dispatch(letter, letter_context) {
            self.finish(*context, Err(error), Origin::Client);
        }
    }

    /// The fate of a dead letter is final.
    pub(super) fn letter_ended(&self, reason: DeadLetterReason, result: Result<(), PublishError>) {
        let outcome = match result {
            Ok(()) => DeadLetterOutcome::Delivered,
            Err(error) => {
                if let Some(suppressed) = self.complaints.lost_letter_due(Instant::now()) {
                    tracing::error!(%error, %reason, suppressed, "kafka dead letter lost");
                }
                DeadLetterOutcome::Lost
            }
        };
        self.listeners.on_dead_letter(reason, outcome);
    }
}

/// The headers that say why, when and where from.
fn headers(
    record: RecordRef<'_>,
    context: &DeliveryContext,
    error: &PublishError,
    reason: DeadLetterReason,
) -> HeaderBlock {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut block = HeaderBlock::default();
    block.push(name::REASON, reason.as_str().as_bytes());
    block.push(name::ERROR, error.to_string().as_bytes());
    block.push(name::TOPIC, record.target.topic.as_bytes());
    block.push(name::EVENT_TYPE, context.event_type().as_bytes());
    block.push_display(name::TIME, now);
    block
}
