//! An attacker's connection: how it sends, and how it notices that the gateway has had enough.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::{Attempt, LONGEST_ATTEMPT, MOST_BYTES, Outcome};
use crate::random::Random;
use crate::ws::{Answer, HandshakeError, Request};

/// The pause of a slow attacker before its next byte.
const DRIP_INTERVAL: Duration = Duration::from_millis(100);

/// After this long without progress the gateway takes nothing more.
const STUCK: Duration = Duration::from_secs(1);

/// The pause between two batches of events whose acknowledgements are not read: it is their acknowledgements that are to
/// wait, not the events that are to flood the sinks.
const UNREAD_INTERVAL: Duration = Duration::from_millis(50);

/// The send buffer of an attacker's socket. It is small because megabytes that wait in this machine's kernel would use its
/// processors without any effect on the gateway.
const SEND_BUFFER: u32 = 64 * 1024;

/// The first byte of a close frame.
const CLOSE: u8 = 0x88;

/// A TCP stream or a TLS stream.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection, and the number of bytes sent over it.
pub(super) struct Connection<'a> {
    stream: Box<dyn Stream>,
    sent: &'a mut u64,
}

/// A connection on which nothing is sent.
pub(super) struct Unread(TcpStream);

/// Connects with a small send buffer.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.connect(address).await
}

impl Unread {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Waits until the gateway has closed the connection.
    pub(super) async fn ended(mut self) {
        let mut bytes = [0; 512];
        while matches!(self.0.read(&mut bytes).await, Ok(read) if read > 0) {}
    }
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        sent: &'a mut u64,
    ) -> Self {
        Self { stream: Box::new(stream), sent }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        *self.sent += bytes.len() as u64;
        Ok(())
    }

    /// Sends one byte at a time until the gateway answers or closes the connection.
    pub(super) async fn drip(&mut self) -> io::Result<Outcome> {
        loop {
            if let Ok(ended) = timeout(DRIP_INTERVAL, self.response()).await {
                return ended;
            }
            self.send(b"x").await?;
        }
    }

    /// Waits for the first bytes of a response, or for the end of the connection.
    pub(super) async fn response(&mut self) -> io::Result<Outcome> {
        let mut bytes = [0; 512];
        let read = self.stream.read(&mut bytes).await?;
        Ok(if bytes[..read].starts_with(b"HTTP/1.1 ") { Outcome::Refused } else { Outcome::Cut })
    }

    /// Does the WebSocket handshake of a device. Returns the outcome of the attempt if the gateway does not accept it.
    pub(super) async fn upgrade(
        &mut self,
        attempt: &Attempt,
        headers: &[(&str, &str)],
    ) -> io::Result<Option<Outcome>> {
        let request = Request::new(&mut Random::new());
        let name = [("X-Webpa-Device-Name", attempt.device_id.as_str())];
        let headers = name.iter().chain(headers).copied();
        self.send(&request.to_bytes(&attempt.target.host, &attempt.target.path, headers)).await?;
        let mut response = Vec::with_capacity(512);
        loop {
            if self.stream.read_buf(&mut response).await? == 0 {
                return Ok(Some(Outcome::Cut));
            }
            match request.check(&response) {
                Ok(Answer::Incomplete) => {}
                Ok(Answer::Accepted { .. }) => return Ok(None),
                Err(HandshakeError::Refused { .. }) => return Ok(Some(Outcome::Refused)),
                Err(_) => return Ok(Some(Outcome::Cut)),
            }
        }
    }

    /// Connects as a device, sends `first` and then `repeated`, up to `most` bytes in all, and stays until the gateway
    /// closes the connection.
    pub(super) async fn flood(
        &mut self,
        attempt: &Attempt,
        first: &[u8],
        repeated: &[u8],
        most: u64,
    ) -> io::Result<Outcome> {
        if let Some(ended) = self.upgrade(attempt, &[]).await? {
            return Ok(ended);
        }
        self.send(first).await?;
        let Connection { stream, sent } = self;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            while **sent < most {
                writer.write_all(repeated).await?;
                **sent += repeated.len() as u64;
            }
            sleep(LONGEST_ATTEMPT).await;
            Ok(Outcome::Endured)
        };
        tokio::select! {
            outcome = write => outcome,
            closed = closed(&mut reader) => closed.map(|()| Outcome::Cut),
        }
    }

    /// Connects as a device, sends a message so many times, and leaves.
    pub(super) async fn send_messages(
        &mut self,
        attempt: &Attempt,
        message: &[u8],
        count: usize,
    ) -> io::Result<Outcome> {
        if let Some(ended) = self.upgrade(attempt, &[]).await? {
            return Ok(ended);
        }
        for _ in 0..count {
            self.send(message).await?;
        }
        Ok(Outcome::Endured)
    }

    /// Connects as a device and sends messages without reading anything, until the gateway closes the connection or takes
    /// nothing more. Then it leaves.
    pub(super) async fn write_only(&mut self, attempt: &Attempt, messages: &[u8]) -> io::Result<Outcome> {
        if let Some(ended) = self.upgrade(attempt, &[]).await? {
            return Ok(ended);
        }
        while *self.sent < MOST_BYTES {
            match timeout(STUCK, self.send(messages)).await {
                Ok(sent) => sent?,
                Err(_) => break,
            }
            sleep(UNREAD_INTERVAL).await;
        }
        Ok(Outcome::Endured)
    }
}

/// Waits until the connection ends or a close frame arrives. Other frames are ignored: the gateway also sends pings.
async fn closed(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut bytes = [0; 512];
    while reader.read(&mut bytes).await? > 0 && bytes[0] != CLOSE {}
    Ok(())
}
