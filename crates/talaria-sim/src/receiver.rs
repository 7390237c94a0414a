//! An event receiver: what stands where Caduceus would (contract §5.4, §13.3).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wrp::MessageRef;

use crate::sink::Arrivals;

/// The longest event taken, in bytes.
const LONGEST: usize = 32 * 1024 * 1024;

/// Receives events by HTTP, any method and path, and answers 202, or as it is told to. Goes when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    answer: Arc<Answer>,
    _accepting: JoinSet<()>,
}

/// How requests are answered; may change at any time.
#[derive(Debug)]
struct Answer {
    status: AtomicU16,
    latency_micros: AtomicU64,
}

impl Receiver {
    /// Listens at `address` and hands what comes to `arrivals`.
    ///
    /// # Errors
    /// If the address is not to be had.
    pub async fn bind(address: SocketAddr, arrivals: Arc<dyn Arrivals>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let answer = Arc::new(Answer {
            status: AtomicU16::new(StatusCode::ACCEPTED.as_u16()),
            latency_micros: AtomicU64::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&answer), arrivals));
        Ok(Self { address, answer, _accepting: accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to configure as an event endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api/v4/notify", self.address)
    }

    /// Has requests answered with `status`, after `latency`, from now on. Events answered with anything but 202 still
    /// count as arrived.
    pub fn set_answer(&self, status: StatusCode, latency: Duration) {
        self.answer.status.store(status.as_u16(), Ordering::Relaxed);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.answer.latency_micros.store(micros, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, answer: Arc<Answer>, arrivals: Arc<dyn Arrivals>) {
    // the connections go with this task
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&arrivals)));
            }
            // out of descriptors, most likely: some will come free
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, arrivals: Arc<dyn Arrivals>) {
    // without it answers would wait for acknowledgements; with it they only come sooner
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| take(request, &answer, &*arrivals));
    // how a connection ends is the gateway's affair
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn take(
    request: Request<Incoming>,
    answer: &Answer,
    arrivals: &dyn Arrivals,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    match Limited::new(request.into_body(), LONGEST).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            match MessageRef::decode_v3(&body) {
                Ok(message) => arrivals.message(&message),
                Err(_) => arrivals.undecodable(),
            }
        }
        Err(_) => {
            arrivals.undecodable();
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(response);
        }
    }
    let latency = answer.latency_micros.load(Ordering::Relaxed);
    if latency > 0 {
        sleep(Duration::from_micros(latency)).await;
    }
    *response.status_mut() =
        StatusCode::from_u16(answer.status.load(Ordering::Relaxed)).unwrap_or(StatusCode::ACCEPTED);
    Ok(response)
}
