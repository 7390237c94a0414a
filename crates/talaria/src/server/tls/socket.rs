//! A TLS session over a socket that costs little while it is idle.
//!
//! rustls' unbuffered connection does the protocol; the bytes pass through buffers of the thread. A session has memory
//! of its own only for a record that has come in part, for what was decrypted and not taken, and for what was
//! encrypted and the socket did not take.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pending::Pending;

/// The largest record with its header (RFC 8446 §5.2, RFC 5246 §6.2.3).
const MAX_RECORD: usize = 16 * 1024 + 2048 + 5;
/// The most that is read at once, and the most that may be unfinished: a handshake message of several records has up
/// to 64 KiB.
const READ_BUFFER: usize = 96 * 1024;
/// How much is encrypted for one write: a record's worth.
const WRITE_CHUNK: usize = 16 * 1024;
/// What encryption adds at most to a chunk, a record of it being cut by a smaller maximum of the client included.
const WRITE_OVERHEAD: usize = 1024;
/// What may wait for the socket beside what the writer waits for: alerts, tickets, key updates.
const MAX_OUTGOING: usize = 128 * 1024;

thread_local! {
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A TLS session and its socket.
///
/// A write is done when the socket has taken all of the record; until then it is pending and must be repeated with the
/// same bytes, as for OpenSSL's `SSL_write`. So "written" means the same as without TLS.
pub(in crate::server) struct TlsSocket {
    tcp: TcpStream,
    session: UnbufferedServerConnection,
    /// What has come of a record that is not whole.
    incoming: Vec<u8>,
    /// What was decrypted and nobody has taken.
    decrypted: Pending,
    /// What was encrypted and the socket has not taken.
    outgoing: Pending,
    /// How many of the writer's bytes are in it that the writer does not know to be written.
    unreported: usize,
    has_ended: bool,
    /// The protocol has failed: rustls must not be asked anything more.
    has_failed: bool,
    has_said_goodbye: bool,
}

/// What is wanted of the session once it has taken what came.
#[derive(Clone, Copy)]
enum Then<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    SayGoodbye,
}

