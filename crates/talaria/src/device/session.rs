//! The task of one device's WebSocket session.
//!
//! [`Session`] decides what the device's bytes mean and what it is owed; the task in `run.rs` reads, writes and waits;
//! `receive.rs` passes messages on, `long_message.rs` does so elsewhere for
//! long ones; `pace.rs` is the rate of the device, `batch.rs` what one write takes. Start reading at `run.rs`.

mod batch;
mod context;
mod long_message;
mod pace;
mod receive;
mod run;

use talaria_protocol::session::Session;

use super::outbox::Outgoing;
use batch::Batch;

pub(super) use context::SessionContext;
pub(super) use run::{Connection, spawn};

/// How many bytes of messages are gathered for one write; a single message may be longer.
const BATCH_BYTES: usize = 16 * 1024;

/// Appends the next frames to write: pongs and pings first, then messages from `queue`, and at the end of the session,
/// when `queue` is empty, the close frame. Returns whether a ping is among them.
fn fill(
    session: &mut Session,
    batch: &mut Batch,
    id: &str,
    mut queue: impl FnMut() -> Option<Outgoing>,
) -> bool {
    if let Some(payload) = session.take_pong() {
        batch.pong(&payload);
    }
    let pings = session.take_ping();
    if pings {
        batch.ping(id);
    }
    while batch.len() < BATCH_BYTES {
        match queue() {
            Some(outgoing) => batch.message(outgoing),
            None => {
                // Only now, because the queue of a session that has ended still has acknowledgements.
                if session.ending().is_some()
                    && let Some(frame) = session.take_close_frame()
                {
                    batch.close(&frame);
                }
                break;
            }
        }
    }
    pings
}

#[cfg(test)]
mod tests;
