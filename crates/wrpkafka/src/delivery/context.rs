//! What the publisher knows of a record, kept beside it until its result is final.

use std::sync::Arc;
use std::time::Instant;

use wrp::QosLevel;

use super::event_type::EventType;
use super::receipt::ReceiptShare;
use super::record::Record;
use crate::dead_letter::DeadLetterReason;
use crate::error::PublishError;
use crate::routing::Target;
use crate::schema::Frame;

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
    bytes: u32,
    /// How often the record was handed to a client.
    pub(crate) attempts: u32,
    /// The record itself, while it waits in a lane; empty otherwise.
    pub(crate) record: Record,
    /// The record's place in the order in which records were accepted. A record that is sent again keeps it.
    pub(crate) sequence: u64,
    pub(crate) submitted: Instant,
    /// What the record's value still lacks.
    pub(crate) frame: Frame,
    /// Whether the record was refused in a batch that was too large, so that it goes again alone.
    pub(crate) goes_alone: bool,
    /// Why the record is a dead letter; none if it is a message's record.
    pub(crate) dead_letter: Option<DeadLetterReason>,
    receipt: ReceiptShare,
}

/// A few hundred thousand may wait.
const _: () = assert!(size_of::<DeliveryContext>() <= 112);

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
            event_type: EventType::new(message.event_type),
            level: message.level,
            bytes: 0,
            attempts: 0,
            record: Record::default(),
            sequence: 0,
            submitted: message.submitted,
            frame,
            goes_alone: false,
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
        self.event_type.as_str()
    }

    /// The record's key, value and headers, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Notes the size of the record. It is less than 4 GiB, as is the largest batch.
    pub(crate) fn set_bytes(&mut self, bytes: usize) {
        self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// The message is recorded in this trace.
    pub(crate) fn set_trace(&mut self, trace: u128) {
        self.receipt.set_trace(trace);
    }

    /// The trace that the message is recorded in.
    pub(crate) fn trace(&mut self) -> Option<u128> {
        self.receipt.trace()
    }

    /// Reports the record's result to the message's receipt.
    pub(crate) fn settle(self, result: Result<(), PublishError>) {
        self.receipt.settle(result);
    }
}
