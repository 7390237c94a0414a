//! A long message, which is handled away from the threads that serve connections.
//!
//! A session has at most one, and reads nothing while it is handled: so the order of a device's messages is kept, and only
//! this device waits.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use talaria_protocol::ws::Payload;

use super::context::SessionContext;
use super::pace::RateVerdict;
use super::receive;
use crate::device::connected::Device;

/// A message that is being handled.
pub(super) struct LongMessage {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The memory of the message.
    memory: usize,
    /// What the device sent after it, as far as it has been read.
    next: Vec<u8>,
}

impl LongMessage {
    /// Starts to handle a message; `next` is what was read together with its end.
    pub(super) fn handle(
        context: &Arc<SessionContext>,
        device: &Arc<Device>,
        message: Payload,
        verdict: RateVerdict,
        next: &[u8],
    ) -> Box<Self> {
        // Its turn may come late, and until then the device is not silent.
        context.wheel.heard(device);
        let memory = message.capacity();
        let (shared, device) = (Arc::clone(context), Arc::clone(device));
        let handled = context.long_work.run(move || receive::binary(&shared, &device, &message, verdict));
        let work = Box::pin(async {
            // A panic has been logged, and the caller that waits for the message's outcome learns that there is none.
            _ = handled.await;
        });
        Box::new(Self { work, memory, next: next.to_vec() })
    }

    /// Waits until the message has been handled. Returns what the device sent after it.
    pub(super) fn poll_handled(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        ready!(self.work.as_mut().poll(cx));
        Poll::Ready(std::mem::take(&mut self.next))
    }

    /// Keeps more bytes that the device sent after the message.
    pub(super) fn keep_for_later(&mut self, bytes: &[u8]) {
        self.next.extend_from_slice(bytes);
    }

    /// The memory of the message and of what comes after it.
    pub(super) fn memory(&self) -> usize {
        self.memory + self.next.capacity()
    }
}

impl fmt::Debug for LongMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongMessage").field("memory", &self.memory()).finish_non_exhaustive()
    }
}
