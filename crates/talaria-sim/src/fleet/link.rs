//! The sending half of a device's connection, and its TLS.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use parking_lot::Mutex;
use rustls::ClientConnection;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::random::Random;
use crate::ws::{self, Opcode};

/// The most bytes that a device buffers while the gateway does not read.
const MOST_UNSENT: usize = 1024 * 1024;

thread_local! {
    /// The buffer for building frames. Each thread has one, so that devices need none.
    static SCRATCH: RefCell<(Vec<u8>, Random)> = RefCell::new((Vec::new(), Random::new()));
}

/// Sends frames from any thread, directly into the socket. Bytes for which the socket has no room are buffered until the
/// device's task writes them ([`Link::drain`]).
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedWriteHalf,
    state: Mutex<State>,
    waiting: Notify,
}

#[derive(Debug)]
struct State {
    /// Bytes for which the socket had no room.
    unsent: Vec<u8>,
    /// The TLS state of both directions, if the connection uses TLS.
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    pub(super) fn new(socket: OwnedWriteHalf, tls: Option<ClientConnection>) -> Self {
        let state = State { unsent: Vec::new(), tls: tls.map(Box::new) };
        Self { socket, state: Mutex::new(state), waiting: Notify::new() }
    }

    /// Sends a frame; `write` appends its payload. Does not wait.
    ///
    /// # Errors
    /// If the connection is broken, or if the buffer is full because the gateway does not read; then no part of the frame is
    /// sent.
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

    /// Decrypts bytes from the gateway, if the connection uses TLS, and passes them to `handle`.
    ///
    /// # Errors
    /// If the bytes are not valid TLS, or `handle` fails.
    pub(super) fn receive<E>(
        &self,
        mut bytes: &[u8],
        mut handle: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), ReceiveError<E>> {
        let Some(mut plain) = self.decrypt(&mut bytes)? else {
            return handle(bytes).map_err(ReceiveError::Content);
        };
        // `handle` may send, which takes the lock of the state; so the lock is not held here.
        loop {
            if !plain.is_empty() {
                handle(&plain).map_err(ReceiveError::Content)?;
            } else if bytes.is_empty() {
                return Ok(());
            }
            plain = self.decrypt(&mut bytes)?.unwrap_or_default();
        }
    }

    /// Decrypts as many of the bytes as rustls accepts at once. Returns `None` if the connection does not use TLS.
    fn decrypt<E>(&self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, ReceiveError<E>> {
        let state = &mut *self.state.lock();
        let Some(tls) = &mut state.tls else { return Ok(None) };
        // rustls takes a read of no bytes as the end of the connection.
        if !bytes.is_empty() {
            tls.read_tls(bytes).map_err(|_| ReceiveError::Tls)?;
        }
        let io_state = tls.process_new_packets().map_err(|_| ReceiveError::Tls)?;
        let mut plain = vec![0; io_state.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut plain).map_err(|_| ReceiveError::Tls)?;
        if tls.wants_write() {
            SCRATCH
                .with_borrow_mut(|(buffer, _)| self.push_tls(&mut state.unsent, tls, buffer))
                .map_err(|_| ReceiveError::Tls)?;
        }
        Ok(Some(plain))
    }

    /// Sends the records that rustls has ready. `buffer` is overwritten.
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

    /// Writes the bytes that [`Link::send`] buffers, for as long as the connection exists. Returns only if writing fails. It can
    /// be dropped and called again at any time.
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

/// Why received bytes could not be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiveError<E> {
    /// They are not valid TLS.
    Tls,
    /// The caller does not accept the decrypted content.
    Content(E),
}
