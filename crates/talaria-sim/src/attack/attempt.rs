//! The attacks: what an attempt of each kind sends. An attempt is limited in time and in the bytes that it sends.
//!
//! Who repeats attempts is in `attacker.rs`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::kind::Kind;
use crate::fleet::Target;
use crate::random::Random;
use crate::tls::Tls;
use crate::ws::{Answer, HandshakeError, Request};

/// The time limit of an attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);

/// The most bytes that an attempt sends.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The pause of a slow attacker before its next byte.
const DRIP_INTERVAL: Duration = Duration::from_millis(100);

/// The first bytes of a TLS record with a ClientHello of 508 bytes. The rest is never sent.
const HALF_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// A well-formed token that is not signed: `{"alg":"none"}`, `{"sub":"x"}`, no signature.
const BAD_TOKEN: &str = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";

/// The payload of a frame of the unmasked flood, in bytes.
const FRAME: usize = 1000;

/// A fragment of the fragment bomb, in bytes.
const FRAGMENT: usize = 64 * 1024;

/// The send buffer of an attacker's socket. It is small because megabytes that wait in this machine's kernel would use its
/// processors without any effect on the gateway.
const SEND_BUFFER: u32 = 64 * 1024;

/// The first byte of a close frame.
const CLOSE: u8 = 0x88;

/// One attempt of an attack, which can be made any number of times.
pub(super) struct Attempt {
    pub(super) kind: Kind,
    pub(super) target: Target,
    /// The TLS configuration, if the gateway uses TLS.
    pub(super) tls: Option<Tls>,
    /// `user:password` of the API, for attacks that must be authenticated to have an effect.
    pub(super) auth: String,
    /// The id that the attacker uses when it connects as a device.
    pub(super) device_id: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The gateway answered with an error status.
    Refused,
    /// The gateway closed the connection.
    Cut,
    /// The gateway did not stop the attempt, which ended at its own limit.
    Endured,
    /// No connection could be made.
    Unreachable,
}

impl Attempt {
    /// Makes the attempt. Returns its outcome and the number of bytes sent.
    pub(super) async fn run(&self) -> (Outcome, u64) {
        let mut sent = 0;
        let outcome = match timeout(LONGEST_ATTEMPT, self.attack(&mut sent)).await {
            Ok(Ok(outcome)) => outcome,
            // A reset or a broken pipe: the gateway had closed the connection.
            Ok(Err(_)) => Outcome::Cut,
            Err(_) => Outcome::Endured,
        };
        (outcome, sent)
    }

    async fn attack(&self, sent: &mut u64) -> io::Result<Outcome> {
        let Ok(stream) = connect(self.target.address).await else {
            return Ok(Outcome::Unreachable);
        };
        let host = &self.target.host;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) if self.kind != Kind::HalfHandshake => Box::new(tls.connect(stream, host).await?),
            _ => Box::new(stream),
        };
        let mut connection = Connection { stream, sent };
        match self.kind {
            Kind::SlowHeader => {
                let head = format!("GET /api/v2/device HTTP/1.1\r\nHost: {host}\r\nX-Slow: ");
                connection.send(head.as_bytes()).await?;
                connection.drip().await
            }
            Kind::SlowBody => {
                let auth = STANDARD.encode(&self.auth);
                let head = format!(
                    "POST /api/v2/device/send HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {auth}\r\n\
                     Content-Type: application/msgpack\r\nContent-Length: 100000\r\n\r\n"
                );
                connection.send(head.as_bytes()).await?;
                connection.drip().await
            }
            Kind::HalfHandshake => {
                connection.send(HALF_HELLO).await?;
                connection.response().await
            }
            Kind::BadToken => {
                let ended = connection.upgrade(self, &[("Authorization", BAD_TOKEN)]).await?;
                Ok(ended.unwrap_or(Outcome::Endured))
            }
            Kind::ReconnectStorm => {
                let ended = connection.upgrade(self, &[]).await?;
                Ok(ended.unwrap_or(Outcome::Endured))
            }
            Kind::UnmaskedFlood => {
                let mut frame = vec![0x82, 126];
                frame.extend_from_slice(&(FRAME as u16).to_be_bytes());
                frame.resize(4 + FRAME, b'x');
                connection.flood(self, &[], &frame).await
            }
            Kind::GiantFrame => {
                let mut head = vec![0x82, 0xff];
                head.extend_from_slice(&(1u64 << 62).to_be_bytes());
                head.extend_from_slice(&[0; 4]);
                connection.flood(self, &head, &vec![0; FRAGMENT]).await
            }
            Kind::FragmentBomb => {
                let first = fragment(0x02);
                connection.flood(self, &first, &fragment(0x00)).await
            }
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.connect(address).await
}

/// A fragment that is not the last of its message, masked with zeros.
fn fragment(opcode: u8) -> Vec<u8> {
    let mut out = vec![opcode, 0xff];
    out.extend_from_slice(&(FRAGMENT as u64).to_be_bytes());
    out.resize(2 + 8 + 4 + FRAGMENT, 0);
    out
}

/// A TCP stream or a TLS stream.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection, and the number of bytes sent over it.
struct Connection<'a> {
    stream: Box<dyn Stream>,
    sent: &'a mut u64,
}

impl Connection<'_> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        *self.sent += bytes.len() as u64;
        Ok(())
    }

    /// Sends one byte at a time until the gateway answers or closes the connection.
    async fn drip(&mut self) -> io::Result<Outcome> {
        loop {
            if let Ok(ended) = timeout(DRIP_INTERVAL, self.response()).await {
                return ended;
            }
            self.send(b"x").await?;
        }
    }

    /// Waits for the first bytes of a response, or for the end of the connection.
    async fn response(&mut self) -> io::Result<Outcome> {
        let mut bytes = [0; 512];
        let read = self.stream.read(&mut bytes).await?;
        Ok(if bytes[..read].starts_with(b"HTTP/1.1 ") { Outcome::Refused } else { Outcome::Cut })
    }

    /// Does the WebSocket handshake of a device. Returns the outcome of the attempt if the gateway does not accept it.
    async fn upgrade(&mut self, attempt: &Attempt, headers: &[(&str, &str)]) -> io::Result<Option<Outcome>> {
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

    /// Connects as a device, sends `first` and then `repeated` until the gateway closes the connection.
    async fn flood(&mut self, attempt: &Attempt, first: &[u8], repeated: &[u8]) -> io::Result<Outcome> {
        if let Some(ended) = self.upgrade(attempt, &[]).await? {
            return Ok(ended);
        }
        self.send(first).await?;
        let Connection { stream, sent } = self;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            while **sent < MOST_BYTES {
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
}

/// Waits until the connection ends or a close frame arrives. Other frames are ignored: the gateway also sends pings.
async fn closed(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut bytes = [0; 512];
    while reader.read(&mut bytes).await? > 0 && bytes[0] != CLOSE {}
    Ok(())
}
