//! A device at the far end of a stream in memory: it answers pings, counts messages, and takes note of the close frame.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A pong of a device: its mask is zero, so that its payload stays as it is.
const PONG: u8 = 0x8a;
const MASKED: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// The device. The stream's other end is a [`GatewayEnd`].
pub(crate) struct FarEnd(Mutex<State>);

#[derive(Default)]
struct State {
    /// What the gateway has not read yet.
    unread: Vec<u8>,
    /// The session that waits for more.
    reader: Option<Waker>,
    pings: u32,
    messages: u32,
    is_closed: bool,
}

/// What the gateway has instead of a socket.
pub(crate) struct GatewayEnd(Arc<FarEnd>);

impl FarEnd {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// Whether the session has started and waits for bytes.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.lock().reader.is_some()
    }

    /// How many pings it has answered.
    pub(crate) fn pings(&self) -> usize {
        self.0.lock().pings as usize
    }

    /// How many messages it has got.
    pub(crate) fn messages(&self) -> usize {
        self.0.lock().messages as usize
    }

    /// Whether it has got a close frame.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }
}

impl State {
    /// Takes whole frames, as the gateway writes them at once.
    fn take(&mut self, mut frames: &[u8]) {
        while let [first, second, rest @ ..] = frames {
            let (length, rest) = match (second, rest) {
                (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
                _ => (usize::from(*second), rest),
            };
            let Some((payload, rest)) = rest.split_at_checked(length) else { return };
            match first & OPCODE {
                PING => {
                    self.pings += 1;
                    self.unread.extend([PONG, MASKED | *second, 0, 0, 0, 0]);
                    self.unread.extend(payload);
                }
                BINARY => self.messages += 1,
                CLOSE => self.is_closed = true,
                _ => {}
            }
            frames = rest;
        }
    }
}

impl GatewayEnd {
    pub(crate) fn of(far_end: &Arc<FarEnd>) -> Self {
        Self(Arc::clone(far_end))
    }
}

impl AsyncRead for GatewayEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.0.lock();
        if state.unread.is_empty() && !state.is_closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // A device that has got a close frame closes its side: nothing is read.
        let unread = std::mem::take(&mut state.unread);
        buffer.put_slice(&unread);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GatewayEnd {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.0.lock();
        state.take(bytes);
        let reader = if state.unread.is_empty() && !state.is_closed { None } else { state.reader.take() };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
