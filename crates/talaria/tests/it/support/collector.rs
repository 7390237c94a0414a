//! A stand-in for an OpenTelemetry collector: it takes OTLP over gRPC or HTTP on a real socket, and can be slow, refuse or not
//! answer. A real one is Jaeger (`jaeger.rs`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use prost::Message as _;
use talaria::trace::Protocol;
use talaria::trace::otlp::{ExportRequest, OneValue, Span};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the collector does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It takes the spans.
    Takes,
    /// It says that it never takes them: 400, or `INVALID_ARGUMENT`.
    Refuses,
    /// It is busy: 503, or `UNAVAILABLE`.
    Busy,
    /// It never answers.
    Silent,
    /// It takes all but one of the spans.
    RejectsOne,
}

/// A running collector; it ends when this is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    protocol: Protocol,
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<HeaderMap>>,
    spans: Mutex<Vec<Span>>,
}

impl Collector {
    pub(crate) async fn start(protocol: Protocol, behaviour: Behaviour) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), protocol, behaviour).await
    }

    pub(crate) async fn start_at(address: SocketAddr, protocol: Protocol, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            protocol,
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            spans: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// The section `tracing` of a gateway that sends its spans here, with these further keys.
    pub(crate) fn section(&self, keys: &str) -> String {
        let provider = match self.state.protocol {
            Protocol::Grpc => "otlp/grpc",
            Protocol::Http => "otlp/http",
        };
        format!("tracing: {{provider: {provider}, endpoint: '{}', {keys}}}\n", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock() = behaviour;
    }

    /// The spans that it has taken.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.state.spans.lock().clone()
    }

    /// The headers of the requests.
    pub(crate) fn requests(&self) -> Vec<HeaderMap> {
        self.state.requests.lock().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The text or number of an attribute.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match attribute.value.as_ref()?.value.as_ref()? {
        OneValue::Text(text) => text.clone(),
        OneValue::Number(number) => number.to_string(),
    })
}

/// An id in hexadecimal.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // The connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let stream = TokioIo::new(stream);
            let protocol = state.protocol;
            let service = service_fn(move |request| answer(request, Arc::clone(&state)));
            // A client may leave at any moment.
            match protocol {
                Protocol::Http => {
                    _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                }
                Protocol::Grpc => {
                    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    _ = server.max_concurrent_streams(8).serve_connection(stream, service).await;
                }
            }
        });
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let behaviour = *state.behaviour.lock();
    state.requests.lock().push(head.headers.clone());
    let message = match state.protocol {
        Protocol::Http => {
            assert_eq!(
                (head.uri.path(), &head.headers["content-type"]),
                ("/v1/traces", &HeaderValue::from_static("application/x-protobuf"))
            );
            body
        }
        Protocol::Grpc => {
            assert_eq!(head.uri.path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            assert_eq!(
                (&head.headers["content-type"], &head.headers["te"]),
                (&HeaderValue::from_static("application/grpc"), &HeaderValue::from_static("trailers"))
            );
            assert_eq!(body[..5], [&[0][..], &u32::try_from(body.len() - 5).unwrap().to_be_bytes()].concat());
            body.slice(5..)
        }
    };
    if behaviour == Behaviour::Silent {
        std::future::pending::<()>().await;
    }
    if matches!(behaviour, Behaviour::Takes | Behaviour::RejectsOne) {
        let request = ExportRequest::decode(message).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| {
            assert_eq!(resource.schema_url, talaria::trace::semantics::SCHEMA_URL);
            resource.scope_spans
        });
        state.spans.lock().extend(scopes.flat_map(|scope| scope.spans));
    }
    // ExportTraceServiceResponse { partial_success { rejected_spans: 1 } }
    let body: &[u8] = if behaviour == Behaviour::RejectsOne { b"\x0a\x02\x08\x01" } else { b"" };
    Ok(match state.protocol {
        Protocol::Http => {
            let mut response = Response::new(Full::new(Bytes::copy_from_slice(body)).boxed());
            *response.status_mut() = match behaviour {
                Behaviour::Refuses => StatusCode::BAD_REQUEST,
                Behaviour::Busy => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::OK,
            };
            response
        }
        Protocol::Grpc => {
            let code = match behaviour {
                Behaviour::Refuses => "3",
                Behaviour::Busy => "14",
                _ => "0",
            };
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(body.len()).unwrap());
            framed.put_slice(body);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(code));
            let frames = [Ok(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
            let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed());
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            response
        }
    })
}
