//! One attempt of each kind of attack. Each is bounded: in time, and in the bytes that it sends.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::Kind;
use super::attacker::Attacker;
use crate::random::Random;
use crate::ws::{Answer, HandshakeError, Request};

/// What an attempt takes at most, in time and in bytes.
const ENOUGH: Duration = Duration::from_secs(60);
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// How long a slow attacker waits before its next byte.
const DRIP: Duration = Duration::from_millis(100);

/// The beginning of a TLS record: a ClientHello of 508 bytes, of which no more comes.
const HALF_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// A token in the shape of one: `{"alg":"none"}`, `{"sub":"x"}`, no signature.
const BAD_TOKEN: &str = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";

/// A flood's frame, and a fragment of the bomb, in bytes.
const FRAME: usize = 1000;
const FRAGMENT: usize = 64 * 1024;
const SEND_BUFFER: u32 = 64 * 1024;

/// The first byte of a close frame.
const CLOSE: u8 = 0x88;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The gateway answered with an error's status.
    Refused,
    /// The gateway closed the connection.
    Cut,
    /// The gateway let it be until the attacker had enough.
    Endured,
    /// Nobody listened.
    Unreachable,
}

/// Makes one attempt. Returns how it ended and how many bytes it sent.
pub(super) async fn make(attacker: &Attacker) -> (Outcome, u64) {
    let mut sent = 0;
    let outcome = match timeout(ENOUGH, deed(attacker, &mut sent)).await {
        Ok(Ok(outcome)) => outcome,
        // reset, or a broken pipe: the gateway had closed already
        Ok(Err(_)) => Outcome::Cut,
        Err(_) => Outcome::Endured,
    };
    (outcome, sent)
}

async fn deed(attacker: &Attacker, sent: &mut u64) -> io::Result<Outcome> {
    let Ok(stream) = connect(attacker.target.address).await else {
        return Ok(Outcome::Unreachable);
    };
    let host = &attacker.target.host;
    let stream: Box<dyn Stream> = match &attacker.tls {
        Some(tls) if attacker.kind != Kind::HalfHandshake => Box::new(tls.connect(stream, host).await?),
        _ => Box::new(stream),
    };
    let mut line = Line { stream, sent };
    match attacker.kind {
        Kind::SlowHeader => {
            line.send(format!("GET /api/v2/device HTTP/1.1\r\nHost: {host}\r\nX-Slow: ").as_bytes()).await?;
            line.drip().await
        }
        Kind::SlowBody => {
            let auth = STANDARD.encode(&attacker.auth);
            let head = format!(
                "POST /api/v2/device/send HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {auth}\r\n\
                 Content-Type: application/msgpack\r\nContent-Length: 100000\r\n\r\n"
            );
            line.send(head.as_bytes()).await?;
            line.drip().await
        }
        Kind::HalfHandshake => {
            line.send(HALF_HELLO).await?;
            line.answer().await
        }
        Kind::BadToken => match line.upgrade(attacker, &[("Authorization", BAD_TOKEN)]).await? {
            Some(refused) => Ok(refused),
            None => Ok(Outcome::Endured),
        },
        Kind::ReconnectStorm => match line.upgrade(attacker, &[]).await? {
            Some(refused) => Ok(refused),
            None => Ok(Outcome::Endured),
        },
        Kind::UnmaskedFlood => {
            let mut frame = vec![0x82, 126];
            frame.extend_from_slice(&(FRAME as u16).to_be_bytes());
            frame.resize(4 + FRAME, b'x');
            line.flood(attacker, &[], &frame).await
        }
        Kind::GiantFrame => {
            let mut head = vec![0x82, 0xff];
            head.extend_from_slice(&(1u64 << 62).to_be_bytes());
            head.extend_from_slice(&[0; 4]);
            line.flood(attacker, &head, &vec![0; FRAGMENT]).await
        }
        Kind::FragmentBomb => {
            let first = fragment(0x02);
            line.flood(attacker, &first, &fragment(0x00)).await
        }
    }
}

/// A connection that keeps little of what the gateway does not read: megabytes that only wait in this machine's kernel
/// would cost its processors, and not the gateway.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.connect(address).await
}

/// One fragment of a message, masked with zeros and not the last.
fn fragment(opcode: u8) -> Vec<u8> {
    let mut out = vec![opcode, 0xff];
    out.extend_from_slice(&(FRAGMENT as u64).to_be_bytes());
    out.resize(2 + 8 + 4 + FRAGMENT, 0);
    out
}

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection, and the count of what went out on it.
struct Line<'a> {
    stream: Box<dyn Stream>,
    sent: &'a mut u64,
}

impl Line<'_> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        *self.sent += bytes.len() as u64;
        Ok(())
    }

    /// Sends a byte now and then, until the gateway answers or closes.
    async fn drip(&mut self) -> io::Result<Outcome> {
        loop {
            if let Ok(ended) = timeout(DRIP, self.answer()).await {
                return ended;
            }
            self.send(b"x").await?;
        }
    }

    /// Waits for an answer's first bytes, or for the end.
    async fn answer(&mut self) -> io::Result<Outcome> {
        let mut bytes = [0; 512];
        let read = self.stream.read(&mut bytes).await?;
        Ok(if bytes[..read].starts_with(b"HTTP/1.1 ") { Outcome::Refused } else { Outcome::Cut })
    }

    /// Becomes a device's connection; `Some` if the gateway did not want it.
    async fn upgrade(
        &mut self,
        attacker: &Attacker,
        headers: &[(&str, &str)],
    ) -> io::Result<Option<Outcome>> {
        let request = Request::new(&mut Random::new());
        let name = [("X-Webpa-Device-Name", attacker.id.as_str())];
        let headers = name.iter().chain(headers).copied();
        self.send(&request.to_bytes(&attacker.target.host, &attacker.target.path, headers)).await?;
        let mut answer = Vec::with_capacity(512);
        loop {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Ok(Some(Outcome::Cut));
            }
            match request.check(&answer) {
                Ok(Answer::Incomplete) => {}
                Ok(Answer::Accepted { .. }) => return Ok(None),
                Err(HandshakeError::Refused { .. }) => return Ok(Some(Outcome::Refused)),
                Err(_) => return Ok(Some(Outcome::Cut)),
            }
        }
    }

    /// As a device: sends `first` and then `again` and again, until the gateway closes.
    async fn flood(&mut self, attacker: &Attacker, first: &[u8], again: &[u8]) -> io::Result<Outcome> {
        if let Some(refused) = self.upgrade(attacker, &[]).await? {
            return Ok(refused);
        }
        self.send(first).await?;
        let Line { stream, sent } = self;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            while **sent < MOST_BYTES {
                writer.write_all(again).await?;
                **sent += again.len() as u64;
            }
            sleep(ENOUGH).await;
            Ok(Outcome::Endured)
        };
        tokio::select! {
            outcome = write => outcome,
            closed = closed(&mut reader) => closed.map(|()| Outcome::Cut),
        }
    }
}

/// Waits until the gateway closes, or says anything but a ping: a device in good standing hears nothing else.
async fn closed(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut bytes = [0; 512];
    while reader.read(&mut bytes).await? > 0 && bytes[0] != CLOSE {}
    Ok(())
}
