//! What happens to devices: the interface to the part of the gateway that passes it on to the cloud.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use talaria_protocol::session::{CloseReason, Reason};
use tokio::time::Instant;
use wrp::MessageRef;

use super::connected::Device;
use super::outbox::ack_list::Acknowledged;

/// Receives what happens to devices. Its methods are called from the devices' own tasks and must neither block nor wait,
/// except [`room`](Events::room).
pub trait Events: Send + Sync {
    /// A device has connected and is registered.
    fn online(&self, device: &Arc<Device>);

    /// A device has disconnected. Called exactly once for each [`online`](Events::online).
    fn offline(&self, device: &Arc<Device>, reason: &CloseReason);

    /// Waits until there is room for the offline events of further devices, at most until `deadline`. For those who close
    /// many devices.
    fn room(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    /// Whether there is room for the offline events of further devices.
    fn has_room(&self) -> bool {
        true
    }

    /// A device sent a message that answers no waiting request. It is decoded, checked and stamped.
    fn message(&self, device: &Arc<Device>, message: &mut MessageRef<'_>);

    /// A device sent a message that is dropped, but is to be acknowledged if it wants that: this is what can be repeated
    /// of it.
    fn dropped(&self, device: &Arc<Device>, message: &MessageRef<'_>, reason: Dropped);

    /// Acknowledgements of these messages were written to the device's socket.
    fn acknowledged(&self, _device: &Arc<Device>, _messages: &[Acknowledged]) {}

    /// The connection ended, for this reason, before the acknowledgements of these messages were written.
    fn unacknowledged(&self, _device: &Arc<Device>, _messages: &[Acknowledged], _reason: Reason) {}
}

/// Why a message is dropped that was not rejected for what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is over a limit of messages.
    TooLarge,
    /// Its device has sent more than its rate.
    OverRate,
}
