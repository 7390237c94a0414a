//! Requests to devices through the gateway's API (contract §3.4), and their answers.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use wrp::{MessageRef, MessageType};

use crate::fleet::Fleet;
use crate::latency::Latencies;
use crate::run::RunId;
use crate::tls::Tls;

/// Requests' keys start here, far from those of events.
const FIRST_KEY: u64 = 1 << 40;

/// What a request carries, and its answer must carry back.
const PAYLOAD: &[u8] = br#"{"command":"GET","names":["Device.DeviceInfo.SoftwareVersion"]}"#;

/// The address of a gateway's REST API: `http://host:port`, or `https://` for TLS, looked up once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    address: SocketAddr,
    is_tls: bool,
    host: String,
}

/// A text is not the address of an API.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address of the form http://host:port or https://host:port")]
pub struct ApiError(String);

impl Api {
    /// The API at this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, is_tls: false, host: address.to_string() }
    }

    /// The same, with TLS.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { is_tls: true, ..self }
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl FromStr for Api {
    type Err = ApiError;

    fn from_str(url: &str) -> Result<Self, ApiError> {
        let malformed = || ApiError(url.to_owned());
        let (is_tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(malformed()),
        };
        let host = rest.trim_end_matches('/').to_owned();
        let address = host.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(malformed)?;
        Ok(Self { address, is_tls, host })
    }
}

/// Sends requests to a fleet's devices.
#[derive(Debug)]
pub(super) struct Requests {
    /// Where to send them.
    pub(super) api: Api,
    /// How it speaks TLS, if it does.
    pub(super) tls: Option<Tls>,
    /// `user:password` for the API.
    pub(super) auth: String,
    /// The fleet's run.
    pub(super) run: RunId,
    /// How many in all.
    pub(super) count: u64,
    /// How many at a time, each over a connection of its own.
    pub(super) at_a_time: usize,
    /// How long an answer may take.
    pub(super) within: Duration,
}

/// What came of the requests.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Requests answered by the device that was asked, with what it was asked.
    pub(super) answered: AtomicU64,
    /// The others, by what went wrong.
    pub(super) failed: Mutex<BTreeMap<String, u64>>,
    /// How long answers took.
    pub(super) latency: Latencies,
}

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("no connection to the api: {0}")]
    Connect(#[from] io::Error),
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("the answer is not the device's")]
    Wrong,
    #[error("the request cannot be made: {0}")]
    Unmakeable(#[from] http::Error),
}

impl Requests {
    /// Sends them all and waits for their answers. `progress` hears of every one.
    pub(super) async fn run(
        self,
        fleet: Arc<Fleet>,
        progress: impl Fn() + Clone + Send + 'static,
    ) -> Arc<Answers> {
        let (all, next) = (Arc::new(self), Arc::new(AtomicU64::new(0)));
        let answers = Arc::new(Answers::default());
        let mut workers = JoinSet::new();
        for _ in 0..all.at_a_time.max(1) {
            let (all, next, answers) = (Arc::clone(&all), Arc::clone(&next), Arc::clone(&answers));
            let (fleet, progress) = (Arc::clone(&fleet), progress.clone());
            workers.spawn(async move {
                let mut connection = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all.count {
                        return;
                    }
                    let begun = Instant::now();
                    let id = fleet
                        .id(usize::try_from(number).unwrap_or(0) % fleet.len().max(1))
                        .unwrap_or_default();
                    match all.ask(&mut connection, id, number).await {
                        Ok(()) => {
                            answers.latency.record(begun.elapsed());
                            answers.answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            connection = None;
                            *answers.failed.lock().entry(error.to_string()).or_default() += 1;
                        }
                    }
                    progress();
                }
            });
        }
        workers.join_all().await;
        answers
    }

    async fn ask(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        id: &str,
        number: u64,
    ) -> Result<(), RequestError> {
        let key = self.run.key(FIRST_KEY + number).to_string();
        let dest = format!("{id}/config");
        let question = MessageRef {
            msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
            source: "dns:talaria-sim.example.com".into(),
            dest: dest.as_str().into(),
            transaction_uuid: key.as_str().into(),
            content_type: "application/json".into(),
            payload: Some(PAYLOAD),
            ..MessageRef::default()
        };
        let mut body = vec![];
        question.encode_v3(&mut body);
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v2/device/send")
            .header(HOST, &self.api.host)
            .header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(&self.auth)))
            .header(CONTENT_TYPE, "application/msgpack")
            .body(Full::new(body.into()))?;
        let (status, answer) = timeout(self.within, self.exchange(connection, request))
            .await
            .map_err(|_| RequestError::TimedOut(self.within))??;
        if status != StatusCode::OK {
            return Err(RequestError::Status(status));
        }
        match MessageRef::decode_v3(&answer) {
            Ok(answer) if answer.transaction_uuid == key.as_str() && answer.payload == Some(PAYLOAD) => {
                Ok(())
            }
            _ => Err(RequestError::Wrong),
        }
    }

    async fn exchange(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), RequestError> {
        let usable = match connection {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let sender = match connection {
            Some(sender) if usable => sender,
            // boxed: the handshake of TLS is not to be part of every request
            _ => connection.insert(Box::pin(self.open()).await?),
        };
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, RequestError> {
        let stream = TcpStream::connect(self.api.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => talk(tls.connect(stream, &self.api.host).await?).await,
            None => talk(stream).await,
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, RequestError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // ends with its sender; its error is the sender's
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_address_is_http_with_a_port() {
        assert_eq!("http://127.0.0.1:80/".parse::<Api>().unwrap(), Api::at("127.0.0.1:80".parse().unwrap()));
        assert!("https://127.0.0.1:443".parse::<Api>().unwrap().is_tls());
        for url in ["127.0.0.1:80", "ftp://127.0.0.1:80", "http://127.0.0.1", ""] {
            assert!(url.parse::<Api>().is_err(), "{url:?}");
        }
    }
}
