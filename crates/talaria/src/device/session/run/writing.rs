//! How a session writes: one batch of frames after the other, each from the thread's buffer. Only what the socket does not accept is
//! kept.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use talaria_protocol::session::{CloseReason, Ending, Reason};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Phase, Task};
use crate::device::connected::Device;
use crate::device::outbox::ack_list::DoneAcks;
use crate::device::session::batch::Batch;
use crate::device::session::context::SessionContext;
use crate::device::session::fill;
use crate::thread_buffer::WriteBuffer;

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    /// Writes until everything is written or the socket accepts no more.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Waiting | Phase::Lingering | Phase::Over) {
            return;
        }
        while self.write_unsent(cx) && self.write_next(cx) {}
        if self.needs_flush
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(cx)
        {
            self.needs_flush = false;
            if let Err(error) = flushed {
                self.fail_write(&error);
            }
        }
    }

    /// Writes the rest of an earlier batch. Returns whether it is complete.
    fn write_unsent(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(unsent) = &mut self.unsent {
            match Pin::new(&mut self.io).poll_write(cx, unsent.rest()) {
                Poll::Pending => return false,
                Poll::Ready(Ok(count)) if count > 0 => {
                    let acks = unsent.wrote(count, self.device.statistics());
                    let is_whole = unsent.rest().is_empty();
                    acknowledged(&self.context, &self.device, &acks);
                    if is_whole {
                        self.device.outbox().release(&self.device, unsent.len());
                        self.unsent = None;
                        self.context.wheel.flowing(&self.device);
                    }
                }
                Poll::Ready(result) => {
                    self.fail_write(&write_failure(result));
                    return false;
                }
            }
        }
        true
    }

    /// Writes the next batch. Returns whether there was one and it is complete.
    fn write_next(&mut self, cx: &mut Context<'_>) -> bool {
        let mut buffer = WriteBuffer::borrow();
        let mut batch = Batch::over(std::mem::take(&mut buffer));
        let device = &self.device;
        if fill(&mut self.session, &mut batch, device.id().as_str(), || device.outbox().pop(device)) {
            self.context.metrics.ping_count.inc();
        }
        if batch.len() == 0 {
            *buffer = batch.into_buffer();
            return false;
        }
        self.needs_flush = true;
        match Pin::new(&mut self.io).poll_write(cx, batch.rest()) {
            Poll::Pending => {}
            Poll::Ready(Ok(count)) if count > 0 => {
                let acks = batch.wrote(count, device.statistics());
                acknowledged(&self.context, device, &acks);
            }
            Poll::Ready(result) => {
                // Its acknowledgements are counted when the task ends.
                let rest;
                (rest, *buffer) = batch.split_rest();
                self.unsent = Some(rest);
                self.fail_write(&write_failure(result));
                return false;
            }
        }
        if batch.rest().is_empty() {
            *buffer = batch.into_buffer();
            return true;
        }
        let rest;
        (rest, *buffer) = batch.split_rest();
        self.context.wheel.stalled(&self.device);
        self.device.outbox().hold(&self.device, rest.len());
        self.unsent = Some(rest);
        // Once more, so that the socket wakes this task when it accepts more.
        self.write_unsent(cx)
    }

    fn fail_write(&mut self, error: &io::Error) {
        self.session.end(Ending::unreachable(CloseReason::with_error(Reason::WriteError, error)));
        if self.phase != Phase::Open {
            // The close frame cannot be written either.
            self.phase = Phase::Over;
        }
    }
}

fn acknowledged(context: &SessionContext, device: &Arc<Device>, acks: &DoneAcks) {
    if !acks.acks.is_empty() {
        device.outbox().acks_done(device, acks);
        context.events.acknowledged(device, &acks.acks);
    }
}

fn write_failure(result: io::Result<usize>) -> io::Error {
    result.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into())
}
