//! The frames of one write.

use smallvec::SmallVec;
use talaria_protocol::session::CloseFrame;
use talaria_protocol::ws::Opcode;
use talaria_protocol::ws::frame::{MAX_CONTROL_PAYLOAD, write_close, write_frame};

use crate::device::outbox::ack_list::DoneAcks;
use crate::device::outbox::{Origin, Outgoing};
use crate::device::statistics::Statistics;

/// Frames on their way to the socket in one buffer, with the receipts of the messages among them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// How many of the bytes are written.
    written: usize,
    messages: SmallVec<[Mark; 4]>,
}

/// A message of the batch.
#[derive(Debug)]
struct Mark {
    /// Where its frame ends in the bytes.
    end: usize,
    /// The length of its payload.
    payload: usize,
    origin: Origin,
}

impl Batch {
    /// An empty batch that writes into `buffer`.
    pub(super) fn over(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { bytes: buffer, ..Self::default() }
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that are not written yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        write_frame(&mut self.bytes, Opcode::Pong, payload);
    }

    /// A ping carries the device's id (contract §2.10), as much of it as a control frame holds.
    pub(super) fn ping(&mut self, id: &str) {
        let payload = &id.as_bytes()[..id.len().min(MAX_CONTROL_PAYLOAD)];
        write_frame(&mut self.bytes, Opcode::Ping, payload);
    }

    pub(super) fn message(&mut self, outgoing: Outgoing) {
        write_frame(&mut self.bytes, Opcode::Binary, &outgoing.frame);
        let (end, payload) = (self.bytes.len(), outgoing.frame.len());
        self.messages.push(Mark { end, payload, origin: outgoing.origin });
    }

    pub(super) fn close(&mut self, frame: &CloseFrame) {
        write_close(&mut self.bytes, frame.code, &frame.text);
    }

    /// This many more bytes are written. Counts the messages that are now complete and notifies their senders. Returns the
    /// acknowledgements among them.
    pub(super) fn wrote(&mut self, count: usize, statistics: &Statistics) -> DoneAcks {
        self.written += count;
        let whole = self.messages.iter().take_while(|mark| mark.end <= self.written).count();
        let mut acks = DoneAcks::default();
        for mark in self.messages.drain(..whole) {
            statistics.add_sent(mark.payload);
            match mark.origin {
                Origin::Sender(receipt) => {
                    if let Some(receipt) = receipt {
                        receipt.written();
                    }
                }
                Origin::Ack(of, room) => acks.add(of, room),
            }
        }
        acks
    }

    /// The acknowledgements that are not written.
    pub(super) fn unwritten(self) -> DoneAcks {
        let mut acks = DoneAcks::default();
        for mark in self.messages {
            if let Origin::Ack(of, room) = mark.origin {
                acks.add(of, room);
            }
        }
        acks
    }

    /// The unwritten rest in memory of its own, and the buffer.
    pub(super) fn split_rest(mut self) -> (Box<Self>, Vec<u8>) {
        let written = self.written;
        for mark in &mut self.messages {
            mark.end -= written;
        }
        let rest =
            Self { bytes: self.rest().to_vec(), written: 0, messages: std::mem::take(&mut self.messages) };
        (Box::new(rest), self.bytes)
    }
}
