//! An event receiver, such as Caduceus is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wrp::{Message, MessageRef};

/// An event as it was posted, and when.
pub(crate) struct Posted {
    pub(crate) at: Instant,
    pub(crate) message: Message,
    pub(crate) headers: HeaderMap,
}

/// Takes events until it is dropped, and answers 202.
pub(crate) struct Receiver {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Answers at once.
    pub(crate) async fn start() -> Self {
        Self::answering_after(Duration::ZERO).await
    }

    /// Takes so long for each answer.
    pub(crate) async fn answering_after(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let posted = Arc::new(Mutex::new(Vec::new()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&posted), delay));
        Self { address, posted, accepting }
    }

    /// `host:port`
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v4/notify", self.address)
    }

    /// How many events came so far.
    pub(crate) fn count(&self) -> usize {
        self.posted.lock().len()
    }

    /// Everything that came since the last call.
    pub(crate) fn take(&self) -> Vec<Posted> {
        std::mem::take(&mut self.posted.lock())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, posted: Arc<Mutex<Vec<Posted>>>, delay: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        let posted = Arc::clone(&posted);
        let service = service_fn(move |request| answer(request, Arc::clone(&posted), delay));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
    posted: Arc<Mutex<Vec<Posted>>>,
    delay: Duration,
) -> hyper::Result<Response<Empty<Bytes>>> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let (headers, body) = (head.headers, body.collect().await?.to_bytes());
    let message = MessageRef::decode_v3(&body).expect("events are posted as WRP v3").to_owned();
    posted.lock().push(Posted { at, message, headers });
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
