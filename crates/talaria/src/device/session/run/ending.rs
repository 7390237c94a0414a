//! How a session ends: it waits for its turn ([`Ends`](crate::device::ends::Ends)) where many end at the same time, its device is
//! disconnected, and then the device gets a moment to read the close frame.
//!
//! Start reading at `Task::disconnect_if_ended`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use talaria_protocol::go::duration;
use talaria_protocol::session::{CloseReason, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::info;

use super::{MAX_IGNORED, Phase, Read, Task};
use crate::budget::Holder;
use crate::device::outbox::ack_list::DoneAcks;
use crate::device::outbox::{Signal, Signals};

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    /// If the session has just ended: disconnects the device, or lets it wait for its turn.
    pub(super) fn disconnect_if_ended(&mut self) {
        let Some(ending) = self.session.ending().filter(|_| self.phase == Phase::Open) else {
            return;
        };
        if self.context.ends.begin(&self.device) {
            return self.disconnect();
        }
        // The device is not found any more, and what waits for it fails at once.
        self.phase = Phase::Waiting;
        self.context.leaving(&self.device, &ending.reason);
        if ending.close_frame.is_none()
            && let Some(unsent) = self.unsent.take()
        {
            self.unacknowledged(&unsent.unwritten(), ending.reason.reason());
        }
        self.session.discard_unfinished();
        // Giving back is always accepted.
        let _ = self.account_unfinished();
    }

    /// Disconnects the device, logs the summary of its session, and goes on to closing.
    pub(super) fn disconnect(&mut self) {
        let Some(ending) = self.session.ending() else { return };
        self.end = Some(Box::new(self.context.ends.run()));
        let device = &self.device;
        // Before the device is disconnected, so that no series is left of devices that are gone.
        self.model = None;
        self.context.disconnected(device, &ending.reason);
        if let Some(error) = ending.protocol_error {
            self.context.metrics.count_protocol_error(error);
            self.context.log_cost(device, error, &ending.reason);
        }
        let statistics = device.statistics();
        info!(
            id = %device.id(),
            session_id = device.session_id(),
            reason = %ending.reason,
            up_time = duration::format(statistics.up_time()),
            messages_received = statistics.messages_received(),
            bytes_received = statistics.bytes_received(),
            messages_sent = statistics.messages_sent(),
            bytes_sent = statistics.bytes_sent(),
            "device disconnected"
        );
        self.phase = if ending.close_frame.is_some() {
            self.context.wheel.linger(device);
            Phase::Closing
        } else {
            Phase::Over
        };
        self.session.discard_unfinished();
        // Giving back is always accepted.
        let _ = self.account_unfinished();
    }

    /// Whether only the socket is left to be closed. If it were closed while the device still sends, the kernel would reset
    /// the connection, and the reset can overtake the close frame. So the device gets a moment.
    pub(super) fn is_over(&mut self, read: Read, signals: Signals, cx: &mut Context<'_>) -> bool {
        match self.phase {
            Phase::Open | Phase::Waiting => return false,
            Phase::Over => return true,
            Phase::Closing | Phase::Lingering
                if read == Read::Ended || signals.has(Signal::Lingered) || self.ignored > MAX_IGNORED =>
            {
                return true;
            }
            Phase::Closing | Phase::Lingering => {}
        }
        let is_written = self.unsent.is_none() && !self.needs_flush;
        if self.phase == Phase::Closing && is_written {
            self.phase = Phase::Lingering;
            // The device sees the end and closes its side, too. If this fails, the device is gone.
            return matches!(Pin::new(&mut self.io).poll_shutdown(cx), Poll::Ready(Err(_)));
        }
        false
    }
}

impl<S> Drop for Task<S> {
    fn drop(&mut self) {
        if self.model.take().is_some() && std::thread::panicking() {
            self.disconnect_after_panic();
        }
        let device = &self.device;
        let holder = || Arc::clone(device) as Arc<dyn Holder>;
        // Giving back is always accepted.
        let _ = self.context.unfinished.change(&mut self.unfinished, 0, holder);
        device.outbox().shut(device, Reason::Unknown);
        let (waiting, reason) = device.outbox().take_acks();
        if let Some(unsent) = self.unsent.take() {
            self.unacknowledged(&unsent.unwritten(), reason);
        }
        self.unacknowledged(&waiting, reason);
    }
}

impl<S> Task<S> {
    fn unacknowledged(&self, acks: &DoneAcks, reason: Reason) {
        if !acks.acks.is_empty() {
            self.device.outbox().acks_done(&self.device, acks);
            self.context.events.unacknowledged(&self.device, &acks.acks, reason);
        }
    }

    /// A session that panicked has not ended by itself: without this its device would stay registered for ever.
    fn disconnect_after_panic(&self) {
        tracing::error!(id = %self.device.id(), "the session of a device panicked, its connection is lost");
        let reason = CloseReason::with_error(Reason::Unknown, &"the session panicked");
        // A second panic would end the process.
        let _ = catch_unwind(AssertUnwindSafe(|| self.context.disconnected(&self.device, &reason)));
    }
}
