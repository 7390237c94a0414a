//! A TLS session over a socket, with little memory while it is idle.
//!
//! rustls' unbuffered connection implements the protocol; the bytes pass through [buffers of the thread](crate::thread_buffer).
//! A session has memory of its own only for an incomplete record, for decrypted bytes that were not read yet, and for
//! encrypted bytes that the socket did not accept yet.
//!
//! Start reading at `process_records`: everything that arrives or leaves passes through it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus, WriteTraffic};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pending::Pending;
use crate::thread_buffer::{READ_BUFFER, ReadBuffer, WriteBuffer};

/// The largest record with its header (RFC 8446 §5.2, RFC 5246 §6.2.3).
const MAX_RECORD: usize = 16 * 1024 + 2048 + 5;
/// A handshake message may span several records and have up to 64 KiB; it has to fit a read buffer with one more record.
const _: () = assert!(READ_BUFFER >= 64 * 1024 + MAX_RECORD);
/// How many bytes are encrypted for one write: those of one record.
const WRITE_CHUNK: usize = 16 * 1024;
/// The most that encryption adds to these bytes, even if the client asked for smaller records.
const WRITE_OVERHEAD: usize = 1024;
/// The most that may wait for the socket besides the writer's bytes: alerts, tickets, key updates.
const MAX_OUTGOING: usize = 128 * 1024;

/// A TLS session and its socket.
///
/// A write is done when the socket has accepted the whole record. Until then it is pending and must be repeated with the
/// same bytes, as with OpenSSL's `SSL_write`. So "written" means the same with TLS as without.
pub(in crate::server) struct TlsSocket {
    tcp: TcpStream,
    session: UnbufferedServerConnection,
    /// The beginning of an incomplete record.
    incoming: Vec<u8>,
    /// Decrypted bytes that were not read yet.
    decrypted: Pending,
    /// Encrypted bytes that the socket did not accept yet.
    outgoing: Pending,
    /// How many of them, from the first on, can wait for the next write: a ticket, which the client needs for its next
    /// connection only.
    deferrable: usize,
    /// How many of the writer's bytes are in `outgoing` whose write was pending when it was called.
    unreported: usize,
    receiving: Receiving,
    sending: Sending,
}

/// Whether a handshake has resumed an earlier session (RFC 8446 §2.2), which costs less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Resumption {
    Full,
    Resumed,
}

/// What can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Open,
    /// The client closed the session or the connection: there is nothing more to read.
    Ended,
}

/// What can still be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// The close_notify alert is written, or on its way.
    CloseNotified,
    /// The protocol has failed. rustls must not be asked anything more, not even for a close_notify.
    Failed,
}

/// What the session does after it has processed its input.
#[derive(Clone, Copy)]
enum Then<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

impl Then<'_> {
    /// Appends to `outgoing` what the session writes.
    fn write(
        self,
        mut traffic: WriteTraffic<'_, ServerConnectionData>,
        outgoing: &mut Pending,
    ) -> io::Result<()> {
        match self {
            Then::Nothing => Ok(()),
            Then::Encrypt(bytes) => {
                outgoing.append(bytes.len() + WRITE_OVERHEAD, |buffer| Ok(traffic.encrypt(bytes, buffer)?))
            }
            Then::CloseNotify => {
                outgoing.append(WRITE_OVERHEAD, |buffer| Ok(traffic.queue_close_notify(buffer)?))
            }
        }
    }
}

