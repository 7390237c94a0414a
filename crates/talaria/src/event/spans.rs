//! The spans of a device's message in the gateway (contract §12.4): that it is processed, published to Kafka and posted to each
//! receiver. They carry the names of OpenTelemetry's conventions (`trace/semantics.rs`).

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use talaria_protocol::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};
use talaria_protocol::url::Target;
use wrp::{MessageRef, Scheme};
use wrpkafka::{Annotation, Outcome, PublishError};

use super::http::PostError;
use crate::device::Device;
use crate::trace::{Begun, Span, SpanKind, Trace, Tracer, semantics as names};

/// A message on its way to Kafka.
#[derive(Clone)]
pub(super) struct Publishing {
    /// Its span with the topics, until all its records have ended; none if it is not recorded.
    span: Option<Arc<Mutex<Option<PublishSpan>>>>,
    /// What the headers say.
    context: Arc<TraceContext>,
}

struct PublishSpan {
    span: Span,
    topics: String,
}

/// A device's message has come. Its context is in its headers. None if it has no context and is not recorded.
pub(super) fn process(tracer: &Arc<Tracer>, device: &Device, message: &MessageRef<'_>) -> Option<Begun> {
    let headers = message.headers.as_ref();
    let parent = headers.and_then(|lines| TraceContext::of_message(lines.iter().map(|line| line.as_bytes())));
    let mut begun = tracer.begin(parent, || process_name(message), SpanKind::Consumer);
    begun.trace.as_ref()?;
    if let Some(span) = &mut begun.span {
        operation(span, "wrp", "process");
        describe(span, message);
        span.set(names::MESSAGING_CLIENT_ID, device.id().as_str().to_owned());
    }
    Some(begun)
}

/// What is known of a WRP message.
pub(crate) fn describe(span: &mut Span, message: &MessageRef<'_>) {
    span.set(names::MESSAGING_DESTINATION, message.dest.to_str_lossy().into_owned());
    span.set(names::WRP_MESSAGE_TYPE, message.msg_type.0);
    span.set(names::WRP_QOS, message.qos.0);
    span.set(names::MESSAGING_BODY_SIZE, message.payload.map_or(0, <[u8]>::len));
    if !message.transaction_uuid.is_empty() {
        span.set(names::MESSAGING_CONVERSATION_ID, message.transaction_uuid.to_str_lossy().into_owned());
    }
}

/// The operation of a messaging system.
pub(crate) fn operation(span: &mut Span, system: &'static str, operation: &'static str) {
    span.set(names::MESSAGING_SYSTEM, system);
    span.set(names::MESSAGING_OPERATION_NAME, operation);
    span.set(names::MESSAGING_OPERATION_TYPE, operation);
}

/// An attempt to post an event, if it is recorded.
pub(super) fn post(trace: &Trace, method: &Method, target: &Target, attempt: u32) -> Option<Span> {
    let mut span = trace.span(method.as_str().to_owned(), SpanKind::Client)?;
    span.set(names::HTTP_METHOD, method.as_str().to_owned());
    // A query may hold a secret, and so may the user part, which `Display` hides.
    let url = target.to_string();
    let url = url.split(['?', '#']).next().unwrap_or_default().to_owned();
    span.set(names::URL_FULL, url);
    if let Ok(address) = target.address() {
        span.set(names::SERVER_ADDRESS, address.origin.host.to_string());
        span.set(names::SERVER_PORT, i64::from(address.origin.port));
    }
    if attempt > 1 {
        span.set(names::HTTP_RESEND_COUNT, i64::from(attempt - 1));
    }
    Some(span)
}

/// An attempt has ended.
pub(super) fn posted(span: &mut Span, ended: Result<StatusCode, &PostError>) {
    match ended {
        Ok(status) => {
            span.set(names::HTTP_STATUS, i64::from(status.as_u16()));
            // Every other one is a failure for the gateway (contract §5.5).
            if status != StatusCode::ACCEPTED {
                span.fail(status.as_str().to_owned());
            }
        }
        Err(error) => span.fail(error.reason().to_string()),
    }
}

/// The headers of a request that is a step of a trace.
pub(super) fn set_headers(context: &TraceContext, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_bytes(&context.traceparent()) {
        headers.insert(HeaderName::from_static(TRACEPARENT), value);
    }
    if let Some(Ok(value)) = context.state.as_str().map(HeaderValue::from_str) {
        headers.insert(HeaderName::from_static(TRACESTATE), value);
    }
}

impl Publishing {
    pub(super) fn begin(trace: &Trace) -> Self {
        let span = trace.span("send", SpanKind::Producer).map(|mut span| {
            operation(&mut span, "kafka", "send");
            span
        });
        let context = span.as_ref().and_then(Span::context).unwrap_or_else(|| trace.context());
        let context = Arc::new(context.clone());
        let span = span.map(|span| Arc::new(Mutex::new(Some(PublishSpan { span, topics: String::new() }))));
        Self { span, context }
    }

    /// Calls `then` with what the records of the message carry.
    pub(super) fn annotate<T>(&self, then: impl FnOnce(&Annotation<'_>) -> T) -> T {
        let traceparent = self.context.traceparent();
        let traceparent = std::str::from_utf8(&traceparent).unwrap_or_default();
        let state = self.context.state.as_str();
        let headers = [(TRACEPARENT, traceparent), (TRACESTATE, state.unwrap_or_default())];
        let headers = if state.is_some() { &headers[..] } else { &headers[..1] };
        let on_topic = |topic: &str| self.add_topic(topic);
        then(&Annotation {
            headers,
            trace: self.span.is_some().then_some(self.context.trace_id.get()),
            on_topic: &on_topic,
        })
    }

    /// All records of the message have ended.
    pub(super) fn end(&self, outcome: &Result<Outcome, PublishError>) {
        let Some(PublishSpan { mut span, topics }) = self.span.as_ref().and_then(|span| span.lock().take())
        else {
            return;
        };
        if topics.contains(',') {
            span.set(names::WRP_TOPICS, topics);
        } else if !topics.is_empty() {
            span.set_name(format!("send {topics}"));
            span.set(names::MESSAGING_DESTINATION, topics);
        }
        match outcome {
            Ok(Outcome::Failed) => span.fail("failed"),
            Ok(_) => {}
            Err(error) => span.fail(error.error_type().as_str()),
        }
    }

    fn add_topic(&self, topic: &str) {
        if let Some(span) = &self.span
            && let Some(span) = &mut *span.lock()
        {
            if !span.topics.is_empty() {
                span.topics.push(',');
            }
            span.topics.push_str(topic);
        }
    }
}

/// The span's name: what is done, and the scheme of the destination, of which there are few.
fn process_name(message: &MessageRef<'_>) -> Cow<'static, str> {
    let dest = message.dest.to_str().unwrap_or_default();
    let scheme = dest.split_once(':').and_then(|(scheme, _)| Scheme::parse(scheme));
    Cow::Borrowed(match scheme {
        Some(Scheme::Event) => "process event",
        Some(Scheme::Dns) => "process dns",
        _ => "process",
    })
}
