//! One device's WebSocket session, without any I/O: bytes and happenings in, frames and steps out.
//!
//! [`Session`] decides; the task in `run.rs` reads, writes and waits, and is the only part that knows of sockets.

mod batch;
mod receive;
mod run;
mod state;

use super::outbox::Outgoing;
use batch::Batch;

pub(super) use run::{Connection, spawn};
pub use state::{Ending, Farewell, Session, Step};

/// How many bytes of messages are gathered for one write; a single message may be longer.
const BATCH_BYTES: usize = 16 * 1024;

impl Session {
    /// Appends what is to be written next: pongs and pings first, then messages from `queue`, and after the last of all
    /// the close frame. Returns whether a ping is among it.
    fn fill(&mut self, batch: &mut Batch, id: &str, mut queue: impl FnMut() -> Option<Outgoing>) -> bool {
        if let Some(payload) = self.pong.take() {
            batch.pong(&payload);
        }
        let pings = std::mem::take(&mut self.ping) && self.ending.is_none();
        if pings {
            batch.ping(id);
        }
        match &mut self.ending {
            None => {
                while batch.len() < BATCH_BYTES
                    && let Some(outgoing) = queue()
                {
                    batch.message(outgoing);
                }
            }
            Some(ending) => {
                if let Some(farewell) = ending.farewell.take() {
                    batch.close(&farewell);
                }
            }
        }
        pings
    }
}

#[cfg(test)]
mod tests;