impl TlsSocket {
    /// A session before its [handshake](Self::poll_handshake), in the box that it stays in: it is large.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub(super) fn new(tcp: TcpStream, config: Arc<ServerConfig>) -> Result<Box<Self>, rustls::Error> {
        Ok(Box::new(Self {
            tcp,
            session: UnbufferedServerConnection::new(config)?,
            incoming: Vec::new(),
            decrypted: Pending::default(),
            outgoing: Pending::default(),
            deferrable: 0,
            unreported: 0,
            receiving: Receiving::Open,
            sending: Sending::Open,
        }))
    }

    /// The client's own certificate, DER, once the handshake is complete; none if the client was not asked for one.
    pub(in crate::server) fn client_certificate(&self) -> Option<&[u8]> {
        self.session.peer_certificates()?.first().map(|certificate| certificate.as_ref())
    }

    /// Whether the session is a resumed one, once the handshake is complete.
    pub(in crate::server) fn resumption(&self) -> Resumption {
        match self.session.handshake_kind() {
            Some(HandshakeKind::Resumed) => Resumption::Resumed,
            _ => Resumption::Full,
        }
    }

    /// Ready when the handshake is complete and its last message is written. With TLS 1.3 the ticket goes with the first write
    /// after it, so that it costs no packet of its own.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.receiving == Receiving::Ended {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_receive(cx, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Reads once from the socket, decrypts complete records into `out`, and keeps the bytes that do not fit.
    fn poll_receive(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuffer::borrow();
        let kept = self.incoming.len();
        // No more than `out` has room for, so that few decrypted bytes have to be kept.
        let until = (kept + out.remaining().max(MAX_RECORD)).min(buffer.len());
        if kept >= until {
            return Poll::Ready(Err(invalid("a handshake message of more than 64 KiB")));
        }
        let mut read = ReadBuf::new(&mut buffer[kept..until]);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
        let filled = kept + read.filled().len();
        if filled == kept {
            self.receiving = Receiving::Ended;
            return Poll::Ready(Ok(()));
        }
        buffer[..kept].copy_from_slice(&self.incoming);
        self.incoming = Vec::new();
        let was_handshaking = self.session.is_handshaking();
        let processed = self.process(&mut buffer[..filled], out, Then::Nothing);
        let is_complete = was_handshaking && !self.session.is_handshaking();
        if is_complete && self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            self.deferrable = self.outgoing.rest().len();
        }
        // What the session sends by itself, an alert for instance, is written now or with the next write.
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

    /// Lets the session process `input` and do `then`. Returns how many bytes of `input` are used up.
    ///
    /// # Errors
    /// If the client violates the protocol. The alert is then in `outgoing` and the session has failed.
    fn process(&mut self, input: &mut [u8], out: &mut ReadBuf<'_>, then: Then<'_>) -> io::Result<usize> {
        if self.sending == Sending::Failed {
            return Err(invalid("the TLS session has failed before"));
        }
        let processed = self.process_records(input, out, then);
        if processed.is_err() {
            self.sending = Sending::Failed;
        }
        processed
    }

    fn process_records(
        &mut self,
        input: &mut [u8],
        out: &mut ReadBuf<'_>,
        then: Then<'_>,
    ) -> io::Result<usize> {
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
                    // It is in `outgoing`, ahead of everything that follows.
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.receiving = Receiving::Ended;
                    false
                }
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    then.write(traffic, &mut self.outgoing)?;
                    true
                }
                // The session needs more input, or is closed. 0-RTT data is never accepted.
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
                return Err(invalid("the client does not read the answers that it causes"));
            }
        }
    }

    /// Moves the alert that follows an error to `outgoing`. rustls must not be asked for more: it would look for the rest
    /// of a handshake message in a buffer that is gone, and panic.
    fn take_alert(&mut self) {
        while self.session.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut data)) =
                self.session.process_tls_records(&mut []).state
            && self.outgoing.append(WRITE_OVERHEAD, |buffer| Ok(data.encode(buffer)?)).is_ok()
        {}
    }

    /// Encrypts into a buffer of the thread and writes. Only bytes that the socket does not accept are copied into memory of
    /// the session. Nothing but what can be deferred may be in `outgoing`, and it goes first.
    fn poll_encrypt(&mut self, cx: &mut Context<'_>, then: Then<'_>) -> Poll<io::Result<()>> {
        let mut buffer = WriteBuffer::borrow();
        let deferred = std::mem::replace(&mut self.outgoing, Pending::over(&mut buffer));
        self.outgoing.push(deferred.rest());
        self.deferrable = 0;
        // The session has to see the bytes again that it could not use before.
        let mut incoming = std::mem::take(&mut self.incoming);
        let processed = self.process(&mut incoming, &mut ReadBuf::new(&mut []), then);
        self.incoming = incoming;
        let sent = processed.map(|used| {
            self.incoming.drain(..used);
            self.poll_drain(cx)
        });
        self.outgoing.give_back(&mut buffer);
        sent?
    }

    /// Writes the encrypted bytes, and frees their memory when the socket has taken all of them. If all that is left can be
    /// deferred, nothing is written.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.rest().len() == self.deferrable {
            return Poll::Ready(Ok(()));
        }
        self.deferrable = 0;
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
            // A missing close_notify is not an error: HTTP and WebSocket messages have ends of their own.
            let has_ended = this.receiving == Receiving::Ended;
            if buf.filled().len() > before || buf.remaining() == 0 || has_ended {
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
        if self.sending == Sending::Open {
            self.sending = Sending::CloseNotified;
            ready!(self.poll_encrypt(cx, Then::CloseNotify))?;
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
