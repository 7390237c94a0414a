//! The attacks: what an attempt of each kind does. An attempt is limited in time and in the bytes that it sends.
//!
//! What it sends is in [`bytes`], how it sends it in [`connection`]. Who repeats attempts is in `attacker.rs`.

mod bytes;
mod connection;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::timeout;

use self::connection::{Connection, Unread, connect};
use super::kind::Kind;
use crate::fleet::Target;
use crate::random::Random;
use crate::tls::Tls;

/// The time limit of an attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);

/// The most bytes that an attempt sends.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A well-formed token that is not signed: `{"alg":"none"}`, `{"sub":"x"}`, no signature.
const BAD_TOKEN: &str = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";

/// The connections that a descriptor hog holds.
const HELD: usize = 50;

/// The models that one attempt of a label flood connects with.
const MODELS: usize = 20;

/// The costly messages of an attempt.
const COSTLY: usize = 4;

/// The events of an attempt for a host that the device names.
const NAMED: usize = 200;

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
    /// A host that accepts connections and never answers, for attackers that name one.
    pub(super) silent_host: SocketAddr,
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
        let Some(mut connection) = self.open(sent).await? else { return Ok(Outcome::Unreachable) };
        let host = &self.target.host;
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
                connection.send(bytes::HALF_HELLO).await?;
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
            Kind::UnmaskedFlood => connection.flood(self, &[], &bytes::unmasked(), MOST_BYTES).await,
            Kind::GiantFrame => {
                connection.flood(self, &bytes::giant_head(), &bytes::zeros(), MOST_BYTES).await
            }
            Kind::FragmentBomb => {
                let (first, next) = (bytes::fragment(0x02), bytes::fragment(0x00));
                connection.flood(self, &first, &next, MOST_BYTES).await
            }
            Kind::UnfinishedHog => connection.flood(self, &bytes::unfinished(), &[], 0).await,
            Kind::CostlyMessage => {
                let message = bytes::costly_message();
                connection.send_messages(self, &message, COSTLY).await
            }
            Kind::DeviceNamedHost => {
                let event = bytes::event_to(&self.device_id, self.silent_host);
                connection.send_messages(self, &event, NAMED).await
            }
            Kind::UnreadAcks => {
                connection.write_only(self, &bytes::events_with_long_acks(&self.device_id)).await
            }
            Kind::DescriptorHog => self.hold_connections().await,
            Kind::LabelFlood => {
                drop(connection);
                self.connect_with_many_models(sent).await
            }
        }
    }

    /// A connection to the gateway, with the TLS handshake done; `None` if none could be made.
    async fn open<'a>(&self, sent: &'a mut u64) -> io::Result<Option<Connection<'a>>> {
        let Ok(stream) = connect(self.target.address).await else { return Ok(None) };
        let connection = match &self.tls {
            Some(tls) if self.kind != Kind::HalfHandshake => {
                Connection::new(tls.connect(stream, &self.target.host).await?, sent)
            }
            _ => Connection::new(stream, sent),
        };
        Ok(Some(connection))
    }

    /// Holds many connections without a byte on them, until the gateway has closed all of them.
    async fn hold_connections(&self) -> io::Result<Outcome> {
        let mut held = Vec::with_capacity(HELD);
        for _ in 0..HELD {
            match connect(self.target.address).await {
                Ok(stream) => held.push(stream),
                Err(_) if held.is_empty() => return Ok(Outcome::Unreachable),
                Err(_) => break,
            }
        }
        for stream in held {
            Unread::new(stream).ended().await;
        }
        Ok(Outcome::Cut)
    }

    /// Connects as one device again and again, each time with another name for its model.
    async fn connect_with_many_models(&self, sent: &mut u64) -> io::Result<Outcome> {
        let mut random = Random::new();
        for _ in 0..MODELS {
            let Some(mut connection) = self.open(sent).await? else { return Ok(Outcome::Unreachable) };
            let convey = bytes::convey(&format!("model-{:x}", random.next_u64()));
            if let Some(ended) = connection.upgrade(self, &[("X-Webpa-Convey", &convey)]).await? {
                return Ok(ended);
            }
        }
        Ok(Outcome::Endured)
    }
}