impl TlsSocket {
    /// A session that has yet to be [negotiated](Self::poll_handshake).
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub(super) fn new(tcp: TcpStream, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            tcp,
            session: UnbufferedServerConnection::new(config)?,
            incoming: Vec::new(),
            decrypted: Pending::default(),
            outgoing: Pending::default(),
            unreported: 0,
            has_ended: false,
            has_failed: false,
            has_said_goodbye: false,
        })
    }

    /// Ready when both sides have agreed, and the client has been told so.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.has_ended {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_receive(cx, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Reads once from the socket, decrypts what is whole into `out`, and keeps what does not fit.
    fn poll_receive(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffer = READ.take().unwrap_or_else(|| vec![0; READ_BUFFER].into_boxed_slice());
        let received = self.poll_receive_in(cx, &mut buffer, out);
        READ.set(Some(buffer));
        received
    }

    fn poll_receive_in(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let kept = self.incoming.len();
        // No more than `out` is going to take, so that little is kept decrypted.
        let until = (kept + out.remaining().max(MAX_RECORD)).min(buffer.len());
        if kept >= until {
            return Poll::Ready(Err(invalid("a handshake message of more than 64 KiB")));
        }
        let mut read = ReadBuf::new(&mut buffer[kept..until]);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
        let filled = kept + read.filled().len();
        if filled == kept {
            self.has_ended = true;
            return Poll::Ready(Ok(()));
        }
        buffer[..kept].copy_from_slice(&self.incoming);
        self.incoming = Vec::new();
        let processed = self.process(&mut buffer[..filled], out, Then::Nothing);
        // What the session answers by itself, an alert too, goes out now, or with the next write.
        let sent = self.poll_send(cx);
        let used = processed?;
        if used < filled {
            self.incoming = buffer[used..filled].to_vec();
        }
        match sent {
            Poll::Ready(sent) => Poll::Ready(sent),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    /// Has the session take `input`, and do what is wanted `then`. Returns how much of `input` is done with.
    ///
    /// # Errors
    /// If the client does not keep to the protocol; the alert that tells it so is then in `outgoing`, and the session
    /// is over.
    fn process(&mut self, input: &mut [u8], out: &mut ReadBuf<'_>, then: Then<'_>) -> io::Result<usize> {
        if self.has_failed {
            return Err(invalid("the TLS session has failed before"));
        }
        let processed = self.process_all(input, out, then);
        self.has_failed = processed.is_err();
        processed
    }

    fn process_all(&mut self, input: &mut [u8], out: &mut ReadBuf<'_>, then: Then<'_>) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state, .. } =
                self.session.process_tls_records(&mut input[used..]);
            let is_done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        self.decrypted.deliver(out, record.payload);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    self.outgoing.append(WRITE_OVERHEAD, |buffer| Ok(data.encode(buffer)?))?;
                    false
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // It is on its way, ahead of whatever follows.
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.has_ended = true;
                    false
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let room = WRITE_OVERHEAD;
                    match then {
                        Then::Nothing => Ok(()),
                        Then::Encrypt(bytes) => self
                            .outgoing
                            .append(bytes.len() + room, |buffer| Ok(traffic.encrypt(bytes, buffer)?)),
                        Then::SayGoodbye => {
                            self.outgoing.append(room, |buffer| Ok(traffic.queue_close_notify(buffer)?))
                        }
                    }?;
                    true
                }
                // Nothing more comes, or not without more input. 0-RTT data is never accepted.
                Ok(_) => true,
                Err(error) => {
                    self.take_alert();
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            };
            used += discard;
            if is_done {
                return Ok(used);
            }
            if self.outgoing.rest().len() > MAX_OUTGOING {
                return Err(invalid("more to answer than the client reads"));
            }
        }
    }

    /// The alert that the session wants to send after an error. rustls is not asked further than that: it would look
    /// for the rest of a handshake message in a buffer that is gone, and panic.
    fn take_alert(&mut self) {
        while self.session.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut data)) =
                self.session.process_tls_records(&mut []).state
            && self.outgoing.append(WRITE_OVERHEAD, |buffer| Ok(data.encode(buffer)?)).is_ok()
        {}
    }

    /// Encrypts into the thread's buffer and writes; only what the socket does not take becomes the session's.
    /// Nothing may be left over from before.
    fn poll_encrypt(&mut self, cx: &mut Context<'_>, then: Then<'_>) -> Poll<io::Result<()>> {
        self.outgoing = Pending::over(WRITE.take());
        // The session wants to see again what it has not been able to use.
        let mut incoming = std::mem::take(&mut self.incoming);
        let processed = self.process(&mut incoming, &mut ReadBuf::new(&mut []), then);
        self.incoming = incoming;
        let sent = processed.map(|used| {
            self.incoming.drain(..used);
            self.poll_drain(cx)
        });
        let (buffer, rest) = std::mem::take(&mut self.outgoing).split();
        self.outgoing = rest;
        if buffer.capacity() <= 2 * (WRITE_CHUNK + WRITE_OVERHEAD) {
            WRITE.set(buffer);
        }
        sent?
    }

    /// Writes what is encrypted and frees it; ready when nothing is left.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.outgoing.release();
        Poll::Ready(Ok(()))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.rest().is_empty() {
            match ready!(Pin::new(&mut self.tcp).poll_write(cx, self.outgoing.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.outgoing.take(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            this.decrypted.move_to(buf);
            // A client that goes away without a close_notify is gone all the same: what is said inside has its own ends.
            if buf.filled().len() > before || buf.remaining() == 0 || this.has_ended {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_receive(cx, buf))?;
        }
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_send(cx))?;
        let written = std::mem::take(&mut this.unreported);
        if written > buf.len() {
            return Poll::Ready(Err(invalid("a pending write is repeated with fewer bytes")));
        }
        if written > 0 || buf.is_empty() {
            return Poll::Ready(Ok(written));
        }
        let chunk = &buf[..buf.len().min(WRITE_CHUNK)];
        match this.poll_encrypt(cx, Then::Encrypt(chunk)) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(chunk.len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.unreported = chunk.len();
                Poll::Pending
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if !self.has_failed && !std::mem::replace(&mut self.has_said_goodbye, true) {
            ready!(self.poll_encrypt(cx, Then::SayGoodbye))?;
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl fmt::Debug for TlsSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSocket").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
