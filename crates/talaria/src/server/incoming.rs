//! Reading a request's body, within a size and a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::time::{Instant, timeout_at};

use super::memory::{Arriving, ConnectionMemory, Share};
use super::metrics::Connections;
use super::{Body, ConnectionFailure, reply};

/// An extension of each request: until when its body has to arrive.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// When the whole request has to have arrived (`readTimeout`).
    pub(super) deadline: Option<Instant>,
    /// Counts a body that fails.
    pub(super) connections: Arc<Connections>,
    /// What the body takes of the budget, if there is one.
    pub(super) memory: Option<Arc<ConnectionMemory>>,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The client stopped sending, or the body is malformed.
    #[error("the body could not be read")]
    Broken,
    /// It is the largest of the bodies that wait when all of them are too much, or there is no room for another one.
    #[error("there is no room for the body now")]
    NoRoom,
}

/// Reads the whole body. It counts in the budget of all bodies until the returned head is dropped, so drop that when the body
/// is passed on to something that counts it itself.
///
/// # Errors
/// If it is longer than `limit` bytes, or later than the server allows, or broken, or if there is no room for it.
pub async fn read(request: Request<Incoming>, limit: usize) -> Result<(Parts, Bytes), ReadError> {
    let (mut head, body) = request.into_parts();
    let arrival = head.extensions.remove::<Arrival>();
    match collect(body, limit, arrival.as_ref()).await {
        Ok((bytes, share)) => {
            if let Some(share) = share {
                head.extensions.insert(Arc::new(share));
            }
            Ok((head, bytes))
        }
        Err(error) => {
            if let Some(arrival) = arrival {
                arrival.report(error);
            }
            Err(error)
        }
    }
}

async fn collect(
    body: Incoming,
    limit: usize,
    arrival: Option<&Arrival>,
) -> Result<(Bytes, Option<Share>), ReadError> {
    // A body that is announced as too long is not read, so no `100 Continue` invites the client to send it.
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge(limit));
    }
    let gathering = gather(body, limit, arrival.and_then(|arrival| arrival.memory.as_ref()));
    match arrival.and_then(|arrival| arrival.deadline) {
        Some(deadline) => timeout_at(deadline, gathering).await.map_err(|_| ReadError::TimedOut)?,
        None => gathering.await,
    }
}

async fn gather(
    mut body: Incoming,
    limit: usize,
    memory: Option<&Arc<ConnectionMemory>>,
) -> Result<(Bytes, Option<Share>), ReadError> {
    let mut arriving = memory.map(ConnectionMemory::arriving);
    let mut gathered = Gathered::announced(body.size_hint().lower());
    while let Some(frame) = poll_fn(|cx| poll_frame(&mut body, arriving.as_ref(), cx)).await {
        // Trailers are ignored.
        let Ok(data) = frame?.into_data() else { continue };
        gathered.add(data);
        if gathered.len() > limit {
            return Err(ReadError::TooLarge(limit));
        }
        if let Some(arriving) = &mut arriving {
            arriving.grow(gathered.memory()).map_err(|_| ReadError::NoRoom)?;
        }
    }
    let bytes = gathered.into_bytes();
    let share = arriving.filter(|_| !bytes.is_empty()).map(|arriving| arriving.finish(bytes.len()));
    Ok((bytes, share))
}

/// The next piece of a body, unless it has to go.
fn poll_frame(
    body: &mut Incoming,
    arriving: Option<&Arriving>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
    if arriving.is_some_and(|arriving| arriving.poll_must_go(cx).is_ready()) {
        return Poll::Ready(Some(Err(ReadError::NoRoom)));
    }
    Pin::new(body).poll_frame(cx).map_err(|_| ReadError::Broken)
}

/// What has arrived of a body. One that comes in a single piece is not copied.
struct Gathered {
    /// The length that was announced; 0 if none was.
    announced: usize,
    first: Bytes,
    all: Vec<u8>,
}

impl Gathered {
    fn announced(length: u64) -> Self {
        let announced = usize::try_from(length).unwrap_or_default();
        Self { announced, first: Bytes::new(), all: Vec::new() }
    }

    fn add(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        let total = self.len() + data.len();
        if self.all.capacity() < total {
            // Twice as much each time, but no more than was announced.
            let capacity = if total <= self.announced { (2 * total).min(self.announced) } else { 2 * total };
            self.all.reserve_exact(capacity - self.all.len());
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&data);
    }

    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn memory(&self) -> usize {
        self.first.len() + self.all.capacity()
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

impl Arrival {
    /// Counts a body that failed.
    fn report(&self, error: ReadError) {
        match (error, &self.memory) {
            (ReadError::NoRoom, Some(memory)) => {
                memory.report("request rejected, too many bytes of bodies wait in all");
            }
            _ => self.connections.count_failure(error.failure()),
        }
    }
}

impl ReadError {
    fn failure(self) -> ConnectionFailure {
        match self {
            Self::TooLarge(_) => ConnectionFailure::BodyTooLarge,
            Self::TimedOut => ConnectionFailure::SlowBody,
            Self::Broken => ConnectionFailure::BrokenBody,
            Self::NoRoom => ConnectionFailure::NoRoom,
        }
    }

    /// The response. The rest of the body may still arrive, so the connection is closed after it.
    pub fn into_response(self) -> Response<Body> {
        let status = match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = reply::text(status, self.to_string());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
