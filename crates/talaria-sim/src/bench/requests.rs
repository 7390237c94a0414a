//! Requests to devices through the gateway's API (contract §3.4), and the devices' responses.

use std::collections::BTreeMap;
use std::io;
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
use tokio::time::{self, Instant};
use wrp::{MessageRef, MessageType};

use crate::fleet::Fleet;
use crate::latency::Latencies;
use crate::run::RunId;
use crate::testbed::Api;
use crate::tls::Tls;

/// The first sequence number of a request's key, far above those of events.
const FIRST_KEY: u64 = 1 << 40;

/// The payload of each request, which the device sends back.
const PAYLOAD: &[u8] = br#"{"command":"GET","names":["Device.DeviceInfo.SoftwareVersion"]}"#;

/// A number of requests to the devices of a fleet.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) api: Api,
    /// The TLS configuration, if the API uses TLS.
    pub(super) tls: Option<Tls>,
    /// `user:password` for the API.
    pub(super) auth: String,
    /// The fleet's run.
    pub(super) run: RunId,
    /// The number of requests.
    pub(super) count: u64,
    /// The number of connections, each with one request at a time.
    pub(super) connections: usize,
    /// The time limit for a response.
    pub(super) timeout: Duration,
}

/// The results of the requests.
#[derive(Debug, Default)]
pub(super) struct Responses {
    /// The number of failed requests by their errors.
    pub(super) failed: Mutex<BTreeMap<String, u64>>,
    pub(super) latency: Latencies,
}

/// Why a request has no valid response.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("no connection to the api: {0}")]
    Connect(#[from] io::Error),
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    #[error("no response within {0:?}")]
    TimedOut(Duration),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("the response is not the one that the device sent")]
    Mismatch,
    #[error("the request cannot be built: {0}")]
    Build(#[from] http::Error),
}

impl Requests {
    /// Sends all requests and waits for their responses. `progress` is called after each.
    pub(super) async fn run(
        self,
        fleet: Arc<Fleet>,
        progress: impl Fn() + Clone + Send + 'static,
    ) -> Arc<Responses> {
        let (all, next) = (Arc::new(self), Arc::new(AtomicU64::new(0)));
        let responses = Arc::new(Responses::default());
        let mut workers = JoinSet::new();
        for _ in 0..all.connections.max(1) {
            let (all, next, responses) = (Arc::clone(&all), Arc::clone(&next), Arc::clone(&responses));
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
                    match all.send(&mut connection, id, number).await {
                        Ok(()) => responses.latency.record(begun.elapsed()),
                        Err(error) => {
                            connection = None;
                            *responses.failed.lock().entry(error.to_string()).or_default() += 1;
                        }
                    }
                    progress();
                }
            });
        }
        workers.join_all().await;
        responses
    }

    async fn send(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        id: &str,
        number: u64,
    ) -> Result<(), RequestError> {
        let key = self.run.key(FIRST_KEY + number).to_string();
        let dest = format!("{id}/config");
        let message = MessageRef {
            msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
            source: "dns:talaria-sim.example.com".into(),
            dest: dest.as_str().into(),
            transaction_uuid: key.as_str().into(),
            content_type: "application/json".into(),
            payload: Some(PAYLOAD),
            ..MessageRef::default()
        };
        let mut body = vec![];
        message.encode_v3(&mut body);
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v2/device/send")
            .header(HOST, &self.api.host)
            .header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(&self.auth)))
            .header(CONTENT_TYPE, "application/msgpack")
            .body(Full::new(body.into()))?;
        let (status, body) = time::timeout(self.timeout, self.exchange(connection, request))
            .await
            .map_err(|_| RequestError::TimedOut(self.timeout))??;
        if status != StatusCode::OK {
            return Err(RequestError::Status(status));
        }
        match MessageRef::decode_v3(&body) {
            Ok(response)
                if response.transaction_uuid == key.as_str() && response.payload == Some(PAYLOAD) =>
            {
                Ok(())
            }
            _ => Err(RequestError::Mismatch),
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
            // Boxed, so that the future of a request does not contain a TLS handshake.
            _ => connection.insert(Box::pin(self.connect()).await?),
        };
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, RequestError> {
        let stream = TcpStream::connect(self.api.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => handshake(tls.connect(stream, &self.api.host).await?).await,
            None => handshake(stream).await,
        }
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, RequestError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The task ends when the sender is dropped, and the sender returns its errors.
    tokio::spawn(connection);
    Ok(sender)
}
