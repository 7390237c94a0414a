//! The sending half of a device's connection.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use parking_lot::Mutex;
use rustls::ClientConnection;
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
    state: Mutex<State>,
    waiting: Notify,
}

#[derive(Debug)]
struct State {
    /// What the socket has had no room for.
    unsent: Vec<u8>,
    /// Both directions of TLS, if it is spoken.
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    pub(super) fn new(socket: OwnedWriteHalf, tls: Option<ClientConnection>) -> Self {
        let state = State { unsent: Vec::new(), tls: tls.map(Box::new) };
        Self { socket, state: Mutex::new(state), waiting: Notify::new() }
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
            let state = &mut *self.state.lock();
            if !state.unsent.is_empty() && state.unsent.len() + buffer.len() > MOST_UNSENT {
                return Err(io::ErrorKind::StorageFull.into());
            }
            match &mut state.tls {
                None => self.push(&mut state.unsent, &buffer[begin..]),
                Some(tls) => {
                    tls.writer().write_all(&buffer[begin..])?;
                    self.push_tls(&mut state.unsent, tls, buffer)
                }
            }
        })
    }

    /// Takes bytes that came from the gateway, and hands on what they say.
    ///
    /// # Errors
    /// If they are not TLS where it is spoken, or `take` says so.
    pub(super) fn receive<E>(
        &self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Unreadable<E>> {
        let Some(mut plain) = self.decrypt(&mut bytes)? else {
            return take(bytes).map_err(Unreadable::Content);
        };
        // Never while the lock is held: whoever takes it may send.
        loop {
            if !plain.is_empty() {
                take(&plain).map_err(Unreadable::Content)?;
            } else if bytes.is_empty() {
                return Ok(());
            }
            plain = self.decrypt(&mut bytes)?.unwrap_or_default();
        }
    }

    /// Gives as many of the bytes as it takes to TLS, and returns what it has to say; `None` if it is not spoken.
    fn decrypt<E>(&self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Unreadable<E>> {
        let state = &mut *self.state.lock();
        let Some(tls) = &mut state.tls else { return Ok(None) };
        // To give it nothing would tell it of the connection's end.
        if !bytes.is_empty() {
            tls.read_tls(bytes).map_err(|_| Unreadable::Tls)?;
        }
        let news = tls.process_new_packets().map_err(|_| Unreadable::Tls)?;
        let mut plain = vec![0; news.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut plain).map_err(|_| Unreadable::Tls)?;
        if tls.wants_write() {
            SCRATCH
                .with_borrow_mut(|(buffer, _)| self.push_tls(&mut state.unsent, tls, buffer))
                .map_err(|_| Unreadable::Tls)?;
        }
        Ok(Some(plain))
    }

    /// Sends what TLS has to send, by way of `buffer`.
    fn push_tls(
        &self,
        unsent: &mut Vec<u8>,
        tls: &mut ClientConnection,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        buffer.clear();
        while tls.wants_write() {
            tls.write_tls(buffer)?;
        }
        self.push(unsent, buffer)
    }

    fn push(&self, unsent: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        let written = match unsent.is_empty().then(|| self.socket.try_write(bytes)) {
            Some(Ok(written)) if written == bytes.len() => return Ok(()),
            Some(Ok(written)) => written,
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Some(Err(_)) | None => 0,
        };
        unsent.extend_from_slice(&bytes[written..]);
        self.waiting.notify_one();
        Ok(())
    }

    /// Writes what [`Link::send`] had to keep, whenever there is something. Returns only with an error; may be dropped
    /// and called again at any time.
    pub(super) async fn drain(&self) -> io::Error {
        loop {
            if self.state.lock().unsent.is_empty() {
                self.waiting.notified().await;
                continue;
            }
            if let Err(error) = self.socket.writable().await {
                return error;
            }
            let unsent = &mut self.state.lock().unsent;
            match self.socket.try_write(unsent) {
                Ok(written) if written == unsent.len() => *unsent = Vec::new(),
                Ok(written) => drop(unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error,
            }
        }
    }
}

/// Why what came cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable<E> {
    /// It is not TLS.
    Tls,
    /// What it says is wrong.
    Content(E),
}
