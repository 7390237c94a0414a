//! An event receiver, in the place of Caduceus (contract §5.4, §13.3). It counts events and does not deliver them further.

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

use crate::sink::ArrivalCounter;

/// The longest event that is accepted, in bytes.
const LONGEST: usize = 32 * 1024 * 1024;

/// Receives events by HTTP, with any method and path. It answers 202 unless [`Receiver::set_answer`] changes that. It stops on
/// drop.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    answer: Arc<Answer>,
    _accepting: JoinSet<()>,
}

/// The answer to requests, which can change at any time.
#[derive(Debug)]
struct Answer {
    status: AtomicU16,
    latency_micros: AtomicU64,
}

impl Receiver {
    /// Listens at `address`. Each event is counted by `counter`.
    ///
    /// # Errors
    /// If the address is in use or not local.
    pub async fn bind(address: SocketAddr, counter: Arc<dyn ArrivalCounter>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let answer = Arc::new(Answer {
            status: AtomicU16::new(StatusCode::ACCEPTED.as_u16()),
            latency_micros: AtomicU64::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&answer), counter));
        Ok(Self { address, answer, _accepting: accepting })
    }

    /// The address of the receiver, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for the gateway's configuration of event endpoints.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api/v4/notify", self.address)
    }

    /// Answers requests with `status`, after `latency`, from now on. Events count as arrived with any status.
    pub fn set_answer(&self, status: StatusCode, latency: Duration) {
        self.answer.status.store(status.as_u16(), Ordering::Relaxed);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.answer.latency_micros.store(micros, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, answer: Arc<Answer>, counter: Arc<dyn ArrivalCounter>) {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&counter)));
            }
            // Most likely there are no file descriptors left: try again when some have been closed.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, counter: Arc<dyn ArrivalCounter>) {
    // A failure is harmless: answers are only later without it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| receive(request, &answer, &*counter));
    // The gateway may end a connection in any way.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn receive(
    request: Request<Incoming>,
    answer: &Answer,
    counter: &dyn ArrivalCounter,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    match Limited::new(request.into_body(), LONGEST).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            match MessageRef::decode_v3(&body) {
                Ok(message) => counter.count(&message),
                Err(_) => counter.count_undecodable(),
            }
        }
        Err(_) => {
            counter.count_undecodable();
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
