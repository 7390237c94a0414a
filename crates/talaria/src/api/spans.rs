//! The spans of a request to the API, and of what it asks of a device (contract §12.4).
//!
//! Which trace a message to a device belongs to may be in the message itself, so its request is decided on only when it has been
//! read.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use jiff::Timestamp;
use talaria_protocol::trace_context::{TRACEPARENT, TRACESTATE, TraceContext, TraceId, is_trace_line};
use wrp::{MessageRef, Strings};

use crate::device::SendError;
use crate::event::spans::{describe, operation};
use crate::server::{AfterTls, Peer};
use crate::trace::{Begun, Span, SpanKind, Trace, Tracer, Tracing, semantics as names};

/// What is known of a request's trace.
#[derive(Default)]
pub(super) enum RequestTrace {
    /// Nothing is traced.
    #[default]
    Off,
    /// It is not known yet whether it is recorded.
    Arrived(Box<Arrival>),
    /// It is known.
    Begun(Box<Begun>),
}

/// The trace that a request is recorded in, as an extension of its response.
#[derive(Clone, Copy)]
pub(super) struct RecordedIn(pub(super) TraceId);

/// A request as it came.
pub(super) struct Arrival {
    tracer: Arc<Tracer>,
    at: Timestamp,
    parent: Option<TraceContext>,
    method: String,
    path: String,
    route: &'static str,
    scheme: &'static str,
    client: Option<IpAddr>,
}

/// The exchange with a device, of which its message carries the context.
pub(super) struct Exchange {
    span: Option<Span>,
}

impl RequestTrace {
    /// A request for this route has come.
    pub(super) fn arrived<R>(tracing: &Tracing, request: &Request<R>, route: &'static str) -> Self {
        let arrival = tracing.with(|tracer| {
            Some(Box::new(Arrival {
                tracer: Arc::clone(tracer),
                at: Timestamp::now(),
                parent: context(request.headers()),
                method: request.method().as_str().to_owned(),
                path: request.uri().path().to_owned(),
                route,
                scheme: if request.extensions().get::<AfterTls>().is_some() { "https" } else { "http" },
                client: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
            }))
        });
        arrival.map_or(Self::Off, Self::Arrived)
    }

    /// Its message has been read. The context of the request comes before that of the message.
    pub(super) fn read(&mut self, message: &MessageRef<'_>) {
        if let Self::Arrived(arrival) = self {
            if arrival.parent.is_none() {
                let lines = message.headers.as_ref();
                arrival.parent = lines
                    .and_then(|lines| TraceContext::of_message(lines.iter().map(|line| line.as_bytes())));
            }
            self.begin();
        }
    }

    /// The message for the device, with the context of the exchange in its headers, if there is one. Its other bytes stay.
    pub(super) fn exchange(&self, message: &MessageRef<'_>, frame: Bytes) -> (Bytes, Exchange) {
        let Some(trace) = self.trace() else { return (frame, Exchange { span: None }) };
        let span = trace.span("send device", SpanKind::Producer).map(|mut span| {
            operation(&mut span, "wrp", "send");
            describe(&mut span, message);
            span
        });
        let context = span.as_ref().and_then(Span::context).unwrap_or_else(|| trace.context());
        let frame = with_context(message, &frame, context);
        (frame, Exchange { span })
    }

    /// This is the answer.
    pub(super) fn end<B>(mut self, response: &mut Response<B>) {
        self.begin();
        if let Self::Begun(begun) = self
            && let Some(mut span) = begun.span
        {
            if let Some(context) = span.context() {
                response.extensions_mut().insert(RecordedIn(context.trace_id));
            }
            let status = response.status();
            span.set(names::HTTP_STATUS, i64::from(status.as_u16()));
            // A server fails by its own errors only.
            if status.is_server_error() {
                span.fail(status.as_str().to_owned());
            }
        }
    }

    fn trace(&self) -> Option<&Trace> {
        match self {
            Self::Begun(begun) => begun.trace.as_ref(),
            Self::Off | Self::Arrived(_) => None,
        }
    }

    fn begin(&mut self) {
        *self = match std::mem::take(self) {
            Self::Arrived(arrival) => Self::Begun(Box::new(arrival.begin())),
            other => other,
        };
    }
}

impl Arrival {
    fn begin(self) -> Begun {
        let Self { tracer, at, parent, method, path, route, scheme, client } = self;
        let name = || Cow::Owned(format!("{method} {route}"));
        let mut begun = tracer.begin_at(parent, name, SpanKind::Server, || at);
        if let Some(span) = &mut begun.span {
            span.set(names::HTTP_METHOD, method);
            span.set(names::HTTP_ROUTE, route);
            span.set(names::URL_PATH, path);
            span.set(names::URL_SCHEME, scheme);
            if let Some(client) = client {
                span.set(names::CLIENT_ADDRESS, client.to_string());
            }
        }
        begun
    }
}

impl Exchange {
    /// The message was sent and, if it was a request, answered; or it was not.
    pub(super) fn end<T>(self, ended: Result<&T, &SendError>) {
        if let (Some(mut span), Err(error)) = (self.span, ended) {
            // The name of the variant.
            span.fail(format!("{error:?}"));
        }
    }
}

/// The context of a request.
fn context(headers: &HeaderMap) -> Option<TraceContext> {
    let values = |name| headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    TraceContext::read(values(TRACEPARENT), values(TRACESTATE))
}

/// A message with this context in its headers, in place of another one.
fn with_context(message: &MessageRef<'_>, frame: &Bytes, context: &TraceContext) -> Bytes {
    let lines = message.headers.as_ref().map(|lines| lines.iter()).into_iter().flatten();
    let mut lines: Vec<String> = lines
        .filter(|line| !is_trace_line(line.as_bytes()))
        .map(|line| line.to_str_lossy().into_owned())
        .collect();
    lines.push(format!("{TRACEPARENT}: {}", String::from_utf8_lossy(&context.traceparent())));
    if let Some(state) = context.state.as_str() {
        lines.push(format!("{TRACESTATE}: {state}"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let headers = Strings::from(&lines[..]);
    let mut with_context = Vec::new();
    if !MessageRef::replace_headers(frame, &headers, &mut with_context) {
        let message = MessageRef { headers: Some(headers), ..message.clone() };
        message.encode_v3(&mut with_context);
    }
    with_context.into()
}
