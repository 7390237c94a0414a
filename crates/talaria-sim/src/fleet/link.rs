//! The sending half of a device's connection.

use std::cell::RefCell;
use std::io;

use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::random::Random;
use crate::ws::{self, Opcode};

/// The most that a device keeps for a gateway that does not read, in bytes.
const MOST_UNSENT: usize = 1024 * 1024;

thread_local! {
    /// Where frames are put together: one buffer a thread, not one a device.
    static SCRATCH: RefCell<(Vec<u8>, Random)> = RefCell::new((Vec::new(), Random::new()));
}

/// Sends frames from any thread, straight into the socket. Only what the socket has no room for is kept, until the
/// device's own task has written it ([`Link::drain`]).
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedWriteHalf,
    unsent: Mutex<Vec<u8>>,
    waiting: Notify,
}

impl Link {
    pub(super) fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, unsent: Mutex::default(), waiting: Notify::new() }
    }

    /// Sends one frame whose payload `write` appends. Never waits.
    ///
    /// # Errors
    /// If the connection is broken, or the gateway has not read for so long that the device's own buffer is full; then
    /// nothing of the frame was sent.
    pub(super) fn send(&self, opcode: Opcode, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        SCRATCH.with_borrow_mut(|(buffer, random)| {
            buffer.clear();
            let begin = ws::encode(buffer, opcode, random.mask(), write);
            self.push(&buffer[begin..])
        })
    }

    fn push(&self, frame: &[u8]) -> io::Result<()> {
        let mut unsent = self.unsent.lock();
        let written = match unsent.is_empty().then(|| self.socket.try_write(frame)) {
            Some(Ok(written)) if written == frame.len() => return Ok(()),
            Some(Ok(written)) => written,
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Some(Err(_)) => 0,
            None if unsent.len() + frame.len() > MOST_UNSENT => return Err(io::ErrorKind::StorageFull.into()),
            None => 0,
        };
        unsent.extend_from_slice(&frame[written..]);
        self.waiting.notify_one();
        Ok(())
    }

    /// Writes what [`Link::send`] had to keep, whenever there is something. Returns only with an error; may be dropped
    /// and called again at any time.
    pub(super) async fn drain(&self) -> io::Error {
        loop {
            if self.unsent.lock().is_empty() {
                self.waiting.notified().await;
                continue;
            }
            if let Err(error) = self.socket.writable().await {
                return error;
            }
            let mut unsent = self.unsent.lock();
            match self.socket.try_write(&unsent) {
                Ok(written) if written == unsent.len() => *unsent = Vec::new(),
                Ok(written) => drop(unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error,
            }
        }
    }
}
