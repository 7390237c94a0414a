//! A message on its way to a device, and its sender's receipt.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::ack_list::{Acknowledged, Room};

/// A message on its way to the device.
#[derive(Debug)]
pub(in crate::device) struct Outgoing {
    pub(in crate::device) frame: Bytes,
    pub(in crate::device) origin: Origin,
}

/// Where a message to the device comes from.
#[derive(Debug)]
pub(in crate::device) enum Origin {
    /// A sender, who may wait until it is written.
    Sender(Option<Receipt>),
    /// It acknowledges a message of the device.
    Ack(Acknowledged, Room),
}

/// Tells a sender that its message was written. Dropping it means that it was not.
#[derive(Debug)]
pub(in crate::device) struct Receipt(pub(super) oneshot::Sender<()>);

impl Outgoing {
    /// Whether it is still to be written.
    pub(super) fn is_awaited(&self) -> bool {
        match &self.origin {
            Origin::Sender(Some(receipt)) => receipt.is_awaited(),
            Origin::Sender(None) | Origin::Ack(..) => true,
        }
    }
}

impl Receipt {
    /// The kernel has accepted the message.
    pub(in crate::device) fn written(self) {
        // A sender that has stopped waiting does not need to know.
        let _ = self.0.send(());
    }

    fn is_awaited(&self) -> bool {
        !self.0.is_closed()
    }
}
