//! Spans as OTLP's protobuf and JSON (<https://opentelemetry.io/docs/specs/otlp/>, opentelemetry-proto 1.7).
//!
//! The messages have only the fields that spans use. Those that a collector adds to its answers are skipped.

mod json;

use bytes::Bytes;
use prost::Message as _;
use talaria_protocol::trace_context::Sampling;

use super::semantics::{self, SCHEMA_URL};
use super::span_data::{SpanData, Value};

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportRequest {
    /// The spans of each resource.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// `opentelemetry.proto.trace.v1.ResourceSpans`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceSpans {
    /// What made the spans.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// The spans of each part of it.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
    /// The conventions of the resource's attributes.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// `opentelemetry.proto.resource.v1.Resource`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// Such as `service.name`.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// `opentelemetry.proto.trace.v1.ScopeSpans`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeSpans {
    /// What made the spans.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
    /// The conventions of their names and attributes.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// `opentelemetry.proto.common.v1.InstrumentationScope`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scope {
    /// The name of the library.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// `opentelemetry.proto.trace.v1.Span`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Span {
    /// The id of the trace, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// The id of the span, 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// `tracestate`.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// The id of the parent span, 8 bytes. Empty for the first span of a trace.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// The name.
    #[prost(string, tag = "5")]
    pub name: String,
    /// Of the enumeration `SpanKind`.
    #[prost(int32, tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What is known of it.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// The flags of `traceparent`.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// `opentelemetry.proto.trace.v1.Status`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// A text about the error.
    #[prost(string, tag = "2")]
    pub message: String,
    /// 0 unset, 1 ok, 2 error.
    #[prost(int32, tag = "3")]
    pub code: i32,
}

/// `opentelemetry.proto.common.v1.KeyValue`
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// `opentelemetry.proto.common.v1.AnyValue`
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// One of the kinds of values.
    #[prost(oneof = "OneValue", tags = "1, 3")]
    pub value: Option<OneValue>,
}

/// A value.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum OneValue {
    /// A text.
    #[prost(string, tag = "1")]
    Text(String),
    /// A whole number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportResponse {
    /// What was not taken of a request.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// How many spans were rejected.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `STATUS_CODE_ERROR`
const ERROR: i32 = 2;

/// A request with these spans.
pub(super) fn to_protobuf(spans: &[SpanData]) -> Bytes {
    request(spans).encode_to_vec().into()
}

/// A line of JSON with these spans.
pub(super) fn to_json_line(spans: &[SpanData]) -> Vec<u8> {
    json::line(&request(spans))
}

/// How many spans an answer rejects. One that cannot be read rejects none.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportResponse::decode(answer).ok();
    let rejected = answer.and_then(|answer| answer.partial_success).map(|partial| partial.rejected_spans);
    rejected.and_then(|rejected| u64::try_from(rejected).ok()).unwrap_or_default()
}

fn request(spans: &[SpanData]) -> ExportRequest {
    let version = env!("CARGO_PKG_VERSION");
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let resource = Resource {
        attributes: vec![
            attribute(semantics::SERVICE_NAME, OneValue::Text("talaria".to_owned())),
            attribute(semantics::SERVICE_VERSION, OneValue::Text(version.to_owned())),
            attribute(semantics::HOST_NAME, OneValue::Text(host)),
        ],
    };
    let scope_spans = ScopeSpans {
        scope: Some(Scope { name: "talaria".to_owned(), version: version.to_owned() }),
        spans: spans.iter().map(Span::from).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        schema_url: SCHEMA_URL.to_owned(),
    };
    ExportRequest { resource_spans: vec![resource_spans] }
}

fn attribute(key: &str, value: OneValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

impl From<&SpanData> for Span {
    fn from(span: &SpanData) -> Self {
        let context = &span.context;
        let attributes = span.attributes.iter().map(|(key, value)| {
            let value = match value {
                Value::Text(text) => OneValue::Text(text.clone().into_owned()),
                Value::Number(number) => OneValue::Number(*number),
            };
            attribute(key, value)
        });
        Self {
            trace_id: context.trace_id.to_bytes().into(),
            span_id: context.span_id.to_bytes().into(),
            trace_state: context.state.as_str().unwrap_or_default().to_owned(),
            parent_span_id: span.parent.map(|parent| parent.to_bytes().into()).unwrap_or_default(),
            name: span.name.clone().into_owned(),
            kind: span.kind as i32,
            start_time_unix_nano: span.start,
            end_time_unix_nano: span.end,
            attributes: attributes.collect(),
            status: span.has_failed.then(|| Status { message: String::new(), code: ERROR }),
            flags: u32::from(context.sampling == Sampling::Sampled),
        }
    }
}
