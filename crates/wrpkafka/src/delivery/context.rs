//! What the publisher knows of a record, kept beside it until its result is final.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use wrp::QosLevel;

use super::receipt::ReceiptShare;
use crate::dead_letter::DeadLetterReason;
use crate::error::PublishError;
use crate::routing::Target;
use crate::schema::Frame;

/// An event type. The usual ones need no allocation.
type EventType = SmallVec<[u8; 32]>;

/// What all records of a message have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageContext<'a> {
    pub(crate) event_type: &'a str,
    pub(crate) level: QosLevel,
    pub(crate) submitted: Instant,
}

/// The context of one record, and its only allocation: the client's opaque pointer is the box of this.
#[derive(Debug)]
pub(crate) struct DeliveryContext {
    pub(crate) target: Arc<Target>,
    event_type: EventType,
    pub(crate) level: QosLevel,
    /// The record's key, value and headers: what it takes of the buffer.
    pub(crate) bytes: usize,
    /// The record's place in the order in which records were accepted. A record that is sent again keeps it.
    pub(crate) sequence: u64,
    /// How often the record was handed to a client.
    pub(crate) attempts: u64,
    pub(crate) submitted: Instant,
    /// What the record's value still lacks.
    pub(crate) frame: Frame,
    /// Why the record is a dead letter; none if it is a message's record.
    pub(crate) dead_letter: Option<DeadLetterReason>,
    receipt: ReceiptShare,
}

impl DeliveryContext {
    /// The context of a record of a message.
    pub(crate) fn new(
        target: Arc<Target>,
        message: &MessageContext<'_>,
        frame: Frame,
        receipt: ReceiptShare,
    ) -> Box<Self> {
        Box::new(Self {
            target,
            event_type: EventType::from_slice(message.event_type.as_bytes()),
            level: message.level,
            bytes: 0,
            sequence: 0,
            attempts: 0,
            submitted: message.submitted,
            frame,
            dead_letter: None,
            receipt,
        })
    }

    /// The context of a dead letter. It has the level of the original, and no receipt.
    pub(crate) fn dead_letter(
        target: Arc<Target>,
        original: &Self,
        reason: DeadLetterReason,
        submitted: Instant,
    ) -> Box<Self> {
        let message = MessageContext { event_type: original.event_type(), level: original.level, submitted };
        let mut context = Self::new(target, &message, Frame::Closed, ReceiptShare::default());
        context.dead_letter = Some(reason);
        context
    }

    pub(crate) fn event_type(&self) -> &str {
        str::from_utf8(&self.event_type).unwrap_or_default()
    }

    /// Reports the record's result to the message's receipt.
    pub(crate) fn settle(self, result: Result<(), PublishError>) {
        self.receipt.settle(result);
    }
}
